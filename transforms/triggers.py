"""When the results of a stream are given out: early, at the watermark, and late."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.transforms.trigger import (
    AccumulationMode,
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    Repeatedly,
)
from apache_beam.transforms.window import FixedWindows, GlobalWindows, SlidingWindows

from transforms.windows import SlidingWindow

__all__ = ["Triggers", "all_at_once"]

DAY = 86_400


@dataclass(frozen=True)
class Triggers:
    """When the windows of a stream are given out. All numbers are seconds.

    Attributes:
        early_every: how long after the first change since the last pane, by the clock, an early
            pane comes; None for no early panes.
        late_every: the same for late panes; 0 for a pane at each bundle of late readings.
        allowed_lateness: how long after a window's end its readings still change it. A reading
            that arrives later is `too_late`: `ParseReadings` is told the same number.
        margin: how much longer than that the runner keeps a window. Whether a reading is too late
            is said by its own times only. The runner goes by its watermark, which may be ahead of
            them: a subscription that nobody read for days, a version that takes a reading out of
            an old window. What the runner thinks too late it drops without a word, so it must
            never come to that. The default is as long as Pub/Sub keeps messages.

    Raises:
        ValueError: a number that cannot be; one sentence that says which.
    """

    early_every: int | None = 30
    late_every: int = 30
    allowed_lateness: int = DAY
    margin: int = 7 * DAY

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        if self.early_every is not None and self.early_every < 1:
            msg = f"early panes can come every second at most, not every {self.early_every} s"
            raise ValueError(msg)
        for name in ("late_every", "allowed_lateness", "margin"):
            if getattr(self, name) < 0:
                msg = f"{name} cannot be negative: {getattr(self, name)} s"
                raise ValueError(msg)
        if self.margin < DAY:
            msg = f"a margin of {self.margin} s could make the runner drop readings: at least a day"
            raise ValueError(msg)

    @property
    def runner_lateness(self) -> int:
        """How long after a window's end the runner keeps it, in seconds."""
        return self.allowed_lateness + self.margin

    def windows(self, window: SlidingWindow) -> beam.WindowInto:
        """Puts elements into event-time windows, each pane of which holds what is new.

        Args:
            window: the windows, aligned to the epoch.
        """
        if window.size == window.period:
            into = FixedWindows(window.size)
        else:
            into = SlidingWindows(window.size, window.period)
        early = None if self.early_every is None else AfterProcessingTime(self.early_every)
        late = AfterProcessingTime(self.late_every) if self.late_every else AfterCount(1)
        return beam.WindowInto(
            into,
            trigger=AfterWatermark(early=early, late=late),
            accumulation_mode=AccumulationMode.DISCARDING,
            allowed_lateness=self.runner_lateness,
        )


def all_at_once() -> beam.WindowInto:
    """Puts elements into the one global window, where grouping passes them on as they come.

    A sink that groups would hold late panes back for ever, or lose them, in windows of their own.
    """
    return beam.WindowInto(
        GlobalWindows(),
        trigger=Repeatedly(AfterCount(1)),
        accumulation_mode=AccumulationMode.DISCARDING,
    )
