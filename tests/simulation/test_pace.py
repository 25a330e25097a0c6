"""Messages are sent when their times say so."""

from __future__ import annotations

import types

import pytest

from simulation import pace
from simulation.options import parse_options
from simulation.pace import paced
from simulation.plan import make_plan


class Stop:
    """An event that nobody sets, and that waits for nothing."""

    def __init__(self):
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        return False


def waits_of(plan, began):
    stop = Stop()
    batches = plan.batches("regional", 1, json_only=False)
    sent = sum(map(len, paced(batches, plan.clock.start, plan.end, plan.speed, stop, began)))
    assert sent == 1200
    return stop.waits


@pytest.fixture(autouse=True)
def now(monkeypatch):
    """The moment at which the clock stands still."""
    moment = 1000.0
    monkeypatch.setattr(pace, "time", types.SimpleNamespace(monotonic=lambda: moment))
    return moment


@pytest.fixture
def plan():
    arguments = ["--rate", "20", "--duration", "60s", "--output", "kafka://localhost:1/t"]
    return make_plan(parse_options(arguments), is_file=False)


def test_what_was_due_while_the_output_was_opened_is_sent_at_once(plan, now):
    assert set(waits_of(plan, now - 100)) == {0.0}


def test_what_is_not_due_yet_is_waited_for(plan, now):
    """Nothing passes here, so the waits grow."""
    assert plan.began is not None
    waits = waits_of(plan, now)
    assert 50 < max(waits) <= 60
    assert waits == sorted(waits)


def test_what_was_due_in_part_is_waited_for_the_less(plan, now):
    whole = waits_of(plan, now)
    assert waits_of(plan, now - 20) == pytest.approx([max(0.0, each - 20) for each in whole])


def test_other_times_than_now_begin_with_the_first_message():
    arguments = ["--rate", "20", "--start", "2019-02-19T00:00:00Z", "--duration", "60s"]
    plan = make_plan(parse_options(arguments), is_file=False)
    assert plan.began is None
    assert 50 < max(waits_of(plan, None)) <= 60
