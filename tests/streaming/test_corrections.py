"""KeepLatestVersion before the means of a stream: what each correction does, pane by pane."""

from __future__ import annotations

import pytest

from schemas.entries import ENTRIES
from tests.support.streams import (
    AT_SEA,
    PARIS,
    TOULOUSE,
    Stream,
    deletion,
    reading,
    run_stream,
)
from transforms import AssignRegions, HourlyMeans, RegionalMeans
from transforms.balance import CLASSES
from transforms.keep_latest import KeepLatestVersion
from transforms.windows import SlidingWindow

SHORT = 240
"""Minutes of memory in tests that are not about forgetting."""


def run(stream, means=None, **options):
    """The rows of the means, the entries and the balance of a stream of versions."""

    def build(batches):
        options.setdefault("remember_versions", SHORT * 60)
        latest = batches | AssignRegions() | KeepLatestVersion(**options)
        return {
            "means": latest | (HourlyMeans() if means is None else means),
            "entries": latest.entries,
        }

    return run_stream(stream, build)


def panes(seen):
    """Region, hour, timing, count and mean of each row, in the order of the rows."""
    return [
        (
            row["region_code"],
            f"{row['window_start']:%H:%M}",
            row["pane"],
            row["count"],
            row["mean"],
        )
        for row in seen.rows["means"]
    ]


def not_zero(balance):
    return {name: amount for name, amount in balance.items() if amount}


def messages(seen):
    """How many messages the classes of the balance add up to."""
    return sum(seen.balance[name] for name in CLASSES)


def test_a_version_of_a_late_reading_corrects_its_hour():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1))
        .watermark(61)
        .rows(reading("c", 3, 60, 1, arrived=62))
        .wait()
        .rows(reading("c", 3, 30, 2, arrived=64))
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [
        ("11", "10:00", "on_time", 2, 15.0),
        ("11", "10:00", "late", 3, 30.0),
        ("11", "10:00", "late", 3, 20.0),
    ]
    assert [row["max"] for row in seen.rows["means"]] == [20.0, 60.0, None]
    assert not_zero(seen.balance) == {"counted": 3, "superseded": 1}


def test_min_and_max_stay_known_where_another_value_left():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1), reading("c", 3, 30, 1))
        .wait()
        .rows(reading("b", 2, 21, 2))
        .wait()
    )
    first, second = run(stream).rows["means"]
    assert (first["min"], first["max"]) == (second["min"], second["max"]) == (10.0, 30.0)
    assert second["mean"] == 61 / 3


def test_a_version_may_move_a_reading_to_another_hour():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1))
        .watermark(61)
        .rows(reading("b", 62, 20, 2, arrived=63))
        .wait()
        .watermark(120)
    )
    seen = run(stream)
    assert panes(seen)[0] == ("11", "10:00", "on_time", 2, 15.0)
    assert sorted(panes(seen)[1:]) == [
        ("11", "10:00", "late", 1, 10.0),
        ("11", "11:00", "early", 1, 20.0),
    ]
    assert not_zero(seen.balance) == {"counted": 2, "superseded": 1}


def test_a_version_may_move_a_reading_back_to_an_older_hour():
    stream = (
        Stream()
        .rows(reading("a", 61, 10, 1))
        .watermark(62)
        .rows(reading("a", 5, 10, 2, arrived=63))
        .wait()
    )
    seen = run(stream)
    assert sorted(panes(seen)[1:]) == [
        ("11", "10:00", "late", 1, 10.0),
        ("11", "11:00", "early", 0, None),
    ]


def test_a_version_may_move_a_reading_to_another_region():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1))
        .wait()
        .rows(reading("b", 2, 20, 2, place=TOULOUSE))
        .wait()
    )
    seen = run(stream)
    assert sorted(panes(seen)) == [
        ("11", "10:00", "early", 1, 10.0),
        ("11", "10:00", "early", 2, 15.0),
        ("76", "10:00", "early", 1, 20.0),
    ]


def test_a_version_may_move_a_reading_out_of_france_and_another_one_back():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .wait()
        .rows(reading("a", 1, 10, 2, place=AT_SEA))
        .wait()
        .rows(reading("a", 1, 10, 3, place=(None, None)))
        .wait()
        .rows(reading("a", 1, 12, 4))
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [
        ("11", "10:00", "early", 1, 10.0),
        # A window that has lost its last reading says so.
        ("11", "10:00", "early", 0, None),
        ("11", "10:00", "early", 1, 12.0),
    ]
    emptied = seen.rows["means"][1]
    assert [emptied[name] for name in ("mean", "min", "max", "stddev")] == [None] * 4
    # A value left that was the extreme, so until somebody computes it the extreme is not known.
    assert seen.rows["means"][2]["max"] == 12.0
    assert not_zero(seen.balance) == {"counted": 1, "superseded": 3}


def test_a_deletion_takes_the_reading_out_and_a_later_version_brings_it_back():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1))
        .wait()
        .rows(deletion("b", 2))
        .wait()
        .rows(reading("b", 3, 30, 3))
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [
        ("11", "10:00", "early", 2, 15.0),
        ("11", "10:00", "early", 1, 10.0),
        ("11", "10:00", "early", 2, 20.0),
    ]
    assert not_zero(seen.balance) == {"counted": 2, "superseded": 2}


def test_a_deletion_that_stands_is_counted_as_deleted():
    stream = Stream().rows(reading("a", 1, 10, 1)).rows(deletion("a", 2)).wait()
    seen = run(stream)
    assert panes(seen) == []
    assert not_zero(seen.balance) == {"superseded": 1, "deleted": 1}


@pytest.mark.parametrize("arrived", [0, None])
def test_a_deletion_may_come_before_its_reading(arrived):
    stream = (
        Stream()
        .rows(deletion("a", 2, arrived=arrived))
        .watermark(1)
        .rows(reading("a", 1, 10, 1))
        .wait()
        .rows(reading("a", 1, 10, 3))
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [("11", "10:00", "early", 1, 10.0)]
    assert not_zero(seen.balance) == {"superseded": 2, "counted": 1}


def test_duplicates_and_older_versions_change_nothing():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 2))
        .wait()
        .rows(reading("a", 1, 10, 2), reading("a", 1, 10, 2))
        .rows(reading("a", 1, 99, 1))
        .wait()
        .watermark(61)
    )
    seen = run(stream)
    assert panes(seen) == [("11", "10:00", "early", 1, 10.0)]
    assert not_zero(seen.balance) == {"counted": 1, "duplicate": 2, "superseded": 1}


def test_several_versions_in_one_batch_are_one():
    stream = (
        Stream()
        .rows(
            reading("a", 1, 10, 1),
            reading("a", 1, 30, 3),
            reading("a", 1, 20, 2),
            reading("a", 1, 30, 3),
        )
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [("11", "10:00", "early", 1, 30.0)]
    assert not_zero(seen.balance) == {"counted": 1, "duplicate": 1, "superseded": 2}


def test_a_newer_version_that_says_the_same_changes_no_mean():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .wait()
        .rows(reading("a", 1, 10, 2))
        .wait()
        .rows(reading("a", 1, 9, 1))
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [("11", "10:00", "early", 1, 10.0)]
    assert [row["version"] for row in seen.rows["entries"]] == [1, 2]
    assert not_zero(seen.balance) == {"counted": 1, "superseded": 2}


def test_a_version_that_stays_in_its_window_with_its_value_is_no_new_row():
    """It moved by some minutes: a sliding window sees that, the hour does not."""
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1), reading("c", 2, 15, 1))
        .wait()
        .rows(reading("c", 31, 15, 2))
        .wait()
    )
    windows = [SlidingWindow(3600, 3600), SlidingWindow(1800, 1800)]
    seen = run(stream, RegionalMeans(windows))
    hourly = [row for row in seen.rows["means"] if row["window_size"] == 3600]
    halves = [row for row in seen.rows["means"] if row["window_size"] == 1800]
    assert [row["count"] for row in hourly] == [3]
    assert sorted((f"{row['window_start']:%H:%M}", row["count"]) for row in halves) == [
        ("10:00", 2),
        ("10:00", 3),
        ("10:30", 1),
    ]


def test_changes_that_cancel_within_a_pane_are_no_row():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 1, 20, 1))
        .wait()
        .rows(reading("b", 1, 40, 2))
        .rows(reading("b", 1, 20, 3))
        .wait()
        .rows(reading("c", 1, 99, 1, place=TOULOUSE))
        .rows(deletion("c", 2))
        .wait()
    )
    rows = run(stream).rows["means"]
    assert [(row["count"], row["mean"]) for row in rows[:1]] == [(2, 15.0)]
    # The greatest value came and left, so that it is not known any more: that is a change.
    assert [(row["count"], row["mean"], row["max"]) for row in rows[1:]] == [(2, 15.0, None)]


def test_entries_are_the_accepted_versions_in_their_order():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .rows(reading("a", 1, 10, 1))
        .rows(reading("a", 2, 11, 2, place=TOULOUSE))
        .rows(reading("a", 1, 10, 1))
        .rows(deletion("a", 3))
    )
    rows = run(stream).rows["entries"]
    assert set(rows[0]) == {*ENTRIES.names, "value"} - {"value_micros"}
    assert [(row["version"], row["deleted"], row["region_code"]) for row in rows] == [
        (1, False, "11"),
        (2, False, "76"),
        (3, True, None),
    ]


def test_versions_of_another_kind_are_weaker_or_stronger():
    later = reading("a", 1, 20, None, arrived=3)
    stream = (
        Stream()
        .rows({**reading("a", 1, 10), "version": 5, "version_kind": 2})
        .rows({**later, "version": 9, "version_kind": 1})
        .rows({**reading("a", 1, 30), "version": 1, "version_kind": 3})
        .wait()
    )
    seen = run(stream)
    assert panes(seen) == [("11", "10:00", "early", 1, 30.0)]
    assert not_zero(seen.balance) == {"counted": 1, "superseded": 2}


def test_duplicates_can_be_kept():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("a", 1, 10, 1))
        .rows(reading("a", 1, 40, 2), deletion("a", 3))
        .wait()
    )
    seen = run(stream, duplicates="keep")
    assert panes(seen) == [("11", "10:00", "early", 3, 20.0)]
    assert not_zero(seen.balance) == {"counted": 3, "deleted": 1}
    assert seen.rows["entries"] == []


def test_readings_without_an_id_are_told_apart_by_place_and_time():
    stream = (
        Stream()
        .rows(reading(None, 1, 10), reading(None, 1, 10), reading(None, 2, 20))
        .rows(reading(None, 1, 40, place=(PARIS[0], PARIS[1] + 0.001)))
        .wait()
    )
    seen = run(stream)
    assert [(row["count"]) for row in seen.rows["means"]] == [3]
    assert not_zero(seen.balance) == {"counted": 3, "duplicate": 1}


def test_the_balance_closes_over_everything_at_once():
    rows = [
        reading("a", 1, 10, 1),
        reading("a", 1, 10, 1),
        reading("a", 1, 20, 2),
        reading("b", 1, 20, 2, place=AT_SEA),
        reading("b", 1, 20, 1),
        reading("c", 1, 20, 1, place=(None, None)),
        reading("c", 1, 20, 2, place=AT_SEA),
        deletion("d", 1),
        deletion("e", 2),
        reading("e", 1, 1, 3),
    ]
    stream = Stream()
    for row in rows:
        stream.rows(row)
    for row in reversed(rows):
        stream.rows(row)
    stream.rows(*rows)
    seen = run(stream)
    assert messages(seen) == 3 * len(rows)
    standing = {name: seen.balance[name] for name in ("counted", "outside", "no_place", "deleted")}
    assert standing == {"counted": 2, "outside": 2, "no_place": 0, "deleted": 1}
