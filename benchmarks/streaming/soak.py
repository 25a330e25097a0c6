"""A stream for half an hour: whether its state and its memory stay as large as they are."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.report import Target
from benchmarks.streaming.results import Result, cores_between
from benchmarks.streaming.scene import scene
from benchmarks.streaming.sustained import BYTES, STORED, Sustained, run
from benchmarks.streaming.trend import Trend, trend_of
from benchmarks.streaming.watch import Sample

__all__ = ["GROWING", "Soak", "soak"]

GROWING = ("state", "memory_python", "memory_runner", "age")
"""What must not grow: Flink's checkpoints with the job's temporary files, memory, and the lag."""

LEAST = {"age": 2.0}
SHARE, SMALL = 0.05, 20e6
"""A rise matters from this share of the mean on, and from so many bytes on."""


@dataclass(frozen=True)
class Soak:
    """What is measured.

    The job remembers versions for a sixth of the time, so that what it remembers is full after a
    third: then it forgets as much as it learns.

    Attributes:
        runner: `flink` or `prism`.
        minutes: for how long.
        rate: readings a second.
        partitions: of the topic.
        options: further options of the job.
        quick: it only shows that the benchmark works.
    """

    runner: str
    minutes: float = 30.0
    rate: float = 20_000.0
    partitions: int = 2
    options: tuple[str, ...] = ()
    quick: bool = False

    @property
    def remember(self) -> int:
        """Seconds for which versions are remembered."""
        return max(2, round(self.minutes * 60 / 6))

    @property
    def stream(self) -> Sustained:
        """The stream."""
        short = ("--remember_versions", f"{self.remember}s", "--out_of_orderness", "10s")
        return Sustained(
            self.runner,
            minutes=self.minutes,
            rate=self.rate,
            partitions=self.partitions,
            options=(*short, *self.options),
            quick=self.quick,
            section="soak",
        )


def soak(asked: Soak, data: Path) -> Result:
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
    stream = asked.stream
    readings = stream.rate * stream.minutes * 60
    with scene(data, stream.partitions, readings * (BYTES / 2 + STORED)) as place:
        seen = run(stream, place, data)
    samples = [
        {**each, "state": each["checkpoints"] + each["temporary"]}
        for each in seen.watch.samples
        if seen.began["time"] <= each["time"] <= seen.ended["time"]
    ]
    trends = {name: last_two_thirds(samples, name) for name in GROWING}
    values = {
        "trends": {
            name: {
                **dataclasses.asdict(trend),
                "growth": trend.growth,
                "rises": rises(name, trend),
                "most": max(each[name] for each in samples),
                "last": samples[-1][name],
            }
            for name, trend in trends.items()
        },
        "cores": cores_between(seen.began, seen.ended),
        "memory_peak": seen.watch.peaks(),
        "store": seen.watch.samples[-1]["store"],
        "sent": {name: value for name, value in seen.sent.items() if name != "hourly"},
        "balance": seen.balance,
        "exact": seen.exact,
    }
    what = f"soak, {asked.runner}, {asked.minutes:g} minutes: "
    targets = [
        Target(f"{what}quantities that grow", sum(map(rises, trends, trends.values())), 0, unit=""),
        Target(f"{what}counts are exact", float(isinstance(seen.exact, dict)), 1, True, ""),
    ]
    settings = json.loads(json.dumps(asdict(asked)))
    return Result("soak", asked.runner, settings, values, targets, asked.quick)


def last_two_thirds(samples: list[Sample], name: str) -> Trend:
    """The trend of something after the first third of the time."""
    cut = samples[0]["time"] + (samples[-1]["time"] - samples[0]["time"]) / 3
    later = [each for each in samples if each["time"] >= cut]
    return trend_of([each["time"] for each in later], [each[name] for each in later])


def rises(name: str, trend: Trend) -> bool:
    """Whether something grows for sure, and by more than matters."""
    return trend.rises(LEAST.get(name, max(SMALL, SHARE * trend.mean)))
