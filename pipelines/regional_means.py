"""The main job: from files of readings to regional means that answer SQL.

python -m pipelines.regional_means --input 'readings/*.jsonl' --output results
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from pipelines.console import INTERRUPTED, fail, noticed_interrupts
from pipelines.job import Job, job_of
from pipelines.options import UsageError, check_beam_options, parse_options
from pipelines.startup import import_beam, needs_cloud

if TYPE_CHECKING:
    import apache_beam as beam

    from connectors.local_sink import Run
    from transforms.payload import Payload

__all__ = ["build", "main"]

USAGE, FAILURE = 2, 1
OUR_ERROR = re.compile(r"^(?:\w+\.)*(?:InputError|OutputError|StoreError): (.*)$", re.MULTILINE)
BY_GRPC = re.compile(r'^\s*details = "(.*?)"\s*\n\s*debug_error_string', re.MULTILINE | re.DOTALL)
"""What an error of gRPC says, in the midst of many lines."""
WHILE_RUNNING = re.compile(r" \[while running .*", re.DOTALL)


def build(payloads: beam.PCollection[Payload], job: Job, run: Run) -> None:
    """The whole job, from what a source brings to the store.

    Args:
        payloads: of files, or an unbounded source's with their arrival.
        job: what is made of them, and where that goes.
        run: the run that the rows belong to.
    """
    import apache_beam as beam  # noqa: PLC0415 - Beam takes a second to import
    import pyarrow as pa  # noqa: PLC0415

    from connectors.local_sink import ENTRIES  # noqa: PLC0415
    from pipelines.sinks import open_sink  # noqa: PLC0415
    from transforms import (  # noqa: PLC0415
        AssignRegions,
        KeepLatestVersion,
        ParseReadings,
        RegionalMeans,
    )
    from transforms.check_arrival import mark_too_late  # noqa: PLC0415
    from transforms.running_totals import WithoutRetold  # noqa: PLC0415

    lateness, future = job.triggers.allowed_lateness, job.max_future
    # The local store leaves out what changes nothing.
    retell = job.bigquery is None and not payloads.is_bounded
    parse = ParseReadings(
        job.message_format,
        hash_raw=job.bigquery is not None,
        allowed_lateness=lateness,
        max_future=future,
    )
    keep = KeepLatestVersion(
        job.duplicates,
        job.shards,
        job.spill_folder,
        job.remember_versions,
        future,
        job.group_by,
        retell=retell,
        durable=job.durable,
    )
    parsed = payloads | "Parse" >> parse
    readings, late = parsed.readings, parsed.too_late
    if job.devices is not None:
        from transforms import PlaceDevices  # noqa: PLC0415

        readings = readings | "Devices" >> PlaceDevices(job.devices)
        late = late | "DevicesLate" >> PlaceDevices(job.devices)
    placed = readings | "Place" >> AssignRegions()
    latest = placed | "Latest" >> keep
    means = latest | "Means" >> RegionalMeans(
        job.windows,
        triggers=job.triggers,
        group_by=job.group_by,
        partials=True,
        shards=job.series_shards,
        retell=retell,
    )
    results = {"regional_means_revisions": means, "rejected_readings": parsed.rejected}
    if latest.entries is not None:
        results[ENTRIES] = latest.entries
    if job.archive and payloads.is_bounded:
        results["readings"] = placed
    elif job.archive:
        marked = beam.Map(mark_too_late).with_output_types(pa.RecordBatch)
        late = late | "PlaceLate" >> AssignRegions() | "MarkLate" >> marked
        results["readings"] = (placed, late) | "Archived" >> beam.Flatten()
    results | "Store" >> open_sink(job, run)
    if job.reports or job.dead_letters is not None:
        changed = means | "Changed" >> beam.ParDo(WithoutRetold()) if retell else means
        _send(changed, parsed.rejected, job, run)


def _send(
    means: beam.PCollection[Any], rejected: beam.PCollection[Any], job: Job, run: Run
) -> None:
    """Sends results and rejected records to the queues that want them."""
    from connectors.queue_sinks import WriteToQueue  # noqa: PLC0415
    from transforms import RejectedToMessages, ToMessages  # noqa: PLC0415

    for number, uri in enumerate(job.reports):
        messages = means | f"Report_{number}" >> ToMessages(
            job.report_format, job.group_by, run.run_id
        )
        messages | f"Send_{number}" >> WriteToQueue(uri, job.kafka_options)
    if job.dead_letters is not None:
        letters = rejected | "DeadLetters" >> RejectedToMessages()
        letters | "SendDeadLetters" >> WriteToQueue(job.dead_letters, job.kafka_options)


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
            words = sys.argv[1:] if arguments is None else arguments
            return fail(f"interrupted; {_left(words)}", INTERRUPTED)


def _main(arguments: Sequence[str], interrupted: threading.Event) -> int:
    try:
        options, rest = parse_options(arguments)
        import_beam(cloud=needs_cloud(arguments))
        job = job_of(options)
        if rest:
            check_beam_options(rest)
    except UsageError as error:
        return fail(str(error), USAGE)
    from connectors.input_error import InputError  # noqa: PLC0415
    from connectors.local_store import StoreError  # noqa: PLC0415
    from connectors.output_error import OutputError  # noqa: PLC0415

    try:
        return _run(options, rest, job)
    except UsageError as error:
        return fail(str(error), USAGE)
    except Exception as error:
        if interrupted.is_set():
            # A library in whose midst the interrupt came has made another error of it.
            raise KeyboardInterrupt from error
        if isinstance(error, (InputError, OutputError, StoreError)):
            return fail(WHILE_RUNNING.sub("", str(error)), FAILURE)
        if options.verbose:
            raise
        return fail(_sentence(error, _left(arguments)), FAILURE)


def _run(options: argparse.Namespace, rest: Sequence[str], job: Job) -> int:
    from connectors.streams.uris import split_inputs  # noqa: PLC0415

    files, streams = split_inputs(options.input)
    if files and streams:
        msg = (
            f"{files[0]} ends and {streams[0]} does not: give them runs of their own, at the same "
            "time or one after the other; the store adds them up"
        )
        raise UsageError(msg)
    if streams:
        from pipelines.stream_run import run_stream  # noqa: PLC0415

        return run_stream(options, rest, job, streams).tell(options)
    from pipelines.batch_run import run_batch  # noqa: PLC0415
    from pipelines.batch_runner import batch_arguments  # noqa: PLC0415

    with batch_arguments(rest) as complete:
        return run_batch(options, complete, job).tell(options)


def _left(arguments: Sequence[str]) -> str:
    """What a run leaves that does not come to its end."""
    if any("bigquery://" in word for word in arguments):
        return "what BigQuery has taken stays, and the same command again makes the views right"
    return "the store is as it was"


def _sentence(error: Exception, left: str) -> str:
    """The error as one sentence: ours if one of ours is at its root."""
    text = str(error)
    ours = OUR_ERROR.findall(text)
    if ours:
        return WHILE_RUNNING.sub("", ours[-1])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = BY_GRPC.findall(text)
    if said:
        lines = [f"the runner says: {' '.join(said[-1].split())}"]
    last = WHILE_RUNNING.sub("", lines[-1]) if lines else type(error).__name__
    return f"the job failed: {last}; {left} (--verbose shows where)"


def leave(code: int) -> NoReturn:
    """Ends the process at once: all is written, and taking so much apart takes 0.2 s."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
