"""Kafka topics as a source: their partitions, and where each begins."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicPartition

from connectors.input_error import InputError
from connectors.kafka_client import (
    Cluster,
    Trouble,
    answered,
    offsets_of,
    parse_address,
    partitions_of,
)
from connectors.kafka_options import KafkaOptions
from connectors.streams.kafka_gone import GONE, Gone
from connectors.streams.kafka_reader import KafkaReader
from connectors.streams.source import Part

__all__ = ["STARTS", "KafkaSource", "group_of"]

GROUP_SECONDS = 30.0
STARTS = ("earliest", "latest")
"""Where a partition begins that has not been read."""


@dataclass(frozen=True)
class KafkaSource:
    """A topic of Kafka, all partitions that it has when the pipeline starts.

    A part is a partition, `kafka://HOST:PORT/TOPIC/PARTITION`, with the brokers in the order of
    their names: name the same brokers in each run. Positions are offsets. A partition that is
    added later is found when the pipeline is started again.

    Args:
        uri: as the user wrote it.
        cluster: the brokers, the topic, and the options of the clients.
        group: the consumer group whose offsets say, for monitoring, how far all is stored.
        start: where a partition begins that has not been read, one of `STARTS`.
        gone: what becomes of messages that have not been read and that the broker does not have
            any more: `fail`, or `skip` them with a warning and the counter `messages_gone`.
        timeout: seconds for which the brokers may be away while the pipeline runs.
        from_group: nobody else keeps positions: a partition is read from the group's offset on.
    """

    uri: str
    cluster: Cluster
    group: str
    start: str = "earliest"
    gone: str = "fail"
    timeout: float = 60.0
    from_group: bool = False

    def __post_init__(self) -> None:
        """Refuses words that are none of the choices."""
        for name, choices in (("start", STARTS), ("gone", GONE)):
            if getattr(self, name) not in choices:
                msg = f"--kafka_{name} is {' or '.join(choices)}, not {getattr(self, name)!r}"
                raise InputError(msg)

    @classmethod
    def parse(
        cls,
        uri: str,
        options: KafkaOptions | None = None,
        output: str = "",
        *,
        start: str = "earliest",
        gone: str = "fail",
        timeout: float = 60.0,
    ) -> KafkaSource:
        """The source that an address names.

        Args:
            uri: `kafka://HOST:PORT[,HOST:PORT]/TOPIC`.
            options: of the clients; `group.id` names the group.
            output: where the results go: runs with other outputs are other groups.
            start: as on the class.
            gone: as on the class.
            timeout: as on the class.

        Raises:
            InputError: the address is none, or an option is wrong.
        """
        options = options or KafkaOptions()
        servers, topic = parse_address(uri)
        group = options.settings().get("group.id") or group_of(topic, output)
        return cls(uri, Cluster(servers, topic, options), group, start, gone, timeout)

    def name_of(self, partition: int) -> str:
        """What a partition is called."""
        return f"{self.cluster.uri}/{partition}"

    def parts(self, positions: dict[str, int]) -> Sequence[Part]:
        trouble = Trouble()
        client = self.cluster.consumer({"group.id": self.group}, trouble)
        try:
            return list(self._parts(positions, client, trouble))
        finally:
            client.close()

    def open(self, part: Part) -> KafkaReader:
        partition = int(part.name.rpartition("/")[2])
        return KafkaReader(
            self.cluster, partition, part.name, self.group, gone=self.gone, timeout=self.timeout
        )

    def _parts(self, positions: dict[str, int], client: Any, trouble: Trouble) -> Iterator[Part]:
        partitions = partitions_of(self.cluster, client, trouble)
        self._check_all_there(positions, partitions)
        for partition in partitions:
            name = self.name_of(partition)
            low, high = offsets_of(self.cluster, client, trouble, partition)
            position = positions.get(name)
            if position is None and self.from_group:
                position = self._group_offset(client, trouble, partition)
            if position is None:
                position = low if self.start == "earliest" else high
            elif not low <= position <= high:
                position = Gone(name, position, low, high).decide(self.gone)
            yield Part(name, position)

    def _group_offset(self, client: Any, trouble: Trouble, partition: int) -> int | None:
        """The offset that the group has committed; None where it has committed none."""
        where = TopicPartition(self.cluster.topic, partition)
        found = answered(trouble, lambda: client.committed([where], timeout=GROUP_SECONDS))
        if found is None:
            msg = (
                f"the offsets of the group {self.group} cannot be had from {self.cluster.servers}: "
                f"{trouble.why.str() if trouble.why else 'no answer'}"
            )
            raise InputError(msg)
        offset = int(found[0].offset)
        return offset if offset >= 0 else None

    def _check_all_there(self, positions: dict[str, int], partitions: list[int]) -> None:
        """Looks for partitions that have been read and are not there any more."""
        begin = f"{self.cluster.uri}/"
        known = {int(name[len(begin) :]) for name in positions if name.startswith(begin)}
        missing = sorted(known - set(partitions))
        if not missing:
            return
        msg = (
            f"{self.cluster.uri} has lost partitions that were read before "
            f"({', '.join(map(str, missing))}): give the topic that was made anew another name, or "
            "use another --output"
        )
        raise InputError(msg)


def group_of(topic: str, output: str) -> str:
    """The consumer group of the runs that read a topic into one output."""
    digest = hashlib.sha256(output.encode()).hexdigest()[:8]
    return f"regional-means.{topic}.{digest}"
