"""What every section needs: a folder that is removed, a broker, a topic, a job that has begun."""

from __future__ import annotations

import contextlib
import datetime
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.files import NoSpaceError
from benchmarks.streaming.broker import Broker, running_broker
from benchmarks.streaming.job import LOG, Job, JobFailedError, running_job

__all__ = ["Scene", "scene", "wait_until_reading"]

START_SECONDS = 400.0
RESERVE = 4_000_000_000


@dataclass(frozen=True)
class Scene:
    """A broker with a topic.

    Attributes:
        folder: for all that is written; removed at the end.
        broker: the broker.
        topic: its topic.
        partitions: how many it has.
    """

    folder: Path
    broker: Broker
    topic: str
    partitions: int

    @contextlib.contextmanager
    def job(self, runner: str, arguments: Sequence[object]) -> Iterator[Job]:
        """Runs the job on the topic while the block does.

        Args:
            runner: `flink` or `prism`.
            arguments: of the job, but for input, output and runner.
        """
        uri = self.broker.uri(self.topic)
        with running_job(self.folder, runner, ["--input", uri, *arguments]) as job:
            yield job

    def greet(self) -> int:
        """Sends a reading at sea into each partition, by which one sees that the job has begun.

        Returns:
            How many readings these are.
        """
        producer = Producer({"bootstrap.servers": self.broker.address, "log_level": 0})
        now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S}"
        for partition in range(self.partitions):
            reading = {"id": f"first-{partition}", "timestamp": now, "lat": 45.6, "lon": -8.0}
            text = json.dumps({**reading, "temperature": 12.5, "country": "sea"})
            producer.produce(self.topic, text.encode(), partition=partition)
        producer.flush(30)
        return self.partitions


@contextlib.contextmanager
def scene(data: Path, partitions: int, room: float) -> Iterator[Scene]:
    """Sets all up, and removes it after the block.

    Args:
        data: the folder of the benchmarks' data, on the disk that is used.
        partitions: of the topic.
        room: bytes that will be written, at most.

    Raises:
        NoSpaceError: the disk has too little room.
        BrokerError: the broker cannot be started.
    """
    free = shutil.disk_usage(data).free
    if free < room + RESERVE:
        msg = f"{(room + RESERVE) / 1e9:.1f} GB needed for a topic, {free / 1e9:.1f} GB free"
        raise NoSpaceError(msg)
    folder = Path(tempfile.mkdtemp(prefix="stream-", dir=data)).absolute()
    try:
        with running_broker(folder) as broker:
            broker.make("readings", partitions)
            yield Scene(folder, broker, "readings", partitions)
    except JobFailedError:
        # The error is one sentence; this is all that the job has said.
        with contextlib.suppress(OSError):
            shutil.copyfile(folder / LOG, data / f"failed-{LOG}")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_reading(job: Job, readings: int) -> float:
    """Waits until the job says that it has read so many.

    Returns:
        The seconds that it took.

    Raises:
        JobFailedError: it has ended, or says nothing of the kind.
    """
    began = time.monotonic()
    while job.read < readings:
        job.check()
        if time.monotonic() - began > START_SECONDS:
            msg = f"the job has read nothing for {START_SECONDS:.0f} s"
            raise JobFailedError(msg)
        time.sleep(0.1)
    return time.monotonic() - began
