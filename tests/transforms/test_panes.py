"""Changes of a window, added up: when a row is due, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plain_means import statistics_of
from transforms.panes import PartialRows, RunningTotal, pane_rows, series_name, slice_key
from transforms.slices import group_sorted, retract_partials
from transforms.statistics import STATISTICS
from transforms.window_means import means_schema, read_partials

ALL = [STATISTICS[name]() for name in STATISTICS]
PARTIALS = PartialRows(ALL)
KEY = ("region", "76", "Occitanie", "temperature")


def change(added=(), taken=(), partials=PARTIALS):
    """Packed changes of a window."""
    packed = []
    for values, retract in ((added, False), (taken, True)):
        if len(values):
            zeros = np.zeros(len(values), np.int64)
            piece = group_sorted(zeros, zeros, np.array(values, np.int64), partials.statistics)
            if retract:
                piece = retract_partials(piece, partials.statistics)
            packed += partials.pack(piece)
    return packed


def row(total, statistics=ALL):
    batch = pane_rows([((KEY, 3600, 3600, 3600), "early", total)], statistics)
    batch.validate(full=True)
    return batch.to_pylist()[0]


value = st.integers(-30_000_000, 40_000_000)


@settings(max_examples=100)
@given(st.lists(st.lists(value, min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_total_is_that_of_all_values(pieces):
    total, state = RunningTotal(PARTIALS), None
    for piece in pieces:
        state, due = total.add(state, change(piece))
        assert due is not None
    expected = statistics_of([number for piece in pieces for number in piece])
    expected["stddev"] = expected["stddev"] or 0.0
    found = row(due)
    found["stddev"] = found["stddev"] or 0.0
    assert found.pop("stddev") == pytest.approx(expected.pop("stddev"), rel=1e-15, nan_ok=True)
    assert {name: found[name] for name in expected} == expected


def test_nothing_is_due_where_nothing_changes():
    total = RunningTotal(PARTIALS)
    state, due = total.add(None, change([5, 9]))
    assert due == state
    again, due = total.add(state, change([7], [7]))
    assert due is None
    # What left is remembered all the same: it may decide later whether an extreme is known.
    assert again != state
    after, due = total.add(again, change([1]))
    assert row(due)["count"] == 3
    assert len(after) < len(again)


def test_a_row_that_was_not_due_is_compared_with_the_last_that_was():
    total = RunningTotal(PARTIALS)
    state, _ = total.add(None, change([5, 7, 9]))
    state, due = total.add(state, change([], [7]))
    assert row(due)["count"] == 2
    state, due = total.add(state, change([7], [7]))
    assert due is None
    state, due = total.add(state, change([7], [7]))
    assert due is None
    _, due = total.add(state, change([8]))
    assert row(due)["count"] == 3


def test_a_window_that_never_held_anything_has_no_row():
    total = RunningTotal(PARTIALS)
    state, due = total.add(None, change([7], [7]))
    assert due is None
    state, due = total.add(state, change([6], [6]))
    assert due is None
    _, due = total.add(state, change([8]))
    assert row(due)["count"] == 1


def test_a_window_that_lost_everything_has_a_row_of_nulls():
    total = RunningTotal(PARTIALS)
    state, _ = total.add(None, change([7, 7]))
    _, due = total.add(state, change([], [7, 7]))
    found = row(due)
    assert [found[name] for name in STATISTICS] == [0, None, None, None, None]


def test_a_removal_that_overtakes_what_it_removes_is_no_row():
    total = RunningTotal(PARTIALS)
    state, due = total.add(None, change([], [7]))
    assert due is None
    state, due = total.add(state, change([7, 8]))
    assert row(due)["count"] == 1
    state, due = total.add(state, change([], [8, 9]))
    assert due is None
    # It is back where it was, but the greatest value came and left.
    state, due = total.add(state, change([9, 8]))
    assert row(due)["count"] == 1
    assert row(due)["max"] is None


def test_sums_that_no_readings_have_are_no_row():
    """As many readings as before, but one that is not there yet has been taken away."""
    total = RunningTotal(PARTIALS)
    state, _ = total.add(None, change([1, 2]))
    state, due = total.add(state, change([5], [1000]))
    assert due is None
    state, due = total.add(state, change([], [1, 2]))
    assert due is None
    _, due = total.add(state, change([1000]))
    assert (row(due)["count"], row(due)["mean"]) == (1, 5e-6)


def test_a_change_below_the_precision_of_a_mean_is_a_change():
    statistics = [STATISTICS["mean"]()]
    partials = PartialRows(statistics)
    total = RunningTotal(partials)
    state, due = total.add(None, change([10**15] * 50, partials=partials))
    before = row(due, statistics)
    state, due = total.add(state, change([10**15 + 1], [10**15], partials=partials))
    assert due is not None
    assert row(due, statistics) == before


def test_statistics_that_do_not_count_can_be_added_up():
    statistics = [STATISTICS["max"]()]
    partials = PartialRows(statistics)
    total = RunningTotal(partials)
    state, due = total.add(None, change([5], partials=partials))
    assert partials.held(state) is None
    assert row(due, statistics)["max"] == 5e-6
    state, due = total.add(state, change([4], partials=partials))
    assert due is None
    _, due = total.add(state, change([6], partials=partials))
    assert row(due, statistics)["max"] == 6e-6


def test_rows_have_the_partials_that_are_asked_for():
    (total,) = change([5, 7])
    batch = pane_rows([((KEY, 3600, 3600, 300), "late", total)], ALL, partials=True)
    assert batch.schema == means_schema(ALL, partials=True)
    partials = read_partials(batch, ALL)
    assert PARTIALS.pack(partials) == [total]
    found = batch.to_pylist()[0]
    assert found["pane"] == "late"
    assert (found["window_size"], found["window_period"]) == (3600, 300)
    assert found["window_start"].timestamp() == 3600
    assert found["window_end"].timestamp() == 7200
    assert (found["region_code"], found["region"], found["sensor_id"], found["quantity"]) == (
        "76", "Occitanie", None, "temperature",
    )  # fmt: skip


def test_the_rows_of_sensors_have_no_region():
    (total,) = change([5, 7])
    key = slice_key((None, None, "", "humidity"))
    found = pane_rows([((key, 0, 10, 10), "early", total)], ALL).to_pylist()[0]
    assert (found["region_code"], found["region"], found["sensor_id"]) == (None, None, "")
    assert slice_key(series_name(KEY)) == KEY


def test_partials_go_into_bytes_and_back():
    rows = [*change([5, 7]), *change([], [10**15, -3])]
    columns = PARTIALS.unpack(rows)
    assert PARTIALS.pack(columns) == rows
    assert columns["count"].tolist() == [2, -2]
    assert len(rows[0]) == PARTIALS.size
