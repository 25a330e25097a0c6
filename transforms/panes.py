"""From the changes of a window to the rows of its panes: no Beam in it.

Partial statistics of one window are a row of 64-bit integers, as bytes: small, and quick to add.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.groupings import REGION, SENSOR
from schemas.reading import MEANS
from transforms.slices import KEY, SeriesName
from transforms.statistics import Partials, Statistic
from transforms.wide import to_ints
from transforms.window_means import means_schema, partial_columns

__all__ = [
    "Pane",
    "PartialRows",
    "RunningTotal",
    "SliceKey",
    "WindowKey",
    "pane_rows",
    "series_name",
    "slice_key",
]

SliceKey: TypeAlias = tuple[str, str, str, str]
"""A series: what it is of (`REGION` or `SENSOR`), region code or sensor, region, and quantity. All
are texts, so that runners can compare the keys."""

WindowKey: TypeAlias = tuple[SliceKey, int, int, int]
"""Key; start, size and period of the window in seconds."""

Pane: TypeAlias = tuple[WindowKey, str, bytes]
"""Key and window, timing of the pane, packed totals."""


def slice_key(name: SeriesName) -> SliceKey:
    """The key of a series."""
    code, region, sensor, quantity = name
    if sensor is None:
        return REGION, code or "", region or "", quantity
    return SENSOR, sensor, "", quantity


def series_name(key: SliceKey) -> SeriesName:
    """The series of a key."""
    kind, text, region, quantity = key
    return (text, region, None, quantity) if kind == REGION else (None, None, text, quantity)


NOTHING = b"\x00"
"""Stands for the totals of the last row where there was none."""
IMPOSSIBLE = -1


class PartialRows:
    """Partial statistics as rows of integers.

    Args:
        statistics: what is kept.
    """

    def __init__(self, statistics: Sequence[Statistic]) -> None:
        self.statistics = tuple(statistics)
        limbs = {name: count for one in statistics for name, count in one.columns.items()}
        self._columns = dict(sorted(limbs.items()))
        self._summed = self._places_of_sums()
        self.size = 8 * sum(self._columns.values())

    def pack(self, partials: Partials) -> list[bytes]:
        """Each row as bytes."""
        columns = [partials[name].reshape(-1, limbs) for name, limbs in self._columns.items()]
        rows = np.ascontiguousarray(np.concatenate(columns, axis=1), "<i8")
        data = rows.tobytes()
        return [data[at : at + self.size] for at in range(0, len(data), self.size)]

    def unpack(self, rows: Iterable[bytes]) -> dict[str, npt.NDArray[np.int64]]:
        """The columns of packed rows."""
        matrix = np.frombuffer(b"".join(rows), "<i8").reshape(-1, self.size // 8)
        columns, begin = {}, 0
        for name, limbs in self._columns.items():
            column = matrix[:, begin : begin + limbs]
            columns[name] = column if limbs > 1 else column[:, 0]
            begin += limbs
        return columns

    def merged(self, rows: Sequence[bytes]) -> bytes:
        """The sum of at least one packed row."""
        if len(rows) == 1:
            return rows[0]
        partials, starts = self.unpack(rows), np.zeros(1, np.int64)
        total: dict[str, npt.NDArray[np.int64]] = {}
        for statistic in self.statistics:
            total.update(statistic.merge(partials, starts))
        return self.pack(total)[0]

    def held(self, row: bytes) -> int | None:
        """How many readings a packed row holds; None where no statistic counts them.

        Less than 0 stands for sums that no readings have: a removal has overtaken what it removes.
        """
        if "count" not in self._columns:
            return None
        partials = self.unpack([row])
        count = int(partials["count"][0])
        total, squares = (
            to_ints(partials[name])[0] if name in partials else None
            for name in ("sum", "square_sum")
        )
        if total is not None and (
            (count == 0 and total != 0) or (squares is not None and count * squares < total**2)
        ):
            return IMPOSSIBLE
        return count

    def tells_apart(self, before: bytes, after: bytes) -> bool:
        """Whether a window's row, or what it can be added to, is another one.

        Sums are compared exactly. Of a minimum and a maximum only the result is: the value that
        left may be another one where it is not the extreme.
        """
        if before == after:
            return False
        old, new = np.frombuffer(before, "<i8"), np.frombuffer(after, "<i8")
        if (old[self._summed] != new[self._summed]).any():
            return True
        both = self.unpack([before, after])
        results = [statistic.extract(both).to_pylist() for statistic in self.statistics]
        return any(old != new for old, new in results)

    def _places_of_sums(self) -> npt.NDArray[np.bool_]:
        added = {name for one in self.statistics for name in one.columns if one.combine is np.add}
        return np.array(
            [name in added for name, limbs in self._columns.items() for _ in range(limbs)], bool
        )


class RunningTotal:
    """Adds the changes of a window to its total, and says when a row is due.

    Args:
        partials: how the totals are packed.
    """

    def __init__(self, partials: PartialRows) -> None:
        self._partials = partials

    def add(self, state: bytes | None, changes: Sequence[bytes]) -> tuple[bytes, bytes | None]:
        """Adds changes.

        Args:
            state: what this gave before for the window; None at first.
            changes: packed partials, at least one.

        Returns:
            The new state; and the packed totals where a row is due: where they differ from those
            of the last row, and the window has held a reading. None is due while a removal has
            overtaken what it removes.
        """
        before, shown = self._read(state)
        total = self._partials.merged([*before, *changes])
        held = self._partials.held(total)
        if held is not None and held < 0:
            due = False
        elif shown is None:
            due = held != 0
        else:
            due = self._partials.tells_apart(shown, total)
        if due or shown == total:
            return total, total if due else None
        return total + (shown or NOTHING), None

    def _read(self, state: bytes | None) -> tuple[list[bytes], bytes | None]:
        """The total, if there is one, and the one that the last row has shown.

        The state is the total alone where both are the same.
        """
        if state is None:
            return [], None
        total, rest = state[: self._partials.size], state[self._partials.size :]
        return [total], None if rest == NOTHING else rest or total


def pane_rows(
    panes: Sequence[Pane], statistics: Sequence[Statistic], *, partials: bool = False
) -> pa.RecordBatch:
    """Panes as rows.

    Args:
        panes: the panes.
        statistics: what to compute; each becomes a column.
        partials: as for `transforms.window_means.window_rows`.

    Returns:
        A batch of schema `means_schema`, in the order of the panes. The row of a window that has
        lost all its readings has count 0 and NULLs.
    """
    windows, timings, totals = zip(*panes, strict=True)
    keys, starts, sizes, periods = zip(*windows, strict=True)
    columns = PartialRows(statistics).unpack(totals)
    names = [series_name(key) for key in keys]
    found: dict[str, pa.Array] = {
        name: pa.array([series[part] for series in names], pa.string())
        for part, name in enumerate(KEY)
    }
    moment = MEANS.field("window_start").type
    begin, length = np.array(starts, np.int64), np.array(sizes, np.int64)
    found["window_start"] = pa.array(begin * 1_000_000).view(moment)
    found["window_end"] = pa.array((begin + length) * 1_000_000).view(moment)
    found["window_size"] = pa.array(length)
    found["window_period"] = pa.array(periods, pa.int64())
    found["pane"] = pa.array(timings, pa.string())
    empty = pa.array(columns["count"] == 0) if "count" in columns else None
    for statistic in statistics:
        result = statistic.extract(columns)
        if empty is not None and statistic.name != "count":
            result = pc.if_else(empty, pa.scalar(None, result.type), result)
        found[statistic.name] = result
    schema = means_schema(statistics, partials=partials)
    if partials:
        found |= partial_columns(columns, statistics)
    return pa.RecordBatch.from_arrays([found[name] for name in schema.names], schema=schema)
