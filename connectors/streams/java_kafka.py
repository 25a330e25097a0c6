"""Kafka read by Beam's KafkaIO, which is Java, for runners that have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.kafka import ReadFromKafka
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions
from connectors.secrets import ENVIRONMENT, MANAGER
from connectors.streams.kafka import KafkaSource
from transforms.balance import count
from transforms.payload import Payload, join_messages

__all__ = ["READERS", "ReadFromKafkaByJava", "java_settings"]

READERS = ("sdf", "java")
"""Who reads Kafka: the splittable DoFn of this package, or KafkaIO."""

MOST, MOST_BYTES = 20_000, 16 << 20
"""Messages and bytes of one payload, at most."""

SAME_IN_JAVA = {
    "sasl.mechanisms": "sasl.mechanism",
    "ssl.ca.location": "ssl.truststore.location",
}
LOGIN = {"sasl.username", "sasl.password"}


class ReadFromKafkaByJava(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[Payload]]):
    """Reads a topic by KafkaIO, in the place of `ReadStream`.

    Elements out are `Payload`s as the other reader gives them, one or more a bundle and partition,
    but they do not say how far the partition has been read: a runner may process bundles in any
    order. Where to go on is in the runner's checkpoint, or, for a new run, in the offsets of the
    consumer group: not in the store. The watermark is KafkaIO's: the time stamp of the newest
    message, and of a silent partition the clock.

    Of the namespace `source`, the counters are those of `ReadStream` and `KafkaReader` but for the
    lag, which KafkaIO counts by itself.

    Args:
        source: the topic; of its options those are understood that Java's client has too.
        expansion_service: `HOST:PORT` of a running one; None: the one of Beam's release, which the
            Java of this machine runs.
        commit: whether the offsets of the consumer group are committed when the runner has taken a
            bundle over. Prism cannot (it has no stable input) and refuses the pipeline.

    Raises:
        InputError: an option has no equivalent in Java.
    """

    def __init__(
        self, source: KafkaSource, expansion_service: str | None = None, *, commit: bool = True
    ) -> None:
        super().__init__()
        self._source, self._service, self._commit = source, expansion_service, commit
        self._settings = {
            **java_settings(source.cluster.options),
            "bootstrap.servers": source.cluster.servers,
            "group.id": source.group,
            "auto.offset.reset": source.start,
            "enable.auto.commit": "false",
        }

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Payload]:
        read = ReadFromKafka(
            consumer_config=self._settings,
            topics=[self._source.cluster.topic],
            with_metadata=True,
            timestamp_policy=ReadFromKafka.create_time_policy,
            commit_offset_in_finalize=self._commit,
            expansion_service=self._service,
        )
        join = _Join(self._source.cluster.uri)
        return pbegin | "Kafka" >> read | "Join" >> beam.ParDo(join).with_output_types(Payload)


def java_settings(options: KafkaOptions) -> dict[str, str]:
    """The settings of Java's client that mean what librdkafka's options mean.

    What comes from the environment stays there: the worker's own client looks it up.

    Raises:
        InputError: one means nothing to Java's client.
    """
    given = dict(options.given)
    found = {SAME_IN_JAVA.get(name, name): value for name, value in given.items()}
    login = {name: _looked_up(found.pop(name)) for name in LOGIN & set(found)}
    if login:
        mechanism = found.get("sasl.mechanism", "PLAIN")
        module = {
            "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
            "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
            "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
        }.get(mechanism)
        if module is None or login.keys() != LOGIN:
            msg = (
                f"--kafka_reader java has no sasl.username and sasl.password for {mechanism}: give "
                "sasl.jaas.config=env:VARIABLE"
            )
            raise InputError(msg)
        user, word = _quoted(login["sasl.username"]), _quoted(login["sasl.password"])
        found["sasl.jaas.config"] = f"{module} required username={user} password={word};"
    if "ssl.ca.location" in given:
        found["ssl.truststore.type"] = "PEM"
    if any(value.startswith(MANAGER) for value in given.values()):
        msg = "--kafka_reader java takes secrets from the environment only: write env:VARIABLE"
        raise InputError(msg)
    settings = {name: _looked_up(value) for name, value in found.items()}
    if any(value.startswith(ENVIRONMENT) for value in given.values()):
        settings["config.providers"] = "env"
        settings["config.providers.env.class"] = (
            "org.apache.kafka.common.config.provider.EnvVarConfigProvider"
        )
    return settings


def _looked_up(value: str) -> str:
    """The value, or where Java's client finds it."""
    if not value.startswith(ENVIRONMENT):
        return value
    return "${env:" + value.removeprefix(ENVIRONMENT) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Join(beam.DoFn):
    """Joins the messages of a bundle, by partition."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def start_bundle(self) -> None:
        self._held: dict[int, list[Any]] = defaultdict(list)
        self._number = self._size = 0

    def process(self, element: Any) -> Iterator[Any]:
        count("messages", 1, "source")
        if not element.value:
            count("tombstones", 1, "source")
            return
        self._held[element.partition].append(element)
        self._number += 1
        self._size += len(element.value)
        if self._number >= MOST or self._size >= MOST_BYTES:
            yield from self._joined()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield from self._joined()

    def _joined(self) -> Iterator[WindowedValue]:
        for partition, rows in self._held.items():
            values = [row.value for row in rows]
            times = np.fromiter((row.timestamp for row in rows), np.int64, len(rows))
            offsets = np.fromiter((row.offset for row in rows), np.int64, len(rows))
            count("bytes_read", sum(map(len, values)), "source")
            payload = join_messages(values, f"{self._uri}/{partition}", offsets, times * 1000)
            # The readings get their own event times from the parser; this holds nothing back.
            oldest = Timestamp.of(int(times.min()) / 1000)
            yield WindowedValue(payload, oldest, (GlobalWindow(),))
        self.start_bundle()
