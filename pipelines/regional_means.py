"""The main job: from files of readings to regional means that answer SQL.

python -m pipelines.regional_means --input 'readings/*.jsonl' --output results
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import logging
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from pipelines.console import fail, noticed_interrupts, write_out
from pipelines.job import Job, job_of
from pipelines.options import UsageError, check_beam_options, parse_options
from pipelines.startup import import_beam, needs_cloud

if TYPE_CHECKING:
    import apache_beam as beam

    from connectors.local_sink import Run
    from transforms.payload import Payload

__all__ = ["build", "main"]

USAGE, FAILURE, INTERRUPTED = 2, 1, 130
OUR_ERROR = re.compile(r"^(?:\w+\.)*(?:InputError|StoreError): (.*)$", re.MULTILINE)
WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)


def build(payloads: beam.PCollection[Payload], job: Job, run: Run) -> None:
    """The whole job, from what a source brings to the store.

    Args:
        payloads: of files, or an unbounded source's with their arrival.
        job: what is made of them, and where that goes.
        run: the run that the rows belong to.
    """
    import apache_beam as beam  # noqa: PLC0415 - Beam takes a second to import

    from connectors import local_sink as sink  # noqa: PLC0415
    from transforms import (  # noqa: PLC0415
        AssignRegions,
        KeepLatestVersion,
        ParseReadings,
        RegionalMeans,
    )
    from transforms.check_arrival import mark_too_late  # noqa: PLC0415

    lateness, future = job.triggers.allowed_lateness, job.max_future
    parse = ParseReadings(
        job.message_format, hash_raw=False, allowed_lateness=lateness, max_future=future
    )
    keep = KeepLatestVersion(
        job.duplicates, job.shards, job.spill_folder, job.remember_versions, future
    )
    parsed = payloads | "Parse" >> parse
    placed = parsed.readings | "Place" >> AssignRegions()
    latest = placed | "Latest" >> keep
    means = latest | "Means" >> RegionalMeans(job.windows, triggers=job.triggers, partials=True)
    results = {"regional_means_revisions": means, "rejected_readings": parsed.rejected}
    if latest.entries is not None:
        results[sink.ENTRIES] = latest.entries
    if job.archive and payloads.is_bounded:
        results["readings"] = placed
    elif job.archive:
        late = parsed.too_late | "PlaceLate" >> AssignRegions() | beam.Map(mark_too_late)
        results["readings"] = (placed, late) | "Archived" >> beam.Flatten()
    results | "Store" >> sink.WriteToStore(job.output, run)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job as the command line says.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code: 0, 1 where the job failed, 2 where the command line is wrong.
    """
    with noticed_interrupts() as interrupted:
        try:
            return _main(sys.argv[1:] if arguments is None else arguments, interrupted)
        except KeyboardInterrupt:
            return fail("interrupted; the store is as it was", INTERRUPTED)


def _main(arguments: Sequence[str], interrupted: threading.Event) -> int:
    try:
        options, rest = parse_options(arguments)
        import_beam(cloud=needs_cloud(arguments))
        job = job_of(options)
        if rest:
            check_beam_options(rest)
    except UsageError as error:
        return fail(str(error), USAGE)
    from connectors.input_files import InputError  # noqa: PLC0415
    from connectors.local_store import StoreError  # noqa: PLC0415

    try:
        return _run(options, rest, job)
    except Exception as error:
        if interrupted.is_set():
            # A library in whose midst the interrupt came has made another error of it.
            raise KeyboardInterrupt from error
        if isinstance(error, (InputError, StoreError)):
            return fail(WHILE_RUNNING.sub("", str(error)), FAILURE)
        if options.verbose:
            raise
        return fail(_sentence(error), FAILURE)


def _run(options: argparse.Namespace, rest: Sequence[str], job: Job) -> int:
    import apache_beam as beam  # noqa: PLC0415

    from connectors.input_files import InputError, match_inputs, open_file, pieces  # noqa: PLC0415
    from connectors.local_sink import Run  # noqa: PLC0415
    from connectors.local_store import LocalStore, StoreError  # noqa: PLC0415
    from connectors.read_files import BYTES_READ, DAMAGED, SOURCE, ReadFiles  # noqa: PLC0415
    from pipelines.local_runner import LocalRunner  # noqa: PLC0415
    from pipelines.progress import hidden_errors, progress_bar  # noqa: PLC0415
    from pipelines.summary import as_json, as_text, summarise  # noqa: PLC0415
    from transforms.balance import REASONS, closes, names_in, read_balance  # noqa: PLC0415

    began = time.monotonic()
    files = match_inputs(options.input)
    total = sum(file.size for file in files)
    if total == 0:
        msg = f"nothing to read: all files that match {' '.join(options.input)} are empty"
        raise InputError(msg)
    for file in files:
        open_file(file).close()
    store = LocalStore(job.output)
    store.prepare()
    # What the store holds already is computed for these readings, too.
    job = job.with_windows(store.families()).for_size(files)
    run = Run(
        run_id=uuid.uuid4().hex,
        revision=store.next_revision(),
        started_at=datetime.datetime.now(datetime.UTC),
        inputs=tuple(options.input),
        windows=tuple((window.size, window.period) for window in job.windows),
    )
    if not options.verbose:
        logging.disable(logging.CRITICAL)
    local = LocalRunner(rest, total, len(list(pieces(files))))
    pipeline = beam.Pipeline(runner=local.runner, options=local.options)
    plain = total if not any(file.is_gzip for file in files) else None
    shown = not options.quiet and options.format == "table"
    with (
        contextlib.nullcontext() if options.verbose else hidden_errors(),
        job.spilling(enabled=bool(local.forks)) as spilling_job,
        local.workers([(SOURCE, BYTES_READ), ("balance", "read")]) as state,
        progress_bar(plain, state, shown=shown),
    ):
        build(pipeline | "Read" >> ReadFiles(files), spilling_job, run)
        result = pipeline.run()
        result.wait_until_finish()
    balance = read_balance(result.metrics())
    damaged = tuple(sorted(names_in(result.metrics(), DAMAGED)))
    size = names_in(result.metrics(), SOURCE).get(BYTES_READ, 0)
    if not closes(balance):
        return fail(f"the balance does not close, which is a fault of this program: {balance}", 1)
    if balance["read"] == 0:
        reason = "; ".join(damaged) or "nothing but blank lines and empty arrays"
        msg = f"the input holds no readings: {reason}"
        raise InputError(msg)
    if options.quiet:
        return 0
    seconds = time.monotonic() - began
    rejected = names_in(result.metrics(), REASONS)
    try:
        summary = summarise(options.output, run.run_id, balance, rejected, damaged, seconds, size)
    except StoreError as error:
        return fail(f"the results are stored, but cannot be shown: {error}", FAILURE)
    text = as_json(summary) if options.format == "json" else as_text(summary)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return write_out(lambda: print(text), "the results are stored, but cannot be shown")


def _sentence(error: Exception) -> str:
    """The error as one sentence: ours if one of ours is at its root."""
    text = str(error)
    ours = OUR_ERROR.findall(text)
    if ours:
        return WHILE_RUNNING.sub("", ours[-1])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = WHILE_RUNNING.sub("", lines[-1]) if lines else type(error).__name__
    return f"the job failed: {last}; the store is as it was (--verbose shows where)"


def leave(code: int) -> NoReturn:
    """Ends the process at once: all is written, and taking so much apart takes 0.2 s."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
