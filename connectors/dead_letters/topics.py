"""Dead letters of a topic: what `--dead_letters` of the main job has written there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from connectors.dead_letters.letter import Letter, Selection, letter_of_message
from connectors.input_error import InputError
from connectors.kafka_client import Cluster, Trouble, offsets_of, parse_address, partitions_of
from connectors.kafka_options import KafkaOptions
from connectors.pubsub_client import (
    FAILURES,
    SUBSCRIPTION,
    ask,
    is_passing,
    parse_pubsub_uri,
    reason_of,
    subscriber_client,
)

__all__ = ["letters_of_kafka", "letters_of_subscription"]

AT_ONCE = 1000
SILENCE = 30.0
"""Seconds after which a broker that still owes messages is given up."""

EMPTY_SECONDS = 3.0
"""Pub/Sub does not say how many are left: after so long without a message there are none."""

Strange = Callable[[int], None]
"""Hears how many messages were no dead letters."""


def letters_of_kafka(
    uri: str, options: KafkaOptions, selection: Selection, strange: Strange
) -> Iterator[list[Letter]]:
    """Dead letters of a Kafka topic, from its oldest message to the newest of now.

    Nothing is committed: the topic stays as it is.

    Args:
        uri: `kafka://HOST:PORT/TOPIC`.
        options: of the client.
        selection: which are wanted.
        strange: as `Strange`.

    Yields:
        Some letters at a time.

    Raises:
        InputError: the topic cannot be read.
    """
    cluster, trouble = Cluster(*parse_address(uri), options), Trouble()
    settings = {"group.id": "replay", "enable.auto.commit": False, "auto.offset.reset": "error"}
    client = cluster.consumer({**settings, "enable.partition.eof": True}, trouble)
    try:
        ends, begins = {}, []
        for partition in partitions_of(cluster, client, trouble):
            low, high = offsets_of(cluster, client, trouble, partition)
            if low < high:
                ends[partition] = high
                begins.append(TopicPartition(cluster.topic, partition, low))
        client.assign(begins)
        heard = time.monotonic()
        while ends:
            texts = []
            for message in client.consume(AT_ONCE, 0.5):
                error = message.error()
                # What lies before the end may be gone by compaction: the end says that it is read.
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    ends.pop(message.partition(), None)
                    continue
                if error is not None:
                    trouble.hear(error)
                    continue
                heard = time.monotonic()
                end = ends.get(message.partition())
                if end is None or message.offset() >= end:
                    continue
                texts.append(message.value() or b"")
                if message.offset() + 1 == end:
                    del ends[message.partition()]
            yield _letters(texts, selection, strange)
            if trouble.hopeless is not None or time.monotonic() - heard > SILENCE:
                why = trouble.why
                said = f": {cluster.sentence(why)}" if why is not None else ""
                msg = f"{cluster.uri} has sent nothing for {SILENCE:.0f} s{said}"
                raise InputError(msg)
    finally:
        client.close()


def letters_of_subscription(
    uri: str, selection: Selection, strange: Strange, *, keep: bool
) -> Iterator[list[Letter]]:
    """Dead letters of a Pub/Sub subscription, until there are none.

    Args:
        uri: `pubsub://projects/P/subscriptions/S` of the dead-letter topic.
        selection: which are wanted.
        strange: as `Strange`.
        keep: give every message back. Otherwise a message is acknowledged when the letters that
            came with it have been dealt with: when the next ones are asked for. Messages that are
            not wanted are given back.

    Yields:
        Some letters at a time.

    Raises:
        InputError: the subscription cannot be read.
    """
    name, client = parse_pubsub_uri(uri, (SUBSCRIPTION,)), subscriber_client()
    back: list[str] = []
    try:
        ask(client.get_subscription, name, "read", subscription=name.path)
        empty_since = time.monotonic()
        while time.monotonic() - empty_since < EMPTY_SECONDS:
            received = _pull(client, name)
            if not received:
                continue
            empty_since = time.monotonic()
            read = [(each.ack_id, letter_of_message(each.message.data)) for each in received]
            strange(sum(letter is None for _, letter in read))
            wanted = {a: one for a, one in read if one is not None and selection.wants(one)}
            back += [a for a, _ in read if keep or a not in wanted]
            # While they are dealt with, nobody else shall have them.
            _lease(client, name, [a for a, _ in read], 600)
            yield list(wanted.values())
            if not keep and wanted:
                client.acknowledge(subscription=name.path, ack_ids=list(wanted), timeout=30)
    except FAILURES as error:
        raise InputError(reason_of(error, name, "read")) from error
    finally:
        for at in range(0, len(back), AT_ONCE):
            _lease(client, name, back[at : at + AT_ONCE], 0)
        client.close()


def _pull(client: Any, name: Any) -> list[Any]:
    request = {"subscription": name.path, "max_messages": AT_ONCE, "return_immediately": True}
    try:
        received = list(client.pull(request=request, timeout=10).received_messages)
    except FAILURES as error:
        if not is_passing(error):
            raise
        received = []
    if not received:
        time.sleep(0.1)
    return received


def _lease(client: Any, name: Any, ids: list[str], seconds: int) -> None:
    client.modify_ack_deadline(
        subscription=name.path, ack_ids=ids, ack_deadline_seconds=seconds, timeout=30
    )


def _letters(texts: list[bytes], selection: Selection, strange: Strange) -> list[Letter]:
    read = [letter_of_message(text) for text in texts if text]
    strange(sum(letter is None for letter in read))
    return [one for one in read if one is not None and selection.wants(one)]
