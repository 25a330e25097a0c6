"""What a stream needs at a rate: straight lines through what was measured on one machine.

The processor time of a reading, and the memory that it takes while it is worked on, do not depend
on how many there are: both are lines, fitted by least squares. `benchmarks.streaming scale`
measures them, leaves the greatest rate out of the fit, and says how well it is predicted. Versions
that are remembered take what the index has for them; their rows are on disk.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.cost_model import sizing
from transforms.packed_rows import ROW

__all__ = ["FILE", "WORKER_VCPUS", "Capacity", "Line", "Need", "Point", "measured"]

FILE = Path(__file__).with_name("capacity.json")
WORKER_VCPUS = 4
"""Of a worker, on Flink and on Dataflow."""

STATE_ROOM = 1.25
"""How much larger state is than the versions in it: generations end as a whole."""

VERSION_BYTES = 24
"""Of memory that a version takes at most: four places of the index, two at least
(`transforms/hash_index.py`)."""

MEMORY_SHARE = 0.75
"""Of a worker's memory that versions and state may take."""

SLICES = 104
"""Bytes of the partial statistics of one series in one slice."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A straight line.

    Attributes:
        base: its value at 0.
        slope: what one more adds.
    """

    base: float
    slope: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        """The line of least squares; what nothing costs is not less than nothing.

        Raises:
            ValueError: there are fewer than two different points.
        """
        try:
            slope, base = statistics.linear_regression(*zip(*points, strict=True))
        except (statistics.StatisticsError, TypeError) as error:
            msg = f"{len(points)} measurements of one rate make no line: measure two rates at least"
            raise ValueError(msg) from error
        if base < 0:
            slope = sum(x * y for x, y in points) / sum(x * x for x, _ in points)
        return cls(max(base, 0.0), slope)

    def at(self, x: float) -> float:
        """Its value."""
        return self.base + self.slope * x


@dataclasses.dataclass(frozen=True)
class Point:
    """What was measured at one rate.

    Attributes:
        rate: readings a second.
        versions: that were remembered at the end.
        cores: that the runner and Python kept busy.
        memory: bytes of Python at the end.
    """

    rate: float
    versions: float
    cores: float
    memory: float


@dataclasses.dataclass(frozen=True)
class Need:
    """What a stream needs.

    Attributes:
        rate: readings a second.
        cores: that are busy.
        workers: of `WORKER_VCPUS` each, with room for peaks; as many as the memory asks for.
        memory: bytes of Python in all workers.
        disk: bytes of versions on the workers' disks.
        state: bytes that the runner keeps, in memory too unless its state is on disk.
        shuffled: bytes a second between steps.
    """

    rate: float
    cores: float
    workers: int
    memory: float
    disk: float
    state: float
    shuffled: float


@dataclasses.dataclass(frozen=True)
class Capacity:
    """The lines.

    Attributes:
        cores: busy ones, by readings a second.
        memory: bytes, by readings a second; without what versions take.
    """

    cores: Line
    memory: Line

    @classmethod
    def fitted(cls, points: Sequence[Point]) -> Capacity:
        """The lines through measurements.

        Raises:
            ValueError: there are too few.
        """
        return cls(
            Line.through([(point.rate, point.cores) for point in points]),
            Line.through(
                [(each.rate, each.memory - VERSION_BYTES * each.versions) for each in points]
            ),
        )

    def predicted(self, point: Point) -> dict[str, float]:
        """What the lines say of a measurement, as a share of what it was."""
        memory = self.memory.at(point.rate) + VERSION_BYTES * point.versions
        return {
            "cores": self.cores.at(point.rate) / point.cores,
            "memory": memory / point.memory,
        }

    def need(self, rate: float, remember: float, series: float = 18) -> Need:
        """What a stream needs.

        Args:
            rate: readings a second.
            remember: seconds for which versions are remembered.
            series: regions, or sensors, times quantities: of what partial statistics are shuffled.
        """
        versions = rate * remember
        busy = self.cores.slope * rate
        share = float(sizing()["utilisation"]["value"])
        room = WORKER_VCPUS * float(sizing()["memory_gb_per_vcpu"]["value"]) * 1e9
        working = self.memory.slope * rate + VERSION_BYTES * versions
        rows = versions * ROW.itemsize * STATE_ROOM
        workers = max(
            1,
            math.ceil(busy / (WORKER_VCPUS * share - self.cores.base)),
            math.ceil((working + rows) / (room * MEMORY_SHARE - self.memory.base)),
        )
        # The entries go to their shard; partial statistics of a bundle's slices, twice a second.
        partials = 2 * min(series, rate) * SLICES * workers
        return Need(
            rate,
            busy + workers * self.cores.base,
            workers,
            working + workers * self.memory.base,
            rows,
            rows,
            rate * ROW.itemsize + partials,
        )


def measured() -> tuple[Capacity, dict[str, Any]]:
    """The lines that were measured, and what else the file says of them."""
    document = json.loads(FILE.read_text("utf-8"))
    lines = {name: Line(**document.pop(name)) for name in ("cores", "memory")}
    return Capacity(**lines), document
