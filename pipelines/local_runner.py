"""Which runner a run gets: the user's, or this machine's cores."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from geo import RegionIndex
from pipelines.forked_workers import ForkedEnvironment, ForkedWorkers, can_fork
from transforms.balance import tally

__all__ = ["LocalRunner", "cores"]

WORTH_FORKING = 24 << 20
"""Bytes of input from which several processes are faster than one."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass
class LocalRunner:
    """Chooses the runner and its options.

    Attributes:
        arguments: Beam's options as the user gave them.
        size: bytes of input.
        pieces: in how many pieces the input can be read.
    """

    arguments: Sequence[str]
    size: int
    pieces: int

    def __post_init__(self) -> None:
        """Reads the options; without a runner's name it is the one of this process."""
        self.options = PipelineOptions(list(self.arguments))
        standard = self.options.view_as(StandardOptions)
        # `DirectRunner` picks one of three runners by itself, and not always this one.
        local = standard.runner in {None, "DirectRunner", "FnApiRunner"}
        if local:
            standard.runner = "FnApiRunner"
        given = {word.split("=")[0] for word in self.arguments}
        direct = self.options.view_as(DirectOptions)
        # Beam's 0 means all cores, too.
        asked = direct.direct_num_workers if "--direct_num_workers" in given else 0
        workers = min(asked or cores(), self.pieces)
        self.forks = 0
        if local and "--direct_running_mode" not in given:
            direct.direct_num_workers = 1
            if workers > 1 and self.size >= WORTH_FORKING and can_fork():
                self.forks = direct.direct_num_workers = workers

    @property
    def runner(self) -> Any:
        """What `beam.Pipeline` takes as its runner."""
        if self.forks:
            return FnApiRunner(default_environment=ForkedEnvironment.default())
        return self.options.view_as(StandardOptions).runner

    @contextlib.contextmanager
    def workers(
        self, watched: Sequence[tuple[str, str]]
    ) -> Iterator[Callable[[], tuple[int, int]]]:
        """Keeps the workers while the pipeline runs.

        Args:
            watched: two counters, as namespace and name.

        Yields:
            What gives their values so far, as far as this machine knows them.
        """
        if not self.forks:
            before = [tally(*counter) for counter in watched]
            yield lambda: (tally(*watched[0]) - before[0], tally(*watched[1]) - before[1])
            return
        # What is loaded now is shared by all workers.
        RegionIndex.default()
        workers = ForkedWorkers(self.forks, watched, _die)
        try:
            yield workers.progress
        finally:
            workers.close()


def _die(sentence: str) -> None:
    """Ends the process: the runner would wait for ever for a worker that is gone."""
    print(f"error: {sentence}; the store is as it was", file=sys.__stderr__, flush=True)
    os._exit(1)
