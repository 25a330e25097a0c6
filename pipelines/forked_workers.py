"""Beam workers that are forks of this process: all cores, and no second start of Python and Beam.

Threads of one process do not help here: the work is many short NumPy calls, and the interpreter's
lock passes between threads at each of them. Beam's own `multi_processing` mode starts new
interpreters, which takes longer than most runs. So the command forks its workers while it has no
threads yet, and hands each of them, when the runner asks for a worker, the address to connect to.
See docs/decisions/0006-forked-workers.md.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    GrpcWorkerHandler,
    WorkerHandler,
)
from apache_beam.transforms import environments
from google.protobuf import json_format

from transforms import balance

__all__ = ["ForkedEnvironment", "ForkedWorkers", "can_fork"]

URN = "regional_means:environment:forked:v1"
PR_SET_PDEATHSIG = 1
SLOT = struct.Struct("qq")
PATIENCE = 5.0
"""Seconds that a worker may take to end."""


def can_fork() -> bool:
    """Whether forks of a process that has imported this much are safe: on Linux."""
    return sys.platform == "linux" and threading.active_count() == 1


class ForkedWorkers:
    """Processes that wait to become Beam workers.

    Args:
        count: how many.
        watched: two counters, as namespace and name, whose sums `progress` gives.
        on_death: called, from a thread, when a worker ends before it should, with a sentence.
    """

    current: ForkedWorkers | None = None

    def __init__(
        self, count: int, watched: Sequence[tuple[str, str]], on_death: Callable[[str], None]
    ) -> None:
        self.count = count
        self._watched = tuple(watched)
        self._on_death = on_death
        self._shared = mmap.mmap(-1, SLOT.size * count)
        self._idle: list[tuple[int, socket.socket]] = []
        self._waiters: dict[int, threading.Thread] = {}
        self._closing = False
        # A Ctrl-C must find either no forks, or forks that do not listen to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._fork_all()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        ForkedWorkers.current = self

    def _fork_all(self) -> None:
        parent = os.getpid()
        for number in range(self.count):
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                # A fork that kept the others' ends open would keep them waiting.
                for connection in (ours, *(earlier for _, earlier in self._idle)):
                    connection.close()
                self._serve(parent, number, theirs)
            theirs.close()
            self._idle.append((pid, ours))
        # Only now: a fork must not happen beside a thread.
        for pid, _ in self._idle:
            self._waiters[pid] = threading.Thread(target=self._wait, args=(pid,), daemon=True)
            self._waiters[pid].start()

    def progress(self) -> tuple[int, int]:
        """The watched counters' sums over all workers."""
        slots = [SLOT.unpack_from(self._shared, SLOT.size * n) for n in range(self.count)]
        return sum(slot[0] for slot in slots), sum(slot[1] for slot in slots)

    def start(self, environment: dict[str, str]) -> int:
        """Makes a waiting process a worker; returns its number."""
        pid, connection = self._idle.pop()
        connection.sendall(json.dumps(environment).encode())
        connection.close()
        return pid

    def stop(self, pid: int) -> None:
        """Waits for a worker that the runner has told to end, but not for one that does not."""
        self._closing = True
        self._waiters[pid].join(PATIENCE)
        if self._waiters[pid].is_alive():
            os.kill(pid, signal.SIGKILL)
            self._waiters[pid].join()

    def close(self) -> None:
        """Ends the processes that were never needed; those that worked end with their runner."""
        self._closing = True
        for pid, connection in self._idle:
            connection.close()
            self._waiters[pid].join()
        self._idle.clear()
        ForkedWorkers.current = None

    def _wait(self, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if not self._closing:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            self._on_death(f"a worker process ended {how}; is there enough memory?")

    def _serve(self, parent: int, number: int, connection: socket.socket) -> None:
        """The life of a fork: it waits, works for the runner, and ends without Python's ending."""
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                with connection.makefile("rb") as file:
                    told = file.read()
                if told:
                    self._report_to(number)
                    _work(json.loads(told))
                code = 0
        finally:
            os._exit(code)

    def _report_to(self, number: int) -> None:
        totals = dict.fromkeys(self._watched, 0)

        def report(namespace: str, name: str, amount: int) -> None:
            if (namespace, name) in totals:
                totals[namespace, name] += amount
                SLOT.pack_into(self._shared, SLOT.size * number, *totals.values())

        balance.watch(report)


def _work(environment: dict[str, str]) -> None:
    from apache_beam.runners.worker import sdk_worker_main  # noqa: PLC0415 - in the fork only

    os.environ.update(environment)
    sdk_worker_main.main([])


@environments.Environment.register_urn(URN, None)
class ForkedEnvironment(environments.Environment):
    """The environment in which the runner asks `ForkedWorkers` for its workers."""

    @classmethod
    def default(cls) -> ForkedEnvironment:
        """With the capabilities of this SDK."""
        return cls(capabilities=environments.python_sdk_capabilities(), artifacts=())

    def to_runner_api_parameter(self, _context: Any) -> tuple[str, None]:
        return URN, None

    @staticmethod
    def from_runner_api_parameter(
        _payload: Any, capabilities: Any, artifacts: Any, resource_hints: Any, _context: Any
    ) -> ForkedEnvironment:
        return ForkedEnvironment(capabilities, artifacts, resource_hints)


@WorkerHandler.register_environment(URN, None)
class ForkedWorkerHandler(GrpcWorkerHandler):
    """The runner's end of a forked worker."""

    def __init__(self, _payload: Any, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)

    def start_worker(self) -> None:
        workers = ForkedWorkers.current
        if workers is None:
            msg = "no workers were forked"
            raise RuntimeError(msg)
        options = self.provision_info.provision_info.pipeline_options
        self._pid = workers.start(
            {
                "CONTROL_API_SERVICE_DESCRIPTOR": f'url: "{self.control_address}"',
                "PIPELINE_OPTIONS": json_format.MessageToJson(options),
                "WORKER_ID": self.worker_id,
            }
        )

    def stop_worker(self) -> None:
        if ForkedWorkers.current is not None:
            ForkedWorkers.current.stop(self._pid)
