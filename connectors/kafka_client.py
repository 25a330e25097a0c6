"""Kafka's clients, as the source and the sink use them: settings, the topic, what went wrong."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions

__all__ = [
    "CONNECT_SECONDS",
    "Cluster",
    "Trouble",
    "answered",
    "offsets_of",
    "parse_address",
    "partitions_of",
]

CONNECT_SECONDS = 10.0
"""How long a broker may take to answer when a pipeline starts."""

STEP_SECONDS = 1.0
ADDRESS = re.compile(r"kafka://(?P<servers>[^/?#]+)/(?P<topic>[^/?#]+)/?")
SERVER = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
NO_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_EXCEPTION,
    }
)
WAITED = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT})
REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cluster:
    """A topic of a Kafka cluster, and how to connect to it.

    Attributes:
        servers: `HOST:PORT`, several with commas between them, in the order of their names.
        topic: the topic.
        options: further options of the clients.
    """

    servers: str
    topic: str
    options: KafkaOptions = field(default_factory=KafkaOptions)

    @property
    def uri(self) -> str:
        """The topic's address."""
        return f"kafka://{self.servers}/{self.topic}"

    def consumer(self, settings: Mapping[str, Any], trouble: Trouble) -> Any:
        """A consumer; it connects by itself later.

        Args:
            settings: librdkafka's, beneath the user's options.
            trouble: hears what goes wrong in the background.

        Raises:
            InputError: an option is wrong.
        """
        return self._client(Consumer, settings, trouble)

    def producer(self, settings: Mapping[str, Any], trouble: Trouble) -> Any:
        """A producer, as `consumer`."""
        return self._client(Producer, settings, trouble)

    def sentence(self, error: KafkaError) -> str:
        """What an error of librdkafka means to the user."""
        code, text = error.code(), self.options.hide(error.str())
        if code in REFUSED:
            return (
                f"Kafka at {self.servers} does not accept these credentials: check the options "
                "sasl.mechanisms, sasl.username and sasl.password"
            )
        if code in DENIED:
            return f"these credentials may not use {self.uri}: the broker says {text!r}"
        if code in NO_TOPIC:
            return (
                f"there is no topic {self.topic} at {self.servers}: create it or correct the name"
            )
        if code == KafkaError._SSL:
            return (
                f"no TLS connection to Kafka at {self.servers}: check the options "
                f"security.protocol and ssl.ca.location ({text})"
            )
        return f"Kafka at {self.servers}: {text}"

    def _client(self, kind: Any, settings: Mapping[str, Any], trouble: Trouble) -> Any:
        # What a client logs about its connections, it reports as trouble too.
        given = {"log_level": 2, **settings, **self.options.settings()}
        given["bootstrap.servers"] = self.servers
        try:
            return kind({**given, "error_cb": trouble.hear}, logger=_log)
        except KafkaException as error:
            text = self.options.hide(error.args[0].str())
            msg = f"a --kafka_option is wrong: {text}"
            raise InputError(msg) from error


class Trouble:
    """What a client has reported in the background since it was last asked.

    Most of it passes: librdkafka connects again by itself.
    """

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self._refused: KafkaError | None = None

    def hear(self, error: KafkaError) -> None:
        """Keeps an error; called by librdkafka when the client is polled."""
        # That a connection was lost, or all were, says less than why.
        if self.last is None or error.code() not in WAITED | {KafkaError._ALL_BROKERS_DOWN}:
            self.last = error
        if error.code() in REFUSED or error.fatal():
            self._refused = error

    @property
    def hopeless(self) -> KafkaError | None:
        """The error that waiting does not cure."""
        return self._refused

    @property
    def why(self) -> KafkaError | None:
        """The error that says most."""
        return self._refused or self.last

    def forget(self) -> None:
        """All is well again."""
        self.last = self._refused = None


def parse_address(uri: str) -> tuple[str, str]:
    """The brokers and the topic of `kafka://HOST:PORT[,HOST:PORT]/TOPIC`.

    Returns:
        The brokers in the order of their names, each with its port (9092 where none is given);
        and the topic.

    Raises:
        InputError: it is no such address.
    """
    if "@" in uri:
        # The address itself is not repeated: what stands before the @ is a password.
        msg = "a Kafka address holds no password: use --kafka_option sasl.password=env:VARIABLE"
        raise InputError(msg)
    match = ADDRESS.fullmatch(uri)
    servers = (
        [SERVER.fullmatch(text.strip()) for text in match["servers"].split(",")] if match else []
    )
    if match is None or not all(servers) or not TOPIC.fullmatch(match["topic"]):
        msg = f"{uri} is no Kafka address: write kafka://HOST:PORT/TOPIC"
        raise InputError(msg)
    named = {f"{each['host'].lower()}:{each['port'] or 9092}" for each in servers if each}
    return ",".join(sorted(named)), match["topic"]


def partitions_of(cluster: Cluster, client: Any, trouble: Trouble) -> list[int]:
    """The numbers of the topic's partitions.

    Args:
        cluster: the topic.
        client: a consumer of it, which makes no topic by asking for one.
        trouble: what the client has reported.

    Raises:
        InputError: no broker answers in time, or the topic is not there, or not for us.
    """
    found = _ask(
        cluster,
        client,
        trouble,
        lambda seconds: client.list_topics(cluster.topic, timeout=seconds),
    )
    topic = found.topics[cluster.topic]
    if topic.error is not None and topic.error.code() != KafkaError.LEADER_NOT_AVAILABLE:
        raise InputError(cluster.sentence(topic.error))
    return sorted(topic.partitions)


def offsets_of(cluster: Cluster, client: Any, trouble: Trouble, partition: int) -> tuple[int, int]:
    """The offset of a partition's oldest message, and that after its newest.

    Raises:
        InputError: as `partitions_of`.
    """
    where = TopicPartition(cluster.topic, partition)
    low, high = _ask(
        cluster,
        client,
        trouble,
        lambda seconds: client.get_watermark_offsets(where, timeout=seconds, cached=False),
    )
    return low, high


def _ask(cluster: Cluster, client: Any, trouble: Trouble, question: Callable[[float], Any]) -> Any:
    """An answer of the broker within `CONNECT_SECONDS`, or the reason why there is none."""
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        answer = answered(trouble, lambda: question(STEP_SECONDS))
        if answer is not None:
            return answer
        # What went wrong in the background is told when the client is polled.
        client.poll(0)
        why = trouble.why
        if why is not None and (why.code() in DENIED | NO_TOPIC or trouble.hopeless):
            raise InputError(cluster.sentence(why))
        if time.monotonic() >= until:
            if why is not None and why.code() == KafkaError._SSL:
                raise InputError(cluster.sentence(why))
            said = "" if why is None else f" ({cluster.options.hide(why.str())})"
            msg = (
                f"no Kafka broker answers at {cluster.servers} within {CONNECT_SECONDS:.0f} s"
                f"{said}: is it running, is the address right, are TLS and SASL as it wants them?"
            )
            raise InputError(msg)


def answered(trouble: Trouble, question: Callable[[], Any]) -> Any:
    """The broker's answer; None where none came, and then `trouble` has heard why."""
    try:
        return question()
    except KafkaException as error:
        trouble.hear(error.args[0])
        return None
