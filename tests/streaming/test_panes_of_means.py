"""RegionalMeans on a stream: which panes come when, and what they say."""

from __future__ import annotations

import datetime

import pytest

from schemas.reading import MEANS
from tests.support.streams import AT_SEA, TOULOUSE, Stream, deletion, reading, run_stream
from transforms import (
    AssignRegions,
    HourlyMeans,
    RegionalMeans,
    SlidingMeans,
    SlidingWindow,
    running_totals,
)
from transforms.statistics import STATISTICS
from transforms.triggers import Triggers
from transforms.window_means import means_schema


def means_of(stream, means=None):
    """The rows of a stream's means, and its balance."""
    means = HourlyMeans() if means is None else means
    seen = run_stream(stream, lambda batches: {"means": batches | AssignRegions() | means})
    return seen.rows["means"], seen.balance


def panes(stream, means=None):
    """Region, window start, timing, count and mean of each row, in the order of the rows."""
    rows, _ = means_of(stream, means)
    return [
        (
            row["region_code"],
            f"{row['window_start']:%H:%M}",
            row["pane"],
            row["count"],
            row["mean"],
        )
        for row in rows
    ]


def test_a_window_is_given_out_early_at_the_watermark_and_late():
    stream = (
        Stream()
        .rows(reading("a", 1, 10))
        .rows(reading("b", 2, 20))
        .wait()
        .rows(reading("c", 30, 30))
        .wait()
        .rows(reading("d", 59, 60))
        .watermark(61)
        .rows(reading("e", 5, 0))
        .rows(reading("f", 6, 0))
        .wait()
        .rows(reading("g", 7, 120))
        .wait()
    )
    rows, balance = means_of(stream)
    assert [(row["pane"], row["count"], row["mean"]) for row in rows] == [
        ("early", 2, 15.0),
        ("early", 3, 20.0),
        ("on_time", 4, 30.0),
        ("late", 6, 20.0),
        ("late", 7, 240 / 7),
    ]
    last = rows[-1]
    assert (last["min"], last["max"]) == (0.0, 120.0)
    assert last["region"] == "Île-de-France"
    assert last["window_end"] - last["window_start"] == datetime.timedelta(hours=1)
    assert (last["window_size"], last["window_period"]) == (3600, 3600)
    assert balance["counted"] == 7


def test_regions_and_hours_have_panes_of_their_own():
    stream = (
        Stream()
        .rows(reading("a", 1, 10), reading("b", 2, 20, place=TOULOUSE), reading("c", 61, 30))
        .watermark(120)
    )
    assert sorted(panes(stream)) == [
        ("11", "10:00", "on_time", 1, 10.0),
        ("11", "11:00", "on_time", 1, 30.0),
        ("76", "10:00", "on_time", 1, 20.0),
    ]


def test_an_idle_source_gives_early_panes_only():
    stream = Stream().rows(reading("a", 1, 10)).wait().rows(reading("b", 2, 20)).wait(600)
    # At the end of the stream nothing is left to say: there is no third row.
    assert panes(stream) == [
        ("11", "10:00", "early", 1, 10.0),
        ("11", "10:00", "early", 2, 15.0),
    ]


def test_the_pane_at_the_watermark_is_not_written_where_nothing_is_new():
    stream = Stream().rows(reading("a", 1, 10)).wait().watermark(61).wait()
    assert panes(stream) == [("11", "10:00", "early", 1, 10.0)]


def test_without_early_panes_the_first_comes_at_the_watermark():
    stream = Stream().rows(reading("a", 1, 10)).wait().wait().watermark(60)
    means = HourlyMeans(triggers=Triggers(early_every=None))
    assert panes(stream, means) == [("11", "10:00", "on_time", 1, 10.0)]


def test_late_panes_can_come_at_each_bundle():
    stream = (
        Stream()
        .watermark(61)
        .rows(reading("a", 1, 10))
        .rows(reading("b", 2, 20))
        .rows(reading("c", 3, 30))
    )
    means = HourlyMeans(triggers=Triggers(late_every=0))
    assert [row[2:] for row in panes(stream, means)] == [
        ("late", 1, 10.0),
        ("late", 2, 15.0),
        ("late", 3, 20.0),
    ]


def test_sliding_windows_each_have_their_panes():
    stream = Stream().rows(reading("a", 7, 10)).watermark(12).rows(reading("b", 8, 20)).wait()
    rows = panes(stream, SlidingMeans(size=900, period=300))
    assert sorted(rows) == sorted(
        [
            ("11", "09:55", "on_time", 1, 10.0),
            ("11", "09:55", "late", 2, 15.0),
            # Meanwhile the clock went on as well.
            ("11", "10:00", "early", 1, 10.0),
            ("11", "10:00", "early", 2, 15.0),
            ("11", "10:05", "early", 1, 10.0),
            ("11", "10:05", "early", 2, 15.0),
        ]
    )


def test_windows_are_aligned_to_the_epoch():
    stream = Stream().rows(reading("a", 1, 10)).watermark(600)
    rows, _ = means_of(stream, RegionalMeans([SlidingWindow(420, 180)]))
    starts = [int(row["window_start"].timestamp()) for row in rows]
    assert len(starts) == 2
    assert all(start % 180 == 0 for start in starts)


def test_a_late_reading_is_counted_however_late_the_watermark_makes_it():
    """The runner's own lateness is behind ours: only the reading's times may refuse it."""
    day = 24 * 60
    stream = Stream().watermark(7 * day).rows(reading("a", 1, 10)).wait()
    rows, balance = means_of(stream)
    assert [(row["count"], row["mean"]) for row in rows] == [(1, 10.0)]
    assert balance["counted"] == 1


def test_what_lies_in_no_region_is_counted_by_its_class():
    stream = (
        Stream()
        .rows(
            reading("a", 1, 10),
            reading("b", 2, 10, place=AT_SEA),
            reading("c", 3, 10, place=(None, 45.0)),
            deletion("d"),
        )
        .wait()
    )
    rows, balance = means_of(stream)
    assert [row["count"] for row in rows] == [1]
    classes = ("counted", "outside", "no_place", "deleted")
    assert [balance[name] for name in classes] == [1, 1, 1, 1]


def test_rows_can_carry_their_exact_sums():
    stream = Stream().rows(reading("a", 1, 10), reading("b", 2, 0.5)).watermark(60)
    statistics = [STATISTICS[name]() for name in STATISTICS]
    found = []

    def build(batches):
        means = batches | AssignRegions() | HourlyMeans(partials=True)
        found.append(means)
        return {"means": means}

    (row,) = run_stream(stream, build).rows["means"]
    assert list(row) == [*means_schema(statistics, partials=True).names, "emitted_at"]
    assert row["partial_count"] == 2
    limbs = row["partial_sum"]
    assert limbs[0] + (limbs[1] << 32) == 10_500_000


def test_the_schema_is_that_of_a_batch():
    stream = Stream().rows(reading("a", 1, 10)).watermark(60)
    (row,) = means_of(stream)[0]
    assert list(row) == MEANS.names


@pytest.mark.parametrize("most", [1, 2, 100])
def test_many_panes_are_many_batches(monkeypatch, most):
    monkeypatch.setattr(running_totals, "FLUSH_FROM", most)
    rows = [reading(str(hour), 60 * hour, hour, 1) for hour in range(5)]
    seen = run_stream(
        Stream().rows(*rows).wait(),
        lambda batches: {"means": batches | AssignRegions() | HourlyMeans()},
    )
    assert sorted(row["mean"] for row in seen.rows["means"]) == [0.0, 1.0, 2.0, 3.0, 4.0]
