"""A Kafka broker of the benchmark's own, with its data in a folder that is removed afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipelines.children import free_port

__all__ = ["Broker", "BrokerError", "running_broker"]

SCRIPTS = Path(__file__).parents[2] / "deploy" / "kafka"
ANSWER_SECONDS = 30.0
PROPERTIES = """
# What has been read is deleted by the benchmark, soon: the disk need not hold a whole run.
log.segment.bytes=67108864
log.retention.check.interval.ms=2000
log.segment.delete.delay.ms=1000
message.max.bytes=10485760
"""


class BrokerError(Exception):
    """The broker cannot be started, or does not answer."""


class Broker:
    """A broker that runs.

    Args:
        address: `HOST:PORT`.
        process: its process id.
        data: the folder of its topics.
    """

    def __init__(self, address: str, process: int, data: Path) -> None:
        self.address, self.process, self.data = address, process, data
        # They see the broker end, and would complain of it.
        client: dict[str, Any] = {"bootstrap.servers": address, "log_level": 0}
        self._admin = AdminClient(client)
        self._consumer = Consumer({**client, "group.id": "watch"})

    def uri(self, topic: str) -> str:
        """The topic as an input of the job."""
        return f"kafka://{self.address}/{topic}"

    def make(self, topic: str, partitions: int) -> None:
        """Makes a topic.

        Raises:
            BrokerError: it cannot be made.
        """
        self._done(self._admin.create_topics([NewTopic(topic, partitions, 1)]))

    def delete(self, topic: str) -> None:
        """Deletes a topic, which makes room on the disk.

        Raises:
            BrokerError: it cannot be deleted.
        """
        self._done(self._admin.delete_topics([topic]))

    def ends(self, topic: str, partitions: int) -> list[int]:
        """The offset after the last message of each partition.

        Raises:
            BrokerError: the broker does not answer.
        """
        return [self._between(topic, number)[1] for number in range(partitions)]

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Deletes messages that nobody needs any more.

        Args:
            topic: the topic.
            offsets: by partition, the first that stays.

        Raises:
            BrokerError: the broker does not answer.
        """
        wanted = [
            TopicPartition(topic, partition, offset)
            for partition, offset in offsets.items()
            if offset > 0
        ]
        if wanted:
            self._done(self._admin.delete_records(wanted))

    def close(self) -> None:
        """Ends the clients."""
        self._consumer.close()

    def _between(self, topic: str, partition: int) -> tuple[int, int]:
        where = TopicPartition(topic, partition)
        try:
            found = self._consumer.get_watermark_offsets(where, timeout=ANSWER_SECONDS)
        except KafkaException as error:
            msg = f"the broker does not say where {topic} ends: {error.args[0].str()}"
            raise BrokerError(msg) from error
        if found is None:
            msg = f"the broker does not say where {topic} ends"
            raise BrokerError(msg)
        return int(found[0]), int(found[1])

    @staticmethod
    def _done(asked: Mapping[Any, Any]) -> None:
        try:
            for future in asked.values():
                future.result(timeout=ANSWER_SECONDS)
        except (KafkaException, TimeoutError) as error:
            msg = f"the broker refuses: {error}"
            raise BrokerError(msg) from error


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Runs a broker on free ports while the block does.

    Args:
        folder: where its data go.

    Raises:
        BrokerError: it cannot be started; `make kafka` may be missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "more.properties"
    settings.write_text(PROPERTIES, encoding="utf-8")
    port, data = free_port(), folder / "kafka"
    environment = {
        **os.environ,
        "KAFKA_DATA": str(data),
        "KAFKA_PORT": str(port),
        "KAFKA_CONTROLLER_PORT": str(free_port()),
        "KAFKA_PROPERTIES": str(settings),
    }
    # What the script starts would hold a pipe open.
    log = folder / "start.log"
    with log.open("wb") as output:
        started = subprocess.run(
            [SCRIPTS / "start.sh"],
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
            timeout=180,
        )
    if started.returncode:
        words = log.read_text("utf-8", "replace").strip().splitlines() or ["it says nothing"]
        msg = f"the broker cannot be started: {words[-1]}"
        raise BrokerError(msg)
    try:
        process = int((data / "broker.pid").read_text("utf-8"))
        broker = Broker(f"127.0.0.1:{port}", process, data)
        try:
            yield broker
        finally:
            broker.close()
    finally:
        subprocess.run(
            [SCRIPTS / "stop.sh"], env=environment, capture_output=True, check=False, timeout=60
        )
