"""Results and dead letters as messages to a Pub/Sub topic."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, TypeAlias

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue
from google.api_core import exceptions as errors
from google.api_core.retry import Retry
from google.cloud import pubsub_v1  # type: ignore[import-untyped,attr-defined]
from google.cloud.pubsub_v1.publisher.exceptions import (  # type: ignore[import-untyped]
    MessageTooLargeError,
)

from connectors.input_error import InputError
from connectors.output_error import OutputError
from connectors.pubsub_client import (
    FAILURES,
    TOPIC,
    PubSubName,
    ask,
    client_of,
    is_passing,
    parse_pubsub_uri,
    reason_of,
)
from transforms.balance import count

__all__ = ["Outgoing", "PublishMessages", "check_topic"]

Outgoing: TypeAlias = tuple[bytes | None, bytes, dict[str, str]]
"""Key or None, value, attributes: what `ToMessages` and `RejectedToMessages` give."""

UNCONFIRMED = 10_000
"""Messages that are on their way at a time."""

UNCONFIRMED_KEYS = 200
"""The same, of messages with ordering keys: each key is a request of its own, and a thread."""

LONGEST_KEY = 1024
"""Bytes of an ordering key."""

LONGEST_PAUSE = 5.0
"""Seconds between two tries."""

OPTIONS_OF_PUBLISH = frozenset({"topic", "data", "ordering_key", "retry", "timeout"})
"""The client takes attributes beside these arguments, by their names."""


def check_topic(uri: str) -> None:
    """Looks whether there is a topic to publish to.

    Args:
        uri: `pubsub://projects/P/topics/T`.

    Raises:
        OutputError: there is none, or Pub/Sub cannot be reached.
    """
    topic = _topic(uri)
    client = _publisher(ordered=False)
    try:
        ask(client.get_topic, topic, "published to", OutputError, topic=topic.path)
    except OutputError as error:
        # Whoever may publish need not be allowed to look.
        if not isinstance(error.__cause__, errors.PermissionDenied):
            raise
    finally:
        _close(client)


class PublishMessages(beam.PTransform[beam.PCollection[Outgoing], beam.PCollection[int]]):
    """Publishes messages to a topic.

    Elements in are key or None, value and attributes; elements out are how many messages of each
    bundle Pub/Sub has confirmed. A bundle is not finished before all of its messages are: what
    fails then is published again, so a message may come twice. The counters `published` and
    `bytes_published` of the namespace `sink` count what was confirmed.

    Args:
        uri: `pubsub://projects/P/topics/T`.
        ordered: the key is the ordering key: messages of one key come in the order in which they
            were published, where the subscription asks for it. Each key is a request of its own,
            which is far slower. Without this a key says nothing.
        timeout: seconds in which Pub/Sub must confirm what a bundle has published.

    Raises:
        OutputError: the address is not understood; from the pipeline, when a message cannot be
            published.
    """

    def __init__(self, uri: str, *, ordered: bool = False, timeout: float = 60.0) -> None:
        super().__init__()
        self._topic, self._ordered, self._timeout = _topic(uri), ordered, timeout

    def expand(self, pcoll: beam.PCollection[Outgoing]) -> beam.PCollection[int]:
        publish = _Publish(self._topic, self._timeout, ordered=self._ordered)
        return pcoll | "Publish" >> beam.ParDo(publish).with_output_types(int)


class _Publish(beam.DoFn):
    def __init__(self, topic: PubSubName, timeout: float, *, ordered: bool) -> None:
        self._topic, self._timeout, self._ordered = topic, timeout, ordered
        self._client: Any = None

    def start_bundle(self) -> None:
        if self._client is None:
            self._client = _publisher(ordered=self._ordered)
        given_up = self._given_up = threading.Event()
        self._retry = Retry(
            # With ordering keys the client takes no end of trying from us, only this.
            predicate=lambda error: is_passing(error) and not given_up.is_set(),
            initial=0.1,
            maximum=LONGEST_PAUSE,
            timeout=self._timeout,
        )
        self._sent: list[tuple[Future[str], int]] = []
        self._confirmed = 0

    def process(self, element: Outgoing) -> None:
        key, value, attributes = element
        taken = OPTIONS_OF_PUBLISH & attributes.keys()
        if taken:
            self._fail(f"no attribute can be named {sorted(taken)[0]!r}")
        ordering = _ordering_key(key) if self._ordered and key is not None else ""
        try:
            future = self._client.publish(
                self._topic.path,
                value,
                ordering_key=ordering,
                retry=self._retry,
                timeout=self._timeout,
                **attributes,
            )
        except MessageTooLargeError as error:
            self._fail(f"a message of {len(value):,} bytes is larger than Pub/Sub takes", error)
        self._sent.append((future, len(value)))
        if len(self._sent) >= (UNCONFIRMED_KEYS if self._ordered else UNCONFIRMED):
            self._confirm()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._confirm()
        if self._confirmed:
            yield WindowedValue(self._confirmed, MAX_TIMESTAMP, (GlobalWindow(),))

    def teardown(self) -> None:
        if self._client is not None:
            _close(self._client)
            self._client = None

    def _confirm(self) -> None:
        until = time.monotonic() + self._timeout
        for future, _ in self._sent:
            try:
                future.result(timeout=max(0.0, until - time.monotonic()))
            except TimeoutError as error:
                self._fail(f"Pub/Sub did not confirm it within {self._timeout:g} s", error)
            except FAILURES as error:
                self._fail(None, error)
        self._confirmed += len(self._sent)
        count("published", len(self._sent), "sink")
        count("bytes_published", sum(size for _, size in self._sent), "sink")
        self._sent = []

    def _fail(self, reason: str | None, cause: Exception | None = None) -> None:
        """Raises; the client goes, too: it holds back further messages of the same ordering key."""
        client, self._client = self._client, None
        self._given_up.set()
        client.stop()
        # Its threads may be waiting for their next try.
        closing = threading.Timer(LONGEST_PAUSE + 1, client.transport.close)
        closing.daemon = True
        closing.start()
        if reason is None and cause is not None:
            raise OutputError(reason_of(cause, self._topic, "published to")) from cause
        msg = f"{self._topic.uri} cannot be published to: {reason}"
        raise OutputError(msg) from cause


def _ordering_key(key: bytes) -> str:
    """The key as text; the hash of one that is longer than Pub/Sub takes, or is no text."""
    with contextlib.suppress(UnicodeDecodeError):
        if len(key) <= LONGEST_KEY:
            return key.decode()
    return hashlib.sha256(key).hexdigest()


def _topic(uri: str) -> PubSubName:
    try:
        return parse_pubsub_uri(uri, (TOPIC,))
    except InputError as error:
        raise OutputError(str(error)) from error


def _publisher(*, ordered: bool) -> Any:
    batches = pubsub_v1.types.BatchSettings(max_messages=1000, max_bytes=4 << 20, max_latency=0.02)
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=ordered)
    return client_of(
        lambda: pubsub_v1.PublisherClient(batch_settings=batches, publisher_options=options),
        OutputError,
    )


def _close(client: Any) -> None:
    client.stop()
    client.transport.close()
