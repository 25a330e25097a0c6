"""Stopping a stream: the first signal lets it give out what it has, the second ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from connectors.streams.source import STOP
from pipelines.children import kill_children
from pipelines.console import INTERRUPTED

__all__ = ["stopped_by_signals", "tell"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stopped_by_signals(say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, an interrupt or a termination ends the sources first.

    Args:
        say: tells the user what happens.
    """
    STOP.clear()

    def notice(_: int, __: FrameType | None) -> None:
        if STOP.is_set():
            say("error: interrupted; the store holds what was committed before")
            kill_children()
            # Beam's threads would complain of each other.
            os._exit(INTERRUPTED)
        STOP.set()
        say("stopping: what has been read is given out and stored; once more ends it at once")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, notice) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        STOP.clear()


def tell(sentence: str) -> None:
    """Writes a line to the terminal's standard error, also while Beam's is hidden."""
    print(sentence, file=sys.__stderr__, flush=True)
