"""A month of real observations: the job's means are those of plain Python, all of them."""

from __future__ import annotations

import functools
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
import shapely
from shapely.geometry import shape

from tests.support.jobs import ROOT, ask, run_job
from tests.support.plain_means import assert_same_means, plain_means
from tests.support.reference_parser import clock_micros

OBSERVATIONS = Path(
    os.environ.get("REAL_OBSERVATIONS", ROOT.parent / "shared/data/synop-2024-12.jsonl.gz")
)
TOLERANCE = 0.07
STATISTICS = ("count", "mean", "min", "max", "stddev")

pytestmark = pytest.mark.skipif(
    not OBSERVATIONS.is_file(),
    reason=f"no real observations at {OBSERVATIONS}; REAL_OBSERVATIONS names their file",
)


def features(name):
    with gzip.open(ROOT / "geo" / "data" / name) as file:
        return json.load(file)["features"]


@pytest.fixture(scope="module")
def region_of():
    """The definition of a place's region, with shapely and nothing else."""
    regions: dict[str, list] = {}
    for feature in features("regions.geojson.gz"):
        regions.setdefault(feature["properties"]["code"], []).append(shape(feature["geometry"]))
    abroad = [shape(feature["geometry"]) for feature in features("neighbours.geojson.gz")]

    @functools.cache
    def region(longitude, latitude, says_france):
        point = shapely.Point(longitude, latitude)
        distances = {
            code: min(part.distance(point) for part in parts) for code, parts in regions.items()
        }
        nearest = min(sorted(distances), key=distances.__getitem__)
        if distances[nearest] == 0:
            return nearest
        if not says_france and any(country.covers(point) for country in abroad):
            return None
        return nearest if distances[nearest] <= TOLERANCE else None

    return region


def test_all_hours_and_all_sliding_windows_are_those_of_plain_python(tmp_path, region_of):
    done = run_job("--input", OBSERVATIONS, "--output", tmp_path, "--format", "json")
    assert done.code == 0, done.err
    balance = json.loads(done.out)["balance"]
    inside, outside, rejected = [], 0, 0
    with gzip.open(OBSERVATIONS, "rt", encoding="utf-8") as file:
        for text in file:
            reading = json.loads(text, parse_float=Decimal)
            if any(
                reading[key] is None for key in ("id", "timestamp", "lat", "lon", "temperature")
            ):
                rejected += 1
                continue
            place = float(reading["lon"]), float(reading["lat"])
            code = region_of(*place, reading.get("country") == "France")
            if code is None:
                outside += 1
                continue
            micros = clock_micros(reading["timestamp"])
            value = round(Decimal(reading["temperature"]) * 10**6)
            inside.append((code, "temperature", micros, value))
    assert balance["read"] == len(inside) + outside + rejected > 10_000
    assert (balance["counted"], balance["outside"], balance["rejected"]) == (
        len(inside), outside, rejected,
    )  # fmt: skip
    rows = ask(
        tmp_path,
        "SELECT region_code, quantity, epoch(window_start)::BIGINT, window_size, window_period, "
        "count, mean, min, max, stddev FROM regional_means_revisions",
    )
    found = {row[:5]: dict(zip(STATISTICS, row[5:], strict=True)) for row in rows}
    assert len(found) == len(rows)
    expected = plain_means(inside, [(3600, 3600), (3600, 300)])
    assert_same_means(found, expected)
    before = ask(
        tmp_path,
        "SELECT region_code, epoch(hour)::BIGINT, mean_3h_before FROM hourly_means",
    )
    means = {key[:3]: row["mean"] for key, row in expected.items() if key[4] == 3600}
    assert len(before) == len(means)
    for code, hour, mean in before:
        assert mean == means.get((code, "temperature", hour - 3 * 3600))
