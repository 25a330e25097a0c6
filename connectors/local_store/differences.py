"""Windows whose rows differed from what the readings say: what a reader saw, and what is right."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from connectors.local_store.window_check import SHOWN, Shown
from connectors.local_store.window_numbers import Numbering, Windows
from schemas.series import SERIES
from transforms.spans import Ints

__all__ = ["Differences", "window_columns"]

Key: TypeAlias = tuple[str | None, str | None, str | None, str, int, int, int]
"""Of a window: what it has in the columns `KEY`."""
Values: TypeAlias = tuple[float | None, ...]

MOMENT = pa.timestamp("us", tz="UTC")
KEY = (*SERIES, "window_size", "window_period", "window_start")


def window_columns(numbering: Numbering, windows: Windows, rows: Ints) -> list[Key]:
    """What tells some of the windows from others; `window_start` in microseconds."""
    columns = numbering.columns(windows.series[rows], windows.starts[rows])
    lists = [
        columns[name].view(pa.int64()).to_pylist()
        if name == "window_start"
        else columns[name].to_pylist()
        for name in KEY
    ]
    return list(zip(*lists, strict=True))


class Differences:
    """Gathers rows that were corrected; one that was corrected twice is told once."""

    def __init__(self) -> None:
        self._rows: dict[Key, tuple[Values, Values]] = {}

    def add(self, keys: list[Key], before: Shown, after: Shown, rows: Ints) -> None:
        """Adds corrected windows.

        Args:
            keys: the windows.
            before: what a reader saw, of these and of others.
            after: what a reader sees now.
            rows: the windows' places in both.
        """
        former, latter = _values(before, rows), _values(after, rows)
        for key, was, now in zip(keys, former, latter, strict=True):
            first = self._rows[key][0] if key in self._rows else was
            self._rows[key] = first, now
            if first == now:
                del self._rows[key]

    def __len__(self) -> int:
        return len(self._rows)

    def table(self) -> pa.Table:
        """One row a window, in their order: its key, and its columns `…_before` and `…_after`."""
        keys = sorted(self._rows, key=_order)
        columns: dict[str, pa.Array] = {}
        for place, name in enumerate(KEY):
            values: list[object] = [key[place] for key in keys]
            kind = pa.string() if place < len(SERIES) else pa.int64()
            column = pa.array(values, kind)
            columns[name] = column.view(MOMENT) if name == "window_start" else column
        for place, name in enumerate(SHOWN):
            kind = pa.int64() if name == "count" else pa.float64()
            for side, suffix in enumerate(("before", "after")):
                numbers = [self._rows[key][side][place] for key in keys]
                columns[f"{name}_{suffix}"] = pa.array(numbers, pa.float64()).cast(kind)
        return pa.table(columns)


def _order(key: Key) -> tuple[Any, ...]:
    return (*key[len(SERIES) :], *(text or "" for text in key[: len(SERIES)]))


def _values(shown: Shown, rows: Ints) -> list[Values]:
    lists = [
        [
            None if missing else value
            for value, missing in zip(values, np.isnan(values), strict=True)
        ]
        for values in (shown[name][rows].tolist() for name in SHOWN)
    ]
    return list(zip(*lists, strict=True))
