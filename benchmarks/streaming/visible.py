"""Sees from outside when a message is in the topic, its readings in the store, and its results.

One thread reads the topic beside the job; another looks fifty times a second whether the store has
a new manifest, and reads the files that it names for the first time.
"""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

from connectors.local_store.manifest import MANIFEST

__all__ = ["Latencies", "Onlooker"]

LOOK_EVERY = 0.02
MEANS, READINGS = "regional_means_revisions", "readings"
COLUMNS = ["sensor_id", "quantity", "window_start", "count"]
Floats = npt.NDArray[np.float64]
Key = tuple[str, str, int]
"""Sensor, quantity, and start of a window in microseconds."""


@dataclass(frozen=True)
class Message:
    """A message of a sensor.

    Attributes:
        identifier: its own.
        sensor: the sensor's.
        needs: the windows that its readings belong to, and the how many-th of each they are.
        measured: when, as the message's timestamp has it, in seconds since the epoch.
        seen: when it could be had from the topic.
    """

    identifier: str
    sensor: str
    needs: tuple[tuple[Key, int], ...]
    measured: float
    seen: float


@dataclass(frozen=True)
class Latencies:
    """Seconds from the measurement of each message.

    Attributes:
        ingested: until it was in the topic.
        stored: until the store showed all its readings.
        results: until the store showed, for each of its readings, a row of every window of it that
            counts it.
        lost: messages whose readings or results were not seen.
    """

    ingested: Floats
    stored: Floats
    results: Floats
    lost: int


@dataclass
class Onlooker:
    """Watches a topic and a store.

    Args:
        address: `HOST:PORT` of the broker.
        topic: its topic.
        partitions: how many it has.
        store: the folder of the store.
        size, period: seconds, of the windows.

    Attributes:
        messages: all that were seen, in the order of each partition.
        files: the paths of the store's files that were read.
        failure: what has ended a thread.
    """

    address: str
    topic: str
    partitions: int
    store: Path
    size: int
    period: int
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins to watch."""
        self._stored: dict[str, float] = {}
        self._counts: dict[Key, int] = {}
        self._rows: dict[Key, list[tuple[float, int]]] = {}
        self.files: set[str] = set()
        self._stop = threading.Event()
        self.failure: Exception | None = None
        jobs = self._read_topic, self._look_at_store
        self._threads = [threading.Thread(target=self._guarded, args=(job,)) for job in jobs]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ends the watch."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def all_seen(self, messages: Sequence[Message]) -> bool:
        """Whether the store shows all readings and results of messages."""
        latencies = self.latencies(messages)
        return not latencies.lost

    def latencies(self, messages: Sequence[Message]) -> Latencies:
        """How long it took with each of the messages, those that were lost left out."""
        ingested, stored, results = [], [], []
        for message in messages:
            at, shown = self._stored.get(message.identifier), self._shown(message)
            if at is not None and shown is not None:
                ingested.append(message.seen - message.measured)
                stored.append(at - message.measured)
                results.append(shown - message.measured)
        found = [np.array(values, float) for values in (ingested, stored, results)]
        return Latencies(found[0], found[1], found[2], len(messages) - len(ingested))

    def _shown(self, message: Message) -> float | None:
        """When the last row came that was needed; None where one has not come."""
        last = 0.0
        for key, place in message.needs:
            rows = self._rows.get(key, [])
            # Rows of a window come with rising times and counts.
            first = bisect.bisect_left(rows, place, key=itemgetter(1))
            if first == len(rows):
                return None
            last = max(last, rows[first][0])
        return last

    def _windows(self, second: int) -> range:
        """The starts of the windows of a moment, in seconds."""
        return range(second // self.period * self.period, second - self.size, -self.period)

    def take(self, message: Any, now: float) -> Message:
        """Notes a message of the topic, seen now, and what it has to be counted in."""
        content = orjson.loads(message.value())
        sensor = str(content["sensor"]["id"])
        second = int(np.datetime64(content["timestamp"].replace(" ", "T"), "s").astype(np.int64))
        needs = []
        for entry in content["sensordatavalues"]:
            for start in self._windows(second):
                key = sensor, entry["value_type"], start * 1_000_000
                self._counts[key] = self._counts.get(key, 0) + 1
                needs.append((key, self._counts[key]))
        stamp = message.timestamp()[1] / 1000
        taken = Message(str(content["id"]), sensor, tuple(needs), stamp, now)
        self.messages.append(taken)
        return taken

    def _guarded(self, job: Any) -> None:
        try:
            job()
        except Exception as error:
            self.failure = error

    def _read_topic(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": "onlooker",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(self.topic, each, 0) for each in range(self.partitions)])
        try:
            while not self._stop.is_set():
                for message in consumer.consume(500, 0.02):
                    if message.error() is None:
                        self.take(message, time.time())
        finally:
            consumer.close()

    def _look_at_store(self) -> None:
        manifest, before = self.store / MANIFEST, 0
        while not self._stop.wait(LOOK_EVERY):
            try:
                changed = manifest.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if changed == before:
                continue
            before, now = changed, time.time()
            tables = json.loads(manifest.read_bytes())["tables"]
            for table, add in ((READINGS, self._add_readings), (MEANS, self._add_means)):
                for file in tables.get(table, ()):
                    if file["path"] not in self.files:
                        self.files.add(file["path"])
                        add(self.store / file["path"], now)

    def _add_readings(self, path: Path, now: float) -> None:
        for identifier in pq.read_table(path, columns=["id"], partitioning=None)["id"].to_pylist():
            # What was merged into a new file stands there again.
            self._stored.setdefault(identifier, now)

    def _add_means(self, path: Path, now: float) -> None:
        rows = pq.read_table(path, columns=COLUMNS, partitioning=None)
        starts = rows["window_start"].cast(pa.int64()).to_pylist()
        texts = rows["sensor_id"].to_pylist(), rows["quantity"].to_pylist()
        for sensor, quantity, start, count in zip(
            *texts, starts, rows["count"].to_pylist(), strict=True
        ):
            listed = self._rows.setdefault((sensor, quantity, start), [])
            if not listed or count > listed[-1][1]:
                listed.append((now, count))
