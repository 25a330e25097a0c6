"""What a user is told when Kafka cannot be read or written: one sentence, soon."""

from __future__ import annotations

import time

import pytest

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions
from connectors.streams.kafka import KafkaSource
from connectors.streams.source import Part
from tests.support.kafka_server import (
    PASSWORD,
    USER,
    KafkaServer,
    free_port,
    kafka_server,  # noqa: F401 - a fixture
)


@pytest.fixture
def server(kafka_server, monkeypatch) -> KafkaServer:  # noqa: F811
    monkeypatch.setenv("KAFKA_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("KAFKA_WRONG_PASSWORD", "wrong-and-not-to-be-shown")
    return kafka_server


def secured(server, topic, user=USER, variable="KAFKA_TEST_PASSWORD"):
    """A source that connects with TLS and a password."""
    options = [
        "security.protocol=SASL_SSL",
        "sasl.mechanisms=PLAIN",
        f"sasl.username={user}",
        f"sasl.password=env:{variable}",
        f"ssl.ca.location={server.authority}",
    ]
    return KafkaSource.parse(f"kafka://{server.secured}/{topic}", KafkaOptions.parse(options))


def refusal(source):
    """What is said when the source is opened, and how long that took."""
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        source.parts({})
    text = str(caught.value)
    assert "\n" not in text
    assert "not-to-be-shown" not in text
    return text, time.monotonic() - began


@pytest.mark.slow
def test_no_broker():
    text, seconds = refusal(KafkaSource.parse(f"kafka://127.0.0.1:{free_port()}/topic"))
    assert "no Kafka broker answers at 127.0.0.1:" in text
    assert seconds < 12


@pytest.mark.slow
def test_no_such_host():
    text, seconds = refusal(KafkaSource.parse("kafka://no-such-host.invalid:9092/topic"))
    assert "no Kafka broker answers at no-such-host.invalid:9092 within 10 s" in text
    assert "resolve" in text
    assert seconds < 12


def test_no_such_topic_and_none_is_made(server):
    source = KafkaSource.parse(server.uri("no-such-topic"))
    text, seconds = refusal(source)
    assert text.startswith(f"there is no topic no-such-topic at {server.address}")
    assert seconds < 5
    assert "no-such-topic" not in server.admin.list_topics(timeout=10).topics


def test_tls_and_password(server):
    topic = server.topic()
    server.send(topic, [b"1"])
    source = secured(server, topic)
    (part,) = source.parts({})
    reader = source.open(part)
    until = time.monotonic() + 20
    while (poll := reader.poll(0, 0.1)).payload is None and time.monotonic() < until:
        pass
    reader.close()
    assert poll.payload.data == b"1"


def test_a_wrong_password(server):
    text, seconds = refusal(secured(server, server.topic(), USER, "KAFKA_WRONG_PASSWORD"))
    assert "does not accept these credentials" in text
    assert seconds < 5


def test_a_user_who_may_not_read(server):
    topic = server.topic()
    text, seconds = refusal(secured(server, topic, "nobody"))
    assert f"these credentials may not use kafka://{server.secured}/{topic}" in text
    assert seconds < 5


def test_a_right_that_is_taken_away_while_reading(server):
    topic = server.topic()
    source = secured(server, topic, "nobody")
    reader = source.open(Part(source.name_of(0)))
    with pytest.raises(InputError, match="these credentials may not use"):
        poll_until_it_fails(reader)
    reader.close()


def poll_until_it_fails(reader):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        reader.poll(0, 0.1)


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for(server):
    options = KafkaOptions.parse(["security.protocol=SSL"])
    text, seconds = refusal(KafkaSource.parse(f"kafka://{server.secured}/topic", options))
    assert "no TLS connection to Kafka at" in text
    assert "ssl.ca.location" in text
    assert seconds < 12


@pytest.mark.slow
def test_a_port_that_wants_tls(server):
    text, seconds = refusal(KafkaSource.parse(f"kafka://{server.secured}/topic"))
    assert "are TLS and SASL as it wants them?" in text
    assert seconds < 12
