"""Publishes to a Kafka topic: confirmed by all replicas, each message once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from connectors.kafka_client import Cluster, Trouble
from connectors.output_error import OutputError
from serving.publishers.publisher import Confirmation, Done, Outgoing, Unconfirmed

__all__ = ["KafkaPublisher"]

LINGER = 5
"""Milliseconds that a message waits for others to go with it."""
POLL = 0.1
"""Seconds of one wait for confirmations: closing takes no longer than that."""
MOST_QUEUED = 10_000_000
"""Messages in the client's own queue: the service bounds what is in flight before."""
MAY_PASS = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE})
"""What a broker says of a topic that it is just making."""


class KafkaPublisher:
    """A Kafka topic; the key of a message picks its partition.

    Args:
        cluster: the topic and how to connect.
        confirm_within: seconds that the brokers have to confirm a message.

    Raises:
        InputError: an option of the client is wrong.
    """

    def __init__(self, cluster: Cluster, confirm_within: float) -> None:
        self.uri = cluster.uri
        self._cluster = cluster
        self._settings = {
            "client.id": "serving",
            "linger.ms": LINGER,
            "compression.type": "lz4",
            "queue.buffering.max.messages": MOST_QUEUED,
            "acks": "all",
            "enable.idempotence": True,
            "delivery.timeout.ms": int(confirm_within * 1000),
        }
        self._unconfirmed = Unconfirmed()
        self._closing = threading.Event()
        self._renewing = threading.Lock()
        self._open()
        self._poller = threading.Thread(target=self._poll, name="kafka confirmations", daemon=True)
        self._poller.start()

    def check(self, timeout: float) -> None:
        """As `Publisher.check`. A broker that makes topics when asked for them makes this one."""
        until = time.monotonic() + timeout
        while True:
            left = max(POLL, until - time.monotonic())
            error = self._ask(left)
            if error is None:
                return
            if error.code() not in MAY_PASS or time.monotonic() + POLL > until:
                raise OutputError(self._cluster.sentence(error))
            time.sleep(POLL)

    def publish(self, messages: list[Outgoing], done: Done) -> None:
        """As `Publisher.publish`."""
        if not messages:
            done(None)
            return
        confirmation = Confirmation(len(messages), done, self._unconfirmed)
        batch: list[dict[str, Any]] = [{"value": one.value, "key": one.key} for one in messages]
        with self._renewing:
            hopeless = self._trouble.hopeless
            if hopeless is not None and hopeless.fatal():
                self._renew()
            producer = self._producer
        try:
            producer.produce_batch(
                self._cluster.topic, batch, on_delivery=self._settler(confirmation)
            )
        except (BufferError, KafkaException) as error:
            for _ in batch:
                confirmation.settle(f"the Kafka client takes no more ({error})")
            return
        for message in batch:
            # What the client did not take it does not report later.
            if "_error" in message:
                confirmation.settle(self._cluster.sentence(message["_error"]))

    def close(self, timeout: float) -> int:
        """As `Publisher.close`."""
        with contextlib.suppress(KafkaException):
            self._producer.flush(timeout)
        left = self._unconfirmed.wait(2 * POLL)
        self._closing.set()
        self._poller.join()
        _end(self._producer)
        return left

    def _ask(self, timeout: float) -> KafkaError | None:
        """Why the topic cannot be used now; None where it can."""
        topic = self._cluster.topic
        try:
            found = self._producer.list_topics(topic, timeout=timeout).topics[topic]
        except KafkaException as error:
            asked: KafkaError = error.args[0]
            # That no answer came says less than what went wrong in the background.
            return self._trouble.why or asked
        self._trouble.forget()
        said: KafkaError | None = found.error
        return None if said is None or said.code() == KafkaError.NO_ERROR else said

    def _settler(self, confirmation: Confirmation) -> Callable[[KafkaError | None, object], None]:
        def settle(error: KafkaError | None, _: object) -> None:
            confirmation.settle(None if error is None else self._cluster.sentence(error))

        return settle

    def _open(self) -> None:
        self._trouble = Trouble()
        self._producer: Any = self._cluster.producer(self._settings, self._trouble)

    def _poll(self) -> None:
        while not self._closing.is_set():
            producer, trouble = self._producer, self._trouble
            try:
                producer.poll(POLL)
            except (KafkaException, RuntimeError) as error:
                # A producer that has failed for good says so here, and one that was replaced, too.
                if isinstance(error, KafkaException):
                    trouble.hear(error.args[0])
                self._closing.wait(POLL)

    def _renew(self) -> None:
        """A producer that has failed for good makes place for a new one."""
        old = self._producer
        self._open()
        _end(old)


def _end(producer: Any) -> None:
    """Gives up what the producer still holds, and the producer."""
    with contextlib.suppress(KafkaException):
        producer.purge()
    with contextlib.suppress(KafkaException):
        producer.close()
