"""An HTTP address that is polled for readings, as a source that does not end."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from connectors.input_error import InputError
from connectors.streams.http_archive import ArchivedResponse, ResponseArchive, first_from
from connectors.streams.http_failures import Failure
from connectors.streams.http_fetch import Answer, Fetch
from connectors.streams.http_options import (
    HttpOptions,
    checked_url,
    masked_url,
    part_name,
    read_key,
)
from connectors.streams.http_schedule import Schedule
from connectors.streams.source import Part, Poll
from transforms.balance import count
from transforms.payload import Payload, join_messages

__all__ = ["HttpReader", "HttpSource"]

LONGEST_WAIT = 1.0
"""Seconds: a run that is stopped waits for a reader no longer."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_log = logging.getLogger(__name__)


class HttpSource:
    """An address that is asked every so often; each response is a message.

    It has one part. A position in it is a moment, in microseconds since the epoch: all responses
    that arrived before it are read.

    Args:
        url: as the user wrote it.
        folder: the archive of responses, which all workers must see; `responses` in the folder of
            the local store.
        options: how it is polled. The key is not among them: the worker reads it from its own
            environment.

    Attributes:
        uri: the address without the values of its query.
        name: what its part is called.

    Raises:
        InputError: it is no address that can be polled, or holds a password.
    """

    def __init__(self, url: str, folder: str | Path, options: HttpOptions | None = None) -> None:
        self.url = checked_url(url)
        self.folder, self.options = str(Path(folder).absolute()), options or HttpOptions()
        self.uri, self.name = masked_url(self.url), part_name(self.url)

    def __repr__(self) -> str:
        return f"HttpSource({self.uri!r})"

    def parts(self, positions: dict[str, int]) -> Sequence[Part]:
        """The one part; see `Source`. What was archived and not stored by then is read again."""
        stored = positions.get(self.name)
        return [Part(self.name, self._archive().stored() if stored is None else stored)]

    def open(self, part: Part) -> HttpReader:  # noqa: ARG002
        """See `Source`.

        Raises:
            InputError: the key is none, or the archive cannot be read.
        """
        return HttpReader(self, self._archive())

    def _archive(self) -> ResponseArchive:
        return ResponseArchive(self.folder, self.name)


class HttpReader:
    """Asks a server, archives what it answers, and gives out what is archived, in order.

    Of the namespace `source`, the counters `responses` (with something new), `responses_unchanged`
    (a 304, or the same text again), `responses_replayed` (from the archive, after a restart) and
    `responses_failed` count requests.

    Args:
        source: the address.
        archive: where its responses are kept.

    Raises:
        InputError: the key is none, or the archive cannot be read.
    """

    def __init__(self, source: HttpSource, archive: ResponseArchive) -> None:
        self._source, self._archive = source, archive
        self._schedule = Schedule(source.options.interval)
        key = read_key(source.options)
        self._headers = {} if key is None else {source.options.header: key}
        self._conditions: Mapping[str, str] = {}
        self._fetch: Fetch | None = None
        self._responses: list[ArchivedResponse] = []
        self._listed_from: int | None = None
        self._marked = 0
        self._last_sha256 = ""
        self._answered = self._caught_up = False
        # A runner may tell what is stored while it polls.
        self._lock = threading.Lock()
        archive.remove_unfinished()

    def poll(self, position: int, timeout: float) -> Poll:
        """See `Reader`."""
        with self._lock:
            replayed = self._replayed(position)
            if replayed is not None:
                return replayed
            outcome = self._ask(timeout)
            if isinstance(outcome, Failure):
                self._failed(outcome)
            elif outcome is not None:
                new = self._new(outcome, position)
                if new is not None:
                    return new
            wait = 0.0 if self._fetch is not None else min(self._schedule.wait, LONGEST_WAIT)
            return Poll(position, caught_up=self._caught_up, wait=wait)

    def stored(self, position: int) -> None:
        """See `Reader`. What is stored need not be read again after a restart."""
        if position <= self._marked:
            return
        with self._lock:
            self._marked = position
            del self._responses[: first_from(self._responses, position)]
            if self._listed_from is not None:
                self._listed_from = max(self._listed_from, position)
            try:
                self._archive.mark_stored(position)
            except OSError as error:
                # Only a run without a local store goes by it, and reads a little again.
                _log.warning("%s: %s", self._archive.folder, error.strerror or error)

    def close(self) -> None:
        """See `Reader`."""
        if self._fetch is not None:
            self._fetch.cut()
            self._fetch = None

    def _replayed(self, position: int) -> Poll | None:
        """The next response that is in the archive already."""
        if self._listed_from is None or position < self._listed_from:
            try:
                self._responses = self._archive.since(position)
            except OSError as error:
                reason = error.strerror or error
                msg = f"the archive {self._archive.folder} cannot be read: {reason}"
                raise InputError(msg) from error
            self._listed_from = position
        number = first_from(self._responses, position)
        while number < len(self._responses):
            response = self._responses[number]
            text = response.read()
            if text is not None:
                count("responses_replayed", 1, "source")
                return self._given(response, text)
            del self._responses[number]
        return None

    def _ask(self, timeout: float) -> Answer | Failure | None:
        """What has become of the request that is due or under way; None for nothing yet."""
        if self._fetch is None:
            if self._schedule.wait > 0:
                return None
            self._schedule.start()
            headers = {**self._headers, **self._conditions}
            self._fetch = Fetch(self._source.url, headers, self._source.options)
        outcome = self._fetch.wait(timeout)
        if outcome is not None:
            self._fetch = None
        return outcome

    def _new(self, answer: Answer, position: int) -> Poll | None:
        """Archives a response and gives it out; None where it holds nothing new."""
        response = None
        if answer.text is not None and _sha256(answer.text) != self._last_sha256:
            newest = self._responses[-1].arrived_at if self._responses else 0
            # Two responses in one microsecond, or a clock that was set back: the order stays.
            arrived_at = max(answer.arrived_at, position, newest + 1)
            try:
                response = self._archive.add(answer.text, arrived_at)
            except OSError as error:
                where = f"its response cannot be archived in {self._archive.folder}"
                self._failed(Failure(f"has answered, but {where}: {error.strerror or error}"))
                return None
            self._responses.append(response)
        self._answered = True
        self._schedule.succeed()
        if answer.conditions or answer.text is not None:
            self._conditions = answer.conditions
        if response is None or answer.text is None:
            self._caught_up = True
            count("responses_unchanged", 1, "source")
            return None
        count("responses", 1, "source")
        return self._given(response, answer.text)

    def _given(self, response: ArchivedResponse, text: bytes) -> Poll:
        self._last_sha256, self._caught_up = response.sha256, False
        after = response.arrived_at + 1
        more = first_from(self._responses, after) < len(self._responses)
        wait = 0.0 if more else min(self._schedule.wait, LONGEST_WAIT)
        return Poll(after, _payload(self._source.uri, response, text), records=1, wait=wait)

    def _failed(self, failure: Failure) -> None:
        """Waits before it asks again.

        Raises:
            InputError: it is of no use to ask again.
        """
        count("responses_failed", 1, "source")
        self._caught_up = False
        sentence = f"{self._source.uri} {failure.sentence}"
        if failure.final or (failure.typed and not self._answered):
            raise InputError(sentence)
        failing = self._schedule.fail(failure.retry_after)
        if failing >= self._source.options.give_up:
            msg = f"{sentence}; nothing but failures for {failing:,.0f} s (--http_give_up)"
            raise InputError(msg)
        _log.warning("%s; it is asked again in %.0f s", sentence, self._schedule.wait)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _payload(uri: str, response: ArchivedResponse, text: bytes) -> Payload:
    return join_messages(
        [text.removeprefix(BYTE_ORDER_MARK)],
        uri,
        places=[response.place],
        arrived_at=np.array([response.arrived_at], np.int64),
        unit="response",
    )
