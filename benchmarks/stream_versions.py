"""What remembering versions costs a stream: `python -m benchmarks.stream_versions`.

Drives the steps of `KeepLatestVersion` on an unbounded input as a worker would, without a runner:
first an hour of readings until the memory is full, then an hour that is timed. State is kept in
plain lists, so a runner's own cost of state is not in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from apache_beam.utils.timestamp import Timestamp

from benchmarks.report import Section, Target
from schemas.reading import PLACED_READINGS
from transforms.latest_in_stream import RememberVersions
from transforms.numbers import MICROS
from transforms.pack_by_identity import PackByIdentity
from transforms.shard_state import GENERATIONS

__all__ = ["main", "remembering"]

SHARDS, REMEMBER, BEHIND = 64, 3600, 300
"""Shards; seconds that are remembered; seconds by which the watermark is behind the arrivals."""
START = 1_700_000_000
SHARES = {"all new": (0.0, 0.0), "10 % duplicates": (0.1, 0.0), "10 % new versions": (0.0, 0.1)}


class Value:
    """A state of one value."""

    def __init__(self) -> None:
        self._value: bytes | None = None

    def read(self) -> bytes | None:
        """What was written last."""
        return self._value

    def write(self, value: bytes) -> None:
        """Replaces it."""
        self._value = value


class Bag:
    """A state of many values."""

    def __init__(self) -> None:
        self._values: list[bytes] = []

    def read(self) -> Iterator[bytes]:
        """All of them."""
        return iter(self._values)

    def add(self, value: bytes) -> None:
        """One more."""
        self._values.append(value)

    def clear(self) -> None:
        """None any more."""
        self._values = []


class Timer:
    """A timer of event time."""

    moment: Timestamp | None = None

    def set(self, moment: Timestamp) -> None:
        """Sets it."""
        self.moment = moment


@dataclass
class State:
    """The state of one shard."""

    small: Value = field(default_factory=Value)
    bags: list[Bag] = field(default_factory=lambda: [Bag() for _ in range(GENERATIONS)])
    timer: Timer = field(default_factory=Timer)


class Readings:
    """Batches of readings that arrive as they are measured, with repeats of the last batch.

    Args:
        size: rows in a batch.
        duplicates: share of rows that repeat one of the batch before.
        versions: share of rows that are a new version of one of the batch before.
        sensors: how many sensors measure; 0 for readings that name none.
    """

    def __init__(self, size: int, duplicates: float, versions: float, sensors: int = 0) -> None:
        self._names = pa.array([f"sensor-{number}" for number in range(sensors)], pa.string())
        self._size, self._draw = size, np.random.default_rng(1)
        self._duplicates, self._versions = int(size * duplicates), int(size * versions)
        self._last: pa.RecordBatch | None = None

    def _sensors(self) -> pa.DictionaryArray:
        if not len(self._names):
            return pa.nulls(self._size, pa.dictionary(pa.int32(), pa.string()))
        numbers = self._draw.integers(0, len(self._names), self._size)
        return pa.DictionaryArray.from_arrays(pa.array(numbers.astype(np.int32)), self._names)

    def batch(self, second: int) -> pa.RecordBatch:
        """The batch of a second."""
        draw, size = self._draw, self._size
        ids = draw.integers(0, 2**62, size)
        versions = np.ones(size, np.int64)
        if self._last is not None and self._versions:
            known = np.asarray(self._last.column("id").cast(pa.int64()))
            ids[-self._versions :] = known[: self._versions]
            versions[-self._versions :] = second
        moments = pa.array(np.full(size, second * MICROS)).view(pa.timestamp("us", tz="UTC"))
        sensors = self._sensors()
        regions = pa.array(draw.integers(0, 18, size).astype(np.int8))
        if not sensors.null_count:
            # A sensor stays where it is.
            regions = pa.array((np.asarray(sensors.indices) % 18).astype(np.int8))
        zeros = pa.array(np.zeros(size, np.int8))
        named = [[f"{name}{number}" for number in range(18)] for name in ("", "Region ")]
        columns: dict[str, Any] = {
            "id": pa.array(ids).cast(pa.string()),
            "sensor_id": sensors,
            "quantity": pa.DictionaryArray.from_arrays(zeros, ["temperature"]),
            "event_time": moments,
            "longitude": pa.array(draw.random(size)),
            "latitude": pa.array(draw.random(size)),
            "value_micros": pa.array(draw.integers(0, 40 * MICROS, size)),
            "in_france": pa.array(np.zeros(size, bool)),
            "source": pa.DictionaryArray.from_arrays(zeros, ["benchmark"]),
            "version": pa.array(versions),
            "version_kind": pa.array(np.full(size, 3, np.int8)),
            "deleted": pa.array(np.zeros(size, bool)),
            "arrived_at": moments,
            "format": pa.DictionaryArray.from_arrays(zeros, ["regional"]),
            "region_code": pa.DictionaryArray.from_arrays(regions, named[0]),
            "region": pa.DictionaryArray.from_arrays(regions, named[1]),
        }
        new = pa.RecordBatch.from_arrays(
            [columns[name] for name in PLACED_READINGS.names], schema=PLACED_READINGS
        )
        if self._last is not None and self._duplicates:
            parts = [self._last.slice(0, self._duplicates), new.slice(self._duplicates)]
            new = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
        self._last = new
        return new


def one_hour(
    rate: int, size: int, duplicates: float, versions: float, sensors: int = 0
) -> dict[str, float]:
    """Nanoseconds of processor time a reading of each step, after an hour that is not timed."""
    pack: Any = PackByIdentity(SHARDS)
    remember: Any = RememberVersions(REMEMBER, BEHIND)
    remember.setup()
    states = [State() for _ in range(SHARDS)]
    readings = Readings(size, duplicates, versions, sensors)
    spent = dict.fromkeys(("pack", "remember", "release"), 0.0)
    bundles = REMEMBER * rate // size
    for number in range(2 * bundles):
        if number == bundles:
            spent = dict.fromkeys(spent, 0.0)
        second = START + number * size // rate
        batch = readings.batch(second)
        began = time.process_time()
        pack.start_bundle()
        list(pack.process(batch, Timestamp(second)))
        packed = list(pack.finish_bundle())
        spent["pack"] += time.process_time() - began
        began = time.process_time()
        remember.start_bundle()
        for piece in packed:
            state = states[piece.value[0]]
            given = remember.process(
                piece.value, piece.timestamp, state.small, *state.bags, state.timer
            )
            list(given)
        list(remember.finish_bundle())
        spent["remember"] += time.process_time() - began
        watermark = Timestamp(second - BEHIND)
        began = time.process_time()
        for shard, state in enumerate(states):
            while state.timer.moment is not None and state.timer.moment <= watermark:
                state.timer.moment = None
                remember.release(shard, watermark, state.small, *state.bags, state.timer)
        spent["release"] += time.process_time() - began
    return {step: 1e9 * taken / (bundles * size) for step, taken in spent.items()}


def remembering(rate: int = 2000, size: int = 100_000, sensors: int = 0) -> Section:
    """Times a stream's memory of versions.

    Args:
        rate: readings a second; an hour of them is remembered.
        size: readings in a bundle.
        sensors: how many sensors measure; 0 for readings by region alone.
    """
    costs = {name: one_hour(rate, size, *shares, sensors) for name, shares in SHARES.items()}
    worst = max(cost["remember"] + cost["release"] for cost in costs.values())
    return Section(
        "Versions in a stream",
        f"Processor time of `KeepLatestVersion` on a stream, with {REMEMBER * rate:,} readings "
        f"remembered in {SHARDS} shards and bundles of {size:,}, without a runner.",
        ["Readings", "Pack by identity, ns", "Decide and remember, ns", "Release, ns"],
        [[name, *(f"{taken:.0f}" for taken in cost.values())] for name, cost in costs.items()],
        [Target("Deciding, remembering and releasing a reading", worst, 1500, unit="ns")],
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stream_versions", description=__doc__
    )
    parser.add_argument("--rate", type=int, default=2000, help="readings a second")
    parser.add_argument("--bundle", type=int, default=100_000, help="readings in a bundle")
    parser.add_argument("--sensors", type=int, default=0, help="sensors that measure")
    chosen = parser.parse_args()
    section = remembering(chosen.rate, chosen.bundle, chosen.sensors)
    print(json.dumps(dataclasses.asdict(section)))


if __name__ == "__main__":
    main()
