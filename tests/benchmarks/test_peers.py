"""The programs that the job is compared with are right, else beating them would mean little."""

from __future__ import annotations

import csv
import datetime
import functools
import json
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
import shapely

from benchmarks.answers import check_means, read_means
from benchmarks.generate import generate
from benchmarks.peers.duckdb_script import hourly_means
from benchmarks.peers.regions import read_regions
from benchmarks.readings import Recipe

Key = tuple[str, str]
REGIONS = functools.cache(read_regions)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readings") / "a.jsonl"
    generate(Recipe(300_000, days=2, shuffled=True), path)
    return path


def place(longitude: float, latitude: float, country: str, nearest: bool) -> str | None:
    """One point by the definition (SEMANTICS: places)."""
    regions = REGIONS(neighbours=True)
    point = shapely.Point(longitude, latitude)
    for code, polygon in zip(regions.codes, regions.polygons, strict=True):
        if polygon.intersects(point):
            return code
    if not nearest:
        return None
    if country != "France" and any(area.intersects(point) for area in regions.neighbours):
        return None
    distances = [polygon.distance(point) for polygon in regions.polygons]
    least = min(distances)
    return regions.codes[distances.index(least)] if least <= regions.tolerance else None


def group(path: Path, nearest: bool, period: int, size: int) -> dict[Key, tuple[int, float]]:
    """Means by region and window start, one reading at a time."""
    values: dict[Key, list[float]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        reading = json.loads(line)
        code = place(reading["lon"], reading["lat"], reading["country"], nearest)
        if code is None:
            continue
        moment = datetime.datetime.fromisoformat(reading["timestamp"] + "+00:00")
        newest = int(moment.timestamp()) // period * period
        for start in range(newest, newest + period - size - 1, -period):
            if start + size > moment.timestamp():
                hour = datetime.datetime.fromtimestamp(start, datetime.UTC)
                values[code, f"{hour:%Y-%m-%dT%H:%M:%SZ}"].append(reading["temperature"])
    return {key: (len(found), math.fsum(found) / len(found)) for key, found in values.items()}


@pytest.mark.parametrize("nearest", [False, True])
def test_the_duckdb_script_is_right(readings: Path, nearest: bool) -> None:
    rows = hourly_means(readings, nearest)
    found = {(code, hour): (count, mean) for code, hour, count, mean in rows}
    check_means(found, group(readings, nearest, 3_600, 3_600))


def test_the_duckdb_script_writes_csv(readings: Path, tmp_path: Path) -> None:
    output = tmp_path / "means.csv"
    command = [sys.executable, "-m", "benchmarks.peers.duckdb_script", readings, output]
    subprocess.run(command, check=True, capture_output=True)
    with output.open(newline="") as lines:
        check_means(read_means(lines), group(readings, False, 3_600, 3_600))


def means_of(files: Iterable[Path]) -> dict[Key, float]:
    rows = [row for file in files for row in csv.reader(file.read_text().splitlines())]
    return {(code, start): float(mean) for code, start, mean in rows}


def test_beam_by_element_is_right(readings: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers.beam_rows", readings, tmp_path / "means"]
    subprocess.run(command, check=True, capture_output=True)
    for name, period in (("hourly", 3_600), ("sliding", 300)):
        expected = group(readings, False, period, 3_600)
        found = means_of(tmp_path.glob(f"means-{name}-*.csv"))
        assert found == pytest.approx({key: mean for key, (_, mean) in expected.items()}, rel=1e-9)
