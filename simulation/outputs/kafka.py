"""Messages into a Kafka topic: the key is the sensor, the timestamp is when it is sent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.input_error import InputError
from connectors.kafka_client import CONNECT_SECONDS, Cluster, Trouble, parse_address, partitions_of
from connectors.kafka_options import KafkaOptions
from simulation.batch import Batch
from simulation.counts import Counts
from simulation.outputs.output import OutputError

__all__ = ["KafkaOutput"]

SETTINGS = {
    "enable.idempotence": True,
    "delivery.report.only.error": True,
    "linger.ms": 5,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 262_144,
    "delivery.timeout.ms": 30_000,
}
FLUSH_SECONDS = 35.0
"""A little more than the time that librdkafka gives a message to be delivered."""


class KafkaOutput:
    """A topic. Messages of a sensor have its number as their key, and so are in one partition.

    Args:
        uri: `kafka://HOST:PORT/TOPIC`.
        counts: counts what was sent. The time of arrival is the message's timestamp.
        options: further options of librdkafka, `name=value` or `name=env:NAME`.
        partitions: makes the topic with so many partitions if it is not there; 0: it must be.

    Raises:
        OutputError: the address is none, no broker answers, or there is no such topic.
    """

    def __init__(
        self, uri: str, counts: Counts, options: Sequence[str] = (), partitions: int = 0
    ) -> None:
        self._counts = counts
        self._failures, self._why = 0, ""
        self._trouble = Trouble()
        try:
            self._cluster = Cluster(*parse_address(uri), KafkaOptions.parse(options))
            self._producer = self._cluster.producer(
                {**SETTINGS, "on_delivery": self._failed}, self._trouble
            )
            if partitions:
                self._make_topic(partitions)
            consumer = self._cluster.consumer({"group.id": "simulate"}, self._trouble)
            try:
                partitions_of(self._cluster, consumer, self._trouble)
            finally:
                consumer.close()
        except InputError as error:
            raise OutputError(str(error)) from error

    def send(self, batch: Batch) -> None:
        """As `Output.send`; an error may be of messages that were sent before."""
        dues = batch.messages.dues // 1_000
        produce, topic = self._producer.produce, self._cluster.topic
        try:
            for text, sensor, due in zip(
                batch.texts, (batch.sensors + 1).tolist(), dues.tolist(), strict=True
            ):
                try:
                    produce(topic, text, b"%d" % sensor, timestamp=due)
                except BufferError:
                    self._wait_for_room()
                    produce(topic, text, b"%d" % sensor, timestamp=due)
        except KafkaException as error:
            raise self._error(error.args[0]) from error
        self._producer.poll(0)
        self._check()
        self._counts.add(batch, dues * 1_000)

    def close(self) -> None:
        """As `Output.close`."""
        left = self._producer.flush(FLUSH_SECONDS)
        if left:
            self._failures += left
            self._why = self._why or "it did not confirm them in time"
        self._check()

    def _make_topic(self, partitions: int) -> None:
        settings: dict[str, Any] = {
            **self._cluster.options.settings(),
            "bootstrap.servers": self._cluster.servers,
        }
        # Messages may be as old as the simulation has it: a broker must not drop them for that.
        topic = NewTopic(self._cluster.topic, partitions, config={"retention.ms": "-1"})
        # What it has asked for is dropped with the client.
        client = AdminClient(settings)
        made = client.create_topics([topic], request_timeout=CONNECT_SECONDS)
        try:
            made[self._cluster.topic].result(CONNECT_SECONDS)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise self._error(error.args[0]) from error
        except TimeoutError:
            pass  # the next question says why

    def _wait_for_room(self) -> None:
        """Waits until the broker has taken some of what librdkafka holds."""
        until, held = time.monotonic() + FLUSH_SECONDS, len(self._producer)
        while len(self._producer) >= held:
            self._producer.poll(0.05)
            self._check()
            if time.monotonic() > until:
                msg = f"{self._cluster.uri} takes no messages: is the broker still running?"
                raise OutputError(msg)

    def _failed(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failures += 1
            self._why = self._cluster.sentence(error)

    def _check(self) -> None:
        if self._failures:
            self._counts.refuse("not confirmed", self._failures)
            failures, self._failures = self._failures, 0
            msg = f"{failures:,} messages were not taken: {self._why}"
            raise OutputError(msg)

    def _error(self, error: Any) -> OutputError:
        return OutputError(self._cluster.sentence(error))
