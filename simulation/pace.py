"""Sends messages at the times at which they are due, as far as somebody waits for them."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator

import numpy as np

from simulation.batch import Batch

__all__ = ["paced", "unpaced"]

SLICE = 0.05
"""Seconds of messages that are sent at once."""


def paced(
    batches: Iterator[Batch],
    start: int,
    end: int | None,
    speed: float,
    stop: threading.Event,
    began: float | None = None,
) -> Iterator[Batch]:
    """Messages once they are due; rates are kept on the average.

    Args:
        batches: in the order in which they are due.
        start: the simulated time of now, in microseconds since the epoch.
        end: the simulated time from which on nothing is waited for: what would come later is sent
            then.
        speed: simulated seconds a second.
        stop: ends it when it is set.
        began: when that was, by `time.monotonic`; None: when the first message is asked for.
    """
    began = time.monotonic() if began is None else began
    width = max(1, int(SLICE * speed * 1e6))
    for batch in batches:
        dues = batch.messages.dues
        if end is not None and int(dues[-1]) > end:
            messages = dataclasses.replace(batch.messages, dues=np.minimum(dues, end))
            batch = dataclasses.replace(batch, messages=messages)  # noqa: PLW2901 - the same ones
            dues = messages.dues
        cuts = np.flatnonzero(np.diff((dues - start) // width)) + 1
        for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(batch)], strict=True):
            due = began + (int(dues[last - 1]) - start) / 1e6 / speed
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            yield batch.between(first, last)


def unpaced(batches: Iterator[Batch], stop: threading.Event) -> Iterator[Batch]:
    """Messages as fast as they are made."""
    for batch in batches:
        if stop.is_set():
            return
        yield batch
