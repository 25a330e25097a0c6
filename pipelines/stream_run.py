"""The main job on sources that do not end, until they are stopped."""

from __future__ import annotations

import argparse
import contextlib
import logging
import time
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from connectors.streams.readers import finish_reading
from connectors.streams.written_positions import written_positions
from pipelines.begin_run import begin_run
from pipelines.flink_options import given_options
from pipelines.job import Job
from pipelines.local_runner import cores
from pipelines.metrics_server import serving_metrics
from pipelines.outcome import Outcome
from pipelines.progress import hidden_errors
from pipelines.runner_names import has_one_life, is_here
from pipelines.savepoints import from_savepoint
from pipelines.stopping import stopped_by_signals, tell
from pipelines.stream_progress import stream_progress
from pipelines.stream_runner import check_streams, in_this_process, stream_options
from pipelines.stream_sources import StreamSources
from transforms.balance import Tallies

__all__ = ["run_stream"]


def run_stream(
    options: argparse.Namespace, arguments: Sequence[str], job: Job, uris: Sequence[str]
) -> Outcome:
    """Reads until the sources end or are stopped.

    Args:
        options: the command line's.
        arguments: Beam's options as the user gave them.
        job: what is made of the readings.
        uris: the sources.

    Returns:
        How the run ended.

    Raises:
        InputError: a source or the runner is wrong.
        OutputError: the dataset of BigQuery cannot be used.
        StoreError: the store cannot be used.
        UsageError: the runner runs no streams.
    """
    from pipelines.regional_means import build  # noqa: PLC0415 - it imports this one

    began = time.monotonic()
    runner = PipelineOptions(list(arguments)).view_as(StandardOptions).runner
    check_streams(runner)
    sources = StreamSources.of(uris, options, job.output, runner)
    given = given_options(arguments)
    if is_here(runner, given):
        # What the runner keeps ends with this process: nobody could go on from it.
        job = job.for_cores(cores(), durable=not has_one_life(given))
    store, job, run = begin_run(job, sources.uris)
    if store is not None:
        run, arguments = from_savepoint(store, job, run, arguments, tell)
    read = sources.reading(job, options)
    shown = not options.quiet and options.format == "table"
    if not options.verbose:
        logging.disable(logging.CRITICAL)
    with stream_options(arguments, ends=job.stop_when_idle is not None) as beam_options:
        tallies = Tallies()
        pipeline = beam.Pipeline(options=beam_options)
        build(sources.payloads(pipeline, read), job, run)
        if shown:
            for line in (*sources.lines, f"reading {', '.join(run.inputs)}; Ctrl-C ends it"):
                tell(line)
        with (
            contextlib.nullcontext() if options.verbose else hidden_errors(),
            stopped_by_signals(tell if shown else lambda _: None),
            stream_progress(shown=shown),
            serving_metrics(options.metrics_port, tallies, here=in_this_process(beam_options)),
        ):
            ended = False
            try:
                result = pipeline.run()
                result.wait_until_finish()
                ended = True
            finally:
                stored = store.positions() if store else written_positions(job.output, ended=ended)
                finish_reading(read.name, stored)
        metrics = tallies if in_this_process(beam_options) else result.metrics()
        return Outcome.of(run, job.output, metrics, time.monotonic() - began)
