"""How many points a second are placed on one core: `python -m benchmarks.geo_index`.

The points are where people live and where it is hard: around towns, and along coasts and borders.
The peers are what else one would write with shapely; they test only the polygons, so they know
nothing of the tolerance, of the neighbouring countries and of the nearest region.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
import shapely

from benchmarks.peers.regions import Regions, read_regions
from geo import RegionIndex
from simulation.places import PLACES

__all__ = ["main", "rows"]

POINTS = 2_000_000
# The peers are slow: they get a part of the same points.
PREPARED_POINTS = 200_000
TREE_POINTS = 10_000
ROUNDS = 5
KILOMETRES_A_DEGREE = 111.2

Points = tuple[np.ndarray, np.ndarray]
Place = Callable[[np.ndarray, np.ndarray], np.ndarray]


def rows(points: int = POINTS, seed: int = 1) -> list[dict[str, str]]:
    """Measure each mix of points.

    Args:
        points: How many points of each mix.
        seed: Of the random points.

    Returns:
        For each mix its name, and millions of points a second (processor time, median of
        rounds) of the index, the index where each message says France, and the peers.

    Raises:
        ValueError: The index and a peer differ on a point that a polygon covers.
    """
    index, regions = RegionIndex.default(), read_regions()
    tree = shapely.STRtree(regions.polygons)
    found = []
    for name, (x, y) in _mixes(points, np.random.default_rng(seed), regions).items():
        _check(index, regions, x[:TREE_POINTS], y[:TREE_POINTS])
        millions = {
            "RegionIndex": _millions(index.locate, x, y),
            "RegionIndex, all say France": _millions(
                functools.partial(index.locate, said_in_france=np.ones(points, dtype=bool)), x, y
            ),
            "RegionIndex.assign (texts)": _millions(index.assign, x, y),
            "boxes, then prepared polygons": _millions(
                lambda a, b: _by_prepared_polygons(regions, a, b),
                x[:PREPARED_POINTS],
                y[:PREPARED_POINTS],
            ),
            "STRtree": _millions(
                lambda a, b: tree.query(shapely.points(a, b), predicate="within"),
                x[:TREE_POINTS],
                y[:TREE_POINTS],
            ),
        }
        found.append(
            {"Points, millions placed a second": name}
            | {peer: f"{value:.3g}" for peer, value in millions.items()}
        )
    return found


def _mixes(count: int, random: np.random.Generator, regions: Regions) -> dict[str, Points]:
    weights = np.array([place.weight for place in PLACES], dtype=float)
    towns = np.array([(place.longitude, place.latitude) for place in PLACES])
    rings = shapely.get_rings(shapely.get_parts(regions.polygons))
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    starts, ends = vertices[:-1][joined], vertices[1:][joined]
    # Edges by their length, so that long straight borders get their share.
    lengths = np.hypot(*(ends - starts).T)
    edges = random.choice(len(starts), count, p=lengths / lengths.sum())
    borders = starts[edges] + random.random((count, 1)) * (ends[edges] - starts[edges])

    def around(centres: np.ndarray, kilometres: float) -> Points:
        shift = random.uniform(-kilometres, kilometres, (count, 2)) / KILOMETRES_A_DEGREE
        shift[:, 0] /= np.cos(np.radians(centres[:, 1]))
        x, y = np.ascontiguousarray((centres + shift).T)
        return x, y

    def sample(centres: np.ndarray, p: np.ndarray | None = None) -> np.ndarray:
        chosen: np.ndarray = centres[random.choice(len(centres), count, p=p)]
        return chosen

    return {
        "towns by inhabitants ± 5 km": around(sample(towns, weights / weights.sum()), 5),
        "all towns alike ± 20 km": around(sample(towns), 20),
        "vertices of coasts and borders ± 10 km": around(sample(vertices), 10),
        "vertices of coasts and borders ± 5 km": around(sample(vertices), 5),
        "vertices of coasts and borders ± 1 km": around(sample(vertices), 1),
        "along coasts and borders ± 1 km": around(borders, 1),
        "mainland, anywhere": (
            random.uniform(-5, 9, count),
            random.uniform(42, 51, count),
        ),
    }


def _by_prepared_polygons(regions: Regions, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    numbers = np.full(len(x), -1, dtype=np.int8)
    for number, (polygon, (west, south, east, north)) in enumerate(
        zip(regions.polygons, regions.bounds, strict=True)
    ):
        near = np.flatnonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
        inside = shapely.contains_xy(polygon, x[near], y[near])
        numbers[near[inside]] = number
    return numbers


def _check(index: RegionIndex, regions: Regions, x: np.ndarray, y: np.ndarray) -> None:
    expected = _by_prepared_polygons(regions, x, y)
    covered = expected >= 0
    if (index.locate(x, y)[covered] != expected[covered]).any():
        msg = "the index and the prepared polygons differ: run the tests of geo"
        raise ValueError(msg)


def _millions(place: Place, x: np.ndarray, y: np.ndarray) -> float:
    place(x, y)
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        place(x, y)
        seconds.append(time.process_time() - start)
    return len(x) / statistics.median(seconds) / 1e6


def main() -> None:
    """Print what `rows` measures."""
    table = rows()
    header = list(table[0])
    for cells in (header, *(list(row.values()) for row in table)):
        print("  ".join(f"{cell:<38}" if i == 0 else f"{cell:>30}" for i, cell in enumerate(cells)))


if __name__ == "__main__":
    main()
