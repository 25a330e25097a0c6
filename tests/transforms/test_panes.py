"""Changes of a window, added up: when a row is due, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plain_means import statistics_of
from tests.support.window_shards import ALL, DAY, KEY, PARTIALS, Shard, change, changes_of
from transforms.changes import series_key, series_name
from transforms.panes import pane_rows
from transforms.partial_rows import PartialRows
from transforms.statistics import STATISTICS
from transforms.window_means import means_schema, read_partials
from transforms.window_totals import RETOLD, WindowTotals


class Window:
    """One window of a shard."""

    def __init__(self, statistics=ALL, *, retell=False):
        self.statistics, self.partials = statistics, PartialRows(statistics)
        self.shard = Shard(WindowTotals(self.partials, DAY, retell=retell), forgetful=True)
        self.timing = None

    def add(self, added=(), taken=()):
        """Adds a change; gives the row that is due, None for none."""
        piece = change(added, taken, self.partials)
        due = self.shard.add(changes_of([(KEY, (3600, 3600, 3600, "early", 0), piece)]))
        if not due:
            return None
        (only,) = due
        (self.timing,) = only.timings
        return self.row(only.rows)

    def row(self, totals):
        batch = pane_rows([(KEY, 3600, 3600, 3600)], ["early"], totals, self.statistics)
        batch.validate(full=True)
        return batch.to_pylist()[0]


value = st.integers(-30_000_000, 40_000_000)


@settings(max_examples=100)
@given(st.lists(st.lists(value, min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_total_is_that_of_all_values(pieces):
    window, found = Window(), None
    for piece in pieces:
        found = window.add(piece)
        assert found is not None
    expected = statistics_of([number for piece in pieces for number in piece])
    expected["stddev"] = expected["stddev"] or 0.0
    found["stddev"] = found["stddev"] or 0.0
    assert found.pop("stddev") == pytest.approx(expected.pop("stddev"), rel=1e-15, nan_ok=True)
    assert {name: found[name] for name in expected} == expected


def test_nothing_is_due_where_nothing_changes():
    window = Window()
    window.add([5, 9])
    assert window.add([7], [7]) is None
    assert window.add([1])["count"] == 3


def test_what_came_and_left_decides_whether_an_extreme_is_known():
    window = Window()
    window.add([5, 9])
    assert window.add([11], [11])["max"] is None
    assert window.add([12])["max"] == 12e-6


def test_what_was_touched_is_told_again_where_that_is_wanted():
    window = Window(retell=True)
    window.add([5, 9])
    assert window.timing == "early"
    assert window.add([7], [7])["count"] == 2
    assert window.timing == RETOLD
    assert window.add([7])["count"] == 3
    assert window.timing == "early"
    # What has overtaken something is no row at all.
    assert window.add([], [100]) is None
    fresh = Window(retell=True)
    assert fresh.add([7], [7])["count"] == 0
    assert fresh.timing == RETOLD


def test_a_row_that_was_not_due_is_compared_with_the_last_that_was():
    window = Window()
    window.add([5, 7, 9])
    assert window.add([], [7])["count"] == 2
    assert window.add([7], [7]) is None
    assert window.add([7], [7]) is None
    assert window.add([8])["count"] == 3


def test_a_window_that_never_held_anything_has_no_row():
    window = Window()
    assert window.add([7], [7]) is None
    assert window.add([6], [6]) is None
    assert window.add([8])["count"] == 1


def test_a_window_that_lost_everything_has_a_row_of_nulls():
    window = Window()
    window.add([7, 7])
    found = window.add([], [7, 7])
    assert [found[name] for name in STATISTICS] == [0, None, None, None, None]


def test_a_removal_that_overtakes_what_it_removes_is_no_row():
    window = Window()
    assert window.add([], [7]) is None
    assert window.add([7, 8])["count"] == 1
    assert window.add([], [8, 9]) is None
    # It is back where it was, but the greatest value came and left.
    found = window.add([9, 8])
    assert (found["count"], found["max"]) == (1, None)


def test_sums_that_no_readings_have_are_no_row():
    """As many readings as before, but one that is not there yet has been taken away."""
    window = Window()
    window.add([1, 2])
    assert window.add([5], [1000]) is None
    assert window.add([], [1, 2]) is None
    found = window.add([1000])
    assert (found["count"], found["mean"]) == (1, 5e-6)


def test_a_change_below_the_precision_of_a_mean_is_a_change():
    window = Window([STATISTICS["mean"]()])
    before = window.add([10**15] * 50)
    assert window.add([10**15 + 1], [10**15]) == before


def test_statistics_that_do_not_count_can_be_added_up():
    window = Window([STATISTICS["max"]()])
    assert window.partials.held(change([5], partials=window.partials)) is None
    assert window.add([5])["max"] == 5e-6
    assert window.add([4]) is None
    assert window.add([6])["max"] == 6e-6


def test_a_count_alone_is_enough():
    window = Window([STATISTICS["count"]()])
    assert window.add([5, 6])["count"] == 2
    assert window.add([4], [5]) is None
    assert window.add([], [4, 6])["count"] == 0


def test_rows_have_the_partials_that_are_asked_for():
    total = change([5, 7])
    batch = pane_rows([(KEY, 3600, 3600, 300)], ["late"], total, ALL, partials=True)
    assert batch.schema == means_schema(ALL, partials=True)
    assert np.array_equal(PARTIALS.matrix(read_partials(batch, ALL)), total)
    found = batch.to_pylist()[0]
    assert found["pane"] == "late"
    assert (found["window_size"], found["window_period"]) == (3600, 300)
    assert found["window_start"].timestamp() == 3600
    assert found["window_end"].timestamp() == 7200
    assert (found["region_code"], found["region"], found["sensor_id"], found["quantity"]) == (
        "76", "Occitanie", None, "temperature",
    )  # fmt: skip


def test_the_rows_of_sensors_have_no_region():
    key = series_key((None, None, "", "humidity"))
    found = pane_rows([(key, 0, 10, 10)], ["early"], change([5, 7]), ALL).to_pylist()[0]
    assert (found["region_code"], found["region"], found["sensor_id"]) == (None, None, "")
    assert series_key(series_name(KEY)) == KEY


def test_columns_become_rows_and_rows_columns():
    rows = np.concatenate([change([5, 7]), change([], [10**15, -3])])
    columns = PARTIALS.columns(rows)
    assert np.array_equal(PARTIALS.matrix(columns), rows)
    assert columns["count"].tolist() == [2, -2]
    assert rows.shape == (2, PARTIALS.width)
