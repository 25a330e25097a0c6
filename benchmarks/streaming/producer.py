"""The process that produces, while the benchmark waits for it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.streaming.produce import Load, ProduceError

__all__ = ["Producing", "producing"]

ROOT = Path(__file__).parents[2]


class Producing:
    """A producer that is ready to begin.

    Args:
        process: its process.
        log: where its complaints are.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def ready(self) -> None:
        """Waits until its messages are prepared.

        Raises:
            ProduceError: it has failed.
        """
        self._line()

    def begin(self) -> None:
        """Has it begin.

        Raises:
            ProduceError: it has ended.
        """
        try:
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.write("begin\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._failed() from error

    def sent(self) -> dict[str, Any]:
        """Waits for its end; what it has sent.

        Raises:
            ProduceError: it has failed.
        """
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise self._failed()
        found: dict[str, Any] = json.loads(line)
        return found

    def _failed(self) -> ProduceError:
        self._process.kill()
        self._process.wait()
        words = self._log.read_text("utf-8", "replace").strip().splitlines()
        return ProduceError(f"the producer has failed: {words[-1] if words else 'it says nothing'}")


@contextlib.contextmanager
def producing(load: Load, folder: Path) -> Iterator[Producing]:
    """Runs a producer while the block does; it prepares its messages at once.

    Args:
        load: what it sends.
        folder: for its complaints.
    """
    log = folder / "producer.log"
    command = [sys.executable, "-m", "benchmarks.streaming.produce", json.dumps(asdict(load))]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield Producing(process, log)
    finally:
        process.kill()
        process.communicate()
