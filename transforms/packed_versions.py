"""Which of several packed versions of a reading is the newest: the rules of `transforms.versions`.

A run knows one set of boundaries, so of equal content a place is in one region or in none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.packed_rows import DELETED, PLACED, Rows, words_of
from transforms.spans import Ints

__all__ = ["NEWER", "OLDER", "SAME", "compared", "newest_rows"]

SAME, NEWER, OLDER = 0, 1, -1
RANKED = np.uint64(0xFF << 48 | (DELETED | PLACED) << 56)
"""What of the last word of a row orders versions: their kind and two flags."""


def newest_rows(rows: Rows) -> tuple[Ints, int, int]:
    """The newest version of each reading among some rows.

    Args:
        rows: an array of `ROW`.

    Returns:
        Which rows, in rising order; how many others equal one that is kept or superseded; how
        many others have an older version.
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
    doubtful = order[shared]
    columns = _ranks(rows.take(doubtful), identity=True)
    within = np.lexsort(columns[::-1])
    doubtful = doubtful[within]
    same = [column[within][1:] == column[within][:-1] for column in columns]
    follows = same[0] & same[1]
    repeats = int(np.logical_and.reduce(same).sum())
    kept = np.ones(len(rows), bool)
    kept[doubtful[:-1][follows]] = False
    return everything[kept], repeats, int(follows.sum()) - repeats


def compared(rows: Rows, others: Rows) -> npt.NDArray[np.int8]:
    """Row by row, whether it is `NEWER` or `OLDER` than the other, or the `SAME`."""
    verdict = np.zeros(len(rows), np.int8)
    unlike = words_of(rows)[:, 2:] ^ words_of(others)[:, 2:]
    unlike[:, -1] &= RANKED
    open_ = np.flatnonzero(unlike.any(axis=1))
    for mine, other in zip(_ranks(rows.take(open_)), _ranks(others.take(open_)), strict=True):
        undecided = verdict[open_] == SAME
        if not undecided.any():
            break
        verdict[open_[undecided & (mine > other)]] = NEWER
        verdict[open_[undecided & (mine < other)]] = OLDER
    return verdict


def _ranks(rows: Rows, *, identity: bool = False) -> list[npt.NDArray]:
    """The columns that order versions, the most important first, as `transforms.versions` does."""
    return [
        *([rows["high"], rows["low"]] if identity else []),
        rows["kind"],
        rows["version"],
        rows["flags"] & DELETED,
        rows["event_time"],
        rows["longitude"],
        rows["latitude"],
        rows["value"],
        rows["flags"] & PLACED,
    ]
