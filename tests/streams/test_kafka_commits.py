"""Offsets of a group that the broker refuses: counted, told once, and no reason to stop."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors.streams.kafka_commits import GroupOffset
from transforms.balance import tally


class Refusing:
    """A consumer whose commits are refused at once."""

    def __init__(self):
        self.asked = 0

    def commit(self, **_):
        self.asked += 1
        raise KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))

    def poll(self, _):
        raise AssertionError("there is nothing to wait for")


def test_a_commit_that_is_refused(caplog):
    offset, consumer = GroupOffset("topic", 0), Refusing()
    before = tally("source", "commit_errors")
    with caplog.at_level(logging.WARNING):
        offset.stored(5, consumer)
        failed = TopicPartition("topic", 0, 5)
        offset.on_commit(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), [failed])
        offset.finish(consumer)
    assert consumer.asked == 2
    offset.count_errors()
    offset.count_errors()
    assert tally("source", "commit_errors") - before == 3
    assert len(caplog.records) == 1
    assert "offsets of topic cannot be committed" in caplog.text


def test_a_commit_that_succeeds_is_not_sent_again():
    offset, consumer = GroupOffset("topic", 0), Refusing()
    offset.on_commit(None, [TopicPartition("topic", 0, 5)])
    offset.finish(consumer)
    assert consumer.asked == 0
