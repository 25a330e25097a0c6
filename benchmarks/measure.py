"""Measures whole commands: wall time, processor time and peak memory, of all their processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CommandFailedError", "Measurement", "measure", "measure_in_turn", "median"]

SAMPLE_SECONDS = 0.02
RUSAGE_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
PROC = Path("/proc")


class CommandFailedError(Exception):
    """A measured command ended with an exit code other than 0."""


@dataclass(frozen=True)
class Measurement:
    """What one run of a command took.

    Attributes:
        seconds: wall time from start to end.
        cpu_seconds: user and system time of the command and the processes it waited for.
        peak_bytes: the greatest sum of resident memory over the command and its descendants
            (sampled 50 times a second; pages that processes share count in each), or the
            greatest of a single process as the kernel saw it, if that is more.
        output: what it wrote to stdout.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is read
        for children in (PROC / str(parent) / "task").glob("*/children"):
            try:
                found.extend(map(int, children.read_text().split()))
            except OSError:  # that thread has ended
                continue
    return found


def _resident_bytes(pid: int) -> int:
    """The memory of a process and its descendants now; 0 where the system has no /proc."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for process in _descendants(pid):
        try:
            total += int((PROC / str(process) / "statm").read_text().split()[1]) * page
        except (OSError, IndexError):  # that process has ended
            continue
    return total


def _watch(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        peaks.append(max(peaks.pop(), _resident_bytes(pid)))


def measure(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measurement:
    """Runs a command to its end.

    The kernel's figure for memory of a child starts at its parent's: keep the process that calls
    this small.

    Args:
        command: the program and its arguments.
        environment: its environment variables, by default those of this process.

    Returns:
        What it took, and what it printed.

    Raises:
        CommandFailedError: it ended with another exit code than 0; the message has its stderr.
        OSError: it could not be started.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        ended, peaks = threading.Event(), [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, peaks))
        watcher.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
        finally:
            ended.set()
            watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode(errors="replace")
        if process.returncode != 0:
            errors.seek(0)
            complaint = errors.read().decode(errors="replace").strip()
            msg = f"exit code {process.returncode} of: {' '.join(command)}\n{complaint}"
            raise CommandFailedError(msg)
    peak = max(peaks[0], usage.ru_maxrss * RUSAGE_UNIT)
    return Measurement(seconds, usage.ru_utime + usage.ru_stime, peak, printed)


def measure_in_turn(
    commands: Mapping[str, Sequence[str]],
    rounds: int,
    prepare: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> dict[str, list[Measurement]]:
    """Runs several commands in turn, round by round: A B A B, so that load hits them alike.

    Args:
        commands: by name.
        rounds: how often each runs.
        prepare: called with the name before each run; not measured.
        environment: of the commands, by default that of this process.

    Returns:
        The measurements of each name, one a round.
    """
    taken: dict[str, list[Measurement]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            prepare(name)
            taken[name].append(measure(command, environment))
    return taken


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)
