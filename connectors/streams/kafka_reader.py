"""Reads one partition of a Kafka topic."""

from __future__ import annotations

import threading
import time
from operator import itemgetter
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, Message, TopicPartition

from connectors.input_error import InputError
from connectors.kafka_client import Cluster, Trouble, answered, offsets_of
from connectors.streams.kafka_commits import CLOSE_SECONDS, GroupOffset
from connectors.streams.kafka_gone import Gone
from connectors.streams.source import Poll
from transforms.balance import count
from transforms.payload import Payload, join_messages

__all__ = ["KafkaReader"]

MOST = 20_000
"""Messages of one poll, at most."""

ASK_EVERY = 0.5
"""Seconds between questions whether there is more, while nothing comes."""

ASK_SECONDS = 1.0

SETTINGS: dict[str, Any] = {
    # A million messages a second rather than two hundred thousand.
    "queued.min.messages": 1_000_000,
    "queued.max.messages.kbytes": 65_536,
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 50,
    "fetch.message.max.bytes": 4 << 20,
    # A message that is larger than all that a broker may send at once could never be read.
    "receive.message.max.bytes": 512 << 20,
    "reconnect.backoff.max.ms": 1000,
}
OURS: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
}

PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)
"""Errors of a broker that is starting, or has handed a partition to another one."""


class KafkaReader:
    """Reads one partition in the order of its offsets. Gaps between them are no fault.

    Of the namespace `source`, the counter `tombstones` counts messages without a value, which are
    passed over, and `commit_errors` offsets of the group that the broker has refused.

    Args:
        cluster: the topic.
        partition: the partition's number.
        name: what the part is called, and the source of its messages.
        group: the consumer group whose offset is committed.
        gone: see `KafkaSource`.
        timeout: seconds for which nothing may be heard from the brokers.

    Raises:
        InputError: an option of the clients is wrong.
    """

    def __init__(
        self, cluster: Cluster, partition: int, name: str, group: str, *, gone: str, timeout: float
    ) -> None:
        self._cluster, self._partition, self._name = cluster, partition, name
        self._gone, self._timeout = gone, timeout
        self._trouble = Trouble()
        self._offset = GroupOffset(cluster.topic, partition)
        settings = {**SETTINGS, "group.id": group, "on_commit": self._offset.on_commit}
        self._consumer = cluster.consumer({**settings, **OURS}, self._trouble)
        # Between these two lies nothing that belongs into a payload.
        self._given = self._next = -1
        self._end = -1
        self._ask_at = 0.0
        self._waiting_since: float | None = None
        # A job that is started again may read here while its former attempt does not know it yet.
        self._lock = threading.Lock()

    def poll(self, position: int, timeout: float) -> Poll:
        with self._lock:
            return self._poll(position, timeout)

    def _poll(self, position: int, timeout: float) -> Poll:
        if not self._given <= position <= self._next or self._next < 0:
            self._go_to(position)
        messages = self._consumer.consume(MOST, timeout)
        self._offset.count_errors()
        payload = self._payload(messages)
        if payload is None:
            return self._nothing()
        self._waiting_since = None
        self._given = self._next
        assert payload.messages is not None  # noqa: S101 - `join_messages` gives them
        return Poll(self._next, payload, len(payload.messages.starts), lag=self._lag())

    def stored(self, position: int) -> None:
        self._offset.stored(position, self._consumer)

    def close(self) -> None:
        self._consumer.unassign()
        self._offset.finish(self._consumer)
        # While the brokers are away it would wait for most of a minute.
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    def _go_to(self, position: int) -> None:
        where = TopicPartition(self._cluster.topic, self._partition, position)
        self._consumer.assign([where])
        self._given = self._next = position
        self._end = -1

    def _payload(self, messages: list[Any]) -> Payload | None:
        """The messages that have a value; None where there is none."""
        # Mapping a method of C over twenty thousand messages is twice as fast as a comprehension.
        if any(map(Message.error, messages)):
            messages = self._without_errors(messages)
        if not messages:
            return None
        self._next = messages[-1].offset() + 1
        values: list[Any] = list(map(Message.value, messages))
        if not all(values):
            messages = [each for each in messages if each.value()]
            count("tombstones", len(values) - len(messages), "source")
            values = list(map(Message.value, messages))
        if not messages:
            return None
        number = len(messages)
        offsets = np.fromiter(map(Message.offset, messages), np.int64, number)
        stamps = map(itemgetter(1), map(Message.timestamp, messages))
        times = np.fromiter(stamps, np.int64, number) * 1000
        # A broker of long ago, or a producer that says nothing.
        times[times <= 0] = int(time.time() * 1e6)
        return join_messages(values, self._name, offsets, times)

    def _without_errors(self, messages: list[Any]) -> list[Any]:
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            else:
                self._hear(error, message.offset())
        return good

    def _hear(self, error: KafkaError, offset: int) -> None:
        """An error that stands where a message would.

        Raises:
            InputError: waiting does not help, or a message would be passed over.
        """
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            self._end = offset
        elif code == KafkaError._AUTO_OFFSET_RESET:
            self._skip()
        elif code in PASSING:
            self._trouble.hear(error)
        else:
            raise InputError(self._cluster.sentence(error))

    def _skip(self) -> None:
        """Goes on where the partition begins now.

        Raises:
            InputError: it may not.
        """
        low, high = offsets_of(self._cluster, self._consumer, self._trouble, self._partition)
        given, found = self._given, Gone(self._name, self._next, low, high)
        self._go_to(found.decide(self._gone))
        # Whoever asks for what is gone again is not sent back.
        self._given = given

    def _nothing(self) -> Poll:
        """Nothing came: whether there is more, the broker says.

        Raises:
            InputError: it has said nothing, or given nothing, for too long.
        """
        now = time.monotonic()
        if now < self._ask_at:
            return Poll(self._next, lag=self._lag())
        where = TopicPartition(self._cluster.topic, self._partition)
        ask = self._consumer.get_watermark_offsets
        found = answered(self._trouble, lambda: ask(where, timeout=ASK_SECONDS, cached=False))
        now = time.monotonic()
        self._ask_at = now + ASK_EVERY
        caught_up = found is not None and max(self._next, self._end) == found[1]
        if caught_up:
            self._waiting_since = None
            self._trouble.forget()
        else:
            self._wait(now, None if found is None else found[1])
        return Poll(self._next, caught_up=caught_up, lag=self._lag())

    def _wait(self, now: float, high: int | None) -> None:
        """Waits for messages that are there, or for a broker that is not."""
        if self._waiting_since is None:
            self._waiting_since = now
        if now - self._waiting_since < self._timeout:
            return
        why = self._trouble.why
        said = "" if why is None else f" ({self._cluster.sentence(why)})"
        what = (
            f"no Kafka broker answers at {self._cluster.servers}"
            if high is None
            else f"{self._name} holds messages up to offset {high:,} and gives none"
        )
        msg = (
            f"{what} for {self._timeout:g} s{said}; what is stored is safe, and the same command "
            f"goes on at offset {self._next:,} at the latest (--kafka_timeout waits longer)"
        )
        raise InputError(msg)

    def _lag(self) -> int | None:
        """How many messages are behind the last one, as of the last answer to a fetch."""
        where = TopicPartition(self._cluster.topic, self._partition)
        found = self._consumer.get_watermark_offsets(where, cached=True)
        if found is None or found[1] < 0:
            return None
        return max(0, found[1] - max(self._next, self._end))
