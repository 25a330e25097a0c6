"""When a stream commits: soon, and a part of the time only."""

from __future__ import annotations

import types

import pytest

from connectors import commit_pace
from connectors.commit_pace import CommitPace


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self):
        self.now = 5000.0


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    stands = types.SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(commit_pace, "time", stands)
    return clock


def commit(pace, clock, took):
    clock.now += took
    pace.end(took)


@pytest.mark.usefixtures("clock")
def test_the_first_commit_waits_for_files_that_come_together():
    pace = CommitPace(2.5)
    assert pace.wait(urgent=True) == pytest.approx(0.05)
    assert pace.wait(urgent=False) == pytest.approx(0.05)


def test_after_a_commit_the_next_waits_and_an_urgent_one_does_not(clock):
    pace = CommitPace(2.5)
    commit(pace, clock, 0.02)
    assert pace.wait(urgent=False) == pytest.approx(0.25)
    assert pace.wait(urgent=True) == pytest.approx(0.05)
    clock.now += 0.1
    assert pace.wait(urgent=False) == pytest.approx(0.15)
    clock.now += 1000
    assert pace.wait(urgent=False) == pytest.approx(0.05)


def test_after_a_long_commit_the_next_waits_for_twice_its_time(clock):
    pace = CommitPace(2.5)
    commit(pace, clock, 0.4)
    assert pace.wait(urgent=False) == pytest.approx(0.8)
    assert pace.wait(urgent=True) == pytest.approx(0.3)
    clock.now += 0.5
    assert pace.wait(urgent=False) == pytest.approx(0.3)
    assert pace.wait(urgent=True) == pytest.approx(0.05)


def test_no_commit_waits_longer_than_was_said(clock):
    pace = CommitPace(2.5)
    commit(pace, clock, 100.0)
    assert pace.wait(urgent=True) == 2.5
    assert pace.wait(urgent=False) == 2.5


@pytest.mark.parametrize("urgent", [True, False])
def test_commits_take_a_third_of_the_time(clock, urgent):
    pace, busy, began = CommitPace(10.0), 0.0, clock.now
    for _ in range(200):
        clock.now += pace.wait(urgent=urgent)
        commit(pace, clock, 0.4)
        busy += 0.4
    assert busy / (clock.now - began) == pytest.approx(1 / 3, rel=0.02)


def test_others_leave_the_rest_that_is_saved_up_to_urgent_commits(clock):
    """Files come all the time, and every second some that are urgent."""
    pace, waits = CommitPace(1.0), []
    for _ in range(100):
        second = clock.now + 1
        clock.now += pace.wait(urgent=False)
        while clock.now < second:
            commit(pace, clock, 0.05)
            clock.now += pace.wait(urgent=False)
        waits.append(pace.wait(urgent=True))
        clock.now += waits[-1]
        commit(pace, clock, 0.2)
    assert max(waits) == pytest.approx(0.05)
