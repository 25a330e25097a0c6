"""Looks at a running stream from outside, again and again, and keeps what it has seen."""

from __future__ import annotations

import csv
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.files import NoSpaceError
from benchmarks.streaming.folders import checkpoint_bytes, folder_bytes
from benchmarks.streaming.lag import Lag
from benchmarks.streaming.processes import Watched, busy_seconds
from connectors.local_store import LocalStore, StoreError

if TYPE_CHECKING:
    from benchmarks.streaming.broker import Broker
    from benchmarks.streaming.job import Job

__all__ = ["PARTS", "Sample", "Watch"]

PARTS = ("broker", "producer", "runner", "python")
ON_TERMINAL, IN_LOG = 1.0, 10.0
"""Seconds between lines."""

LEAST_ROOM = 1_500_000_000
SIZES_EVERY, CLOSELY_EVERY = 5.0, 10.0
Sample = dict[str, float]


@dataclass
class Watch:
    """Takes samples of a stream.

    Args:
        name: what lines begin with.
        broker: its broker.
        topic: its topic.
        partitions: how many it has.
        job: the job.
        path: the CSV file that samples are kept in.
        producer: the producer's process id; None where none runs.
        free: delete messages that are stored, so that the disk need not hold them all.

    Attributes:
        samples: what has been seen. Times are seconds since the watch began, sizes are bytes,
            `messages` were produced, `taken` of them the store has, `left` it has not, `age` is how
            many seconds ago the first of these was sent; `cpu_PART` are seconds so far.
    """

    name: str
    broker: Broker
    topic: str
    partitions: int
    job: Job
    path: Path
    producer: int | None = None
    free: bool = False
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins."""
        self.began = time.monotonic()
        self._epoch = time.time()
        self._lag = Lag(self.partitions)
        self._store = LocalStore(self.job.store)
        parts = {"broker": self.broker.process, "job": self.job.pid}
        if self.producer is not None:
            parts["producer"] = self.producer
        self.processes = Watched(parts)
        self._sizes: Sample = {}
        self._sized = self._closely = self._freed = self._said = float("-inf")

    def positions(self) -> list[int]:
        """Of each partition, the offset up to which the store has all."""
        try:
            found = self._store.positions()
        except StoreError:  # it has not been made
            found = {}
        uri = self.broker.uri(self.topic)
        return [found.get(f"{uri}/{number}", 0) for number in range(self.partitions)]

    def until(
        self,
        condition: Callable[[Sample], bool],
        seconds: float,
        every: float = 1.0,
    ) -> bool:
        """Takes samples until something is so; says whether it was.

        Args:
            condition: what is waited for.
            seconds: how long at most.
            every: seconds between samples.

        Raises:
            JobFailedError: the job has ended meanwhile.
            NoSpaceError: the disk is nearly full.
        """
        until = time.monotonic() + seconds
        try:
            while True:
                began = time.monotonic()
                sample = self.take()
                self._say(sample)
                if condition(sample):
                    return True
                self.job.check()
                if began + every > until:
                    return False
                time.sleep(max(0.0, began + every - time.monotonic()))
        finally:
            self._keep()

    def take(self) -> Sample:
        """One more sample."""
        now = time.monotonic()
        positions, ends = self.positions(), self.broker.ends(self.topic, self.partitions)
        left, age = self._lag.note(now, ends, positions)
        closely = now - self._closely >= CLOSELY_EVERY
        usage = self.processes.look(closely=closely)
        if closely:
            self._closely = now
        if now - self._sized >= SIZES_EVERY:
            self._sized, self._sizes = now, self._measure()
        if self.free and now - self._freed >= SIZES_EVERY:
            self._freed = now
            self.broker.delete_before(self.topic, dict(enumerate(positions)))
        sample: Sample = {
            "time": round(now - self.began, 3),
            "messages": sum(ends),
            "taken": sum(positions),
            "left": left,
            "age": round(age, 3),
            "read": self.job.read,
            "cpu_watch": round(time.process_time(), 2),
            "cpu_machine": round(busy_seconds(), 2),
            **self._sizes,
        }
        for part in PARTS:
            found = usage.get(part)
            sample[f"cpu_{part}"] = round(found.cpu, 2) if found else 0.0
            sample[f"memory_{part}"] = found.memory if found else 0
            sample[f"private_{part}"] = found.private if found else 0
        self.samples.append(sample)
        return sample

    def _keep(self) -> None:
        """Writes all samples."""
        names = list(dict.fromkeys(name for sample in self.samples for name in sample))
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(self.samples)

    def peaks(self) -> dict[str, int]:
        """The greatest memory of each part, in bytes."""
        return {part: usage.peak for part, usage in self.processes.usage.items()}

    def _measure(self) -> Sample:
        if shutil.disk_usage(self.job.temporary).free < LEAST_ROOM:
            msg = f"{self.name}: the disk is nearly full, the run was ended"
            raise NoSpaceError(msg)
        checkpoints = checkpoint_bytes(self.job.temporary)
        return {
            "checkpoints": checkpoints,
            "temporary": folder_bytes(self.job.temporary) - checkpoints,
            "store": folder_bytes(self.job.store),
            "topic": folder_bytes(self.broker.data / "log"),
        }

    def _say(self, sample: Sample) -> None:
        terminal = sys.stderr.isatty()
        now = time.monotonic()
        if now - self._said < (ON_TERMINAL if terminal else IN_LOG) - 0.05:
            return
        self._said = now
        before = self.samples[-2] if len(self.samples) > 1 else sample
        passed = max(1e-9, sample["time"] - before["time"])
        cores = ", ".join(
            f"{part} {(sample[f'cpu_{part}'] - before[f'cpu_{part}']) / passed:.2f}"
            for part in PARTS
        )
        memory = sum(sample[f"memory_{part}"] for part in ("runner", "python")) / 1e9
        print(
            f"{self.name}: {sample['time']:.0f} s, {sample['messages']:,.0f} messages sent, "
            f"{sample['taken']:,.0f} stored, {sample['read']:,.0f} readings read, "
            f"behind {sample['left']:,.0f} and {sample['age']:.1f} s; cores: {cores}; "
            f"{memory:.1f} GB, state {sample['checkpoints'] / 1e6:,.0f} MB, "
            f"store {sample['store'] / 1e6:,.0f} MB",
            file=sys.stderr,
            flush=True,
        )
