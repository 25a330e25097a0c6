"""Readings as they come, for minutes: whether the job keeps up, and what that takes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import AnswersDifferError
from benchmarks.report import Target
from benchmarks.streaming.expected import check_store
from benchmarks.streaming.produce import Load
from benchmarks.streaming.producer import producing
from benchmarks.streaming.results import Result, cores_between, cost_a_reading
from benchmarks.streaming.scene import Scene, scene, wait_until_reading
from benchmarks.streaming.trend import trend_of
from benchmarks.streaming.watch import Sample, Watch

__all__ = ["SHAPES", "Sustained", "sustain"]

SHAPES = {"single": 1, "array": 1500}
"""Readings in a message: single ones, and arrays of 220 KB as the API of system A answers."""

BYTES = 153
STORED = 180
"""Bytes that a reading takes in a store with archive and index, files that were merged included:
they stay for an hour."""

FIRST_MINUTE = 60.0
SETTLE_SECONDS = 300.0
END_SECONDS = 600.0
MOST_GROWTH, MOST_AGE = 2.0, 30.0
"""Seconds by which the lag may rise after the first minute, and that it may be, at most."""


@dataclass(frozen=True)
class Sustained:
    """What is measured.

    Attributes:
        runner: `flink` or `prism`.
        shape: one of `SHAPES`.
        minutes: for how long messages are sent.
        rate: readings a second.
        partitions: of the topic.
        repeats, corrections: shares of the readings.
        compression: of the messages.
        options: further options of the job.
        quick: it only shows that the benchmark works.
        section: the name of the section.
    """

    runner: str
    shape: str = "single"
    minutes: float = 10.0
    rate: float = 110_000.0
    partitions: int = 2
    repeats: float = 0.02
    corrections: float = 0.02
    compression: str = "none"
    options: tuple[str, ...] = ()
    quick: bool = False
    section: str = "sustained"

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.runner} {self.shape}"

    def load(self, address: str, topic: str) -> Load:
        """What is sent."""
        return Load(
            address,
            topic,
            self.partitions,
            self.rate,
            self.minutes * 60,
            SHAPES[self.shape],
            repeats=self.repeats,
            corrections=self.corrections,
            compression=self.compression,
        )


@dataclass(frozen=True)
class Seen:
    """What a run has shown.

    Attributes:
        watch: its samples.
        began, ended: the samples when the first and the last message were sent.
        sent: what the producer says.
        start: seconds until the job has read its first message.
        settled: seconds from the last message until all was stored; None: not in time.
        balance: what the job says at its end.
        exact: what was compared, or the sentence that says what differs.
    """

    watch: Watch
    began: Sample
    ended: Sample
    sent: dict[str, Any]
    start: float
    settled: float | None
    balance: dict[str, int]
    exact: dict[str, int] | str


def sustain(asked: Sustained, data: Path) -> Result:
    """Measures one run, and keeps its samples beside the results.

    Args:
        asked: what.
        data: the folder of the benchmarks' data.

    Raises:
        JobFailedError: the job has failed.
        ProduceError: the producer has.
        BrokerError: the broker has.
        NoSpaceError: the disk has too little room.
    """
    readings = asked.rate * asked.minutes * 60
    # Of the topic, what is stored is deleted; if the job does not keep up, that is less.
    with scene(data, asked.partitions, readings * (BYTES / 2 + STORED)) as place:
        seen = run(asked, place, data)
    return _result(asked, seen)


def run(asked: Sustained, place: Scene, data: Path) -> Seen:
    """Runs producer and job to their ends, and compares what they say."""
    load = asked.load(place.broker.address, place.topic)
    with (
        producing(load, place.folder) as producer,
        place.job(asked.runner, asked.options) as job,
    ):
        producer.ready()
        first = place.greet()
        start = wait_until_reading(job, first)
        watch = Watch(
            f"{asked.section} {asked.name}",
            place.broker,
            place.topic,
            place.partitions,
            job,
            data / f"{asked.section}-{asked.name.replace(' ', '-')}.csv",
            producer.pid,
            free=True,
        )
        began = watch.take()
        producer.begin()
        watch.until(lambda _: producer.done, asked.minutes * 60 * 2 + 120)
        sent = producer.sent()
        ended = watch.take()
        stopped = time.monotonic()
        settled = None
        if watch.until(lambda sample: sample["left"] == 0, SETTLE_SECONDS):
            settled = time.monotonic() - stopped
        job.stop()
        balance = job.balance(END_SECONDS)
        watch.take()
        archived = {**sent, "readings": sent["readings"] + first}
        archived["distinct"] = sent["distinct"] + first
        exact: dict[str, int] | str
        try:
            exact = check_store(job.store, archived, archived=True)
        except AnswersDifferError as error:
            exact = str(error)
    return Seen(watch, began, ended, sent, start, settled, balance, exact)


def _result(asked: Sustained, seen: Seen) -> Result:
    began, ended, sent = seen.began, seen.ended, seen.sent
    running = [
        sample for sample in seen.watch.samples if began["time"] < sample["time"] <= ended["time"]
    ]
    settled = [each for each in running if each["time"] - began["time"] >= FIRST_MINUTE]
    later = settled if len(settled) >= 3 else running
    trend = trend_of([each["time"] for each in later], [each["age"] for each in later])
    growth = trend.growth if trend.rises(0.0) else 0.0
    oldest = max(each["age"] for each in later)
    last = seen.watch.samples[-1]
    stored = next((each for each in seen.watch.samples[::-1] if each["cpu_python"]), last)
    values = {
        "readings_a_second": sent["readings"] / sent["seconds"],
        "megabytes_a_minute": sent["bytes"] / sent["seconds"] * 60 / 1e6,
        "start": seen.start,
        "producer_behind": sent["behind"],
        "age_most": oldest,
        "age_mean": trend.mean,
        "age_growth": growth,
        "age_at_end": ended["age"],
        "left_most": max(each["left"] for each in later),
        "settled": seen.settled,
        "cores": cores_between(began, ended),
        "cost": cost_a_reading(began, stored, sent["readings"]),
        "cores_later": cores_between(later[0], later[-1]),
        "memory_peak": seen.watch.peaks(),
        "memory_end": {
            name.removeprefix("private_"): value
            for name, value in ended.items()
            if name.startswith("private_")
        },
        "checkpoints_most": max(each["checkpoints"] for each in running),
        "temporary_most": max(each["temporary"] for each in running),
        "topic_most": max(each["topic"] for each in running),
        "store": last["store"],
        "sent": {name: value for name, value in sent.items() if name != "hourly"},
        "balance": seen.balance,
        "exact": seen.exact,
    }
    what = f"sustained, {asked.name}: "
    targets = [
        Target(f"{what}rate", values["readings_a_second"], asked.rate * 0.99, True, "readings/s"),
        Target(f"{what}growth of the lag after the first minute", growth, MOST_GROWTH, unit="s"),
        Target(f"{what}greatest lag after the first minute", oldest, MOST_AGE, unit="s"),
        Target(f"{what}counts are exact", float(isinstance(seen.exact, dict)), 1, True, ""),
    ]
    settings = json.loads(json.dumps(asdict(asked)))
    return Result(asked.section, asked.name, settings, values, targets, asked.quick)
