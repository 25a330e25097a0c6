"""The main job on files, once through."""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from collections.abc import Sequence

import apache_beam as beam

from connectors.input_files import InputError, match_inputs, open_file, pieces
from connectors.read_files import BYTES_READ, SOURCE, ReadFiles
from pipelines.batch_runner import counted_here
from pipelines.begin_run import begin_run
from pipelines.job import Job
from pipelines.local_runner import LocalRunner
from pipelines.outcome import Outcome
from pipelines.progress import hidden_errors, progress_bar
from transforms.balance import Tallies

__all__ = ["run_batch"]


def run_batch(options: argparse.Namespace, arguments: Sequence[str], job: Job) -> Outcome:
    """Reads the files that the options name.

    Args:
        options: the command line's.
        arguments: Beam's options as the user gave them.
        job: what is made of the readings.

    Returns:
        How the run ended.

    Raises:
        InputError: there is nothing to read, or it cannot be read.
        OutputError: the dataset of BigQuery cannot be used.
        StoreError: the store cannot be used.
    """
    from pipelines.regional_means import build  # noqa: PLC0415 - it imports this one

    began = time.monotonic()
    files = match_inputs(options.input)
    total = sum(file.size for file in files)
    if total == 0:
        msg = f"nothing to read: all files that match {' '.join(options.input)} are empty"
        raise InputError(msg)
    for file in files:
        open_file(file).close()
    _, job, run = begin_run(job, options.input)
    job = job.for_size(files)
    if not options.verbose:
        logging.disable(logging.CRITICAL)
    local = LocalRunner(arguments, total, len(list(pieces(files))))
    pipeline = beam.Pipeline(runner=local.runner, options=local.options)
    plain = total if not any(file.is_gzip for file in files) else None
    shown = not options.quiet and options.format == "table"
    with (
        contextlib.nullcontext() if options.verbose else hidden_errors(),
        job.spilling(enabled=bool(local.forks)) as spilling_job,
        local.workers([(SOURCE, BYTES_READ), ("balance", "read")]) as state,
        progress_bar(plain, state, shown=shown),
    ):
        tallies = Tallies()
        build(pipeline | "Read" >> ReadFiles(files), spilling_job, run)
        result = pipeline.run()
        result.wait_until_finish()
    metrics = tallies if counted_here(local.options) else result.metrics()
    outcome = Outcome.of(run, options.output, metrics, time.monotonic() - began)
    if outcome.balance["read"] == 0:
        reason = "; ".join(outcome.damaged) or "nothing but blank lines and empty arrays"
        msg = f"the input holds no readings: {reason}"
        raise InputError(msg)
    return outcome
