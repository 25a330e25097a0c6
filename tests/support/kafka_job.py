"""The main job over a Kafka topic, as a process of its own that a test can kill.

python -m tests.support.kafka_job URI FOLDER [--stop_when_idle 3] [--idle clock] [--idle_after 60]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from connectors.input_error import InputError
from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.streams.java_kafka import ReadFromKafkaByJava
from connectors.streams.kafka import KafkaSource
from connectors.streams.read_stream import ReadStream
from connectors.streams.readers import finish_reading
from connectors.streams.watermarks import Watermarks
from pipelines.job import job_of
from pipelines.options import parse_options
from pipelines.prism import find_prism
from pipelines.regional_means import build
from pipelines.stream_runner import in_this_process, stream_options
from transforms.balance import Tallies, names_in, read_balance

ROOT = Path(__file__).parents[2]


def command(uri: str, folder: Path, *more: object) -> list[str]:
    """The command line of this job."""
    script = [sys.executable, "-m", "tests.support.kafka_job", uri, str(folder)]
    return [*script, *map(str, more)]


def need_prism() -> None:
    """Skips the test where Prism is not installed."""
    try:
        find_prism()
    except InputError as error:
        pytest.skip(str(error))


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """Runs the job to its end; gives its balance and what its source counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("folder")
    parser.add_argument("--stop_when_idle", type=float, default=3.0)
    parser.add_argument("--idle", default="clock")
    parser.add_argument("--idle_after", type=float, default=60.0)
    parser.add_argument("--java", help="read by Beam's KafkaIO of this expansion service")
    own, rest = parser.parse_known_args(list(arguments))
    options, beam_arguments = parse_options(["--output", own.folder, *rest])
    job, store = job_of(options), LocalStore(own.folder)
    store.prepare()
    run = Run(
        uuid.uuid4().hex,
        store.next_revision(),
        datetime.datetime.now(datetime.UTC),
        (own.uri,),
        tuple((window.size, window.period) for window in job.windows),
    )
    source = KafkaSource.parse(own.uri, output=own.folder)
    watermarks = Watermarks(job.message_format, idle=own.idle, idle_after=own.idle_after)
    name = ""
    if own.java:
        read: Any = ReadFromKafkaByJava(source, own.java, commit=False)
    else:
        read = ReadStream([source], watermarks, own.folder, own.stop_when_idle)
        name = read.name
    with stream_options(beam_arguments) as beam_options:
        tallies = Tallies()
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline | "Read" >> read, job, run)
        try:
            result = pipeline.run()
            result.wait_until_finish()
        finally:
            finish_reading(name, store.positions())
        metrics = tallies if in_this_process(beam_options) else result.metrics()
        return {
            "balance": dict(read_balance(metrics)),
            "source": names_in(metrics, "source"),
        }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])), flush=True)
    os._exit(0)
