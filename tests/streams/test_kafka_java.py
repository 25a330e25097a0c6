"""KafkaIO in the place of our reader: its settings, and how its messages are joined."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions
from connectors.streams.java_kafka import MOST, _Join, java_settings

HIDDEN = "not-to-be-shown"


def settings(*options):
    return java_settings(KafkaOptions.parse(options))


def test_what_both_clients_know_is_passed_on():
    assert settings("security.protocol=SSL", "fetch.max.bytes=7") == {
        "security.protocol": "SSL",
        "fetch.max.bytes": "7",
    }


def test_a_certificate_is_a_trust_store():
    found = settings("ssl.ca.location=/etc/ca.pem")
    assert found == {"ssl.truststore.location": "/etc/ca.pem", "ssl.truststore.type": "PEM"}


@pytest.mark.parametrize(
    ("mechanism", "module"),
    [("PLAIN", "plain.PlainLoginModule"), ("SCRAM-SHA-512", "scram.ScramLoginModule")],
)
def test_a_login_keeps_its_secret_in_the_environment(mechanism, module, monkeypatch):
    monkeypatch.setenv("KAFKA_TEST_PASSWORD", HIDDEN)
    found = settings(
        f"sasl.mechanisms={mechanism}",
        'sasl.username=a "quoted" name',
        "sasl.password=env:KAFKA_TEST_PASSWORD",
    )
    assert found["sasl.mechanism"] == mechanism
    assert found["sasl.jaas.config"] == (
        f"org.apache.kafka.common.security.{module} required "
        'username="a \\"quoted\\" name" password="${env:KAFKA_TEST_PASSWORD}";'
    )
    assert found["config.providers"] == "env"
    assert HIDDEN not in repr(found)


@pytest.mark.parametrize(
    "options",
    [
        ["sasl.mechanisms=OAUTHBEARER", "sasl.username=a", "sasl.password=env:B"],
        ["sasl.mechanisms=PLAIN", "sasl.username=a"],
    ],
)
def test_a_login_that_has_no_equivalent(options):
    with pytest.raises(InputError, match=r"give sasl\.jaas\.config=env:VARIABLE"):
        settings(*options)


class Record(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    value: bytes | None


def joined(records):
    join = _Join("kafka://h:1/t")
    join.start_bundle()
    found = [each for record in records for each in join.process(record)]
    return [*found, *join.finish_bundle()]


def test_messages_are_joined_by_partition():
    records = [
        Record(0, 5, 1_700_000_000_123, b"a"),
        Record(1, 9, 1_700_000_000_000, b"b"),
        Record(0, 6, 1_700_000_000_100, b"c"),
        Record(0, 7, 1_700_000_000_000, None),
    ]
    first, second = joined(records)
    assert (first.value.data, first.value.source) == (b"a\nc", "kafka://h:1/t/0")
    assert first.value.messages.places.tolist() == [5, 6]
    assert first.value.messages.arrived_at.tolist() == [
        1_700_000_000_123_000,
        1_700_000_000_100_000,
    ]
    assert first.value.reached is None
    assert first.timestamp == 1_700_000_000.1
    assert (second.value.data, second.value.source) == (b"b", "kafka://h:1/t/1")


def test_a_bundle_of_many_messages_is_given_out_in_pieces():
    records = [Record(0, number, 1_700_000_000_000, b"1") for number in range(MOST + 1)]
    assert [len(each.value.messages.starts) for each in joined(records)] == [MOST, 1]
    assert joined([]) == []
