"""RegionalMeans and its families in a pipeline of a user's own."""

from __future__ import annotations

import random

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.transforms.window import FixedWindows

from schemas.reading import MEANS
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, line
from tests.support.pipelines import assert_elements, assert_rows, many_workers, one_thread
from tests.support.plain_means import assert_same_means, plain_means
from tests.support.readings import placed_batch, plain_readings
from transforms import (
    AssignRegions,
    HourlyMeans,
    ParseReadings,
    Payload,
    RegionalMeans,
    SlidingMeans,
    SlidingWindow,
    ToRows,
)
from transforms.balance import read_balance
from transforms.statistics import STATISTICS, Groups, Statistic

HOUR = 3600 * 10**6


def some_readings(count=1000, seed=1):
    chance = random.Random(seed)
    return [
        (
            chance.choice((None, 0, 1, 2)),
            chance.choice(("temperature", "humidity")),
            chance.randrange(30 * HOUR),
            chance.randint(-30_000_000, 40_000_000),
        )
        for _ in range(count)
    ]


def check_means(readings, windows):
    expected = plain_means(plain_readings(readings), windows)

    def check(rows):
        found = {}
        for row in rows:
            start = int(row["window_start"].timestamp())
            assert int(row["window_end"].timestamp()) == start + row["window_size"]
            key = (
                row["region_code"], row["quantity"], start,
                row["window_size"], row["window_period"],
            )  # fmt: skip
            assert key not in found
            found[key] = row
        assert_same_means(found, expected)

    return check


@pytest.mark.parametrize("workers", [1, 2])
def test_means_of_many_batches_are_those_of_all_readings(workers):
    readings = some_readings()
    batches = [placed_batch(readings[start : start + 100]) for start in range(0, 1000, 100)]
    pipeline = many_workers(workers)
    means = pipeline | beam.Create(batches) | RegionalMeans()
    assert_rows(means, check_means(readings, [(3600, 3600), (3600, 300)]))

    def check_schema(found):
        assert {batch.schema for batch in found} == {MEANS}

    assert_elements(means, check_schema, label="schema")
    result = pipeline.run()
    result.wait_until_finish()
    counted = sum(1 for reading in readings if reading[0] is not None)
    assert read_balance(result.metrics())["counted"] == counted


@pytest.mark.parametrize(
    ("means", "windows"),
    [
        (HourlyMeans(), [(3600, 3600)]),
        (SlidingMeans(), [(3600, 300)]),
        (SlidingMeans(size=900, period=300), [(900, 300)]),
        (RegionalMeans([SlidingWindow(420, 180)]), [(420, 180)]),
    ],
    ids=["hourly", "sliding", "15m/5m", "7m/3m"],
)
def test_families_compute_their_windows(means, windows):
    readings = some_readings(300)
    with one_thread() as pipeline:
        batches = pipeline | beam.Create([placed_batch(readings)])
        assert_rows(batches | means, check_means(readings, windows))


def test_windows_of_the_input_do_not_matter():
    readings = some_readings(300)
    with one_thread() as pipeline:
        batches = pipeline | beam.Create([placed_batch(readings)])
        means = batches | beam.WindowInto(FixedWindows(60)) | HourlyMeans()
        assert_rows(means, check_means(readings, [(3600, 3600)]))


def test_no_readings_give_no_rows():
    def check(rows):
        assert rows == []

    for batches in ([], [placed_batch([])], [placed_batch([(None, "temperature", 0, 1)])]):
        with one_thread() as pipeline:
            created = pipeline | beam.Create(batches)
            created.element_type = pa.RecordBatch
            assert_rows(created | HourlyMeans(), check)


def test_only_the_statistics_that_are_wanted_are_computed():
    def check(rows):
        assert {name for name in rows[0] if name in STATISTICS} == {"mean", "count"}

    with one_thread() as pipeline:
        batches = pipeline | beam.Create([placed_batch(some_readings(20))])
        assert_rows(batches | HourlyMeans(statistics=("mean", "count")), check)


class Product(Statistic):
    """A statistic of a user's own: how many values are above zero."""

    name = "above_zero"
    columns = {"above_zero": 1}  # noqa: RUF012 - as the base class has it

    def add(self, groups: Groups):
        return {"above_zero": np.add.reduceat((groups.values > 0).astype(np.int64), groups.starts)}

    def extract(self, partials):
        return pa.array(partials["above_zero"].astype(float))


def test_a_statistic_of_ones_own_is_one_class(monkeypatch):
    monkeypatch.setitem(STATISTICS, Product.name, Product)
    readings = [(0, "temperature", 0, value) for value in (-5, 0, 5, 7)]

    def check(rows):
        assert [(row["count"], row["above_zero"]) for row in rows] == [(4, 2.0)]

    with one_thread() as pipeline:
        batches = pipeline | beam.Create([placed_batch(readings[:1]), placed_batch(readings[1:])])
        assert_rows(batches | HourlyMeans(statistics=("count", "above_zero")), check)


def test_parse_assign_and_means_are_composed_with_bars():
    text = b"\n".join(
        [
            line(temperature=10, timestamp="2019-02-19 14:00:00", **TOULOUSE),
            line(temperature=13, timestamp="2019-02-19 14:59:59.999999", **TOULOUSE),
            line(temperature=20, timestamp="2019-02-19 15:00:00", **TOULOUSE),
            line(temperature=5, timestamp="2019-02-19T15:30:00+01:00", **PARIS),
            line(temperature=99, **AT_SEA),
            b"bad",
        ]
    )

    def check(rows):
        found = [
            (row["region"], f"{row['window_start']:%H}", row["count"], row["mean"]) for row in rows
        ]
        assert sorted(found) == [
            ("Occitanie", "14", 2, 11.5),
            ("Occitanie", "15", 1, 20.0),
            ("Île-de-France", "14", 1, 5.0),
        ]

    pipeline = one_thread()
    means = (
        pipeline
        | beam.Create([Payload(text, "a.jsonl")])
        | ParseReadings()
        | AssignRegions()
        | RegionalMeans([SlidingWindow(3600, 3600)])
    )
    assert_elements(means | ToRows(), check)
    result = pipeline.run()
    result.wait_until_finish()
    balance = read_balance(result.metrics())
    assert balance == {
        "read": 6, "counted": 4, "outside": 1, "rejected": 1, "no_place": 0, "duplicate": 0,
        "superseded": 0, "deleted": 0, "too_late": 0,
    }  # fmt: skip


def test_means_without_windows_or_of_unknown_statistics_are_refused():
    with pytest.raises(ValueError, match=r"^RegionalMeans needs at least one window$"):
        RegionalMeans([])
    with pytest.raises(
        ValueError, match=r"^unknown statistics \['median'\]; there are count, mean"
    ):
        HourlyMeans(statistics=("median",))
