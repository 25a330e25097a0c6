"""The statistics of a window: what each keeps of the readings, and how it is merged.

A statistic is one class with four methods over whole columns:

* `add` reduces groups of values to partial statistics, one row a group;
* `merge` reduces groups of partials to one row a group;
* `retract` turns partials into those that take the same values away: merged, they cancel;
* `extract` gives the result column.

Statistics that keep the same partial column (the count, say) share it: it is computed once and
stored once. All sums are of whole millionths, so that neither the order of the readings nor the
way they were split changes a result in its last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.numbers import MICROS
from transforms.spans import Ints
from transforms.wide import SQUARE_LIMBS, SUM_LIMBS, Wide, carried, square_sums, sums, to_ints

__all__ = ["STATISTICS", "Groups", "Partials", "Statistic"]

Partials: TypeAlias = Mapping[str, npt.NDArray[np.int64]]
"""Partial columns by name, one row a group; a wide column has one matrix column a limb."""


@dataclass(frozen=True)
class Groups:
    """Values in whole millionths, sorted so that each group stands together.

    Attributes:
        values: the values.
        starts: where each group begins; no group is empty.
    """

    values: Ints
    starts: Ints

    @cached_property
    def counts(self) -> Ints:
        """Values in each group."""
        return np.diff(self.starts, append=len(self.values))

    @cached_property
    def sums(self) -> Wide:
        """The sum of each group."""
        return sums(self.values, self.starts)

    @cached_property
    def square_sums(self) -> Wide:
        """The sum of the squares of each group."""
        return square_sums(self.values, self.starts)


class Statistic:
    """A statistic of the values of a window.

    Attributes:
        name: the result column.
        columns: the partial columns it keeps, each with the number of its limbs.
        combine: how partial columns are combined over rows.
    """

    name: ClassVar[str]
    columns: ClassVar[dict[str, int]]
    combine: ClassVar[np.ufunc] = np.add

    def add(self, groups: Groups) -> dict[str, npt.NDArray[np.int64]]:
        """Partial statistics of groups of values."""
        raise NotImplementedError

    def merge(self, partials: Partials, starts: Ints) -> dict[str, npt.NDArray[np.int64]]:
        """Partials of groups of consecutive partials, which begin at `starts`."""
        merged = {}
        for name, limbs in self.columns.items():
            column = self.combine.reduceat(partials[name], starts, axis=0)
            merged[name] = carried(column) if limbs > 1 else column
        return merged

    def retract(self, partials: Partials) -> dict[str, npt.NDArray[np.int64]]:
        """Partials that take the same values away, when they are merged with others."""
        return {
            name: carried(-partials[name]) if limbs > 1 else -partials[name]
            for name, limbs in self.columns.items()
        }

    def nothing(self, count: int) -> dict[str, npt.NDArray[np.int64]]:
        """Partials of so many groups without values: merged with others, they change nothing."""
        return {
            name: np.zeros((count, limbs) if limbs > 1 else count, np.int64)
            for name, limbs in self.columns.items()
        }

    def extract(self, partials: Partials) -> pa.Array:
        """The result, one row a row of the partials; NULL where it does not exist."""
        raise NotImplementedError


class Count(Statistic):
    """How many values there are."""

    name = "count"
    columns: ClassVar = {"count": 1}

    def add(self, groups: Groups) -> dict[str, npt.NDArray[np.int64]]:
        return {"count": groups.counts}

    def extract(self, partials: Partials) -> pa.Array:
        return pa.array(partials["count"], pa.int64())


class Mean(Statistic):
    """The mean: the exact sum divided by the count, correctly rounded to a double."""

    name = "mean"
    columns: ClassVar = {"count": 1, "sum": SUM_LIMBS}

    def add(self, groups: Groups) -> dict[str, npt.NDArray[np.int64]]:
        return {"count": groups.counts, "sum": groups.sums}

    def extract(self, partials: Partials) -> pa.Array:
        pairs = zip(partials["count"].tolist(), to_ints(partials["sum"]), strict=True)
        return _floats(total / (count * MICROS) if count > 0 else None for count, total in pairs)


class StandardDeviation(Statistic):
    """The sample standard deviation, from the exact sums of the values and of their squares.

    It is NULL where the sums are those of no values: something was taken away before it came.
    """

    name = "stddev"
    columns: ClassVar = {"count": 1, "sum": SUM_LIMBS, "square_sum": SQUARE_LIMBS}

    def add(self, groups: Groups) -> dict[str, npt.NDArray[np.int64]]:
        return {"count": groups.counts, "sum": groups.sums, "square_sum": groups.square_sums}

    def extract(self, partials: Partials) -> pa.Array:
        rows = zip(
            partials["count"].tolist(),
            to_ints(partials["sum"]),
            to_ints(partials["square_sum"]),
            strict=True,
        )
        return _floats(
            math.sqrt(spread / (count * (count - 1))) / MICROS
            if count > 1 and (spread := count * squares - total * total) >= 0
            else None
            for count, total, squares in rows
        )


class _Extreme(Statistic):
    """The smallest or the greatest value.

    A partial holds two numbers: the best of all values that came, and the best of all that left.
    The extreme is known while the first beats the second; else it is NULL until somebody computes
    it from the readings, for a wrong answer is worse than none. Neither the order of the values
    nor a value that leaves before it comes can make a stale one look known.
    """

    none: ClassVar[int]

    def add(self, groups: Groups) -> dict[str, npt.NDArray[np.int64]]:
        partial = np.full((len(groups.starts), 2), self.none)
        partial[:, 0] = self.combine.reduceat(groups.values, groups.starts)
        return {self.name: partial}

    def merge(self, partials: Partials, starts: Ints) -> dict[str, npt.NDArray[np.int64]]:
        return {self.name: self.combine.reduceat(partials[self.name], starts, axis=0)}

    def retract(self, partials: Partials) -> dict[str, npt.NDArray[np.int64]]:
        return {self.name: partials[self.name][:, ::-1]}

    def nothing(self, count: int) -> dict[str, npt.NDArray[np.int64]]:
        return {self.name: np.full((count, 2), self.none)}

    def extract(self, partials: Partials) -> pa.Array:
        came, left = partials[self.name].T
        known = (self.combine(came, left) == came) & (came != left)
        return pa.array(np.where(known, came, 0) / MICROS, mask=~known)


NONE = 2**62
"""Beyond every value in millionths: nothing came, or nothing left."""


class Minimum(_Extreme):
    """The smallest value."""

    name = "min"
    columns: ClassVar = {"min": 2}
    combine: ClassVar = np.minimum
    none: ClassVar = NONE


class Maximum(_Extreme):
    """The greatest value."""

    name = "max"
    columns: ClassVar = {"max": 2}
    combine: ClassVar = np.maximum
    none: ClassVar = -NONE


STATISTICS: dict[str, Callable[[], Statistic]] = {
    statistic.name: statistic for statistic in (Count, Mean, Minimum, Maximum, StandardDeviation)
}
"""The statistics by the name of their result column."""


def _floats(values: object) -> pa.Array:
    return pa.array(values, pa.float64())
