"""One line on standard error that says how many messages were sent, and how fast."""

from __future__ import annotations

import sys
import time

from simulation.counts import Counts

__all__ = ["Progress"]

EVERY = 0.5


class Progress:
    """Shows how far a simulation is: live on a terminal, else once at the end.

    Args:
        counts: says how many messages were sent.
        shown: whether anything is shown.
    """

    def __init__(self, counts: Counts, *, shown: bool) -> None:
        self._counts, self._shown = counts, shown
        self._live = shown and sys.stderr.isatty()
        self._began = self._last = time.monotonic()
        self._before = 0

    def begin(self, address: str) -> None:
        """Time counts from here.

        Args:
            address: where messages can be fetched; empty where they are sent.
        """
        self._began = self._last = time.monotonic()
        if self._shown and address:
            print(f"serving at {address}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Shows the line anew, if that is not too soon."""
        now = time.monotonic()
        if not self._live or now - self._last < EVERY:
            return
        rate = (self._counts.messages - self._before) / (now - self._last)
        self._last, self._before = now, self._counts.messages
        print(
            f"\rsent {self._counts.messages:,} messages, {rate:,.0f}/s\033[K",
            end="",
            file=sys.stderr,
            flush=True,
        )

    def end(self) -> None:
        """Shows the whole, once."""
        if not self._shown:
            return
        self._shown = False
        seconds = time.monotonic() - self._began
        rate = self._counts.messages / seconds if seconds else 0
        said = f"sent {self._counts.messages:,} messages in {seconds:.1f} s, {rate:,.0f}/s"
        refused = sum(self._counts.refused.values())
        if refused:
            said += f"; {refused:,} were not taken"
        print(f"\r{said}\033[K" if self._live else said, file=sys.stderr, flush=True)
        self._live = False
