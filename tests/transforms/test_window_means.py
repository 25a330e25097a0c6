"""Rows of windows from partials: exact, complete, and the same for any order."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reading import MEANS
from tests.support.plain_means import assert_same_means, plain_means
from tests.support.readings import CODES, NAMES, placed_batch, plain_readings
from transforms import window_means
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.window_means import means_schema, window_rows
from transforms.windows import HOURLY, SLIDING, SlidingWindow, slice_seconds

ALL = [make() for make in STATISTICS.values()]
HOUR = 3600 * 10**6


def rows_of_windows(batches, windows, statistics=ALL):
    seconds = slice_seconds(windows)
    partials = []
    for batch in batches:
        accumulator = SliceAccumulator(seconds, statistics)
        accumulator.add(placed_batch(batch))
        partials += [shard for _, shard in accumulator.flush(1)]
    return window_rows(partials, windows, seconds, statistics)


def means_by_key(rows):
    start = rows.column("window_start").cast(pa.int64()).to_numpy() // 10**6
    end = rows.column("window_end").cast(pa.int64()).to_numpy() // 10**6
    assert (end - start == rows.column("window_size").to_numpy()).all()
    named = dict(zip(CODES, NAMES, strict=True))
    columns = rows.drop_columns(["window_start", "window_end"]).to_pylist()
    found = {}
    for row, begin in zip(columns, start.tolist(), strict=True):
        assert row["region"] == named[row["region_code"]]
        assert row["pane"] == "on_time"
        key = row["region_code"], row["quantity"], begin, row["window_size"], row["window_period"]
        assert key not in found
        found[key] = {name: row[name] for name in STATISTICS}
    return found


readings = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2]),
        st.sampled_from(["temperature", "humidity"]),
        st.one_of(
            st.integers(-10 * HOUR, 10 * HOUR),
            st.integers(-3, 3).map(lambda hour: hour * HOUR),
            st.integers(-3, 3).map(lambda hour: hour * HOUR - 1),
            st.integers(-60_000 * 10**12, 200_000 * 10**12),
        ),
        st.one_of(st.integers(-40_000_000, 40_000_000), st.integers(-(10**15), 10**15)),
    ),
    min_size=1,
    max_size=25,
)
kinds = st.lists(
    st.one_of(
        st.sampled_from([HOURLY, SLIDING, SlidingWindow(900, 300), SlidingWindow(86_400, 3600)]),
        st.tuples(st.integers(1, 50), st.integers(1, 50)).map(
            lambda pair: SlidingWindow(60 * max(pair), 60 * min(pair))
        ),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(readings, kinds)
def test_rows_are_those_of_exact_arithmetic(found, windows):
    rows = rows_of_windows([found], windows)
    expected = plain_means(
        plain_readings(found), {(window.size, window.period) for window in windows}
    )
    assert_same_means(means_by_key(rows), expected)


@settings(max_examples=40)
@given(readings, kinds, st.data())
def test_rows_are_the_same_for_any_order_of_readings_and_batches(found, windows, data):
    whole = rows_of_windows([found], windows)
    shuffled = data.draw(st.permutations(found))
    cut = data.draw(st.integers(1, len(found)))
    batches = [batch for batch in (shuffled[cut:], shuffled[:cut]) if batch]
    assert rows_of_windows(batches, windows).equals(whole)


def test_rows_come_in_the_order_of_window_key_and_start():
    found = [
        (2, "temperature", 5 * HOUR, 1),
        (0, "temperature", 0, 1),
        (0, "humidity", 9 * HOUR, 1),
    ]
    rows = rows_of_windows([found], [HOURLY, SlidingWindow(1800, 1800)]).to_pylist()
    keys = [
        (row["window_size"], row["region_code"], row["quantity"], row["window_start"])
        for row in rows
    ]
    assert keys == sorted(keys)
    assert len(keys) == 6


def test_a_window_begins_at_its_start_and_ends_before_its_end():
    found = [(0, "temperature", micros, 10**6) for micros in (HOUR - 1, HOUR, 2 * HOUR - 1)]
    counts = {
        key[2]: row["count"]
        for key, row in means_by_key(rows_of_windows([found], [HOURLY])).items()
    }
    assert counts == {0: 1, 3600: 2}


def test_the_same_window_named_twice_gives_its_rows_once():
    found = [(0, "temperature", 0, 10**6)]
    assert rows_of_windows([found], [HOURLY, HOURLY]).num_rows == 1


def test_sums_of_a_window_may_leave_64_bits():
    # Millionths of 1e9 add up to more than 2**63 after 9,224 readings; their squares at once.
    batch = [(0, "temperature", number, 10**15 - number % 7) for number in range(20_000)]
    rows = rows_of_windows([batch, batch], [HOURLY])
    expected = plain_means(plain_readings(batch + batch), [(3600, 3600)])
    assert_same_means(means_by_key(rows), expected)


def test_running_sums_over_many_windows_are_exact():
    chance = random.Random(5)
    batch = [
        (0, "temperature", number * 300 * 10**6, chance.randint(-(10**15), 10**15))
        for number in range(2000)
    ]
    windows = [SLIDING, SlidingWindow(21_600, 600)]
    rows = rows_of_windows([batch], windows)
    expected = plain_means(plain_readings(batch), [(3600, 300), (21_600, 600)])
    assert_same_means(means_by_key(rows), expected)


def test_a_range_costs_the_same_however_many_slices_it_has():
    # Minima and maxima look at two numbers of a table of log2(slices) rows, so what is computed
    # for n slices and windows of k slices is n log k numbers, not n k.
    sizes = []

    class Counted(STATISTICS["min"]):
        name = "min"

        @staticmethod
        def combine(first, second):
            sizes.append(len(first))
            return np.minimum(first, second)

    merged = {"min": np.arange(4096), "key": np.zeros(4096, np.int64), "slice": np.arange(4096)}
    begin = np.arange(4096 - 512)
    reducer = window_means._RangeReducer(merged, [Counted()], begin, begin + 512)
    assert reducer.reduce("min", Counted()).tolist() == begin.tolist()
    assert sum(sizes) <= 4096 * 10 + len(begin)


@pytest.mark.parametrize("names", [["count"], ["mean", "count"], list(STATISTICS)])
def test_only_the_statistics_that_are_wanted_become_columns(names):
    wanted = [STATISTICS[name]() for name in names]
    rows = rows_of_windows([[(0, "temperature", 0, 10**6)]], [HOURLY], wanted)
    assert [name for name in rows.schema.names if name in STATISTICS] == names
    assert rows.schema == means_schema(wanted)


def test_all_statistics_give_the_columns_of_the_table():
    assert means_schema(ALL) == MEANS
