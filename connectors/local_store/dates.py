"""The dates by which the archive is cut, as whole days since the epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["DAY", "DELETIONS", "SEVERAL", "Days", "day_of", "days_of", "partition_of"]

DAY = 86_400_000_000
"""Microseconds of a day."""

DELETIONS = int(np.iinfo(np.int64).min)
"""Stands for the date of deletions, which have no event time."""

SEVERAL = int(np.iinfo(np.int64).max)
"""Stands for the date of a file that holds several."""

PREFIX = "event_date="
NAMES = {DELETIONS: "none", SEVERAL: "several"}

Days = npt.NDArray[np.int64]


def days_of(times: pa.Array) -> Days:
    """The day of each event time; `DELETIONS` for NULL.

    Args:
        times: of type timestamp[us, UTC].
    """
    days: Days = np.asarray(times.view(pa.int64()).fill_null(0)) // DAY
    if times.null_count:
        days[np.asarray(times.is_null())] = DELETIONS
    return days


def partition_of(day: int) -> str:
    """The name of the folder with the readings of a day."""
    if day in NAMES:
        return PREFIX + NAMES[day]
    # Arrow knows years that Python does not.
    date = pa.scalar(day, pa.int32()).cast(pa.date32())
    return PREFIX + str(date.cast(pa.string()).as_py())


def day_of(path: str) -> int:
    """The day of a file of the archive, by its path; `SEVERAL` where it names none."""
    text = path.rpartition("/")[0].rpartition("/")[2].removeprefix(PREFIX)
    for day, name in NAMES.items():
        if text == name:
            return day
    try:
        return int(pa.scalar(text).cast(pa.date32()).cast(pa.int32()).as_py())
    except pa.ArrowInvalid:
        return SEVERAL
