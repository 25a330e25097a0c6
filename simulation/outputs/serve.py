"""A server that answers as a polled REST API of readings does: those of the last interval."""

from __future__ import annotations

import hashlib
import hmac
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from simulation.batch import Batch
from simulation.counts import Counts
from simulation.outputs.output import OutputError, wall_clock

__all__ = ["ServeOutput"]

HEADER = "X-API-Key"
REQUEST_SECONDS = 30


@dataclass
class _Answer:
    """The readings of an interval: the body, its tag, and whether somebody has fetched it."""

    batches: list[Batch]
    body: bytes
    tag: str
    fetched: bool = False


class ServeOutput:
    """`GET /` answers a JSON array of the readings of the last interval that is over.

    Readings count as sent when their interval was fetched for the first time. An answer has an
    `ETag`: a client that sends it back in `If-None-Match` is told 304 while nothing has changed.

    Args:
        host: where to listen.
        port: where to listen; 0 picks a free port.
        interval: how long an interval is, in simulated microseconds.
        start: when the first begins, in microseconds since the epoch.
        key: what the header `X-API-Key` must say; None: anybody may read.
        counts: counts what was fetched.
        stop: ends waiting when it is set.

    Attributes:
        address: of the server, `http://HOST:PORT`.

    Raises:
        OutputError: the port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        interval: int,
        start: int,
        key: str | None,
        counts: Counts,
        stop: threading.Event,
    ) -> None:
        self._interval, self._start, self._counts = interval, start, counts
        self._key, self._stop = key, stop
        self._lock = threading.Lock()
        self._fetched = threading.Event()
        self._number, self._open = 0, list[Batch]()
        self._answer = _answer([])
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(self))
        except (OSError, OverflowError) as error:
            msg = f"port {port} of {host} cannot be listened on: {error}"
            raise OutputError(msg) from error
        self.address = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def send(self, batch: Batch) -> None:
        """As `Output.send`: the readings are served when their interval is over."""
        numbers = (batch.messages.dues - self._start) // self._interval
        cuts = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
        for first, last in zip([0, *cuts], [*cuts, len(batch)], strict=True):
            number = int(numbers[first])
            if number > self._number:
                self._turn()
                self._number = number
            self._open.append(batch.between(first, last))

    def close(self) -> None:
        """As `Output.close`: the last readings can be fetched for the time of an interval."""
        if self._open:
            self._turn()
            waited, step = 0.0, 0.1
            while waited < self._interval / 1e6 and not self._fetched.is_set():
                if self._stop.wait(step):
                    break
                waited += step
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._miss()

    def fetch(self, tag: str | None) -> tuple[HTTPStatus, bytes, str]:
        """The answer to a request: status, body, tag."""
        with self._lock:
            answer = self._answer
            if tag == answer.tag:
                return HTTPStatus.NOT_MODIFIED, b"", answer.tag
            if not answer.fetched:
                answer.fetched = True
                for batch in answer.batches:
                    self._counts.add(batch, wall_clock(len(batch)))
                if answer.batches:
                    self._fetched.set()
            return HTTPStatus.OK, answer.body, answer.tag

    def allows(self, key: str | None) -> bool:
        """Whether a request may read."""
        return self._key is None or hmac.compare_digest((key or "").encode(), self._key.encode())

    def _turn(self) -> None:
        """The interval is over: its readings are the answer now."""
        answer = _answer(self._open)
        self._open = []
        with self._lock:
            self._miss()
            self._answer = answer
            self._fetched.clear()

    def _miss(self) -> None:
        if not self._answer.fetched:
            self._counts.refuse("not fetched", sum(map(len, self._answer.batches)))


def _answer(batches: list[Batch]) -> _Answer:
    body = b"[" + b",".join(text for batch in batches for text in batch.texts) + b"]"
    return _Answer(batches, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _handler(output: ServeOutput) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            if urlsplit(self.path).path != "/":
                self._say(HTTPStatus.NOT_FOUND, b'{"error":"there is nothing but /"}')
            elif not output.allows(self.headers.get(HEADER)):
                said = f'{{"error":"the header {HEADER} is missing or wrong"}}'
                self._say(HTTPStatus.UNAUTHORIZED, said.encode())
            else:
                self._say(*output.fetch(self.headers.get("If-None-Match")))

        def _say(self, status: HTTPStatus, body: bytes, tag: str | None = None) -> None:
            self.send_response(status)
            if tag:
                self.send_header("ETag", tag)
                self.send_header("Cache-Control", "no-cache")
            if status != HTTPStatus.NOT_MODIFIED:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Says nothing: the progress line says what was sent."""

    return Handler
