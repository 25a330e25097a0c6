"""What an expert writes in an hour with DuckDB and shapely: hourly means by region as CSV.

Only that: no sliding windows, no duplicates, no standard deviation, no dead letters (a bad record
ends it with an error), no store. `python -m benchmarks.peers.duckdb_script INPUT OUTPUT`.

Of the forms that were tried (`benchmarks/README.md` lists them) this is the fastest: DuckDB parses
on all cores and streams Arrow batches; threads place them by bounding box, then prepared polygon
(GEOS lets go of the interpreter lock), and reduce each to sums at once.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import shapely

from benchmarks.peers.regions import Regions, read_regions

__all__ = ["hourly_means", "main", "place"]

Floats = npt.NDArray[np.float64]
Partials = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]

BATCH = 250_000  # readings
HOURS = 10_000_000  # more than there are hours since 1970
QUERY = """
    SELECT epoch("timestamp")::BIGINT // 3600 AS hour, lat, lon, temperature
    FROM read_json($path, format = 'newline_delimited', columns = {
        timestamp: 'TIMESTAMP', lat: 'DOUBLE', lon: 'DOUBLE', temperature: 'DOUBLE',
        country: 'VARCHAR'})
"""


def place(longitudes: Floats, latitudes: Floats, regions: Regions) -> npt.NDArray[np.int64]:
    """The number of the region of each point, -1 for none."""
    placed = np.full(len(longitudes), -1, np.int64)
    for number, polygon in enumerate(regions.polygons):
        west, south, east, north = regions.bounds[number]
        near = np.flatnonzero(
            (longitudes >= west)
            & (longitudes <= east)
            & (latitudes >= south)
            & (latitudes <= north)
            & (placed < 0)
        )
        hit = shapely.intersects_xy(polygon, longitudes[near], latitudes[near])
        placed[near[hit]] = number
    return placed


def _place_nearest(
    placed: npt.NDArray[np.int64],
    longitudes: Floats,
    latitudes: Floats,
    french: npt.NDArray[np.bool_],
    regions: Regions,
) -> None:
    """Also places what lies just outside: the job's rule for coasts and borders."""
    rest = np.flatnonzero(placed < 0)
    points = shapely.points(longitudes[rest], latitudes[rest])
    for neighbour in regions.neighbours:
        abroad = shapely.intersects(neighbour, points) & ~french[rest]
        rest, points = rest[~abroad], points[~abroad]
    least = np.full(len(rest), np.inf)
    for number, polygon in enumerate(regions.polygons):
        near = np.flatnonzero(shapely.dwithin(polygon, points, regions.tolerance))
        distances = shapely.distance(polygon, points[near])
        nearer = distances < least[near]
        least[near[nearer]] = distances[nearer]
        placed[rest[near[nearer]]] = number


def _reduce(batch: pa.RecordBatch, regions: Regions, nearest: bool) -> Partials:
    hours, latitudes, longitudes, temperatures = (
        column.to_numpy(zero_copy_only=False) for column in batch.columns[:4]
    )
    placed = place(longitudes, latitudes, regions)
    if nearest:
        french = np.asarray(batch.column(4).to_numpy(zero_copy_only=False) == "France")
        _place_nearest(placed, longitudes, latitudes, french, regions)
    first, span = hours.min(), int(np.ptp(hours)) + 1
    inside = placed >= 0
    cells = placed[inside] * span + (hours[inside] - first)
    counts = np.bincount(cells)
    sums = np.bincount(cells, weights=temperatures[inside])
    filled = np.flatnonzero(counts)
    keys = (filled // span * HOURS + first + filled % span).astype(np.int64)
    return keys, counts[filled].astype(np.int64), sums[filled].astype(np.float64)


def _partials(path: Path, regions: Regions, nearest: bool) -> Iterator[Partials]:
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
    query = QUERY.replace("FROM", ", country FROM", 1) if nearest else QUERY
    batches = connection.sql(query, params={"path": str(path)}).to_arrow_reader(BATCH)
    workers = os.cpu_count() or 1
    waiting: deque[Future[Partials]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for batch in batches:
            waiting.append(pool.submit(_reduce, batch, regions, nearest))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


def hourly_means(path: Path, nearest: bool = False) -> list[tuple[str, str, int, float]]:
    """Hourly means of the readings of a file.

    Args:
        path: JSON lines of message format A, all of them good.
        nearest: also place points in no region that lie within the tolerance of one; the
            answers are then those of the main job.

    Returns:
        Region code, hour as `2024-12-01T00:00:00Z`, count and mean, sorted.
    """
    regions = read_regions(neighbours=nearest)
    keys, counts, sums = (
        np.concatenate(columns) for columns in zip(*_partials(path, regions, nearest), strict=True)
    )
    cells, places = np.unique(keys, return_inverse=True)
    count = np.bincount(places, weights=counts).astype(np.int64)
    mean = np.bincount(places, weights=sums) / count
    rows = []
    for cell, n, value in zip(cells.tolist(), count.tolist(), mean.tolist(), strict=True):
        hour = datetime.datetime.fromtimestamp(cell % HOURS * 3_600, datetime.UTC)
        rows.append((regions.codes[cell // HOURS], f"{hour:%Y-%m-%dT%H:%M:%SZ}", n, value))
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.duckdb_script")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--nearest", action="store_true", help="place points just outside, too")
    chosen = parser.parse_args()
    with chosen.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["region_code", "hour", "count", "mean"])
        writer.writerows(hourly_means(chosen.input, chosen.nearest))


if __name__ == "__main__":
    main()
