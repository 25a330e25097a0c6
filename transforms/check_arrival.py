"""Which readings come too late, or from the future: by their own times, never by a watermark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reasons import Causes
from transforms.numbers import MICROS

__all__ = ["ArrivalRule", "mark_too_late"]


@dataclass(frozen=True)
class ArrivalRule:
    """How far the arrival of a reading may be from its event time, in seconds.

    The rule looks at nothing but the reading, so it says the same in every run and on every
    runner. A reading without `arrived_at` (of a file) is never too late, nor is a deletion.

    Attributes:
        allowed_lateness: how long after its event time it may arrive; None: any time.
        max_future: how far its event time may be ahead of its arrival; None: any time.

    Raises:
        ValueError: a negative number.
    """

    allowed_lateness: int | None
    max_future: int | None

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        for name in ("allowed_lateness", "max_future"):
            seconds = getattr(self, name)
            if seconds is not None and seconds < 0:
                msg = f"{name} cannot be negative: {seconds} s"
                raise ValueError(msg)

    def causes(self, batch: pa.RecordBatch, causes: Causes) -> npt.NDArray[np.uint8] | None:
        """What is wrong with the arrival of readings.

        Args:
            batch: of schema `READINGS`.
            causes: numbers the causes.

        Returns:
            The number of each row's cause, 0 where nothing is wrong; None where nothing is with
            any row.
        """
        arrivals = batch.column("arrived_at").view(pa.int64())
        if arrivals.null_count == len(arrivals):
            return None
        times = batch.column("event_time").view(pa.int64())
        known = arrivals.is_valid().to_numpy(zero_copy_only=False)
        known &= times.is_valid().to_numpy(zero_copy_only=False)
        after = np.asarray(arrivals.fill_null(0)) - np.asarray(times.fill_null(0))
        found = np.zeros(len(after), np.uint8)
        if self.allowed_lateness is not None:
            late = known & (after > self.allowed_lateness * MICROS)
            if late.any():
                detail = f"it arrived more than {self.allowed_lateness:,} s after its event time"
                found[late] = causes.number("too_late", detail)
        if self.max_future is not None:
            ahead = known & (after < -self.max_future * MICROS)
            if ahead.any():
                detail = f"its event time is more than {self.max_future:,} s ahead of its arrival"
                found[ahead] = causes.number("from_the_future", detail)
        return found if found.any() else None


def mark_too_late(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with a column that says of all its readings that they came too late."""
    marks = pa.array(np.ones(batch.num_rows, np.bool_))
    return batch.append_column("too_late", marks)
