"""What a stream counts of its windows: panes by timing, late readings, how long results took."""

from __future__ import annotations

import pytest

from tests.support.streams import Stream, reading, run_stream
from transforms import AssignRegions, KeepLatestVersion, RegionalMeans, shard_images
from transforms.balance import Tallies
from transforms.windows import HOURLY, SLIDING, SlidingWindow


def counted(stream, windows=(HOURLY,), keep=None):
    tallies = Tallies()

    def build(batches):
        placed = batches | AssignRegions()
        if keep is not None:
            placed = (placed | keep).readings
        return {"means": placed | RegionalMeans(windows)}

    rows = run_stream(stream, build).rows["means"]
    return rows, tallies


def late_stream():
    return (
        Stream()
        .rows(reading("a", 1, 10), reading("b", 2, 20))
        .wait()
        .watermark(61)
        .rows(reading("e", 5, 0), reading("f", 6, 0))
        .rows(reading("x", 70, 5))
        .wait()
    )


@pytest.mark.parametrize("windows", [(HOURLY,), (SLIDING, HOURLY)])
def test_panes_are_counted_by_timing_and_late_readings_once(windows):
    rows, tallies = counted(late_stream(), windows)
    timings = [row["pane"] for row in rows]
    assert tallies.names_in("panes") == {name: timings.count(name) for name in set(timings)}
    assert {"early", "late"} <= set(timings)
    assert tallies.names_in("late") == {"readings": 2}


def test_where_windows_overlap_the_ones_that_do_so_least_count_late_readings():
    half = SlidingWindow(3600, 1800)
    _, tallies = counted(late_stream(), (SLIDING, half))
    # Each is in two of these, and in twelve of the others.
    assert tallies.names_in("late") == {"readings": 4}


def test_a_reading_that_is_taken_away_late_is_no_late_reading():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, version=1), reading("b", 2, 20, version=1))
        .watermark(61)
        .rows(reading("a", 30, 10, version=2, arrived=61))
        .wait()
    )
    rows, tallies = counted(stream, keep=KeepLatestVersion(max_future=10**6))
    assert rows
    assert tallies.names_in("late") == {}


def test_each_row_says_how_long_its_oldest_reading_has_waited():
    rows, tallies = counted(late_stream())
    found = tallies.names_in("latency")
    # The readings of these tests arrive in 2024.
    assert found["arrival_to_result_le_inf"] == len(rows)
    assert "arrival_to_result_le_86400000" not in found


def test_so_does_a_row_of_readings_whose_versions_are_remembered(monkeypatch):
    told = []
    # Not what other tests' streams have left.
    monkeypatch.setattr(shard_images.ShardImages, "_all", {})
    monkeypatch.setattr(shard_images, "set_gauge", lambda *gauge: told.append(gauge))
    rows, tallies = counted(late_stream(), keep=KeepLatestVersion())
    # Their versions are their arrivals.
    assert tallies.names_in("latency")["arrival_to_result_le_inf"] == len(rows)
    versions = [value for _, name, value in told if name == "versions"]
    sizes = [value for _, name, value in told if name == "bytes"]
    assert max(versions) == 5
    assert max(sizes) > 5 * 37
    # All is forgotten when the stream has ended.
    assert versions[-1] == 0


def test_nobody_knows_how_long_readings_with_versions_of_their_own_have_waited():
    stream = Stream().rows(reading("a", 1, 10, version=1)).wait()
    rows, tallies = counted(stream, keep=KeepLatestVersion())
    assert rows
    assert tallies.names_in("latency") == {}
