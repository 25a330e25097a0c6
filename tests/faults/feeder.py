"""Sends messages at a pace, whatever happens to the broker; a partition can fall silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from tests.faults.messages import POISON, Message
from tests.support.kafka_server import KafkaServer

__all__ = ["Feeder"]

TICK = 0.1
PATIENCE_MS = 120_000


class Feeder:
    """Sends messages from a thread of its own, each once and in order.

    Args:
        broker: where to.
        topic: where to.
        messages: what.
        seconds: how long it takes.
    """

    def __init__(
        self, broker: KafkaServer, topic: str, messages: Sequence[Message], seconds: float
    ) -> None:
        self._broker, self._topic = broker, topic
        self.seconds = seconds
        self._waiting = list(messages)
        self._silent: set[int] = set()
        self._lock = threading.Lock()
        self._no_more = threading.Event()
        self._refused: list[str] = []
        self._producer = broker.producer(
            enable_idempotence=True,
            delivery_timeout_ms=PATIENCE_MS,
            reconnect_backoff_max_ms=1000,
        )
        self.sent: list[Message] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def silence(self, partition: int) -> None:
        """Nothing more is sent to a partition."""
        with self._lock:
            self._silent.add(partition)

    def resume(self, partition: int) -> None:
        """What was held back is sent, and what comes after it."""
        with self._lock:
            self._silent.discard(partition)

    def poison(self, partition: int) -> None:
        """Sends, next of all, a message that makes the parser fail."""
        with self._lock:
            stamp = self._waiting[0].stamp if self._waiting else self.sent[-1].stamp
            self._waiting.insert(0, Message(POISON, stamp, partition, "poison"))

    def finish(self, seconds: float) -> list[Message]:
        """Waits until the broker has all; gives what was sent."""
        self._silent.clear()
        self._no_more.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the messages were not sent in time"
        assert self._producer.flush(seconds) == 0, "the broker did not take the messages in time"
        assert not self._refused, self._refused[0]
        return self.sent

    def _run(self) -> None:
        share = len(self._waiting) / self.seconds
        began, due = time.monotonic(), 0.0
        while self._waiting or not self._no_more.is_set():
            due = (time.monotonic() - began) * share
            with self._lock:
                number = max(0, 1 + round(due) - len(self.sent))
                ready = [each for each in self._waiting if each.partition not in self._silent]
                now = ready[:number]
                chosen = set(map(id, now))
                self._waiting = [each for each in self._waiting if id(each) not in chosen]
                self.sent += now
            for each in now:
                self._broker.put(
                    self._producer,
                    self._topic,
                    each.text,
                    each.partition,
                    timestamp=each.stamp,
                    on_delivery=self._delivered,
                )
            self._producer.poll(0)
            time.sleep(TICK)

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self._refused.append(str(error))
