"""The totals of a shard: the same whether they are in memory or read from state, and let go."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.window_shards import DAY, KEY, PARTIALS, Shard, change, changes_of
from transforms import slices, totals_state, window_totals
from transforms.changes import Changes, pack, unpack
from transforms.totals_state import BAGS, TotalsState
from transforms.window_totals import GRACE, GRID, WindowTotals

OTHER = ("sensor", "a ☃", "", "humidity")
HOUR = 3600


def shard(keep=DAY, **options):
    return Shard(WindowTotals(PARTIALS, keep), **options)


def pane(start, timing="early", size=HOUR):
    return start, size, size, timing, 7


def counts(due):
    """Count by window and timing of rows that are due, in their order."""
    places = PARTIALS.columns(np.zeros((1, PARTIALS.width), np.int64))
    assert "count" in places
    return [
        (key[0][1], key[1], timing, count)
        for part in due
        for key, timing, count in zip(
            part.windows, part.timings, PARTIALS.columns(part.rows)["count"].tolist(), strict=True
        )
    ]


def test_windows_of_many_series_are_one_element():
    due = shard().add(
        changes_of(
            [
                (KEY, pane(0), change([1])),
                (OTHER, pane(0), change([1, 2])),
                (KEY, pane(HOUR), change([1, 2, 3])),
            ]
        )
    )
    assert counts(due) == [("76", 0, "early", 1), ("a ☃", 0, "early", 2), ("76", HOUR, "early", 3)]
    assert [part.arrived for part in due] == [[7, 7, 7]]


def test_panes_of_one_window_are_rows_of_their_own_in_their_order():
    due = shard().add(
        changes_of(
            [
                (KEY, pane(0), change([1])),
                (KEY, pane(0, "on_time"), change([2])),
                (OTHER, pane(0), change([9])),
                (KEY, pane(0, "late"), change([3])),
            ]
        )
    )
    mine = [row[2:] for row in counts(due) if row[0] == "76"]
    assert mine == [("early", 1), ("on_time", 2), ("late", 3)]


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_window_that_ended_moves_and_still_counts(forgetful):
    one = shard(forgetful=forgetful)
    one.add(changes_of([(KEY, pane(0), change([1])), (KEY, pane(2 * HOUR), change([5]))]))
    assert one.used == [0]
    assert one.timer == HOUR + GRACE
    one.fire()
    assert len(one.used) == 2
    due = one.add(changes_of([(KEY, pane(0, "late"), change([2]))]))
    assert counts(due) == [("76", 0, "late", 2)]
    due = one.add(changes_of([(KEY, pane(2 * HOUR), change([6]))]))
    assert counts(due) == [("76", 2 * HOUR, "early", 2)]


def test_what_nothing_can_change_any_more_is_cleared():
    one = shard()
    one.add(changes_of([(KEY, pane(0), change([1]))]))
    fired = []
    while one.timer is not None:
        fired.append(one.timer)
        one.fire()
    assert one.used == []
    assert not one.image.tiers.get(0)
    assert fired[0] == HOUR + GRACE
    assert fired[-1] >= HOUR + DAY
    state = TotalsState.read(one.small)
    assert (state.times, state.records) == ({}, {})
    one.fire()


def test_a_shard_is_closed_in_few_steps():
    """However many windows a backlog has opened: each step writes the others again."""
    one = shard(keep=30 * DAY)
    one.add(changes_of([(KEY, pane(300 * step), change([step])) for step in range(2000)]))
    steps = 0
    while 0 in one.used:
        one.fire()
        steps += 1
    assert steps < 30
    assert sum(len(unpack(piece).rows) for bag in one.bags for piece in bag.pieces) == 2000


def test_old_records_are_thrown_away(monkeypatch):
    monkeypatch.setattr(window_totals, "LEAST_OLD", 10)
    one = shard(forgetful=True)
    for step in range(100):
        due = one.add(changes_of([(KEY, pane(0), change([step]))]))
        assert counts(due) == [("76", 0, "early", step + 1)]
        assert sum(len(unpack(piece).rows) for piece in one.bags[0].pieces) <= 13


def test_closed_windows_leave_the_memory(monkeypatch):
    one = shard()
    one.add(changes_of([(KEY, pane(0), change([1]))]))
    one.fire()
    one.add(changes_of([(KEY, pane(0, "late"), change([2]))]))
    assert len(one.image.tiers) == 2
    monkeypatch.setattr(totals_state, "FORGET_AFTER", -1.0)
    one.add(changes_of([(KEY, pane(5 * HOUR), change([2]))]))
    assert [*one.image.tiers] == [0]


def test_windows_at_the_end_of_all_time_set_no_timer():
    one = shard()
    one.add(changes_of([(KEY, pane(10**13), change([1]))]))
    assert one.timer is None
    one.fire()
    assert one.used == [0]


steps = st.lists(
    st.one_of(
        st.lists(
            st.tuples(
                st.sampled_from([KEY, OTHER]),
                st.integers(0, 60),
                st.integers(1, 4),
                st.booleans(),
            ),
            min_size=1,
            max_size=6,
        ),
        st.none(),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.booleans())
def test_totals_are_those_of_a_plain_sum(plan, forgetful):
    """Whenever timers fire between: a list is an element, None the next timer."""
    one, expected = shard(keep=10 * DAY, forgetful=forgetful), defaultdict(int)
    for step in plan:
        if step is None:
            one.fire()
            continue
        rows, wanted = [], {}
        for name, quarter, amount, _ in step:
            start = quarter * GRID
            expected[name, start] += amount
            wanted[name[1], start] = expected[name, start]
            rows.append((name, pane(start, size=GRID), change(range(amount))))
        found = {row[:2]: row[3] for row in counts(one.add(changes_of(rows)))}
        assert found == wanted
    while one.timer is not None:
        one.fire()
    assert one.used == []


def test_no_two_times_that_are_kept_share_a_bag():
    keep = 9 * DAY
    totals = WindowTotals(PARTIALS, keep)
    span = totals._span
    assert keep / span + 2 <= BAGS - 1


def test_bytes_of_another_release_are_refused():
    data = pack(changes_of([(KEY, pane(0), change([1]))]))
    again = unpack(data)
    assert again.names == [KEY]
    assert again.panes == [pane(0)]
    with pytest.raises(ValueError, match="cannot be read"):
        unpack(b"\x09" + data[1:])


def test_pieces_are_put_together():
    one = changes_of([(KEY, pane(0), change([1]))])
    other = changes_of([(OTHER, pane(0), change([2])), (KEY, pane(HOUR), change([3]))])
    both = Changes.together([one, other])
    assert both.names == [KEY, OTHER]
    assert [both.names[place] for place in both.series] == [KEY, OTHER, KEY]
    assert [both.panes[place][0] for place in both.pane] == [0, 0, HOUR]


def test_series_are_dealt_out():
    names = [(None, None, str(number), "temperature") for number in range(1000)]
    dealt = np.bincount([slices._share(name, 16) for name in names], minlength=16)
    assert dealt.min() > 30


@pytest.mark.parametrize("jump", [5, -5])
def test_rows_are_later_than_those_that_they_replace_whatever_the_clock_says(jump, monkeypatch):
    hour = 3600 * 10**9
    clock = iter([0, jump * hour, 1, jump * hour, 2])
    monkeypatch.setattr(totals_state.time, "time_ns", lambda: 100 * hour + next(clock))
    one = shard(forgetful=True)
    moments = []
    for _ in range(5):
        (due,) = one.add(changes_of([(KEY, pane(0), change([1]))]))
        moments.append(due.emitted)
    assert moments[0] == 100 * hour // 1000
    assert moments == sorted(set(moments))


def test_state_of_before_rows_had_a_moment_is_read():
    small = TotalsState(number=7, emitted=8).write()
    old = json.dumps(json.loads(small)[:-1]).encode()
    assert TotalsState.read(small).emitted == 8
    assert (TotalsState.read(old).number, TotalsState.read(old).emitted) == (7, 0)
