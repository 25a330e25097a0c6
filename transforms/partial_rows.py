"""Partial statistics as rows of 64-bit integers: many rows are added and compared at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.spans import Bools, Ints
from transforms.statistics import Partials, Statistic
from transforms.wide import to_ints

__all__ = ["IMPOSSIBLE", "Matrix", "PartialRows"]

Matrix: TypeAlias = npt.NDArray[np.int64]
"""One row a window or slice."""

IMPOSSIBLE = -1
"""How many readings sums have that no readings have."""


class PartialRows:
    """The partial statistics of windows as the rows of a matrix.

    Args:
        statistics: what is kept.

    Attributes:
        statistics: the same.
        width: integers in a row.
    """

    def __init__(self, statistics: Sequence[Statistic]) -> None:
        self.statistics = tuple(statistics)
        limbs = {name: count for one in statistics for name, count in one.columns.items()}
        self._columns = dict(sorted(limbs.items()))
        self.width = sum(self._columns.values())
        added = {name for one in statistics for name in one.columns if one.combine is np.add}
        summed = [name in added for name, limbs in self._columns.items() for _ in range(limbs)]
        self._summed = np.flatnonzero(summed)

    def matrix(self, partials: Partials) -> Matrix:
        """Columns as rows."""
        columns = [partials[name].reshape(-1, limbs) for name, limbs in self._columns.items()]
        return np.concatenate(columns, axis=1)

    def columns(self, rows: Matrix) -> dict[str, npt.NDArray[np.int64]]:
        """Rows as columns."""
        columns, begin = {}, 0
        for name, limbs in self._columns.items():
            columns[name] = rows[:, begin : begin + limbs] if limbs > 1 else rows[:, begin]
            begin += limbs
        return columns

    def merged(self, rows: Matrix, starts: Ints) -> Matrix:
        """The sum of each group of consecutive rows; no group is empty."""
        if len(starts) == len(rows):
            return rows
        partials = self.columns(rows)
        total: dict[str, npt.NDArray[np.int64]] = {}
        for statistic in self.statistics:
            total.update(statistic.merge(partials, starts))
        return self.matrix(total)

    def added(self, rows: Matrix, others: Matrix) -> Matrix:
        """The sum of each row with the other in its place."""
        pairs = np.stack([rows, others], axis=1).reshape(-1, self.width)
        return self.merged(pairs, np.arange(0, len(pairs), 2))

    def held(self, rows: Matrix) -> Ints | None:
        """How many readings each row holds; None where no statistic counts them.

        `IMPOSSIBLE`, or less than 0, stands for sums that no readings have: a removal has overtaken
        what it removes.
        """
        if "count" not in self._columns:
            return None
        partials = self.columns(rows)
        counts: Ints = partials["count"].copy()
        if "sum" not in partials:
            return counts
        impossible = (counts == 0) & partials["sum"].any(axis=1)
        if "square_sum" in partials:
            sums, squares = (to_ints(partials[name]) for name in ("sum", "square_sum"))
            triples = zip(counts.tolist(), sums, squares, strict=True)
            impossible |= [count * square < total**2 for count, total, square in triples]
        counts[impossible & (counts >= 0)] = IMPOSSIBLE
        return counts

    def tells_apart(self, before: Matrix, after: Matrix) -> Bools:
        """Row by row, whether a window's row, or what it can be added to, is another one.

        Sums are compared exactly. Of a minimum and a maximum only the result is: the value that
        left may be another one where it is not the extreme.
        """
        changed: Bools = (before[:, self._summed] != after[:, self._summed]).any(axis=1)
        doubtful = np.flatnonzero(~changed & (before != after).any(axis=1))
        if len(doubtful):
            both = [self.columns(rows[doubtful]) for rows in (before, after)]
            for statistic in self.statistics:
                old, new = (statistic.extract(columns).to_pylist() for columns in both)
                changed[doubtful] |= [one != other for one, other in zip(old, new, strict=True)]
        return changed
