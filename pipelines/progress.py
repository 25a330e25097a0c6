"""The progress bar: bytes read of bytes to read, and readings a second."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]

EVERY = 0.1


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
    if not (shown and sys.stderr.isatty()):
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
        console=Console(stderr=True),
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
