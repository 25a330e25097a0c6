"""The progress bar: bytes read of bytes to read, and readings a second."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["hidden_errors", "progress_bar"]

EVERY = 0.1


@contextlib.contextmanager
def hidden_errors() -> Iterator[None]:
    """Keeps the tracebacks that Beam's workers print away: the error itself says what is wrong.

    Those of threads are kept away for good, for Beam's outlive the pipeline.
    """
    threading.excepthook = lambda _: None
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        yield


@contextlib.contextmanager
def progress_bar(
    total: int | None, state: Callable[[], tuple[int, int]], *, shown: bool
) -> Iterator[None]:
    """Shows a bar on standard error while the body runs, if that is a terminal.

    Args:
        total: bytes to read; None where that cannot be known.
        state: gives the bytes and the readings read so far.
        shown: False shows nothing.

    Yields:
        None; the bar is gone when the body ends.
    """
    if not (shown and sys.__stderr__ and sys.__stderr__.isatty()):
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]} readings/s"),
        TimeElapsedColumn(),
        console=Console(file=sys.__stderr__),
        transient=True,
    )
    done = threading.Event()
    with bar:
        task = bar.add_task("reading", total=total, rate="–")

        def watch() -> None:
            while not done.wait(EVERY):
                size, readings = state()
                elapsed = bar.tasks[0].elapsed or EVERY
                bar.update(task, completed=size, rate=f"{readings / elapsed:,.0f}")

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
