"""Readings count in the windows of their region, of their sensor, or of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.groupings import BOTH, GROUPINGS, REGION, SENSOR
from tests.support.placed_rows import placed_rows, reading, readings
from transforms import KeepLatestVersion, RegionalMeans
from transforms.grouping import distinct, grouped
from transforms.keep_latest import deal_out, with_few_names
from transforms.packed_entries import arrow_entries, packed_entries
from transforms.packed_rows import pack, unpack
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.versions import entries_of
from transforms.window_means import window_rows
from transforms.windows import SlidingWindow

PLACED = reading(1, sensor_id="a")
OUTSIDE = reading(2, sensor_id="a", region_code=None)
NO_PLACE = reading(3, sensor_id="b", region_code=None, longitude=None, latitude=None)
NO_SENSOR = reading(4)
DELETED = reading(5, sensor_id="a", deleted=True)
ROWS = [PLACED, OUTSIDE, NO_PLACE, NO_SENSOR, DELETED]


def owners(batch):
    columns = (batch.column(name).to_pylist() for name in ("region", "sensor_id"))
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("make", [placed_rows, lambda rows: entries_of(placed_rows(rows))])
def test_each_reading_is_left_its_owners(make):
    paris = "Île-de-France"
    assert owners(grouped(make(ROWS), REGION)) == [
        (paris, None), (None, None), (None, "b"), (paris, None), (None, None),
    ]  # fmt: skip
    assert owners(grouped(make(ROWS), SENSOR)) == [
        (None, "a"), (None, "a"), (None, "b"), (None, None), (None, None),
    ]  # fmt: skip
    assert owners(grouped(make(ROWS), BOTH)) == [
        (paris, "a"), (None, "a"), (None, "b"), (paris, None), (None, None),
    ]  # fmt: skip


def in_windows(batch, group_by):
    """Counts of the windows, by owner and start."""
    count = [STATISTICS["count"]()]
    slices = SliceAccumulator(3600, count)
    slices.add(grouped(batch, group_by))
    batches = [piece for _, piece in slices.flush(3)]
    if not batches:
        return {}
    rows = window_rows(batches, [SlidingWindow(3600, 3600)], 3600, count).to_pylist()
    return {
        (row["region_code"], row["sensor_id"], row["quantity"], row["window_start"]): row["count"]
        for row in rows
    }


@settings(max_examples=100)
@given(st.lists(readings(), min_size=1, max_size=12), st.sampled_from(GROUPINGS))
def test_windows_hold_what_is_theirs_however_the_readings_came(rows, group_by):
    batch = placed_rows(rows)
    expected = {}
    for row, (region, sensor) in zip(rows, owners(grouped(batch, group_by)), strict=True):
        hour = None if row["event_time"] is None else row["event_time"] // 3_600_000_000
        for owner in ((row["region_code"], None), (None, sensor)):
            if owner != (None, None) and (owner[1] is not None or region is not None):
                key = (*owner, row["quantity"], hour)
                expected[key] = expected.get(key, 0) + 1
    found = in_windows(batch, group_by)
    assert {(*key[:3], int(key[3].timestamp()) // 3600): n for key, n in found.items()} == expected
    # Grouped twice is grouped once, and entries are grouped as readings are.
    assert in_windows(grouped(batch, group_by), group_by) == found
    assert in_windows(entries_of(batch), group_by) == found
    assert in_windows(entries_of(batch, group_by), group_by) == found
    packed = unpack(pack(packed_entries(batch, 0.0, group_by)))
    assert arrow_entries(packed).to_pylist() == entries_of(batch, group_by).to_pylist()


@given(st.lists(st.integers(0, 50), max_size=60), st.sampled_from([51, 10_000]))
def test_different_numbers_are_found_whatever_there_may_be(numbers, limit):
    found, places = distinct(np.array(numbers, np.int64), limit)
    assert found.tolist() == sorted(set(numbers))
    assert found[places].tolist() == numbers


def test_another_word_is_refused_with_the_words_there_are():
    message = r"^means can be grouped by region, sensor, both, not by 'town'$"
    with pytest.raises(ValueError, match=message):
        RegionalMeans(group_by="town")
    with pytest.raises(ValueError, match=message):
        KeepLatestVersion(group_by="town")


def test_shares_carry_the_names_of_their_own_sensors():
    rows = [reading(n, sensor_id=f"s{n}") for n in range(50)]
    whole = entries_of(placed_rows(rows), SENSOR)
    shares = [with_few_names(part) for _, part in deal_out(whole, 16)]
    assert max(len(part.column("sensor_id").dictionary) for part in shares) < 16
    found = [row for part in shares for row in part.to_pylist()]
    assert sorted(found, key=str) == sorted(whole.to_pylist(), key=str)
