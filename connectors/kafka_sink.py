"""Writes messages to a Kafka topic, each confirmed by the broker."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from confluent_kafka import KafkaError, KafkaException, Message

from connectors.kafka_client import Cluster, Trouble, parse_address, partitions_of
from connectors.kafka_options import KafkaOptions
from connectors.output_error import OutputError
from transforms.balance import count

__all__ = ["WriteToKafka"]

SETTINGS: dict[str, Any] = {
    "linger.ms": 20,
    "compression.type": "lz4",
}
OURS: dict[str, Any] = {
    # What the client itself sends again, the broker takes once; and all replicas have it.
    "enable.idempotence": True,
    "delivery.report.only.error": True,
}


class WriteToKafka(beam.PTransform[beam.PCollection[tuple[bytes | None, bytes]], Any]):
    """Writes elements (key or None, value) to a topic.

    Messages of one key go to one partition. At the end of each bundle the broker has confirmed all
    its messages, or the bundle fails. A bundle that the runner repeats is written again: readers
    see its messages at least once.

    Of the namespace `sink`, the counters `messages` and `bytes_written` count what was confirmed.

    Args:
        uri: `kafka://HOST:PORT[,HOST:PORT]/TOPIC`; the topic must be there.
        options: of the client.
        timeout: seconds in which the broker must have confirmed a message.

    Raises:
        InputError: the address is none; from the pipeline, when the topic is not there.
        OutputError: from the pipeline, when messages were not confirmed.
    """

    def __init__(
        self, uri: str, options: KafkaOptions | None = None, timeout: float = 60.0
    ) -> None:
        super().__init__()
        servers, topic = parse_address(uri)
        self._cluster = Cluster(servers, topic, options or KafkaOptions())
        self._timeout = timeout

    def expand(self, pcoll: beam.PCollection[tuple[bytes | None, bytes]]) -> Any:
        return pcoll | "Write" >> beam.ParDo(_Write(self._cluster, self._timeout))


class _Write(beam.DoFn):
    def __init__(self, cluster: Cluster, timeout: float) -> None:
        self._cluster, self._timeout = cluster, timeout
        self._producer: Any = None

    def setup(self) -> None:
        # A producer that asks for a topic may make it; a consumer does not.
        trouble = Trouble()
        client = self._cluster.consumer({"group.id": "regional-means"}, trouble)
        try:
            partitions_of(self._cluster, client, trouble)
        finally:
            client.close()

    def start_bundle(self) -> None:
        self._failed: KafkaError | None = None
        self._messages = self._bytes = 0
        if self._producer is None:
            self._trouble = Trouble()
            settings = {**SETTINGS, "delivery.timeout.ms": int(self._timeout * 1000), **OURS}
            self._producer = self._cluster.producer(settings, self._trouble)

    def process(self, element: tuple[bytes | None, bytes]) -> None:
        key, value = element
        while self._failed is None:
            try:
                self._producer.produce(self._cluster.topic, value, key, on_delivery=self._hear)
            except BufferError:
                # What waits is sent, or given up in time; then there is room again.
                self._producer.poll(0.1)
            except KafkaException as error:
                self._failed = error.args[0]
            else:
                self._messages += 1
                self._bytes += len(value)
                if self._messages % 1000 == 0:
                    self._producer.poll(0)
                return
        self._fail()

    def finish_bundle(self) -> None:
        left = self._producer.flush(self._timeout + 5)
        if self._failed is not None or left:
            self._fail()
        count("messages", self._messages, "sink")
        count("bytes_written", self._bytes, "sink")

    def teardown(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def _hear(self, error: KafkaError, _: Message) -> None:
        if self._failed is None:
            self._failed = error

    def _fail(self) -> None:
        """Gives the bundle up, and what of it has not been sent.

        Raises:
            OutputError: always.
        """
        error, why = self._failed, self._trouble.why
        # The bundle is tried again by a producer that is not in this one's state.
        self.teardown()
        code = None if error is None else error.code()
        if error is None or code in {KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT}:
            said = "" if why is None else f": {self._cluster.sentence(why)}"
            msg = f"{self._cluster.uri} has not confirmed all messages in {self._timeout:g} s{said}"
        elif code in {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}:
            msg = (
                f"a message is too large for {self._cluster.uri}: raise max.message.bytes of the "
                "topic and --kafka_option message.max.bytes"
            )
        else:
            msg = self._cluster.sentence(error)
        raise OutputError(msg)
