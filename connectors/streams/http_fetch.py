"""One request to a server that may do anything: an answer, or a sentence that says what it did."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import requests

from connectors.streams.http_body import UnusableError, read_text
from connectors.streams.http_failures import Failure, failure_of
from connectors.streams.http_options import HttpOptions
from connectors.streams.http_schedule import retry_after
from connectors.streams.http_sockets import Sockets, session_over

__all__ = ["Answer", "Fetch"]

THREAD = "http-poll"
TEXT = {HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION}
NOTHING = {HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED}
PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


@dataclass(frozen=True)
class Answer:
    """What a server answered that is of use.

    Attributes:
        text: the response; None where the server says that there is nothing new.
        arrived_at: when it was complete, in microseconds since the epoch.
        conditions: headers with which the next request asks only for what is newer.
    """

    text: bytes | None
    arrived_at: int
    conditions: Mapping[str, str] = field(default_factory=dict)


class Fetch:
    """A request under way, in a thread of its own, so that nobody has to wait for it.

    Args:
        url: what to get, the values of its query too.
        headers: of the request; the key may be among them.
        options: time-outs and size.
    """

    def __init__(self, url: str, headers: Mapping[str, str], options: HttpOptions) -> None:
        self._url, self._headers, self._options = url, dict(headers), options
        self._sockets = Sockets()
        self._deadline = time.monotonic() + options.response_timeout
        self._outcome: Answer | Failure | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=THREAD, daemon=True).start()

    def wait(self, timeout: float) -> Answer | Failure | None:
        """What has become of it.

        Args:
            timeout: seconds to wait for that, at most.

        Returns:
            None while it is under way.
        """
        if self._done.wait(min(timeout, max(self._deadline - time.monotonic(), 0.0))):
            return self._outcome
        if time.monotonic() < self._deadline:
            return None
        self.cut()
        return Failure(f"did not finish its response within {self._options.response_timeout:g} s")

    def cut(self) -> None:
        """Ends it; nobody is interested any more."""
        self._sockets.cut()

    def _run(self) -> None:
        try:
            self._outcome = self._ask()
        finally:
            self._sockets.close()
            self._done.set()

    def _ask(self) -> Answer | Failure:
        options = self._options
        try:
            with (
                session_over(self._sockets) as session,
                session.get(
                    self._url,
                    headers={
                        "Accept": "application/json, */*;q=0.5",
                        "Accept-Encoding": "gzip",
                        "Connection": "close",
                        "User-Agent": "regional-means",
                        **self._headers,
                    },
                    timeout=(options.connect_timeout, options.read_timeout),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                return self._answer(response)
        except Exception as error:
            # Its text is not repeated anywhere: it may hold the address with all of its query.
            return failure_of(error, options)

    def _answer(self, response: requests.Response) -> Answer | Failure:
        status = response.status_code
        if status in NOTHING:
            return Answer(None, _now(), _conditions(response))
        if status in TEXT:
            try:
                text = read_text(response, self._options.max_bytes)
                return Answer(text, _now(), _conditions(response))
            except UnusableError as error:
                return Failure(str(error))
        if 300 <= status < 400:
            to = _host(self._url, response.headers.get("Location", ""))
            return Failure(
                f"redirects to {to}, which is not followed: "
                "name the address where the readings are",
                final=True,
            )
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Failure(f"answers {_said(status)}: {self._about_the_key()}", final=True)
        asked = retry_after(
            response.headers.get("Retry-After"), response.headers.get("Date"), time.time()
        )
        final = 400 <= status < 500 and status not in PASSING
        return Failure(f"answers {_said(status)}", final, retry_after=asked)

    def _about_the_key(self) -> str:
        options = self._options
        if options.header in self._headers:
            return (
                f"it does not take the key from the environment variable {options.key_env} "
                f"(--http_key_env) in the header {options.header} (--http_header)"
            )
        return (
            f"put its key into the environment variable {options.key_env} (--http_key_env); "
            f"it is sent in the header {options.header} (--http_header)"
        )


def _conditions(response: requests.Response) -> dict[str, str]:
    """What to ask with next time; a server that takes its promise back has none."""
    found = {}
    for said, asked in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        value = response.headers.get(said, "").strip()
        if value and value.isascii() and value.isprintable() and len(value) <= 1024:
            found[asked] = value
    return found


def _now() -> int:
    return time.time_ns() // 1000


def _host(url: str, location: str) -> str:
    try:
        return urlsplit(urljoin(url, location)).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def _said(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


class _NoAddresses(logging.Filter):
    """urllib3 logs every request, with the values of its query: those of polls are left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.threadName != THREAD


logging.getLogger("urllib3.connectionpool").addFilter(_NoAddresses())
