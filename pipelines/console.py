"""What every command does alike: say why it failed, and write its answer to a reader who may go."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["INTERRUPTED", "fail", "noticed_interrupts", "write_out"]

INTERRUPTED = 130
"""The exit code of a command that was interrupted, as shells have it."""


def fail(message: str, code: int = 1) -> int:
    """Prints one sentence of failure and returns the exit code."""
    print(f"error: {message}", file=sys.stderr)
    return code


def write_out(write: Callable[[], object], trouble: str) -> int:
    """Writes to standard output.

    Args:
        write: does the writing.
        trouble: what to say where the output takes no more; the reason is added.

    Returns:
        The exit code: 0 also where the reader has seen enough and gone, 1 where the output is full.
    """
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
    except OSError as error:
        _write_no_more()
        return fail(f"{trouble}: {error.strerror}")
    return 0


def _write_no_more() -> None:
    """What is left in the buffer goes nowhere: the interpreter would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def noticed_interrupts() -> Iterator[threading.Event]:
    """Notes that the user has interrupted the process, and interrupts it as ever.

    Yields:
        What is set by the first interrupt. In a thread other than the main one, and where somebody
        else handles interrupts, it never is.
    """
    seen = threading.Event()

    def notice(number: int, frame: FrameType | None) -> None:
        seen.set()
        signal.default_int_handler(number, frame)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield seen
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
