"""The main job on sources that do not end, until they are stopped."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import logging
import time
import uuid
from collections.abc import Sequence

import apache_beam as beam

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.streams.read_stream import ReadStream, Watermarks
from connectors.streams.readers import finish_reading
from connectors.streams.uris import open_source
from pipelines.job import Job
from pipelines.outcome import Outcome
from pipelines.progress import hidden_errors
from pipelines.stopping import stopped_by_signals, tell
from pipelines.stream_progress import stream_progress
from pipelines.stream_runner import stream_options

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
        StoreError: the store cannot be used.
    """
    from pipelines.regional_means import build  # noqa: PLC0415 - it imports this one

    began = time.monotonic()
    sources = [open_source(uri, options, job.output) for uri in uris]
    store = LocalStore(job.output)
    store.prepare()
    # What the store holds already is computed for these readings, too.
    job = job.with_windows(store.families())
    run = Run(
        run_id=uuid.uuid4().hex,
        revision=store.next_revision(),
        started_at=datetime.datetime.now(datetime.UTC),
        inputs=tuple(source.uri for source in sources),
        windows=tuple((window.size, window.period) for window in job.windows),
    )
    watermarks = Watermarks(
        job.message_format, job.out_of_orderness, job.max_future, options.idle, job.idle_after
    )
    read = ReadStream(sources, watermarks, job.output, job.stop_when_idle)
    shown = not options.quiet and options.format == "table"
    if not options.verbose:
        logging.disable(logging.CRITICAL)
    with stream_options(arguments) as beam_options:
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline | "Read" >> read, job, run)
        if shown:
            tell(f"reading {', '.join(run.inputs)}; Ctrl-C ends it")
        with (
            contextlib.nullcontext() if options.verbose else hidden_errors(),
            stopped_by_signals(tell if shown else lambda _: None),
            stream_progress(shown=shown),
        ):
            try:
                result = pipeline.run()
                result.wait_until_finish()
            finally:
                finish_reading(read.name, store.positions())
        return Outcome.of(run, job.output, result.metrics(), time.monotonic() - began)
