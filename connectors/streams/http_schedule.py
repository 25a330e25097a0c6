"""When an address is asked next: every so often, and less often while it fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_BACK_OFF", "LONGEST_RETRY_AFTER", "Schedule", "retry_after"]

FIRST_BACK_OFF = 2.0
LONGEST_BACK_OFF = 60.0
LONGEST_RETRY_AFTER = 300.0
"""Seconds. A server that asks for more is asked again all the same."""


class Schedule:
    """Says when the next request is due.

    Requests are `interval` apart, from start to start; one that takes longer is followed by the
    next at once. After failures they are further apart, by a random time of up to 2, 4, 8, …, 60
    seconds ("exponential back-off and full jitter"), and as far as the server asks for.

    Args:
        interval: seconds.
        clock: seconds that only go forward.
        jitter: a random number between two.
    """

    def __init__(
        self,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._interval, self._clock, self._jitter = interval, clock, jitter
        self._due = clock()
        self._failures = 0
        self._failing_since: float | None = None
        self._started: float = self._due

    @property
    def wait(self) -> float:
        """Seconds until the next request is due; 0 when it is."""
        return max(self._due - self._clock(), 0.0)

    def start(self) -> None:
        """A request begins."""
        self._started = self._clock()
        self._due = self._started + self._interval

    def succeed(self) -> None:
        """The request was answered."""
        self._failures, self._failing_since = 0, None

    def fail(self, asked: float | None = None) -> float:
        """The request failed.

        Args:
            asked: how many seconds the server asks to wait; None where it says nothing.

        Returns:
            For how many seconds there has been nothing but failures.
        """
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = self._started
        self._failures += 1
        longest = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(self._failures - 1, 30))
        self._due = max(self._due, now) + self._jitter(0.0, longest)
        if asked is not None:
            self._due = max(self._due, now + min(asked, LONGEST_RETRY_AFTER))
        return now - self._failing_since


def retry_after(value: str | None, date: str | None, now: float) -> float | None:
    """How long a server asks to be left alone (RFC 9110, 10.2.3).

    Args:
        value: of its header `Retry-After`: seconds, or a date.
        date: of its header `Date`, by which a date is understood: its clock may be wrong.
        now: seconds since the epoch, for servers that do not say their time.

    Returns:
        Seconds, 0 or more; None where it says nothing that can be understood.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    until = _moment(text)
    if until is None:
        return None
    at = _moment(date or "")
    return max(until - (now if at is None else at), 0.0)


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
