"""The main job over a Pub/Sub source, as a process of its own that a test may kill.

    python -m tests.support.pubsub_job URI STORE [--idle SECONDS] [--die before|after]

Prints the balance as JSON when the source has been silent for so long; or kills itself before or
after its first commit.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import apache_beam as beam

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.streams.pubsub import PubSubSource
from connectors.streams.read_stream import ReadStream
from connectors.streams.readers import finish_reading
from connectors.streams.watermarks import Watermarks
from pipelines.job import Job, job_of
from pipelines.options import parse_options
from pipelines.regional_means import build
from pipelines.stream_runner import stream_options
from transforms.balance import Tallies, read_balance

ROOT = Path(__file__).parents[2]


def started(uri: str, store: Path, *options: object) -> Any:
    """Starts the job; on Linux its runner ends with it."""
    command = [sys.executable, "-m", "tests.support.pubsub_job", uri, str(store)]
    command += map(str, options)
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def balance_of(process: Any, seconds: float = 180) -> dict[str, int]:
    """Waits for the job's end and gives its balance."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def _job(store: str) -> tuple[Job, Run]:
    options, _ = parse_options(["--output", store, "--allowed_lateness", "30000d"])
    job = job_of(options)
    LocalStore(store).prepare()
    windows = tuple((window.size, window.period) for window in job.windows)
    now = datetime.datetime.now(datetime.UTC)
    return job, Run(uuid.uuid4().hex, LocalStore(store).next_revision(), now, ("pubsub",), windows)


def _dying(commit: Any, moment: str) -> Any:
    def die(*arguments: Any, **options: Any) -> None:
        if moment == "after":
            commit(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("store")
    parser.add_argument("--idle", type=float, default=5.0)
    parser.add_argument("--die", choices=("before", "after"))
    arguments = parser.parse_args()
    if arguments.die:
        LocalStore.commit = _dying(LocalStore.commit, arguments.die)  # type: ignore[method-assign]
    logging.disable(logging.ERROR)
    job, run = _job(arguments.store)
    source = PubSubSource(arguments.uri, output=arguments.store)
    print(source.prepare(), flush=True)
    watermarks = Watermarks(job.message_format, job.out_of_orderness, job.max_future, "clock", 60.0)
    read = ReadStream([source], watermarks, job.output, arguments.idle)
    with stream_options(["--runner=PrismRunner"]) as options:
        tallies = Tallies()
        pipeline = beam.Pipeline(options=options)
        build(pipeline | "Read" >> read, job, run)
        try:
            pipeline.run().wait_until_finish()
        finally:
            finish_reading(read.name, LocalStore(job.output).positions())
        print(json.dumps(read_balance(tallies)), flush=True)


if __name__ == "__main__":
    main()
    # Threads of the SDK's harness may outlive the pipeline.
    sys.stdout.flush()
    os._exit(0)
