"""Writes messages to the queue that a URI names."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions
from transforms.triggers import all_at_once

__all__ = ["WriteToQueue"]

Message = tuple[bytes | None, bytes, dict[str, str]]


class WriteToQueue(beam.PTransform[beam.PCollection[Message], Any]):
    """Writes messages to a topic of Kafka or Pub/Sub.

    Elements in are key, value and attributes; Kafka has no attributes and leaves them out. At the
    end of each bundle the queue has confirmed all its messages, or the bundle fails and is
    repeated: readers see each message at least once.

    Args:
        uri: `kafka://HOST:PORT/TOPIC` or `pubsub://projects/P/topics/T`.
        kafka_options: of Kafka's client.

    Raises:
        InputError: the URI is none of these.
        OutputError: the URI names no topic; from the pipeline, when messages are not confirmed.
    """

    def __init__(self, uri: str, kafka_options: KafkaOptions | None = None) -> None:
        super().__init__()
        scheme = uri.partition("://")[0]
        # Each brings a client library of its own.
        if scheme == "kafka":
            from connectors.kafka_sink import WriteToKafka  # noqa: PLC0415

            self._write: beam.PTransform = WriteToKafka(uri, kafka_options)
        elif scheme == "pubsub":
            from connectors.pubsub_sink import PublishMessages  # noqa: PLC0415

            self._write = PublishMessages(uri)
        else:
            msg = (
                f"{uri} is no queue: write kafka://HOST:PORT/TOPIC or pubsub://projects/P/topics/T"
            )
            raise InputError(msg)
        self._is_kafka = scheme == "kafka"

    def expand(self, pcoll: beam.PCollection[Message]) -> Any:
        at_once = pcoll | "AtOnce" >> all_at_once()
        if self._is_kafka:
            pair: Any = tuple[bytes | None, bytes]
            at_once = at_once | "Pairs" >> beam.Map(lambda each: each[:2]).with_output_types(pair)
        return at_once | "Write" >> self._write
