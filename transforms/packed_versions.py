"""Which of several packed versions of a reading is the newest: the rules of `transforms.versions`.

A run knows one set of boundaries, so of equal content a place is in one region or in none.
Sensors are compared by their names, for series are numbered as they come.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.reading import VersionKind
from transforms.grouping import distinct
from transforms.packed_rows import (
    DELETED,
    NO_POSITION,
    PLACED,
    Name,
    Rows,
    flags_of,
    kinds_of,
    series_of,
    words_of,
)
from transforms.spans import Ints
from transforms.versions import CONTENT_FROM, VERSION, VERSION_KIND, Keys, text_keys

__all__ = ["NEWER", "OLDER", "SAME", "came_again", "compared", "newest_rows"]

SAME, NEWER, OLDER = 0, 1, -1
RANKED = np.uint64((0xFFFFFFFF & ~NO_POSITION) << 32)
"""What of the last word of a row may order versions: all of the label but one flag."""


def newest_rows(rows: Rows, names: Sequence[Name]) -> tuple[Ints, int, int]:
    """The newest version of each reading among some rows.

    Args:
        rows: an array of `ROW`.
        names: what their series are called.

    Returns:
        Which rows, in rising order; how many others say the same as one that is kept or
        superseded; how many others have an older version.
    """
    everything = np.arange(len(rows))
    high = np.ascontiguousarray(rows["high"])
    order = np.argsort(high)
    equal = high[order[1:]] == high[order[:-1]]
    if not equal.any():
        return everything, 0, 0
    shared = np.zeros(len(rows), bool)
    shared[1:] = equal
    shared[:-1] |= equal
    # In the order in which they came: of equal ones the last is kept.
    doubtful = np.sort(order[shared])
    chosen = rows.take(doubtful)
    columns = [*_ranks(chosen, identity=True), _sensors(chosen, names)]
    within = np.lexsort(columns[::-1])
    doubtful = doubtful[within]
    same = [column[within][1:] == column[within][:-1] for column in columns]
    follows = same[0] & same[1]
    arrived = columns[VERSION_KIND][within] == VersionKind.ARRIVAL
    repeated = np.logical_and.reduce([follows, same[VERSION_KIND], *same[CONTENT_FROM:]])
    repeats = int((repeated & (same[VERSION] | arrived[1:])).sum())
    kept = np.ones(len(rows), bool)
    kept[doubtful[:-1][follows]] = False
    return everything[kept], repeats, int(follows.sum()) - repeats


def compared(rows: Rows, others: Rows, names: Sequence[Name]) -> npt.NDArray[np.int8]:
    """Row by row, whether it is `NEWER` or `OLDER` than the other, or the `SAME`.

    Args:
        rows: an array of `ROW`.
        others: the same, of as many rows.
        names: what the series of both are called.
    """
    verdict = np.zeros(len(rows), np.int8)
    unlike = words_of(rows)[:, 2:] ^ words_of(others)[:, 2:]
    unlike[:, -1] &= RANKED
    open_ = np.flatnonzero(unlike.any(axis=1))
    for mine, other in zip(_ranks(rows.take(open_)), _ranks(others.take(open_)), strict=True):
        undecided = verdict[open_] == SAME
        if not undecided.any():
            return verdict
        verdict[open_[undecided & (mine > other)]] = NEWER
        verdict[open_[undecided & (mine < other)]] = OLDER
    open_ = open_[verdict[open_] == SAME]
    if len(open_):
        sensors = [_sensors(each.take(open_), names) for each in (rows, others)]
        verdict[open_[sensors[0] > sensors[1]]] = NEWER
        verdict[open_[sensors[0] < sensors[1]]] = OLDER
    return verdict


def came_again(rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
    """Row by row, whether it says the same as the other, and neither has a version but its arrival.

    Args:
        rows: an array of `ROW`.
        others: the same, of as many rows, whose series have the same numbers.
    """
    again = (kinds_of(rows) == VersionKind.ARRIVAL) & (kinds_of(others) == VersionKind.ARRIVAL)
    again &= series_of(rows) == series_of(others)
    again &= ((flags_of(rows) ^ flags_of(others)) & (DELETED | PLACED)) == 0
    for name in ("event_time", "longitude", "latitude", "value"):
        again &= rows[name] == others[name]
    return again


def _sensors(rows: Rows, names: Sequence[Name]) -> Keys:
    """The sensors of rows, in a form that orders them."""
    found, places = distinct(series_of(rows).astype(np.int64), len(names))
    return text_keys([names[number][3] for number in found.tolist()])[places]


def _ranks(rows: Rows, *, identity: bool = False) -> list[npt.NDArray]:
    """The columns that order versions, the most important first, as `transforms.versions` does."""
    flags = flags_of(rows)
    return [
        *([rows["high"], rows["low"]] if identity else []),
        kinds_of(rows),
        rows["version"],
        flags & DELETED,
        rows["event_time"],
        rows["longitude"],
        rows["latitude"],
        rows["value"],
        flags & PLACED,
    ]
