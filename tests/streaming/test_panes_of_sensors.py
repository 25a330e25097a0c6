"""A stream's means by sensor: its panes, its corrections, and that they equal a batch."""

from __future__ import annotations

import apache_beam as beam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import RegionIndex
from schemas.groupings import GROUPINGS
from tests.support.streams import AT_SEA, PARIS, TOULOUSE, Stream, reading, run_stream
from transforms import AssignRegions, KeepLatestVersion, RegionalMeans
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows
from transforms.grouping import grouped
from transforms.packed_rows import FEW
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.triggers import Triggers
from transforms.versions import entries_of, newest
from transforms.window_means import window_rows
from transforms.windows import SlidingWindow, slice_seconds

NOWHERE = (None, None)
TEN_SECONDS = SlidingWindow(10, 10)


def means(group_by, windows):
    """The transforms of the main job, as `run_stream` takes them."""

    def build(batches: beam.PCollection) -> dict[str, beam.PCollection]:
        latest = batches | AssignRegions() | KeepLatestVersion(group_by=group_by)
        triggers = Triggers(early_every=30, late_every=30, allowed_lateness=86_400)
        return {"means": latest | RegionalMeans(windows, triggers=triggers, group_by=group_by)}

    return build


def device(name, seconds, value, place=NOWHERE, **more):
    """A reading of a device, some seconds after the start; without an id unless `more` has one."""
    return reading(more.pop("id", None), seconds / 60, value, place=place, sensor_id=name, **more)


def said(row):
    return row["sensor_id"], row["window_start"].second, row["count"], row["mean"]


def test_devices_without_a_place_have_windows_of_ten_seconds():
    stream = Stream()
    stream.rows(device("1", 1, 20), device("1", 9, 22), device("2", 9, 5), device("1", 10, 30))
    stream.wait().watermark(1)
    # Late, and the same once more.
    stream.rows(device("2", 8, 7), device("1", 1, 20)).wait()
    seen = run_stream(stream, means("sensor", [TEN_SECONDS]))
    found = seen.rows["means"]
    assert {row["region_code"] for row in found} == {row["region"] for row in found} == {None}
    panes = [said(row) for row in found]
    assert sorted(panes[:3]) == [
        ("1", 0, 2, 21.0), ("1", 10, 1, 30.0), ("2", 0, 1, 5.0),
    ]  # fmt: skip
    assert panes[3:] == [("2", 0, 2, 6.0)]
    assert (seen.balance["no_place"], seen.balance["duplicate"]) == (5, 1)


def test_a_version_moves_a_reading_to_another_sensor():
    stream = Stream()
    stream.rows(device("1", 1, 20, id="a", version=1)).wait()
    stream.rows(device("2", 1, 20, id="a", version=2)).wait()
    panes = [said(row) for row in run_stream(stream, means("sensor", [TEN_SECONDS])).rows["means"]]
    assert panes[0] == ("1", 0, 1, 20.0)
    assert sorted(panes[1:]) == [("1", 0, 0, None), ("2", 0, 1, 20.0)]


def test_by_region_a_device_has_windows_until_its_place_is_known():
    stream = Stream()
    stream.rows(device("1", 1, 20, id="a", version=1)).wait()
    stream.rows(device("1", 1, 20, id="a", version=2, place=TOULOUSE)).wait()
    rows = run_stream(stream, means("region", [TEN_SECONDS])).rows["means"]
    found = [(row["region_code"], row["sensor_id"], row["count"]) for row in rows]
    assert found[0] == (None, "1", 1)
    assert sorted(found[1:], key=str) == [("76", None, 1), (None, "1", 0)]


MESSAGES = st.builds(
    device,
    st.sampled_from([None, "1", "2", "Ω" * 100]),
    st.integers(0, 40),
    st.integers(-3, 3),
    place=st.sampled_from([NOWHERE, PARIS, TOULOUSE, AT_SEA]),
    id=st.sampled_from(["a", "b", "c"]),
    version=st.integers(1, 3),
)


def batch_of(rows, group_by, windows):
    """What a batch makes of them, window by window."""
    statistics = [make() for make in STATISTICS.values()]
    placed = assign_regions(batch_rows(rows), RegionIndex.default())
    slices = SliceAccumulator(slice_seconds(windows), statistics)
    slices.add(newest(entries_of(placed, group_by)).entries)
    batches = [piece for _, piece in slices.flush(1)]
    if not batches:
        return {}
    found = window_rows(batches, windows, slice_seconds(windows), statistics).to_pylist()
    return {key(row): numbers(row) for row in found}


def key(row):
    names = ("region_code", "sensor_id", "quantity", "window_size", "window_start")
    return tuple(row[name] for name in names)


def numbers(row):
    return row["count"], row["mean"]


@settings(max_examples=25)
@given(st.lists(MESSAGES, min_size=1, max_size=10), st.sampled_from(GROUPINGS), st.data())
def test_the_last_panes_are_those_of_a_batch(rows, group_by, data):
    windows = [TEN_SECONDS, SlidingWindow(30, 10)]
    stream = Stream()
    cut = data.draw(st.integers(0, len(rows)))
    for piece in (rows[:cut], rows[cut:]):
        if piece:
            stream.rows(*piece).wait()
    last = {}
    for row in run_stream(stream, means(group_by, windows)).rows["means"]:
        last[key(row)] = numbers(row)
    found = {name: each for name, each in last.items() if each[0]}
    assert found == batch_of(rows, group_by, windows)


@pytest.mark.slow
def test_twenty_thousand_sensors_in_a_stream():
    count = 20_000
    assert count > FEW
    stream = Stream()
    for first in range(0, count, 5000):
        stream.rows(*(device(f"sensor-{n}", 1, n % 50) for n in range(first, first + 5000)))
    stream.wait()
    seen = run_stream(stream, means("sensor", [TEN_SECONDS]))
    found = {row["sensor_id"]: row["mean"] for row in seen.rows["means"]}
    assert found == {f"sensor-{n}": n % 50 for n in range(count)}
    assert seen.balance["no_place"] == count


def test_grouping_a_batch_leaves_its_other_columns():
    batch = assign_regions(batch_rows([device("1", 1, 2, PARIS)]), RegionIndex.default())
    assert grouped(batch, "sensor").drop_columns(["region"]) == batch.drop_columns(["region"])
