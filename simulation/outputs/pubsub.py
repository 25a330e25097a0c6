"""Messages into a Pub/Sub topic, of Google's cloud or of the emulator."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future
from typing import Any

from google.cloud import pubsub_v1  # type: ignore[import-untyped,attr-defined,unused-ignore]

from connectors.input_error import InputError
from connectors.pubsub_client import (
    EMULATOR,
    FAILURES,
    TOPIC,
    ask,
    client_of,
    parse_pubsub_uri,
    reason_of,
)
from simulation.batch import Batch
from simulation.counts import Counts
from simulation.outputs.output import OutputError, wall_clock

__all__ = ["PubSubOutput"]

CONFIRM_SECONDS = 30.0
AT_ONCE = 20_000
"""Messages that may be on their way."""
DOING = "published to"


class PubSubOutput:
    """A topic. Attributes: `timestamp`, the event time in milliseconds, and `sensor`.

    A topic of the emulator is made if it is not there.

    Args:
        uri: `pubsub://projects/P/topics/T`.
        counts: counts what was sent. The time of arrival is that of the computer.

    Raises:
        OutputError: the address is none, the server does not answer, or there is no such topic.
    """

    def __init__(self, uri: str, counts: Counts) -> None:
        self._counts = counts
        self._waiting: deque[tuple[Batch, list[Future[str]]]] = deque()
        self._pending = 0
        try:
            self._topic = parse_pubsub_uri(uri, (TOPIC,))
            settings = pubsub_v1.types.BatchSettings(max_messages=1_000, max_latency=0.02)
            self._client: Any = client_of(lambda: pubsub_v1.PublisherClient(settings), OutputError)
            if os.environ.get(EMULATOR) and not self._exists():
                ask(self._client.create_topic, self._topic, "made", name=self._topic.path)
            ask(self._client.get_topic, self._topic, DOING, topic=self._topic.path)
        except InputError as error:
            raise OutputError(str(error)) from error

    def send(self, batch: Batch) -> None:
        """As `Output.send`; an error may be of messages that were sent before."""
        path = self._topic.path
        futures = [
            self._client.publish(path, text, timestamp=str(time), sensor=str(sensor))
            for text, time, sensor in zip(
                batch.texts,
                (batch.messages.times // 1_000).tolist(),
                (batch.sensors + 1).tolist(),
                strict=True,
            )
        ]
        self._waiting.append((batch, futures))
        self._pending += len(batch)
        while self._waiting and (self._pending > AT_ONCE or self._waiting[0][1][-1].done()):
            self._settle()

    def close(self) -> None:
        """As `Output.close`."""
        while self._waiting:
            self._settle()

    def _settle(self) -> None:
        """Waits until the oldest messages are confirmed."""
        batch, futures = self._waiting.popleft()
        self._pending -= len(batch)
        try:
            for future in futures:
                future.result(CONFIRM_SECONDS)
        except (*FAILURES, TimeoutError) as error:
            left = self._pending + len(batch)
            self._waiting.clear()
            self._counts.refuse("not confirmed", left)
            msg = f"{left:,} messages were not taken: {reason_of(error, self._topic, DOING)}"
            raise OutputError(msg) from error
        self._counts.add(batch, wall_clock(len(batch)))

    def _exists(self) -> bool:
        try:
            ask(self._client.get_topic, self._topic, DOING, topic=self._topic.path)
        except InputError as error:
            if "does not exist" in str(error):
                return False
            raise
        return True
