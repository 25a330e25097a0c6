"""What was measured, kept until the report is made."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Target, describe_machine
from benchmarks.streaming.watch import PARTS, Sample

__all__ = ["Result", "cores_between", "cost_a_reading", "kept", "percentiles"]


@dataclass(frozen=True)
class Result:
    """One measurement.

    Attributes:
        section: `sustained`, `drain`, `ladder` or `soak`.
        name: what tells it from others of its section: runner, shape and the like.
        settings: what was asked for.
        values: what was measured.
        targets: what had to be reached.
        quick: it only shows that the benchmark works.
        machine: where.
        at: when.
    """

    section: str
    name: str
    settings: Mapping[str, Any]
    values: Mapping[str, Any]
    targets: Sequence[Target] = ()
    quick: bool = False
    machine: str = field(default_factory=describe_machine)
    at: str = field(default_factory=lambda: f"{datetime.datetime.now(datetime.UTC):%F %H:%M}")

    def keep(self, folder: Path) -> Path:
        """Writes it into a folder, in the place of an earlier one of its name.

        Raises:
            OSError: it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.section}-{self.name.replace(' ', '-').replace('/', '-')}.json"
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        path.write_text(f"{text}\n", encoding="utf-8")
        return path


def kept(folder: Path) -> list[Result]:
    """All results that a folder keeps, in the order of their names."""
    found = []
    for path in sorted(folder.glob("*-*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        values["targets"] = tuple(Target(**target) for target in values["targets"])
        found.append(Result(**values))
    return found


def cores_between(first: Sample, last: Sample) -> dict[str, float]:
    """How many cores each part has used on average between two samples.

    Returns:
        By part; `watch` is the benchmark itself, `others` what else ran on the machine.
    """
    passed = max(1e-9, last["time"] - first["time"])
    cores = {
        part: (last[f"cpu_{part}"] - first[f"cpu_{part}"]) / passed for part in (*PARTS, "watch")
    }
    machine = (last["cpu_machine"] - first["cpu_machine"]) / passed
    return {**cores, "others": max(0.0, machine - sum(cores.values()))}


def cost_a_reading(first: Sample, last: Sample, readings: float) -> dict[str, float]:
    """Microseconds of processor time that each part has used for a reading between two samples.

    Other work on the machine changes it little, while it changes what can be done in a time much.
    """
    return {
        part: (last[f"cpu_{part}"] - first[f"cpu_{part}"]) / max(1.0, readings) * 1e6
        for part in PARTS
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The median, the 95th and the 99th percentile; NaN of nothing."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]

    if not ordered:
        return dict.fromkeys(("p50", "p95", "p99"), math.nan)
    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}
