"""Writes what was measured as Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Section", "Target", "describe_machine", "render"]

LIBRARIES = ("apache-beam", "duckdb", "numpy", "pyarrow", "shapely")


@dataclass(frozen=True)
class Target:
    """Something to reach.

    Attributes:
        promise: what is measured, as the start of a sentence.
        value: what was measured.
        limit: what it has to be.
        at_least: whether the limit is a lower one.
        unit: after both numbers.
    """

    promise: str
    value: float
    limit: float
    at_least: bool = False
    unit: str = "times"

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Section:
    """One table with what must be said about it.

    Attributes:
        title: its heading.
        text: plain sentences before the table.
        header: names of the columns; the first is text, the others are numbers.
        rows: cells as they are to be printed.
        targets: what the measurements had to reach.
    """

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    targets: Sequence[Target] = ()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Section:
        """The section that `dataclasses.asdict` took apart."""
        targets = [Target(**target) for target in values["targets"]]
        return cls(**{**values, "targets": targets})


def describe_machine() -> str:
    """One sentence each on the processor, the memory and the versions; nothing that identifies."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return (
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GiB of memory, {platform.system()}. "
        f"Python {platform.python_version()}, {libraries}. "
        f"Load before the start: {os.getloadavg()[0]:.1f}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    alignment = ["---", *["---:"] * (len(header) - 1)]
    return [_row(header), _row(alignment), *map(_row, rows)]


def _target_row(target: Target) -> list[str]:
    limit = f"at {'least' if target.at_least else 'most'} {target.limit:g} {target.unit}"
    value = f"{target.value:.3g}" if target.value < 100 else f"{target.value:.0f}"
    return [target.promise, limit, f"{value} {target.unit}", "yes" if target.met else "**no**"]


def render(introduction: str, sections: Sequence[Section]) -> str:
    """The whole report.

    Args:
        introduction: what was run, and on what.
        sections: in the order of the report.

    Returns:
        Markdown.
    """
    targets = [target for section in sections for target in section.targets]
    met = sum(target.met for target in targets)
    lines = ["# Benchmark results", "", introduction, "", "## Targets", ""]
    lines += [f"{met} of {len(targets)} targets are met.", ""]
    lines += _table(["What", "To reach", "Measured", "Met"], list(map(_target_row, targets)))
    for section in sections:
        lines += ["", f"## {section.title}", "", section.text, ""]
        lines += _table(section.header, section.rows)
    return "\n".join(lines) + "\n"
