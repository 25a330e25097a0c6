"""Publishers by themselves: what the service does not meet on ordinary days."""

import threading
import time

import pytest
from confluent_kafka import KafkaError

from connectors.output_error import OutputError
from serving.publishers import Outgoing, open_publisher
from serving.publishers.publisher import Confirmation, Unconfirmed
from tests.support.kafka_server import PASSWORD, USER, free_port, kafka_server  # noqa: F401


class Heard:
    """Hears the outcome of publishing."""

    def __init__(self):
        self.troubles = []
        self._came = threading.Event()

    def __call__(self, trouble):
        self.troubles.append(trouble)
        self._came.set()

    def wait(self):
        assert self._came.wait(30)
        return self.troubles


def test_a_confirmation_is_given_once_when_all_have_come():
    unconfirmed, heard = Unconfirmed(), Heard()
    confirmation = Confirmation(3, heard, unconfirmed)
    confirmation.settle(None)
    confirmation.settle("it is full")
    assert heard.troubles == []
    assert unconfirmed.wait(0) == 1
    confirmation.settle(None)
    assert heard.troubles == ["it is full"]
    assert unconfirmed.wait(0) == 0


def test_nothing_to_publish_is_published_at_once():
    uri = f"kafka://127.0.0.1:{free_port()}/readings"
    publisher, heard = open_publisher(uri, confirm_within=1), Heard()
    publisher.publish([], heard)
    assert heard.troubles == [None]
    assert publisher.close(1) == 0


def test_a_broker_that_is_not_there_fails_in_time():
    uri = f"kafka://127.0.0.1:{free_port()}/readings"
    publisher, heard = open_publisher(uri, confirm_within=1), Heard()
    began = time.monotonic()
    with pytest.raises(OutputError, match=r"127\.0\.0\.1"):
        publisher.check(1)
    publisher.publish([Outgoing(b"{}", "1")] * 3, heard)
    (trouble,) = heard.wait()
    assert "127.0.0.1" in trouble
    assert time.monotonic() - began < 10
    assert publisher.close(1) == 0


def test_what_is_unconfirmed_when_it_closes_is_counted():
    uri = f"kafka://127.0.0.1:{free_port()}/readings"
    publisher = open_publisher(uri, confirm_within=60)
    publisher.publish([Outgoing(b"{}")] * 3, Heard())
    assert publisher.close(0.2) == 3


def test_a_producer_that_has_failed_for_good_is_replaced(kafka_server):  # noqa: F811
    topic = kafka_server.topic()
    publisher, heard = open_publisher(kafka_server.uri(topic), confirm_within=10), Heard()
    publisher._trouble.hear(KafkaError(KafkaError._FATAL, "out of sequence", fatal=True))
    publisher.publish([Outgoing(b"{}", "1")], heard)
    assert heard.wait() == [None]
    assert publisher.close(5) == 0
    assert kafka_server.values(topic, 1) == [(b"1", b"{}")]


def test_a_message_that_the_client_does_not_take_is_told(kafka_server):  # noqa: F811
    topic = kafka_server.topic()
    publisher = open_publisher(
        kafka_server.uri(topic), confirm_within=10, kafka_options=["message.max.bytes=1000"]
    )
    heard = Heard()
    messages = [Outgoing(b"{}"), Outgoing(b"x" * 2000), Outgoing(b"{}")]
    publisher.publish(messages, heard)
    (trouble,) = heard.wait()
    assert "large" in trouble.lower()
    assert publisher.close(5) == 0


def test_tls_and_passwords(kafka_server, monkeypatch):  # noqa: F811
    monkeypatch.setenv("SECRET", PASSWORD)
    topic = kafka_server.topic()
    options = [
        "security.protocol=SASL_SSL",
        "sasl.mechanisms=PLAIN",
        "sasl.password=env:SECRET",
        f"ssl.ca.location={kafka_server.authority}",
    ]
    uri = f"kafka://{kafka_server.secured}/{topic}"
    heard = Heard()
    publisher = open_publisher(
        uri, confirm_within=10, kafka_options=[*options, f"sasl.username={USER}"]
    )
    publisher.check(10)
    publisher.publish([Outgoing(b"{}")], heard)
    assert heard.wait() == [None]
    assert publisher.close(5) == 0
    refused = open_publisher(
        uri, confirm_within=2, kafka_options=[*options, "sasl.username=nobody"]
    )
    with pytest.raises(OutputError) as caught:
        refused.check(5)
    assert PASSWORD not in str(caught.value)
    refused.close(1)
