"""Messages to a Pub/Sub topic, against Google's own emulator."""

from __future__ import annotations

import time
from hashlib import sha256

import apache_beam as beam
import pytest

from connectors.output_error import OutputError
from connectors.pubsub_sink import PublishMessages, check_topic
from tests.support.messages import line
from tests.support.pipelines import assert_elements, one_thread
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    emulator_fixture,
    free_port,
    queue_fixture,
)
from transforms import ParseReadings, ToRows


def publish(uri, messages, **options):
    confirmed = []
    with one_thread() as pipeline:
        counts = pipeline | beam.Create(messages, reshuffle=False) | PublishMessages(uri, **options)
        assert_elements(counts, lambda found: confirmed.extend(found) or check(found, messages))


def check(found, messages):
    assert sum(found) == len(messages)


def test_every_message_is_published_with_its_attributes(queue):
    messages = [(None, b"%d" % number, {"kind": "report"}) for number in range(2500)]
    publish(queue.topic_uri, messages)
    found = queue.left()
    assert sorted(message.data for message in found) == sorted(value for _, value, _ in messages)
    assert {message.attributes["kind"] for message in found} == {"report"}
    assert {message.ordering_key for message in found} == {""}


def test_dead_letters_go_to_a_topic(queue):
    with one_thread() as pipeline:
        parsed = pipeline | beam.Create([line(), b"bad", line(lat="north")]) | ParseReadings()
        (
            parsed.rejected
            | ToRows()
            | beam.Map(lambda row: (None, row["raw"].encode(), {"reason": row["reason"]}))
            | PublishMessages(queue.topic_uri)
        )
    found = {message.attributes["reason"]: message.data for message in queue.left()}
    assert found == {"not_json": b"bad", "wrong_type": line(lat="north")}


def test_the_key_can_order(queue):
    publish(
        queue.topic_uri,
        [(b"11", b"a", {}), (b"x" * 1025, b"b", {}), (None, b"c", {})],
        ordered=True,
    )
    found = {message.data: message.ordering_key for message in queue.left()}
    assert found == {b"a": "11", b"b": sha256(b"x" * 1025).hexdigest(), b"c": ""}


def test_many_keys_in_their_order(queue):
    name = queue.subscription + "-ordered"
    ordered = {"name": name, "topic": queue.topic, "enable_message_ordering": True}
    queue.subscriber.create_subscription(request=ordered)
    queue.subscription = name
    messages = [(b"%d" % (number % 97), b"%d" % number, {}) for number in range(500)]
    publish(queue.topic_uri, messages, ordered=True)
    of_keys = {}
    for message in queue.left():
        of_keys.setdefault(message.ordering_key, []).append(int(message.data))
    assert len(of_keys) == 97
    assert all(numbers == sorted(numbers) for numbers in of_keys.values())
    assert sum(map(len, of_keys.values())) == 500


def test_the_key_says_nothing_else(queue):
    publish(queue.topic_uri, [(b"11", b"a", {})])
    assert [message.ordering_key for message in queue.left()] == [""]


def test_more_than_may_be_on_their_way_at_a_time(queue, monkeypatch):
    monkeypatch.setattr("connectors.pubsub_sink.UNCONFIRMED", 10)
    publish(queue.topic_uri, [(None, b"x", {})] * 25)
    assert len(queue.left()) == 25


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ((None, b"x" * (11 << 20), {}), "11,534,336 bytes is larger than Pub/Sub takes"),
        ((None, b"x", {"timeout": "1"}), "no attribute can be named 'timeout'"),
    ],
)
def test_a_message_that_cannot_be_published_is_named(queue, message, said):
    with pytest.raises(OutputError, match=said):
        publish(queue.topic_uri, [message])


def test_a_topic_that_does_not_exist(queue):
    unknown = f"{queue.topic_uri}-x"
    with pytest.raises(OutputError, match=f"{unknown} does not exist"):
        check_topic(unknown)
    with pytest.raises(OutputError, match=f"{unknown} does not exist"):
        publish(unknown, [(None, b"x", {})])
    check_topic(queue.topic_uri)


def test_only_a_topic_can_be_published_to(queue):
    with pytest.raises(OutputError, match=r"write pubsub://projects/PROJECT/topics/TOPIC$"):
        PublishMessages(queue.uri)


@pytest.mark.parametrize("ordered", [False, True])
def test_no_answer_in_time(monkeypatch, ordered):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(OutputError, match=r"does not answer|did not confirm"):
        publish(
            "pubsub://projects/test/topics/topic", [(b"k", b"x", {})], ordered=ordered, timeout=1.5
        )
    assert time.monotonic() - began < 10
