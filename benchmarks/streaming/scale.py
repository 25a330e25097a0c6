"""A stream at several rates: what it costs by its rate, and whether the greatest is predicted."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.report import Target
from benchmarks.streaming.results import Result, cores_between
from benchmarks.streaming.scene import scene
from benchmarks.streaming.sustained import BYTES, STORED, Seen, Sustained, run
from deploy.capacity_model import FILE, Capacity, Point

__all__ = ["Scale", "scale", "write_capacity"]

RATES = (30_000.0, 50_000.0, 70_000.0, 90_000.0, 110_000.0)
"""Readings a second; the last is left out of the fit."""

LAST = 10
"""Samples at the end by which memory is measured: tables that grow are there twice for a moment."""

CLOSE = 0.2
"""How far from what is measured the prediction may be."""


@dataclass(frozen=True)
class Scale:
    """What is measured.

    Attributes:
        runner: `flink` or `prism`.
        minutes: of each rate.
        rates: readings a second, the one to be predicted at the end.
        options: further options of the job.
        quick: it only shows that the benchmark works.
    """

    runner: str
    minutes: float = 2.0
    rates: tuple[float, ...] = RATES
    options: tuple[str, ...] = ()
    quick: bool = False

    def stream(self, rate: float) -> Sustained:
        """The stream at one rate."""
        return Sustained(
            self.runner,
            minutes=self.minutes,
            rate=rate,
            options=self.options,
            quick=self.quick,
            section="scale",
        )


def scale(asked: Scale, data: Path) -> Result:
    """Measures a run at each rate, fits the model to all but the last, and predicts that.

    Args:
        asked: what.
        data: the folder of the benchmarks' data.

    Raises:
        JobFailedError: a job has failed.
        ProduceError: a producer has.
        BrokerError: a broker has.
        NoSpaceError: the disk has too little room.
        ValueError: there are too few rates.
    """
    points = []
    for rate in asked.rates:
        stream = asked.stream(rate)
        room = rate * asked.minutes * 60 * (BYTES / 2 + STORED)
        with scene(data, stream.partitions, room) as place:
            points.append(_point(rate, run(stream, place, data)))
    *fitted, held_out = points
    capacity = Capacity.fitted(fitted)
    said = capacity.predicted(held_out)
    values = {
        "points": [asdict(point) for point in points],
        "capacity": asdict(capacity),
        "predicted": said,
    }
    what = f"scale, {asked.runner}: what {held_out.rate:,.0f} readings/s need, predicted"
    targets = [
        Target(f"{what}, {name}: off by", abs(share - 1), CLOSE, unit="")
        for name, share in said.items()
    ]
    settings = json.loads(json.dumps(asdict(asked)))
    return Result("scale", asked.runner, settings, values, targets, asked.quick)


def _point(rate: float, seen: Seen) -> Point:
    """What the last two thirds of a run have shown: at first code is compiled and read."""
    begin = seen.began["time"] + (seen.ended["time"] - seen.began["time"]) / 3
    later = [each for each in seen.watch.samples if begin <= each["time"] <= seen.ended["time"]]
    cores = cores_between(later[0], later[-1])
    return Point(
        rate,
        float(seen.sent["distinct"]),
        cores["runner"] + cores["python"],
        statistics.median(each["private_python"] for each in later[-LAST:]),
    )


def write_capacity(result: Result, path: Path = FILE) -> None:
    """Puts what was measured where `deploy.capacity` reads it.

    Args:
        result: of `scale`, on Flink.
        path: the file.
    """
    rates = [point["rate"] for point in result.values["points"]]
    off = ", ".join(
        f"{name} {share - 1:+.0%}" for name, share in result.values["predicted"].items()
    )
    document = {
        **result.values["capacity"],
        "note": (
            f"lines through {rates[0]:,.0f} to {rates[-2]:,.0f} readings a second on "
            f"{result.settings['runner']}, {result.at[:10]}; of {rates[-1]:,.0f} they said: {off}"
        ),
        "machine": result.machine,
        "points": result.values["points"],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def quick(asked: Scale) -> Scale:
    """The same, small."""
    return dataclasses.replace(asked, minutes=0.15, rates=(500.0, 1000.0, 2000.0), quick=True)
