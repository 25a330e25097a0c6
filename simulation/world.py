"""The sensors of a simulation: where each stands, what it measures, what it is called."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo import RegionIndex
from simulation import chance
from simulation.places import PLACES

__all__ = ["MOST_SENSORS", "Sensors", "make_sensors"]

Integers = npt.NDArray[np.int64]

DEGREE = 10_000_000
"""Coordinates are whole numbers of 1e-7 degree."""
RADIUS = DEGREE // 4
MOST_SENSORS = 10_000_000
TRIES = 12
PLACE, LATITUDE, LONGITUDE, OUTSIDE = 20, 21, 22, 23


@dataclass(frozen=True)
class Sensors:
    """Sensors by number, from 0.

    Attributes:
        latitudes, longitudes: where each stands, in 1e-7 degree.
        places: the town or sea that it belongs to: a place in `PLACES`.
        outside: whether it stands in no region of France.
    """

    latitudes: Integers
    longitudes: Integers
    places: Integers
    outside: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.latitudes)


def make_sensors(count: int, outside: float, seed: int) -> Sensors:
    """Draws sensors where people live.

    The first 18 stand in 18 regions, so that each region has one; where there are fewer, or
    all are outside, it has none.

    Args:
        count: how many, at most `MOST_SENSORS`.
        outside: the share that stands at sea or abroad, 0 to 1.
        seed: another seed, other places.

    Returns:
        Sensors of which none stands so near to a border that its region is doubtful.
    """
    numbers = np.arange(count, dtype=np.int64)
    towns = _towns()
    is_outside = chance.happens(chance.draw(seed, OUTSIDE, numbers), outside)
    drawn = chance.draw(seed, PLACE, numbers)
    places = np.empty(count, np.int64)
    for mine, those in ((is_outside, towns < 0), (~is_outside, towns >= 0)):
        rows, of = np.flatnonzero(mine), np.flatnonzero(those)
        weights = np.cumsum([PLACES[place].weight for place in of])
        picked = np.searchsorted(weights, chance.upper(drawn[rows], weights[-1]), side="right")
        places[rows] = of[picked]
    _spread_over_regions(places, is_outside, towns)
    latitudes = np.array([round(place.latitude * DEGREE) for place in PLACES], np.int64)[places]
    longitudes = np.array([round(place.longitude * DEGREE) for place in PLACES], np.int64)[places]
    _scatter(latitudes, longitudes, is_outside, seed)
    return Sensors(latitudes, longitudes, places, is_outside)


@functools.cache
def _towns() -> Integers:
    """The region's number of each of `PLACES`, -1 where it is in none."""
    longitudes = [place.longitude for place in PLACES]
    latitudes = [place.latitude for place in PLACES]
    found: Integers = RegionIndex.default().locate(longitudes, latitudes).astype(np.int64)
    return found


def _spread_over_regions(places: Integers, outside: npt.NDArray[np.bool_], towns: Integers) -> None:
    """Puts the first sensor inside into the first region, and so on."""
    firsts = [int(np.flatnonzero(towns == region)[0]) for region in range(int(towns.max()) + 1)]
    rows = np.flatnonzero(~outside)[: len(firsts)]
    places[rows] = firsts[: len(rows)]


def _scatter(
    latitudes: Integers, longitudes: Integers, outside: npt.NDArray[np.bool_], seed: int
) -> None:
    """Moves sensors away from the middle of their places, as far as they stay in their class."""
    middles = latitudes.copy(), longitudes.copy()
    left = np.arange(len(latitudes), dtype=np.int64)
    for attempt in range(TRIES):
        radius = np.full(len(left), RADIUS >> (attempt // 3), np.int64)
        tries = np.full(len(left), attempt, np.int64)
        for column, middle, purpose in zip(
            (latitudes, longitudes), middles, (LATITUDE, LONGITUDE), strict=True
        ):
            drawn = chance.draw(seed, purpose, left, tries)
            column[left] = middle[left] + chance.scatter(drawn, radius)
        left = left[~_as_meant(latitudes[left], longitudes[left], outside[left])]
    latitudes[left], longitudes[left] = middles[0][left], middles[1][left]


def _as_meant(
    latitudes: Integers, longitudes: Integers, outside: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Whether points are in a region, or outside all, whatever their messages say of it."""
    index = RegionIndex.default()
    x, y = longitudes / DEGREE, latitudes / DEGREE
    said, unsaid = (index.locate(x, y, np.full(len(x), says)) >= 0 for says in (True, False))
    return np.asarray((said == unsaid) & (said != outside))
