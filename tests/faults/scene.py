"""A stream on a Flink cluster, from a Kafka broker to a store: what faults happen to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connectors.local_store import LocalStore
from pipelines.children import free_port
from pipelines.flink import find_job_server
from pipelines.flink_cluster import ENDED, request
from tests.faults.checks import differences, recent_means
from tests.faults.disk import Disk
from tests.faults.feeder import Feeder
from tests.faults.messages import Message
from tests.faults.programs import Program, descendants
from tests.support.flink import FlinkCluster
from tests.support.jobs import ROOT, command
from tests.support.kafka_server import KafkaServer

__all__ = ["PATIENCE", "Scene", "wait_until"]

PATIENCE = 300.0
"""Seconds that a recovery may take on a machine that is busy."""

INJECTED = ROOT / "tests" / "faults" / "injected"
POOL = "apache_beam.runners.worker.worker_pool_main"
REFUSED = "cannot write to"
NO_ANSWER = (OSError, ValueError, KeyError, urllib.error.URLError)


class Scene:
    """The job, what it reads and where it writes.

    Args:
        folder: for all files; not there yet.
        cluster: where the job runs.
        broker: where its messages come from.
        pool: Python runs in a pool of workers of its own instead of the command's process.
        input: what is read; by default a topic of its own with two partitions.
        arguments: further ones of the command.

    Attributes:
        code: the folder with the code that is run.
        store: the folder of the store, on a disk that can be full.
        job: the command.
        pool: the pool of workers; None for none.
    """

    def __init__(
        self,
        folder: Path,
        cluster: FlinkCluster,
        broker: KafkaServer,
        *arguments: object,
        pool: bool = False,
        input: str | None = None,  # noqa: A002 - as the option is called
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.cluster, self.broker = folder, cluster, broker
        self.master, self.name = f"http://{cluster.address}", f"faults-{folder.name}"
        self.topic = "" if input else broker.topic(2)
        self.disk = Disk(folder / "disk")
        self.store = self.disk.folder / "store"
        self.code = ROOT
        self._words = command(
            *("--input", input or broker.uri(self.topic), "--output", self.store),
            *("--runner=FlinkRunner", f"--flink_master={cluster.address}"),
            *(f"--job_name={self.name}", "--checkpointing_interval=1000", "--format", "json"),
            *("--early_every", "1s", "--late_every", "1s", *arguments),
        )
        self.pool: Program | None = None
        self._port = free_port()
        if pool:
            self._words += ["--environment_type=EXTERNAL"]
            self._words += [f"--environment_config=localhost:{self._port}"]
            self.start_pool()
        self.job = self.start_job()
        self._feeder: Feeder | None = None

    def start_job(self, *more: str) -> Program:
        """Starts the command, or starts it again."""
        self.job = Program([*self._words, *more], self.code, self._environment)
        return self.job

    def start_pool(self) -> None:
        """Starts the pool of workers, or starts it again."""
        words = [sys.executable, "-m", POOL, "--service_port", str(self._port)]
        self.pool = Program(words, self.code, self._environment)

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join((str(INJECTED), str(self.code))),
            "FAULTS": str(self.folder),
            # A copy of the code has none.
            "FLINK_JOB_SERVER_JAR": find_job_server(),
        }

    def kill_workers(self) -> None:
        """Ends the processes that the pool has started; the pool stays."""
        for process in self.python:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def kill_pool(self) -> None:
        """Ends the pool with all its workers."""
        assert self.pool is not None
        self.pool.kill()

    @property
    def python(self) -> list[int]:
        """The processes that the job's Python steps run in."""
        if self.pool is None:
            return [self.job.pid]
        return [each for each in descendants(self.pool.pid) if each != self.pool.pid]

    def feed(self, messages: Sequence[Message], seconds: float) -> Feeder:
        """Begins to send messages to the topic."""
        self._feeder = Feeder(self.broker, self.topic, messages, seconds)
        self._feeder.start()
        return self._feeder

    @property
    def feeder(self) -> Feeder:
        """What sends the messages."""
        assert self._feeder is not None
        return self._feeder

    def shift_clock(self, seconds: int) -> None:
        """Shifts the clock of the Python processes; 0 sets it right."""
        (self.folder / "clock").write_text(str(seconds), "ascii")

    def stored(self) -> int:
        """How many messages the store knows to be stored."""
        if not (self.store / "manifest.json").exists():
            return 0
        return sum(LocalStore(self.store).positions().values())

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Waits for a condition while the command runs."""
        return wait_until(condition, what, self)

    def wait_stored(self, number: int) -> None:
        """Waits until the store has so many messages."""

        def stored() -> bool:
            if self.job.ended and REFUSED in self.job.err:
                # It was started while the disk was full. A user would start it again, too.
                self.start_job()
            return self.stored() >= number

        self.wait(stored, "all messages to be stored")

    def wait_means(self, wanted: Sequence[str]) -> None:
        """Waits until `recent_means` are these."""
        try:
            self.wait(lambda: recent_means(self.store) == wanted, "all means")
        except AssertionError as error:
            wrong = differences({"recent": recent_means(self.store)}, {"recent": wanted})
            raise AssertionError("\n".join((str(error), *wrong))) from error

    def checkpoints(self, kind: str = "completed") -> int:
        """How many checkpoints the job has completed, or (`restored`) gone on from."""
        with contextlib.suppress(*NO_ANSWER):
            for job in self._jobs({"RUNNING"}):
                found = request(self.master, f"/jobs/{job}/checkpoints")
                return int(found.get("counts", {}).get(kind, 0))
        return 0

    def stop(self) -> dict[str, Any]:
        """Interrupts the command once; gives its summary when it has ended well."""
        self.job.signal(signal.SIGINT)
        code = self.job.wait(PATIENCE)
        assert code == 0, f"exit code {code}: {self.job.err}"
        summary: dict[str, Any] = json.loads(self.job.out)
        return summary

    def close(self) -> None:
        """Ends all that was started here."""
        self.job.kill()
        if self.pool is not None:
            self.pool.kill()
        for job in self._jobs_that_are_left():
            with contextlib.suppress(*NO_ANSWER):
                request(self.master, f"/jobs/{job}?mode=cancel", {}, "PATCH")
        self.disk.close()

    def _jobs_that_are_left(self) -> list[str]:
        with contextlib.suppress(*NO_ANSWER):
            return self._jobs()
        return []

    def _jobs(self, states: set[str] | None = None) -> list[str]:
        return [
            job["jid"]
            for job in request(self.master, "/jobs/overview")["jobs"]
            if job["name"] == self.name and job["state"] not in ENDED
            if states is None or job["state"] in states
        ]


def wait_until(condition: Callable[[], Any], what: str, scene: Scene | None = None) -> Any:
    """What the condition gives once it is true; the scene's command must be running until then."""
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        if scene is not None and scene.job.ended:
            raise AssertionError(f"the command ended before {what}: {scene.job.err}")
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.1)
    return found
