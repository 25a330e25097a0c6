"""What every output has, and what goes wrong with it."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np

from simulation.batch import Batch
from simulation.schedule import Integers

__all__ = ["Output", "OutputError", "ReaderGoneError", "wall_clock"]


class OutputError(Exception):
    """An output takes no messages; the text is one sentence that says why and what to do."""


class ReaderGoneError(Exception):
    """Whoever read the output has seen enough."""


class Output(Protocol):
    """Takes messages, and counts those that were taken."""

    def send(self, batch: Batch) -> None:
        """Sends messages.

        Raises:
            OutputError: they are not taken.
            ReaderGoneError: nobody reads any more.
        """

    def close(self) -> None:
        """Waits until all is sent.

        Raises:
            OutputError: some of it is not taken.
        """


def wall_clock(count: int) -> Integers:
    """Now, so many times, in microseconds since the epoch."""
    return np.full(count, time.time_ns() // 1_000, np.int64)
