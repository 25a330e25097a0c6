"""The generator: the same bytes everywhere, and counts that are true."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import math
import uuid
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.defects import DEFECTS, REASONS
from benchmarks.generate import generate, main, parse_size
from benchmarks.readings import Recipe, make_lines
from geo import RegionIndex
from simulation.places import PLACES

FIELDS = ["id", "timestamp", "lat", "lon", "temperature", "country"]


def lines_of(recipe: Recipe) -> list[bytes]:
    return make_lines(recipe, 0, recipe.records)[0].splitlines()


def reason_of(line: bytes) -> str | None:  # noqa: PLR0911 - one for each reason
    """Why a line is not a reading, by plain Python; None for a good one."""
    try:
        record = json.loads(line)
    except ValueError:
        return "not_json"
    if not isinstance(record, dict):
        return "not_an_object"
    needed = [record.get(field, "absent") for field in FIELDS[:5]]
    if not all(field in record for field in FIELDS[:5]):
        return "missing_field"
    if None in needed:
        return "null_value"
    if any(isinstance(value, (bool, list, dict)) for value in needed):
        return "wrong_type"
    try:
        datetime.datetime.strptime(record["timestamp"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
    except ValueError:
        return "bad_timestamp"
    if not (-90 <= float(record["lat"]) <= 90 and -180 <= float(record["lon"]) <= 180):
        return "bad_coordinates"
    if not math.isfinite(float(record["temperature"])):
        return "not_finite"
    if abs(float(record["temperature"])) > 1e9:
        return "out_of_range"
    return None


def test_the_same_recipe_makes_the_same_bytes_on_every_machine() -> None:
    recipe = Recipe(150_000, days=3, bad=0.2, shuffled=True, seed=7)
    digest = hashlib.sha256(make_lines(recipe, 0, recipe.records)[0]).hexdigest()
    assert digest == "fb24dcbd7cbc068b0efc809f3b0af3f1aecf05fccd38b2f50005dab0ae887341"


def test_another_seed_makes_other_readings() -> None:
    assert not set(lines_of(Recipe(15_000, seed=1))) & set(lines_of(Recipe(15_000, seed=2)))


@settings(max_examples=20, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 652), max_size=4),
    shuffled=st.booleans(),
    bad=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_bytes_do_not_depend_on_how_the_work_is_cut(
    cuts: list[int], shuffled: bool, bad: float
) -> None:
    recipe = Recipe(100_000, bad=bad, shuffled=shuffled)
    edges = [0, *sorted(cuts), recipe.records]
    pieces = [make_lines(recipe, a, b)[0] for a, b in itertools.pairwise(edges) if a < b]
    assert b"".join(pieces) == make_lines(recipe, 0, recipe.records)[0]


@pytest.mark.parametrize("size", [100, 300, 500, 5_000, 300_000])
def test_a_shuffled_file_holds_the_lines_of_the_ordered_one(size: int) -> None:
    ordered = lines_of(Recipe(size, days=2, bad=0.1))
    shuffled = lines_of(Recipe(size, days=2, bad=0.1, shuffled=True))
    assert sorted(shuffled) == sorted(ordered)


def test_shuffled_readings_of_every_hour_are_in_every_part_of_the_file() -> None:
    lines = lines_of(Recipe(1_000_000, shuffled=True))
    for start in range(0, 6_000, 1_000):
        hours = Counter(json.loads(line)["timestamp"][11:13] for line in lines[start:][:1_000])
        assert len(hours) == 24
        assert max(hours.values()) < 100


@pytest.mark.parametrize("days", [1, 3])
def test_good_lines_are_readings_of_format_a_in_time_order(days: int) -> None:
    lines = lines_of(Recipe(2_000_000, days=days))
    records = [json.loads(line) for line in lines]
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    for line, record in zip(lines, records, strict=True):
        assert list(record) == FIELDS
        assert json.dumps(record, **compact).encode() == line
        assert uuid.UUID(record["id"]).version == 4
        assert {type(record[field]) for field in FIELDS[2:5]} == {float}
        assert -15 < record["temperature"] < 50
    assert len({record["id"] for record in records}) == len(records)
    stamps = [record["timestamp"] for record in records]
    assert stamps == sorted(stamps)
    assert stamps[0] == "2024-12-01 00:00:00"
    assert sorted({stamp[:10] for stamp in stamps}) == [
        f"2024-12-{day:02d}" for day in range(1, days + 1)
    ]
    assert {record["country"] for record in records} == {place.country for place in PLACES}


def test_hours_and_days_are_filled_evenly() -> None:
    lines = lines_of(Recipe(1_000_000, days=2))
    hours = Counter(json.loads(line)["timestamp"][:13] for line in lines)
    assert len(hours) == 48
    assert max(hours.values()) - min(hours.values()) <= 1


@pytest.mark.parametrize("size", [50_000, 1_000_000, 5_000_000])
def test_the_file_has_about_the_size_asked_for(size: int, tmp_path: Path) -> None:
    generate(Recipe(size), tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").stat().st_size == pytest.approx(size, rel=0.01)


@pytest.mark.parametrize("bad", [0.0, 0.01, 0.5, 1.0])
def test_counts_are_true_when_derived_with_plain_json(bad: float, tmp_path: Path) -> None:
    path, counts = tmp_path / "a.jsonl", tmp_path / "counts.json"
    options = ["--bytes", "3MB", "--days", "2", "--shuffle", "--bad", str(bad)]
    main([*options, "--output", str(path), "--counts", str(counts)])
    made = json.loads(counts.read_text())
    found = Counter(map(reason_of, path.read_bytes().splitlines()))
    assert made["good"] == found.pop(None, 0)
    assert {reason: n for reason, n in made["bad"].items() if n} == found
    assert made["readings"] == made["good"] + sum(made["bad"].values())
    assert sum(made["bad"].values()) == pytest.approx(bad * made["readings"], abs=450)
    assert made["recipe"] == asdict(Recipe(3_000_000, 2, bad, shuffled=True))


def test_each_defect_spoils_a_line_for_its_reason() -> None:
    lines = lines_of(Recipe(2_000_000, bad=1.0))
    assert {reason_of(line) for line in lines} == set(REASONS)
    assert set(REASONS) == {defect.reason for defect in DEFECTS}


def test_more_bad_records_leave_the_other_lines_as_they_are() -> None:
    clean, dirty = lines_of(Recipe(100_000)), lines_of(Recipe(100_000, bad=0.3))
    same = sum(a == b for a, b in zip(clean, dirty, strict=True))
    assert same == pytest.approx(0.7 * len(clean), abs=80)


def test_most_readings_come_from_towns_and_some_from_the_sea_and_abroad() -> None:
    records = [json.loads(line) for line in lines_of(Recipe(3_000_000))]
    points = np.array([(record["lat"], record["lon"]) for record in records])
    centres = np.array([(place.latitude, place.longitude) for place in PLACES])
    distances = np.abs(points[:, None] - centres[None]).max(axis=2)
    assert (distances.min(axis=1) <= 1.0001).all()
    near = distances <= 0.25
    assert near.any(axis=1).mean() > 0.93
    assert near.any(axis=0).all()


def test_readings_lie_in_every_region_and_a_few_in_none() -> None:
    records = [json.loads(line) for line in lines_of(Recipe(3_000_000))]
    codes = RegionIndex.default().assign(
        [record["lon"] for record in records], [record["lat"] for record in records]
    )
    found = Counter(codes.tolist())
    assert len(found) == 18 + 1
    assert 0.02 < found[None] / len(records) < 0.1


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("former")
    (tmp_path / "a.jsonl.unfinished").mkdir()
    with pytest.raises(OSError, match="unfinished"):
        generate(Recipe(1_000), path)
    assert path.read_text() == "former"


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 10**9), ("1.5 MB", 1_500_000), ("20kB", 20_000), ("300", 300), ("7B", 7)],
)
def test_sizes_are_decimal(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "options",
    [["--bytes", "much"], ["--bad", "1.1"], ["--days", "0"], ["--bytes", "0"], ["--seed", "-1"]],
)
def test_a_wrong_option_is_a_usage_error_of_one_sentence(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main([*options, "--output", str(tmp_path / "a.jsonl")])
    assert exit_info.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_hot_region_has_its_share_and_the_others_are_even() -> None:
    index = RegionIndex.default()
    records = [json.loads(line) for line in lines_of(Recipe(3_000_000, hot=0.9))]
    points = np.array([[record["lon"], record["lat"]] for record in records])
    france = np.ones(len(points), bool)
    found = Counter(index.locate(*points.T, france).tolist())
    assert len(found) == 18
    (_, most), *others = found.most_common()
    assert most == pytest.approx(0.9 * len(points), rel=0.01)
    assert max(number for _, number in others) < 2 * min(number for _, number in others)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"hot must be between 0 and 1, not 1\.5"):
        Recipe(1000, hot=1.5)
