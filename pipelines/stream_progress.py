"""What a running stream says of itself: one line, again and again on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from transforms.balance import CLASSES, tally

__all__ = ["stream_progress"]

ON_TERMINAL, IN_LOG = 1.0, 30.0
"""Seconds between lines."""


@contextlib.contextmanager
def stream_progress(*, shown: bool) -> Iterator[None]:
    """Shows what has been read and how it is counted, while the body runs.

    On a terminal one line is kept up to date; in a log a line is added every half minute.

    Args:
        shown: False shows nothing.
    """
    stream = sys.__stderr__
    if not shown or stream is None:
        yield
        return
    terminal = stream.isatty()
    before = {name: tally("balance", name) for name in ("read", *CLASSES)}
    done = threading.Event()

    def line(began: float) -> str:
        counts = {name: tally("balance", name) - start for name, start in before.items()}
        rate = counts["read"] / max(time.monotonic() - began, 1e-9)
        classes = ", ".join(
            f"{amount:,} {name.replace('_', ' ')}"
            for name, amount in counts.items()
            if name != "read" and amount
        )
        return f"read {counts['read']:,} readings ({rate:,.0f}/s): {classes or 'none yet'}"

    def show() -> None:
        began = time.monotonic()
        while not done.wait(ON_TERMINAL if terminal else IN_LOG):
            text = line(began)
            stream.write(f"\r\x1b[2K{text}" if terminal else f"{text}\n")
            stream.flush()
        if terminal:
            stream.write("\r\x1b[2K")
            stream.flush()

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield
    finally:
        done.set()
        shower.join()
