"""How the watermark of a part of a source follows what it brings, and the clock."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from connectors.streams.readers import OpenReader
from transforms.balance import count

__all__ = ["IDLE_POLICIES", "FromTheBeginning", "Watermarks", "advance", "follow_clock"]

IDLE_POLICIES = ("clock", "hold")
AHEAD_SECONDS = 43_200.0
"""How far the watermark of an idle part may be ahead of what it has brought, besides the time that
has passed since. Where a topic is filled with what happened long ago, or a clock is wrong, the
clock says nothing of what is still to come, and the runner would drop it: it keeps a window for at
least a day more than readings may be late (`Triggers.margin`)."""


@dataclasses.dataclass(frozen=True)
class Watermarks:
    """How the watermark of a part follows the event times of its messages.

    Attributes:
        message_format: as for `ParseReadings`; the messages' own event times count.
        out_of_orderness: seconds that the watermark stays behind the newest event time.
        max_future: see `EventTimes`.
        idle: what becomes of the watermark of a part that is read to its end and brings nothing for
            `idle_after` seconds: `clock`: it follows the clock, `out_of_orderness` behind, so that
            one silent part does not hold the windows of all back; `hold`: it stays.
        idle_after: seconds.
    """

    message_format: str
    out_of_orderness: int = 300
    max_future: int = 300
    idle: str = "clock"
    idle_after: float = 60.0

    def __post_init__(self) -> None:
        """Refuses an unknown policy."""
        if self.idle not in IDLE_POLICIES:
            msg = f"what idle parts do is {' or '.join(IDLE_POLICIES)}, not {self.idle!r}"
            raise ValueError(msg)


class FromTheBeginning(type(ManualWatermarkEstimator.default_provider())):  # type: ignore[misc]
    """A part that has said nothing yet holds the watermark; one without any does not, on Prism."""

    def initial_estimator_state(self, *_: Any) -> Timestamp:
        return MIN_TIMESTAMP


def advance(seconds: float, estimator: Any) -> None:
    """Moves a watermark on, never back.

    Args:
        seconds: to where, since the epoch.
        estimator: the part's watermark.
    """
    watermark = Timestamp.of(round(seconds, 6))
    before = estimator.current_watermark()
    if before is None or watermark > before:
        estimator.set_watermark(watermark)


def follow_clock(watermarks: Watermarks, idle: float, opened: OpenReader, estimator: Any) -> None:
    """Moves the watermark of a part that is read to its end and brings nothing.

    Args:
        watermarks: whether and when it moves.
        idle: seconds for which nothing has come.
        opened: the part's reader.
        estimator: the part's watermark.
    """
    if idle < watermarks.idle_after:
        return
    count("idle_polls", 1, "source")
    if watermarks.idle != "clock":
        return
    now, before = time.time(), estimator.current_watermark()
    if opened.arrived is None and before is not None and before > MIN_TIMESTAMP:
        # Opened anew. It may have been idle before, and so ahead already.
        opened.arrived = float(before) - AHEAD_SECONDS + 3600
    if opened.arrived is not None:
        now = min(now, opened.arrived + idle + AHEAD_SECONDS)
    advance(now - watermarks.out_of_orderness, estimator)
