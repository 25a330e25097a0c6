"""The offsets of a consumer group: for tools that watch how far a topic has been read."""

from __future__ import annotations

import logging
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from transforms.balance import count

__all__ = ["CLOSE_SECONDS", "GroupOffset"]

COMMIT_EVERY = 1.0
CLOSE_SECONDS = 5.0
"""How long the last commit may take: nothing but a monitor's figure depends on it."""

_log = logging.getLogger(__name__)


class GroupOffset:
    """Commits a partition's offset: at most once a second, and when it is closed.

    Where the broker refuses it, reading goes on: a run goes on from what its store says. The
    counter `commit_errors` and one warning tell of it.

    Args:
        topic: the topic.
        partition: the partition.
    """

    def __init__(self, topic: str, partition: int) -> None:
        self._topic, self._partition = topic, partition
        self._wanted, self._sent, self._told = 0, 0, 0
        self._sent_at = float("-inf")
        self._failed, self._warned = 0, False

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Hears from librdkafka how a commit has ended."""
        error = error or next((each.error for each in partitions if each.error), None)
        if error is None:
            self._told = max([self._told, *(each.offset for each in partitions)])
            return
        self._failed += 1
        self._sent = self._told
        if not self._warned:
            self._warned = True
            _log.warning("offsets of %s cannot be committed: %s", self._topic, error.str())

    def stored(self, position: int, consumer: Any) -> None:
        """Commits the position, now or later."""
        self._wanted = max(self._wanted, position)
        if time.monotonic() - self._sent_at >= COMMIT_EVERY:
            self._send(consumer)

    def count_errors(self) -> None:
        """Counts what the broker has refused since the last time."""
        failed, self._failed = self._failed, 0
        count("commit_errors", failed, "source")

    def finish(self, consumer: Any) -> None:
        """Commits what is left, and waits for the answer for a while."""
        self._send(consumer)
        until = time.monotonic() + CLOSE_SECONDS
        while self._told < self._sent and time.monotonic() < until:
            consumer.poll(0.05)

    def _send(self, consumer: Any) -> None:
        if self._wanted <= self._sent:
            return
        self._sent_at, self._sent = time.monotonic(), self._wanted
        where = TopicPartition(self._topic, self._partition, self._wanted)
        try:
            consumer.commit(offsets=[where], asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], [])
