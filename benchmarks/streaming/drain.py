"""A backlog that lies in the topic: how fast it is read, counted and stored."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import AnswersDifferError
from benchmarks.report import Target
from benchmarks.streaming.expected import check_store
from benchmarks.streaming.job import Job
from benchmarks.streaming.produce import Load
from benchmarks.streaming.producer import producing
from benchmarks.streaming.results import Result, cores_between, cost_a_reading
from benchmarks.streaming.scene import START_SECONDS, Scene, scene
from benchmarks.streaming.sustained import BYTES, SHAPES, STORED
from benchmarks.streaming.watch import Sample, Watch

__all__ = ["HOT", "MODES", "Drain", "drain"]

MODES = {"none": ("--duplicates", "keep", "--archive", "none"), "both": ()}
"""Without versions and archive, and with both."""

RATE = 110_000.0
"""Readings a second of event time: as if the job had been away."""

HOT = " in one region"
"""How the name of a backlog ends most of which lies there."""

EVERY = 0.5
SLOWEST = 20_000.0
"""Readings a second below which nobody waits for the end."""

END_SECONDS = 600.0
GIGABYTES_A_MINUTE = 4.0


@dataclass(frozen=True)
class Drain:
    """What is measured.

    Attributes:
        runner: `flink` or `prism`.
        shape: one of `SHAPES`.
        mode: one of `MODES`.
        gigabytes: of messages.
        partitions: of the topic.
        repeats, corrections: shares of the readings.
        compression: of the messages.
        options: further options of the job.
        quick: it only shows that the benchmark works.
        hot: share of the readings that lie in one region; None: as inhabitants do.
    """

    runner: str
    shape: str = "single"
    mode: str = "none"
    gigabytes: float = 4.0
    partitions: int = 2
    repeats: float = 0.02
    corrections: float = 0.02
    compression: str = "none"
    options: tuple[str, ...] = ()
    quick: bool = False
    hot: float | None = None

    @property
    def name(self) -> str:
        """What tells it from others."""
        hot = "" if self.hot is None else f" {self.hot:.0%}{HOT}"
        return f"{self.runner} {self.shape} {self.mode}{hot}"

    @property
    def readings(self) -> float:
        """About how many."""
        return self.gigabytes * 1e9 / BYTES

    def load(self, address: str, topic: str) -> Load:
        """What is sent."""
        return Load(
            address,
            topic,
            self.partitions,
            RATE,
            self.readings / RATE,
            SHAPES[self.shape],
            paced=False,
            repeats=self.repeats,
            corrections=self.corrections,
            every_message=self.mode == "none",
            compression=self.compression,
            hot=self.hot,
        )


def drain(asked: Drain, data: Path) -> Result:
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
    stored = STORED if asked.mode == "both" else 0
    with scene(data, asked.partitions, asked.readings * (BYTES + stored)) as place:
        with producing(asked.load(place.broker.address, place.topic), place.folder) as producer:
            producer.ready()
            producer.begin()
            sent = producer.sent()
        began = time.monotonic()
        with place.job(asked.runner, asked.options + MODES[asked.mode]) as job:
            watch = _watched(asked, place, job, sent, data)
            lasted = time.monotonic() - began
            job.stop()
            balance = job.balance(END_SECONDS)
            whole = time.monotonic() - began
            exact = _compared(job, sent, asked.mode)
    return _result(asked, watch, sent, {"balance": balance, "exact": exact}, (lasted, whole))


def _watched(asked: Drain, place: Scene, job: Job, sent: dict[str, Any], data: Path) -> Watch:
    """Watches the job until all is read and, where the store can say so, stored."""
    name = f"drain {asked.name}"
    path = data / f"{name.replace(' ', '-')}.csv"
    watch = Watch(name, place.broker, place.topic, place.partitions, job, path)
    archived = asked.mode == "both"

    def done(sample: Sample) -> bool:
        # Without an archive nothing outside says how far it is stored.
        return sample["read"] >= sent["readings"] and (not archived or sample["left"] == 0)

    watch.until(done, START_SECONDS + sent["readings"] / SLOWEST, EVERY)
    return watch


def _compared(job: Job, sent: dict[str, Any], mode: str) -> dict[str, int] | str:
    try:
        return check_store(job.store, sent, archived=mode == "both")
    except AnswersDifferError as error:
        return str(error)


def _result(
    asked: Drain,
    watch: Watch,
    sent: dict[str, Any],
    found: dict[str, Any],
    seconds: tuple[float, float],
) -> Result:
    samples = watch.samples
    busy = [sample for sample in samples if sample["read"]]
    # The last sample in which nothing was read, and the first in which everything was.
    first = samples[max(0, len(samples) - len(busy) - 1)]
    last = next((each for each in samples if each["read"] >= sent["readings"]), samples[-1])
    stored = samples[-1] if asked.mode == "both" else last
    reading = max(EVERY, last["time"] - first["time"])
    storing = max(EVERY, stored["time"] - first["time"])
    gigabytes = sent["bytes"] / 1e9
    values = {
        "gigabytes": gigabytes,
        "readings": sent["readings"],
        "start": first["time"],
        "reading": reading,
        "storing": storing,
        "until_stored": seconds[0],
        "whole": seconds[1],
        "gigabytes_a_minute": gigabytes / storing * 60,
        "readings_a_second": sent["readings"] / storing,
        "whole_gigabytes_a_minute": gigabytes / seconds[1] * 60,
        "cores": cores_between(first, stored),
        "cost": cost_a_reading(first, stored, sent["readings"]),
        "cost_whole": cost_a_reading(samples[0], stored, sent["readings"]),
        "memory_peak": watch.peaks(),
        "checkpoints_most": max(each["checkpoints"] for each in samples),
        "temporary_most": max(each["temporary"] for each in samples),
        "store": samples[-1]["store"],
        "produced_a_second": sent["readings"] / sent["seconds"],
        "producer_cpu": sent["cpu"],
        "sent": {name: value for name, value in sent.items() if name != "hourly"},
        **found,
    }
    what = f"a backlog, {asked.name}: "
    exact = float(isinstance(found["exact"], dict))
    targets = [Target(f"{what}counts are exact", exact, 1, True, "")]
    if asked.mode == "none":
        rate = values["gigabytes_a_minute"]
        targets.append(
            Target(f"{what}from the first to the last", rate, GIGABYTES_A_MINUTE, True, "GB/min")
        )
    settings = json.loads(json.dumps(asdict(asked)))
    return Result("drain", asked.name, settings, values, targets, asked.quick)
