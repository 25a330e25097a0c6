"""When measurements are made, and what goes wrong with their messages."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

__all__ = ["HOUR", "MOST_DELAY", "Clock", "Faults"]

Integers = npt.NDArray[np.int64]

MOST_DELAY = 8
"""No delay is longer than so many times the mean."""
HOUR = 3_600_000_000


@dataclass(frozen=True)
class Clock:
    """When measurements are made: evenly, all sensors in turn.

    Attributes:
        start: the first, in microseconds since the epoch.
        step: from one to the next, in nanoseconds, at least 1.
        sensors: how many sensors there are.
    """

    start: int
    step: int
    sensors: int

    def at(self, numbers: Integers) -> Integers:
        """When measurements are made, in microseconds since the epoch."""
        return self.start + numbers * self.step // 1_000

    def last_before(self, moments: Integers) -> Integers:
        """The number of the last measurement that was made up to each moment."""
        return ((moments - self.start) * 1_000 + 999) // self.step

    def turns(self, atleast: int) -> int:
        """A time of whole rounds of all sensors that is as long as this, in microseconds."""
        turn = self.step * self.sensors
        return -(-atleast * 1_000 // turn) * turn // 1_000

    @property
    def turn(self) -> int:
        """From one measurement of a sensor to its next, in microseconds."""
        return self.step * self.sensors // 1_000


@dataclass(frozen=True)
class Faults:
    """What goes wrong: shares of the measurements, 0 to 1.

    Attributes:
        late: sent after a delay.
        too_late: sent when the pipeline no longer takes them, because they are that old.
        future: from a clock that is far ahead.
        duplicates: sent twice.
        corrections: followed by a newer version.
        deletions: followed by a message that takes the measurement back.
        bad: no readings.
        extra_fields: with fields that nobody asked for; they are good.
        delay: the mean of all delays, in microseconds.
        allowed_lateness, max_future: as the pipeline has them, in microseconds.

    Raises:
        ValueError: a share is not between 0 and 1, or some are together more than 1.
    """

    late: float = 0.0
    too_late: float = 0.0
    future: float = 0.0
    duplicates: float = 0.0
    corrections: float = 0.0
    deletions: float = 0.0
    bad: float = 0.0
    extra_fields: float = 0.0
    delay: int = 300_000_000
    allowed_lateness: int = 24 * HOUR
    max_future: int = 300_000_000

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(each.default, float) and not 0 <= value <= 1:
                msg = f"--{each.name} must be between 0 and 1, not {value}"
                raise ValueError(msg)
        if self.bad + self.too_late + self.future > 1:
            msg = "--bad, --too_late and --future are together more than 1"
            raise ValueError(msg)
        if MOST_DELAY * self.delay > self.allowed_lateness:
            msg = (
                f"--delay must be at most an {MOST_DELAY}th of --allowed_lateness, "
                "else delayed messages would be too late"
            )
            raise ValueError(msg)
