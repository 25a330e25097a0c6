"""Messages posted to a receiving service, several at a time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from simulation.batch import Batch
from simulation.counts import Counts
from simulation.outputs.output import OutputError, wall_clock

__all__ = ["PostOutput"]

PATH = "/devices/messages"
AT_ONCE = 500
ANSWER_SECONDS, PATIENCE_SECONDS = 60.0, 120.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
ACCEPTED, UNPROCESSABLE = {200, 201, 202, 204}, {400, 422}
TRY_AGAIN = {429, 502, 503, 504}


class PostOutput:
    """A service that takes a JSON array of messages, all or none.

    An answer of 422 names the messages that it does not take: the rest is sent again without
    them. An answer of 429 or 503 is waited out as `Retry-After` says.

    Args:
        uri: `http://HOST:PORT`, with a path if it is not `/devices/messages`.
        counts: counts what was taken, and by reason what was refused.
        stop: ends waiting when it is set.

    Raises:
        OutputError: the address is none, or nobody listens there.
    """

    def __init__(self, uri: str, counts: Counts, stop: threading.Event) -> None:
        address = urlsplit(uri)
        if "@" in address.netloc:
            msg = "the address of a service holds no password here"
            raise OutputError(msg)
        if address.scheme not in {"http", "https"} or not address.hostname:
            msg = f"{uri} is no address: write http://HOST:PORT"
            raise OutputError(msg)
        self._counts, self._stop = counts, stop
        self._path = address.path if address.path not in {"", "/"} else PATH
        self._where = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
        kind = (
            http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(address.hostname, address.port, timeout=ANSWER_SECONDS)
        try:
            self._connection.connect()
        except OSError as error:
            msg = f"nobody answers at {self._where}: {error.strerror or error}"
            raise OutputError(msg) from error

    def send(self, batch: Batch) -> None:
        """As `Output.send`."""
        for begin in range(0, len(batch), AT_ONCE):
            self._send(batch.between(begin, min(begin + AT_ONCE, len(batch))))

    def close(self) -> None:
        """As `Output.close`."""
        self._connection.close()

    def _send(self, batch: Batch) -> None:
        while len(batch):
            status, answer = self._post(b"[" + b",".join(batch.texts) + b"]")
            if status in ACCEPTED:
                self._counts.add(batch, wall_clock(len(batch)))
                return
            faults = _faults(answer, len(batch)) if status in UNPROCESSABLE else {}
            if not faults:
                said = answer[:200].decode(errors="replace")
                said = answer[:200].decode(errors="replace")
                msg = f"{self._where}{self._path} answers {status}: {said}"
                raise OutputError(msg)
            for reason in faults.values():
                self._counts.refuse(reason, 1)
            good = [row for row in range(len(batch)) if row not in faults]
            batch = batch.take(np.array(good, np.int64))

    def _post(self, body: bytes) -> tuple[int, bytes]:
        """The answer, once it is one: trouble that passes is waited out."""
        until, wait = time.monotonic() + PATIENCE_SECONDS, FIRST_WAIT
        while True:
            trouble, pause = "", wait
            try:
                self._connection.request(
                    "POST", self._path, body, {"Content-Type": "application/json"}
                )
                response = self._connection.getresponse()
                answer = response.read()
                if response.status not in TRY_AGAIN:
                    return response.status, answer
                trouble = f"it answers {response.status}"
                pause = _retry_after(response.headers.get("Retry-After"), wait)
            except (OSError, http.client.HTTPException) as error:
                # What was on its way may have been taken: only versions tell it apart.
                self._connection.close()
                trouble = str(error) or type(error).__name__
            if time.monotonic() + pause > until or self._stop.wait(pause):
                msg = f"{self._where}{self._path} takes no messages: {trouble}"
                raise OutputError(msg)
            wait = min(wait * 2, LONGEST_WAIT)


def _retry_after(text: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(text)) if text else otherwise
    except ValueError:
        return otherwise


def _faults(answer: bytes, count: int) -> dict[int, str]:
    """The reason of each message that was not taken, by its place in the array."""
    try:
        found: Any = json.loads(answer)
        named = {fault["index"]: str(fault["reason"]) for fault in reversed(found["errors"])}
    except (ValueError, KeyError, TypeError):
        return {}
    return {index: reason for index, reason in named.items() if index in range(count)}
