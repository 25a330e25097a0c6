"""Arithmetic on the partial statistics of many windows at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from connectors.local_store.means_files import ALL_STATISTICS
from transforms.spans import Bools, Ints
from transforms.statistics import Partials

__all__ = [
    "EXTREMES",
    "empty_rows",
    "equal_rows",
    "merged",
    "neutral",
    "retracted",
    "taken",
    "without_extremes",
]

EXTREMES = {
    statistic.name: statistic.none for statistic in ALL_STATISTICS if hasattr(statistic, "none")
}
"""Statistics whose partial is the best that came and the best that left."""

SUMS = [
    name
    for statistic in ALL_STATISTICS
    if statistic.name not in EXTREMES
    for name in statistic.columns
]


def neutral(count: int) -> dict[str, npt.NDArray[np.int64]]:
    """Partials of nothing: merged with others they change nothing."""
    partials: dict[str, npt.NDArray[np.int64]] = {}
    for statistic in ALL_STATISTICS:
        partials.update(statistic.nothing(count))
    return partials


def without_extremes(partials: Partials) -> Partials:
    """The same with neutral extremes: of a copy that comes or leaves while another one stays."""
    count = len(partials["count"])
    return {**partials, **{name: np.full((count, 2), none) for name, none in EXTREMES.items()}}


def retracted(partials: Partials) -> Partials:
    """Partials that take the same values away."""
    result = dict(partials)
    for statistic in ALL_STATISTICS:
        result.update(statistic.retract(partials))
    return result


def merged(count: int, pieces: Iterable[tuple[Ints, Partials]]) -> Partials:
    """Partials put together by place.

    Args:
        count: how many places there are.
        pieces: for each the places of its rows, and their partials.
    """
    listed = [(np.arange(count), neutral(count)), *pieces]
    places = np.concatenate([piece[0] for piece in listed])
    order = np.argsort(places, kind="stable")
    starts = np.searchsorted(places[order], np.arange(count))
    joined = {
        name: np.concatenate([piece[1][name] for piece in listed])[order] for name in listed[0][1]
    }
    result = {}
    if count:
        for statistic in ALL_STATISTICS:
            result.update(statistic.merge(joined, starts))
    return result or joined


def taken(partials: Partials, rows: Ints | Bools) -> dict[str, npt.NDArray[np.int64]]:
    """Some rows of partials."""
    return {name: column[rows] for name, column in partials.items()}


def equal_rows(left: Partials, right: Partials) -> Bools:
    """Row by row, whether all partials are equal."""
    equal = np.ones(len(left["count"]), bool)
    for name, column in left.items():
        same = column == right[name]
        equal &= same if same.ndim == 1 else same.all(axis=1)
    return equal


def empty_rows(partials: Partials) -> Bools:
    """Row by row, whether counts and sums are 0."""
    empty = np.ones(len(partials["count"]), bool)
    for name in SUMS:
        zero = partials[name] == 0
        empty &= zero if zero.ndim == 1 else zero.all(axis=1)
    return empty
