"""The service as a process of its own, and a client of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What the service said."""

    status: int
    headers: dict[str, str]
    body: Any


class Service:
    """A running service.

    Attributes:
        host, port: where it listens.
        log: the lines of its log.
    """

    def __init__(self, *arguments: object, port: int = 0) -> None:
        words = [sys.executable, "-m", "serving", "--port", port, *arguments]
        self._process = subprocess.Popen(
            [str(word) for word in words],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            wait_for(lambda: self.events("listening") or self._process.poll() is not None)
            assert self.events("listening"), self.other
        except BaseException:
            self._process.kill()
            raise
        self.host, _, port_text = self.events("listening")[0]["url"][7:].rpartition(":")
        self.port = int(port_text)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.other.append(line)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log about an event."""
        return [line for line in self.log if line["event"] == name]

    @property
    def process_id(self) -> int:
        return self._process.pid

    def connect(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def post(self, body: Any, kind: str | None = JSON, **headers: str) -> Answer:
        """Sends a body: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = self.connect()
        try:
            sent = {"Content-Type": kind, **headers} if kind else headers
            connection.request("POST", "/devices/messages", data, sent)
            return answer_of(connection)
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        connection = self.connect()
        try:
            connection.request("GET", path)
            return answer_of(connection)
        finally:
            connection.close()

    def signal(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Tells it to stop, and waits; its exit code."""
        if self._process.poll() is None:
            self.signal()
        return self.wait()

    def wait(self) -> int:
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
            raise
        self._reader.join(PATIENCE)
        return code


@contextmanager
def running(*arguments: object) -> Iterator[Service]:
    """A service that is stopped in the end, and must then have had nothing to complain of."""
    service = Service(*arguments)
    try:
        yield service
    finally:
        code = service.stop()
    assert code == 0, service.other


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    text = response.read()
    headers = {key.lower(): value for key, value in response.getheaders()}
    body = json.loads(text) if headers.get("content-type", "").startswith(JSON) else text
    return Answer(response.status, headers, body)


def run_to_its_end(*arguments: object) -> tuple[int, str]:
    """Runs a service that cannot start: its exit code and what it says."""
    words = [sys.executable, "-m", "serving", *map(str, arguments)]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stderr


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Waits until a condition holds; fails where it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "what was waited for has not come"
        time.sleep(0.01)
