"""Whatever a stream's order, delays and watermark: its last rows are those of a batch run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import RegionIndex
from schemas.entries import ENTRIES
from tests.support.plain_means import assert_same_means, plain_means
from tests.support.streams import AT_SEA, PARIS, TOULOUSE, Stream, at, run_stream
from transforms import AssignRegions, RegionalMeans, SlidingWindow
from transforms.assign_regions import assign_regions
from transforms.balance import CLASSES
from transforms.batches import batch_rows
from transforms.keep_latest import KeepLatestVersion
from transforms.versions import entries_of, newest

WINDOWS = [(3600, 3600), (1800, 600)]
PLACES = [PARIS, TOULOUSE, AT_SEA, (None, None)]


@st.composite
def versions(draw) -> dict[str, Any]:
    """A message about one of few readings."""
    row: dict[str, Any] = {"id": draw(st.sampled_from("abcd")), "arrived_at": at(0)}
    kind = draw(st.sampled_from([0, 1, 2, 3]))
    row |= {"version_kind": kind, "version": draw(st.integers(1, 4)) if kind else 0}
    if draw(st.integers(0, 5)) == 0:
        return {**row, "deleted": True}
    longitude, latitude = draw(st.sampled_from(PLACES))
    return {
        **row,
        "event_time": at(draw(st.integers(0, 150))),
        "longitude": longitude,
        "latitude": latitude,
        "value": draw(st.integers(-30, 40)) + draw(st.sampled_from([0, 0.1])),
    }


@st.composite
def happenings(draw) -> list[Any]:
    """Batches of versions, moves of the watermark (True) and of the clock (False), in any order."""
    batch = st.lists(versions(), min_size=1, max_size=4)
    return draw(st.lists(batch | st.booleans(), min_size=1, max_size=12))


def batch_results(rows):
    """The rows and the classes of a batch run, computed without one."""
    placed = assign_regions(batch_rows(rows), RegionIndex.default())
    kept = newest(entries_of(placed)).entries.to_pylist()
    inside = [row for row in kept if row["region_code"] is not None]
    readings = [
        (
            row["region_code"],
            row["quantity"],
            round(row["event_time"].timestamp() * 10**6),
            row["value_micros"],
        )
        for row in inside
    ]
    classes = {"counted": len(inside), "deleted": sum(row["deleted"] for row in kept)}
    return plain_means(readings, WINDOWS), classes, {identity(row): content(row) for row in kept}


def identity(row):
    return row["identity_high"], row["identity_low"]


def content(row):
    return [row[name] for name in ENTRIES.names if name != "value_micros"]


def last_rows(rows):
    """Of each window the row that came last, where it holds anything."""
    found = {}
    for row in rows:
        key = (
            row["region_code"],
            row["quantity"],
            int(row["window_start"].timestamp()),
            row["window_size"],
            row["window_period"],
        )
        found[key] = row
    return {key: row for key, row in found.items() if row["count"]}


def build(batches):
    latest = batches | AssignRegions() | KeepLatestVersion(shards=2, remember_versions=10**6)
    means = RegionalMeans([SlidingWindow(*window) for window in WINDOWS])
    return {"means": latest | means, "entries": latest.entries}


@pytest.mark.slow
@settings(max_examples=60)
@given(happenings())
def test_the_last_rows_of_a_stream_are_those_of_a_batch(events):
    stream, now = Stream(), 0
    for event in events:
        if event is True:
            now += 31
            stream.watermark(now)
        elif event is False:
            stream.wait(31)
        else:
            stream.rows(*event)
    rows = [row for event in events if isinstance(event, list) for row in event]
    seen = run_stream(stream, build)
    found = last_rows(seen.rows["means"])
    expected, classes, entries = batch_results(rows) if rows else ({}, {}, {})
    for key, row in found.items():
        for name in ("min", "max"):
            # After a retraction they may be unknown, but never wrong.
            assert row[name] in {None, expected[key][name]}
            row[name] = expected[key][name]
    assert_same_means(found, expected)
    assert {name: seen.balance[name] for name in classes} == classes
    # What was accepted last of each reading is what a batch run accepts.
    assert {identity(row): content(row) for row in seen.rows["entries"]} == entries
    assert sum(seen.balance[name] for name in CLASSES) == len(rows)
    assert all(row["count"] >= 0 for row in seen.rows["means"])
