"""When panes come: what can be asked for, and what the runner is told."""

from __future__ import annotations

import pytest
from apache_beam.transforms.trigger import AccumulationMode, AfterCount, AfterProcessingTime
from apache_beam.transforms.window import FixedWindows, SlidingWindows

from transforms.triggers import DAY, Triggers
from transforms.windows import HOURLY, SLIDING


def windowing(triggers, window=HOURLY):
    return triggers.windows(window).windowing


def test_the_runner_keeps_windows_longer_than_readings_are_allowed():
    asked = Triggers(allowed_lateness=100)
    assert windowing(asked).allowed_lateness == 100 + 7 * DAY
    assert windowing(Triggers(margin=2 * DAY)).allowed_lateness == 3 * DAY


def test_windows_of_a_period_as_long_as_they_are_do_not_overlap():
    assert windowing(Triggers()).windowfn == FixedWindows(3600)
    assert windowing(Triggers(), SLIDING).windowfn == SlidingWindows(3600, 300)


def test_panes_hold_what_is_new():
    assert windowing(Triggers()).accumulation_mode == AccumulationMode.DISCARDING


def test_panes_come_by_the_clock_or_at_each_bundle_or_not_at_all():
    trigger = windowing(Triggers(early_every=7, late_every=9)).triggerfn
    assert isinstance(trigger.early.underlying, AfterProcessingTime)
    assert (trigger.early.underlying.delay, trigger.late.underlying.delay) == (7, 9)
    trigger = windowing(Triggers(early_every=None, late_every=0)).triggerfn
    assert trigger.early is None
    assert trigger.late.underlying == AfterCount(1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"early_every": 0}, "early panes can come every second at most, not every 0 s"),
        ({"late_every": -1}, "late_every cannot be negative: -1 s"),
        ({"allowed_lateness": -1}, "allowed_lateness cannot be negative: -1 s"),
        ({"margin": -1}, "margin cannot be negative: -1 s"),
        ({"margin": 60}, "a margin of 60 s could make the runner drop readings: at least a day"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Triggers(**options)
