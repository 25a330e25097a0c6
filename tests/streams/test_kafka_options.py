"""Addresses and options of Kafka: what is understood, refused and hidden."""

from __future__ import annotations

import pickle

import pytest
from confluent_kafka import KafkaError

from connectors.input_error import InputError
from connectors.kafka_client import Cluster, Trouble, parse_address
from connectors.kafka_options import KafkaOptions
from connectors.streams.kafka import KafkaSource

HIDDEN = "not-to-be-shown"


@pytest.mark.parametrize(
    ("uri", "servers", "topic"),
    [
        ("kafka://host:9093/topic", "host:9093", "topic"),
        ("kafka://Host/a.b_c-1/", "host:9092", "a.b_c-1"),
        ("kafka://b:2,a:1,b:2/t", "a:1,b:2", "t"),
        ("kafka://[::1]:9092/t", "[::1]:9092", "t"),
    ],
)
def test_addresses(uri, servers, topic):
    assert parse_address(uri) == (servers, topic)


@pytest.mark.parametrize(
    "uri",
    [
        "kafka://host:9092",
        "kafka://host:9092/",
        "kafka:///topic",
        "kafka://host:port/topic",
        "kafka://host:9092/a/b",
        "kafka://host:9092/top ic",
        "kafka://a:1,,b:2/t",
        "kafka://host:9092/topic?x=1",
        "http://host/topic",
    ],
)
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(InputError, match="write kafka://HOST:PORT/TOPIC") as caught:
        parse_address(uri)
    assert uri in str(caught.value)


def test_an_address_holds_no_password():
    with pytest.raises(InputError, match="holds no password") as caught:
        parse_address(f"kafka://user:{HIDDEN}@host:9092/topic")
    assert HIDDEN not in str(caught.value)


def test_the_last_of_a_name_counts_and_values_may_hold_equals_signs():
    options = KafkaOptions.parse(["client.id=a", "client.id = b=c", "fetch.wait.max.ms=7"])
    assert options.settings() == {"client.id": "b=c", "fetch.wait.max.ms": "7"}
    assert options.names == ("client.id", "fetch.wait.max.ms")


@pytest.mark.parametrize("text", ["", "=x", HIDDEN])
def test_what_is_no_option_is_refused_and_not_repeated(text):
    with pytest.raises(InputError, match="takes NAME=VALUE") as caught:
        KafkaOptions.parse([text])
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("name", ["bootstrap.servers", "auto.offset.reset", "enable.auto.commit"])
def test_what_is_not_the_users_is_refused(name):
    with pytest.raises(InputError, match=f"--kafka_option {name} cannot be set: "):
        KafkaOptions.parse([f"{name}=x"])


@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.password", "ssl.key.pem"])
def test_secrets_come_from_the_environment_only(name):
    with pytest.raises(InputError, match=f"write {name}=env:VARIABLE") as caught:
        KafkaOptions.parse([f"{name}={HIDDEN}"])
    assert HIDDEN not in str(caught.value)


def test_values_from_the_environment_are_read_where_the_client_is_made(monkeypatch):
    options = KafkaOptions.parse(["sasl.password=env:KAFKA_TEST_PASSWORD"])
    monkeypatch.delenv("KAFKA_TEST_PASSWORD", raising=False)
    with pytest.raises(InputError, match="variable KAFKA_TEST_PASSWORD is not set"):
        options.settings()
    monkeypatch.setenv("KAFKA_TEST_PASSWORD", HIDDEN)
    assert options.settings() == {"sasl.password": HIDDEN}
    source = KafkaSource.parse("kafka://host:9092/topic", options)
    assert HIDDEN.encode() not in pickle.dumps(source)
    assert "sasl" not in repr(source)
    assert options.hide(f"the value {HIDDEN} is wrong") == "the value (hidden) is wrong"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("no.such.option=1", "no.such.option"),
        ("fetch.wait.max.ms=fast", "fetch.wait.max.ms"),
        ("security.protocol=env:KAFKA_TEST_PASSWORD", "security.protocol"),
    ],
)
def test_an_option_that_the_client_refuses(option, said, monkeypatch):
    monkeypatch.setenv("KAFKA_TEST_PASSWORD", HIDDEN)
    source = KafkaSource.parse("kafka://127.0.0.1:1/topic", KafkaOptions.parse([option]))
    with pytest.raises(InputError, match="a --kafka_option is wrong: ") as caught:
        source.parts({})
    assert said in str(caught.value)
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"start": "middle"}, {"gone": "ignore"}])
def test_words_that_are_no_choice(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"--kafka_{name} is .* or .*, not "):
        KafkaSource.parse("kafka://host:9092/topic", **wrong)


def test_the_group_is_the_users_or_that_of_topic_and_output():
    uri = "kafka://host:9092/topic"
    named = KafkaSource.parse(uri, KafkaOptions.parse(["group.id=mine"]), "results")
    assert named.group == "mine"
    groups = {KafkaSource.parse(uri, output=output).group for output in ("a", "b", "a")}
    assert len(groups) == 2
    assert all(group.startswith("regional-means.topic.") for group in groups)


def test_trouble_keeps_what_says_most():
    trouble = Trouble()
    trouble.hear(KafkaError(KafkaError._RESOLVE))
    trouble.hear(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert trouble.why.code() == KafkaError._RESOLVE
    assert trouble.hopeless is None
    trouble.hear(KafkaError(KafkaError._AUTHENTICATION))
    trouble.hear(KafkaError(KafkaError._TRANSPORT))
    assert trouble.why.code() == KafkaError._AUTHENTICATION
    assert trouble.hopeless is not None
    trouble.forget()
    assert trouble.why is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError._AUTHENTICATION, "does not accept these credentials"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "may not use kafka://h:1/t"),
        (KafkaError._UNKNOWN_PARTITION, "there is no topic t at h:1"),
        (KafkaError._SSL, "no TLS connection to Kafka at h:1"),
        (KafkaError._BAD_MSG, "Kafka at h:1: "),
    ],
)
def test_errors_as_sentences(code, said):
    assert said in Cluster("h:1", "t").sentence(KafkaError(code))
