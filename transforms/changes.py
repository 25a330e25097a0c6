"""Changes of windows as bytes: what a stream shuffles by shard, and keeps in its state.

A runner's cost is by the element. So the changes of many series and windows are one element: their
names, and a matrix of partial statistics.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from schemas.groupings import REGION, SENSOR
from transforms.partial_rows import Matrix
from transforms.slices import SeriesName
from transforms.spans import Ints

__all__ = [
    "Changes",
    "Pane",
    "SeriesKey",
    "pack",
    "series_key",
    "series_name",
    "unpack",
]

SeriesKey: TypeAlias = tuple[str, str, str, str]
"""A series: what it is of (`REGION` or `SENSOR`), region code or sensor, region, and quantity."""

Pane: TypeAlias = tuple[int, int, int, str, int]
"""Start, size and period of a window in seconds; timing; the oldest arrival behind it."""

FORMAT = b"\x01"


def series_key(name: SeriesName) -> SeriesKey:
    """The key of a series."""
    code, region, sensor, quantity = name
    if sensor is None:
        return REGION, code or "", region or "", quantity
    return SENSOR, sensor, "", quantity


def series_name(key: SeriesKey) -> SeriesName:
    """The series of a key."""
    kind, text, region, quantity = key
    return (text, region, None, quantity) if kind == REGION else (None, None, text, quantity)


@dataclass(frozen=True)
class Changes:
    """Rows of partial statistics.

    Attributes:
        names: series.
        panes: windows.
        series: the place of each row's series among the names.
        pane: the place of each row's window among the panes.
        rows: the partial statistics, or several of them beside each other.
        number: says which of two records is the newer one.
    """

    names: Sequence[SeriesKey]
    panes: Sequence[Pane]
    series: Ints
    pane: Ints
    rows: Matrix
    number: int = field(default=0)

    @classmethod
    def together(cls, pieces: Iterable[Changes]) -> Changes:
        """All rows, in the order of the pieces, of which there is at least one."""
        names: dict[SeriesKey, int] = {}
        panes: list[Pane] = []
        series, places, rows = [], [], []
        for piece in pieces:
            numbers = [names.setdefault(name, len(names)) for name in piece.names]
            series.append(np.array(numbers, np.int64)[piece.series])
            places.append(piece.pane + len(panes))
            panes += piece.panes
            rows.append(piece.rows)
        return cls(
            [*names], panes, np.concatenate(series), np.concatenate(places), np.concatenate(rows)
        )


def pack(changes: Changes) -> bytes:
    """Changes as bytes."""
    head = [changes.names, changes.panes, changes.number, len(changes.rows), changes.rows.shape[1]]
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    places = np.concatenate([changes.series, changes.pane]).astype("<u4")
    body = np.ascontiguousarray(changes.rows, "<i8")
    return b"".join(
        [FORMAT, len(text).to_bytes(4, "little"), text, places.tobytes(), body.tobytes()]
    )


def unpack(data: bytes) -> Changes:
    """What `pack` packed; the rows cannot be written to.

    Raises:
        ValueError: another release packed it.
    """
    if data[:1] != FORMAT:
        msg = f"changes of format {data[:1]!r} cannot be read; this release reads {FORMAT!r}"
        raise ValueError(msg)
    begin = 5 + int.from_bytes(data[1:5], "little")
    names, panes, number, count, width = json.loads(data[5:begin])
    places = np.frombuffer(data, "<u4", 2 * count, begin).astype(np.int64)
    rows = np.frombuffer(data, "<i8", count * width, begin + 8 * count).reshape(count, width)
    return Changes(
        [tuple(name) for name in names],
        [tuple(pane) for pane in panes],
        places[:count],
        places[count:],
        rows,
        number,
    )
