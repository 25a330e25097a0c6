"""One batch run of the main job over payloads that are already at hand."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence

import apache_beam as beam

from pipelines.batch_runner import batch_arguments, counted_here
from pipelines.begin_run import begin_run
from pipelines.job import Job
from pipelines.local_runner import LocalRunner
from pipelines.outcome import Outcome
from pipelines.progress import hidden_errors
from transforms.balance import Tallies
from transforms.payload import Payload

__all__ = ["run_payloads"]

INPUT = "replay"
"""What the store remembers as the input of such a run."""


def run_payloads(
    job: Job, payloads: Iterable[Payload], arguments: Sequence[str], began: float
) -> Outcome:
    """Runs the main job over payloads, into the local store.

    Args:
        job: what is made of them.
        payloads: what a source has brought, in memory.
        arguments: Beam's options.
        began: when, by the monotonic clock.

    Returns:
        How the run ended.

    Raises:
        InputError: the runner that the options name is not there.
        StoreError: the store cannot be used.
    """
    from pipelines.regional_means import build  # noqa: PLC0415 - it imports its runs

    listed = list(payloads)
    size = sum(payload.size for payload in listed)
    _, job, run = begin_run(job, [INPUT])
    logging.disable(logging.CRITICAL)
    with (
        batch_arguments(arguments) as complete,
        hidden_errors(),
        job.spilling(enabled=False) as whole,
    ):
        local = LocalRunner(complete, size, pieces=1)
        pipeline = beam.Pipeline(runner=local.runner, options=local.options)
        tallies = Tallies()
        build(pipeline | "Read" >> beam.Create(listed, reshuffle=False), whole, run)
        result = pipeline.run()
        result.wait_until_finish()
    metrics = tallies if counted_here(local.options) else result.metrics()
    return Outcome.of(run, job.output, metrics, time.monotonic() - began)
