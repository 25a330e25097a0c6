"""Sends readings of sensors that are not there: `python -m pipelines.simulate`.

python -m pipelines.simulate --messages 100000 --output readings.jsonl --counts sent.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.console import fail
from simulation.batch import Batch
from simulation.counts import Counts
from simulation.options import parse_options
from simulation.outputs.open_output import is_file, open_output, takes_arrays
from simulation.outputs.output import Output, OutputError, ReaderGoneError
from simulation.pace import paced, unpaced
from simulation.plan import Plan, make_plan
from simulation.progress import Progress

__all__ = ["main"]

FAILURE, USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends messages until all are sent, or until it is interrupted, which is no failure.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code: 0, 1 where messages could not be sent, 2 where the command line is wrong.
    """
    options = parse_options(arguments)
    stop = threading.Event()
    with _interrupts(stop):
        try:
            plan = make_plan(options, is_file=is_file(options))
        except (ValueError, OSError) as error:
            return fail(str(error), USAGE)
        counts = Counts(options.allowed_lateness, options.max_future)
        code = _send(options, plan, counts, stop)
    if options.counts:
        try:
            _write_counts(options, counts)
        except OSError as error:
            return fail(f"{options.counts} cannot be written: {error.strerror}", FAILURE)
    return code


def _send(options: argparse.Namespace, plan: Plan, counts: Counts, stop: threading.Event) -> int:
    json_only = takes_arrays(options)
    batches = plan.batches(options.format, options.seed, json_only=json_only)
    progress = Progress(counts, shown=not options.quiet)
    try:
        output = open_output(options, plan.clock.start, counts, stop)
        with contextlib.closing(output):
            progress.begin(getattr(output, "address", ""))
            if plan.is_paced:
                start, end, began = plan.clock.start, plan.end, plan.began
                batches = paced(batches, start, end, plan.speed, stop, began)
            else:
                batches = unpaced(batches, stop)
            _send_all(batches, output, progress)
    except OutputError as error:
        progress.end()
        return fail(str(error), FAILURE)
    except ReaderGoneError:
        pass
    progress.end()
    return 0


def _send_all(batches: Iterator[Batch], output: Output, progress: Progress) -> None:
    for batch in batches:
        output.send(batch)
        progress.show()


def _write_counts(options: argparse.Namespace, counts: Counts) -> None:
    asked = {name: value for name, value in vars(options).items() if name != "kafka_option"}
    if "@" in options.output:
        asked["output"] = "(an address with a password)"
    text = json.dumps({**counts.as_dict(), "options": asked}, indent=2, ensure_ascii=False)
    path = Path(options.counts)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(path)


@contextlib.contextmanager
def _interrupts(stop: threading.Event) -> Iterator[None]:
    """The first interrupt, or the word to end, sets `stop`; the second acts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in before:
        signal.signal(number, notice)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(code: int) -> None:
    """Ends the process at once: clients of queues take their time to end their threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
