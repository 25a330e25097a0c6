"""Event-time windows: how a user writes them, and which windows slices of time make up."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transforms.spans import Ints

__all__ = [
    "HOURLY",
    "SLIDING",
    "SlidingWindow",
    "parse_duration",
    "parse_window",
    "slice_seconds",
    "windows_over",
]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
LENGTH = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
MAX_SECONDS = 366 * 86_400
MAX_OVERLAP = 10_000


@dataclass(frozen=True, order=True)
class SlidingWindow:
    """Windows of one size that begin at every multiple of a period since the epoch, in UTC.

    Attributes:
        size: length of a window in seconds.
        period: seconds from one window's start to the next one's; equal to `size` for windows
            that do not overlap.
    """

    size: int
    period: int

    def __post_init__(self) -> None:
        """Refuses windows that are no windows.

        Raises:
            ValueError: with one sentence that says what is wrong.
        """
        if self.period > 0 and self.size // self.period > MAX_OVERLAP:
            msg = (
                f"a window of {self.size} s every {self.period} s puts each reading into "
                f"{self.size // self.period:,} windows; at most {MAX_OVERLAP:,} can be"
            )
            raise ValueError(msg)
        if not 0 < self.period <= self.size <= MAX_SECONDS:
            msg = (
                f"a window of {self.size} s every {self.period} s cannot be: the period must be "
                "at least 1 s and at most the size, and the size at most 366 days"
            )
            raise ValueError(msg)


HOURLY = SlidingWindow(3600, 3600)
SLIDING = SlidingWindow(3600, 300)


def parse_window(text: str) -> SlidingWindow:
    """A window as it stands on the command line.

    Args:
        text: `hourly`, `sliding` (60 minutes every 5), or SIZE or SIZE/PERIOD such as `15m/5m`,
            `10s`, `1d/1h`.

    Returns:
        The window.

    Raises:
        ValueError: the text is no window; one sentence that says what to write.
    """
    named = {"hourly": HOURLY, "sliding": SLIDING}
    if text in named:
        return named[text]
    lengths = [LENGTH.fullmatch(part) for part in text.split("/")]
    seconds = [int(found[1]) * UNITS[found[2]] for found in lengths if found]
    if len(seconds) != len(lengths) or len(lengths) > 2:
        msg = (
            f"unknown window {text!r}: write hourly, sliding, or SIZE/PERIOD such as 15m/5m "
            "(units s, m, h, d)"
        )
        raise ValueError(msg)
    return SlidingWindow(seconds[0], seconds[-1])


def parse_duration(text: str) -> int:
    """A length of time as it stands on the command line.

    Args:
        text: a number and a unit, such as `30s`, `5m`, `1h` or `90d`.

    Returns:
        Seconds.

    Raises:
        ValueError: the text is no length of time; one sentence that says what to write.
    """
    found = LENGTH.fullmatch(text)
    if not found:
        msg = f"unknown length of time {text!r}: write a number and s, m, h or d, such as 30s"
        raise ValueError(msg)
    return int(found[1]) * UNITS[found[2]]


def slice_seconds(windows: Sequence[SlidingWindow]) -> int:
    """The longest slice of time of which all the windows are made up."""
    return math.gcd(*(part for window in windows for part in (window.size, window.period)))


def windows_over(keys: Ints, slices: Ints, size: int, period: int) -> tuple[Ints, Ints, Ints, Ints]:
    """The windows that hold at least one of the slices.

    The cost follows the slices and the windows, not how many windows overlap.

    Args:
        keys: each slice's key, in rising order.
        slices: each slice's number, rising within a key.
        size: slices in a window.
        period: slices from one window's start to the next one's.

    Returns:
        For each window its key, its first slice's number, and the range of rows that it holds:
        from the first index up to, not including, the second.
    """
    # Windows are numbered by their start in periods; a slice lies in the windows first to last.
    first = -((size - 1 - slices) // period)
    last = slices // period
    new_key = np.ones(len(keys), bool)
    new_key[1:] = keys[1:] != keys[:-1]
    begin = first.copy()
    begin[1:] = np.where(new_key[1:], first[1:], np.maximum(first[1:], last[:-1] + 1))
    counts = np.maximum(last - begin + 1, 0)
    row = np.repeat(np.arange(len(keys)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = (begin[row] + within) * period
    # One number orders key and slice together, so that a binary search finds the row.
    lowest = int(slices.min(initial=0)) - size
    span = int(slices.max(initial=0)) + size - lowest + 1
    place = np.cumsum(new_key) * span + (slices - lowest)
    window_place = (place - slices)[row] + starts
    return (
        keys[row],
        starts,
        np.searchsorted(place, window_place),
        np.searchsorted(place, window_place + size),
    )
