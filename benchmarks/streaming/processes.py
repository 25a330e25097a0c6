"""What the processes of a run use: processor time and memory, part by part, from `/proc`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Usage", "Watched", "busy_seconds"]

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")
MEBI = 1 << 10
RUNNERS = {"java": "runner", "prism": "runner"}
"""Programs below the job's command that are the runner; all others are Python."""


@dataclass
class Usage:
    """What one part has used so far.

    Attributes:
        cpu: seconds of processor time, user and system, of processes that ended, too.
        memory: resident bytes now, summed over its processes, without those of files that are
            mapped: the kernel takes them back when it wants to.
        peak: the greatest sum of them that was seen.
        private: the same as memory, but pages that processes share count once (`Pss_Anon`).
    """

    cpu: float = 0.0
    memory: int = 0
    peak: int = 0
    private: int = 0


@dataclass
class Watched:
    """The processes of a run.

    A part is a process with all its descendants. Those of the part `job` are told apart: the
    runner, which is Java's or Prism's, and Python.

    Args:
        parts: the process id of each part, by name.

    Attributes:
        usage: of each part, as of the last `look`.
    """

    parts: Mapping[str, int]
    usage: dict[str, Usage] = field(default_factory=dict)
    _cpu: dict[tuple[str, int], float] = field(default_factory=dict)

    def look(self, *, closely: bool = False) -> dict[str, Usage]:
        """Reads what has been used up to now.

        Args:
            closely: also the proportional share of memory, which takes the kernel longer.
        """
        now: dict[str, Usage] = {}
        for name, part, process in self._processes():
            cpu = _cpu_seconds(process)
            if cpu is None:  # it has ended
                continue
            self._cpu[name, process] = cpu
            usage = now.setdefault(part, Usage())
            usage.memory += _resident(process)
            usage.private += _proportional(process) if closely else 0
            self._part_of[name, process] = part
        for key, cpu in self._cpu.items():
            now.setdefault(self._part_of[key], Usage()).cpu += cpu
        for part, usage in now.items():
            before = self.usage.get(part, Usage())
            usage.peak = max(usage.peak, before.peak, usage.memory)
            usage.private = usage.private or before.private
        self.usage = {**self.usage, **now}
        return self.usage

    _part_of: dict[tuple[str, int], str] = field(default_factory=dict)

    def _processes(self) -> Iterator[tuple[str, str, int]]:
        for name, root in self.parts.items():
            for process in _descendants([root]):
                part = name
                if name == "job":
                    part = RUNNERS.get(_program(process), "python")
                yield name, part, process


def busy_seconds() -> float:
    """Processor time that all processes of the machine have used since its start, in seconds."""
    words = _text(PROC / "stat").partition("\n")[0].split()
    # user, nice, system, then idle and waiting, then interrupts; the rest is counted among these.
    ticks = [int(word) for word in words[1:8]]
    return (sum(ticks[:3]) + sum(ticks[5:])) / TICK if ticks else 0.0


def _descendants(found: list[int]) -> list[int]:
    for parent in found:  # grows while it is read
        for children in (PROC / str(parent) / "task").glob("*/children"):
            found.extend(map(int, _text(children).split()))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # that process has ended
        return ""


def _program(process: int) -> str:
    return _text(PROC / str(process) / "comm").strip()


def _cpu_seconds(process: int) -> float | None:
    # The name of the program is in brackets and may hold anything.
    words = _text(PROC / str(process) / "stat").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK if len(words) > 12 else None


def _resident(process: int) -> int:
    return _of_lines(_text(PROC / str(process) / "status").splitlines(), "RssAnon:")


def _proportional(process: int) -> int:
    return _of_lines(_text(PROC / str(process) / "smaps_rollup").splitlines(), "Pss_Anon:")


def _of_lines(lines: Iterable[str], name: str) -> int:
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1]) * MEBI
    return 0
