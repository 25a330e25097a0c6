"""When a stream commits: often enough for its readers, and a part of the time only."""

from __future__ import annotations

import time

__all__ = ["GATHER", "CommitPace"]

GATHER, LEAST_EVERY = 0.05, 0.25
"""Seconds that a commit waits for files that come together; and from one commit to the next."""
BUSY = 3
"""Commits take one part in so many of the time."""
RESERVE = 0.5
"""Seconds of rest that are saved up for commits that do not wait."""


class CommitPace:
    """Says how long the next commit is to wait for more files.

    After each commit there is a rest of twice its time. Rest that was not asked for is saved up, as
    a leaky bucket does (Turner 1986, "New directions in communications"): an urgent commit may use
    it, so that it does not wait because others were just made, or took long.

    Args:
        most: seconds that it waits at most.
    """

    def __init__(self, most: float) -> None:
        self._most = most
        # What was left of the rest when the last commit ended: below 0 it is saved up.
        self._ended, self._rest = 0.0, 0.0

    def wait(self, *, urgent: bool) -> float:
        """Seconds from now until the next commit.

        Args:
            urgent: use the rest that is saved up.
        """
        passed = time.monotonic() - self._ended
        rest = max(self._rest - passed, -RESERVE)
        if not urgent:
            rest = max(rest + RESERVE, LEAST_EVERY - passed)
        return min(self._most, max(GATHER, rest))

    def end(self, took: float) -> None:
        """Notes that a commit has ended.

        Args:
            took: how many seconds it took.
        """
        now = time.monotonic()
        before = max(self._rest - (now - took - self._ended), -RESERVE)
        self._ended, self._rest = now, before + (BUSY - 1) * took
