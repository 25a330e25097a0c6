"""A real Kafka broker for tests: of their own, on free ports, in a temporary folder."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

__all__ = [
    "PASSWORD",
    "USER",
    "KafkaServer",
    "expansion_service",
    "free_port",
    "kafka_server",
    "missing",
]

ROOT = Path(__file__).parents[2]
SCRIPTS, LIBS = ROOT / "deploy" / "kafka", ROOT / ".cache" / "kafka" / "libs"
EXPANSION = ROOT / ".cache" / "kafka" / "expansion"
CHANCE = random.SystemRandom()
ATTEMPTS = 3
"""While a broker was away somebody may have had its port for a moment."""

USER, PASSWORD = "reader", "not-to-be-shown"
SECURED = """
listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secured}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required \
  user_{user}="{password}" user_nobody="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
log.retention.check.interval.ms=500
message.max.bytes=10485760
"""


class KafkaServer:
    """A broker of one node, with a port for everybody and one with TLS and passwords.

    The user `USER` may do everything, the user `nobody` nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = _free_ports(3)
        self.address, self.secured = (f"127.0.0.1:{port}" for port in self._ports[:2])
        self.authority = folder / "server.crt"
        _make_certificate(folder)
        port, secured, controller = self._ports
        (folder / "more.properties").write_text(
            SECURED.format(
                port=port,
                secured=secured,
                controller=controller,
                folder=folder,
                user=USER,
                password=PASSWORD,
            )
        )
        self.start()

    def start(self) -> None:
        """Starts the broker and waits until it answers."""
        environment = {
            **os.environ,
            "KAFKA_LIBS": str(LIBS),
            "KAFKA_DATA": str(self.folder / "data"),
            "KAFKA_PORT": str(self._ports[0]),
            "KAFKA_CONTROLLER_PORT": str(self._ports[2]),
            "KAFKA_PROPERTIES": str(self.folder / "more.properties"),
        }
        for _ in range(ATTEMPTS):
            done = subprocess.run(
                [SCRIPTS / "start.sh"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=120,
            )
            if done.returncode == 0:
                return
            time.sleep(1)
        raise AssertionError(done.stdout)

    def stop(self) -> None:
        """Stops the broker; its topics stay."""
        environment = {**os.environ, "KAFKA_DATA": str(self.folder / "data")}
        subprocess.run(
            [SCRIPTS / "stop.sh"], env=environment, capture_output=True, check=True, timeout=60
        )

    def kill(self) -> None:
        """Ends the broker at once; `start` starts it again on the same data."""
        process = int((self.folder / "data" / "broker.pid").read_text("ascii"))
        os.kill(process, signal.SIGKILL)

    def uri(self, topic: str) -> str:
        """The address of a topic."""
        return f"kafka://{self.address}/{topic}"

    def topic(self, partitions: int = 1, **config: str) -> str:
        """Makes a topic of a name of its own; gives the name.

        `config` has underscores for dots.
        """
        name = f"t-{uuid.uuid4().hex[:12]}"
        settings = {key.replace("_", "."): value for key, value in config.items()}
        _done(self.admin.create_topics([NewTopic(name, partitions, 1, config=settings)]))
        return name

    def add_partitions(self, topic: str, total: int) -> None:
        """Gives a topic more partitions."""
        _done(self.admin.create_partitions([NewPartitions(topic, total)]))

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic."""
        _done(self.admin.delete_topics([topic]))

    def delete_before(self, topic: str, offset: int, partition: int = 0) -> None:
        """Deletes the messages before an offset, as retention does."""
        _done(self.admin.delete_records([TopicPartition(topic, partition, offset)]))

    def send(
        self,
        topic: str,
        values: Iterable[bytes | None],
        partition: int = 0,
        timestamp: int | None = None,
        **settings: object,
    ) -> None:
        """Sends messages to a partition; returns when the broker has them.

        `timestamp` is in milliseconds since the epoch, `settings` are librdkafka's.
        """
        producer = self.producer(**settings)
        stamp = {} if timestamp is None else {"timestamp": timestamp}
        for value in values:
            self.put(producer, topic, value, partition, **stamp)
        assert producer.flush(60) == 0

    def producer(self, **settings: object) -> Producer:
        """A producer; in the names of `settings` underscores stand for dots."""
        named = {key.replace("_", "."): value for key, value in settings.items()}
        return Producer({"bootstrap.servers": self.address, "linger.ms": 5, **named})

    @staticmethod
    def put(
        producer: Producer, topic: str, value: bytes | None, partition: int = 0, **more
    ) -> None:
        """Hands a message to a producer, which sends it soon."""
        while True:
            try:
                producer.produce(topic, value, partition=partition, **more)
            except BufferError:
                producer.poll(0.05)
            else:
                return

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        """The offset that a group has committed; negative for none."""
        client = Consumer({"bootstrap.servers": self.address, "group.id": group})
        try:
            return client.committed([TopicPartition(topic, partition)], timeout=10)[0].offset
        finally:
            client.close()

    def values(self, topic: str, number: int, partition: int = 0) -> list[tuple]:
        """Key and value of the first messages of a partition."""
        client = Consumer({"bootstrap.servers": self.address, "group.id": "test"})
        client.assign([TopicPartition(topic, partition, 0)])
        try:
            found = client.consume(number, timeout=20)
            return [(each.key(), each.value()) for each in found]
        finally:
            client.close()

    @functools.cached_property
    def admin(self) -> AdminClient:
        """A client that may do everything."""
        return AdminClient({"bootstrap.servers": self.address})


def free_port() -> int:
    """A port that nobody listens on."""
    return _free_ports(1)[0]


def _free_ports(number: int) -> list[int]:
    """Ports below those that connections get: while the broker is away nobody takes them."""
    found: list[int] = []
    while len(found) < number:
        # Hypothesis seeds `random` alike in all processes that run tests.
        port = CHANCE.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found


def _done(futures: dict) -> None:
    for future in futures.values():
        future.result(timeout=30)


def _make_certificate(folder: Path) -> None:
    key, certificate = folder / "server.key", folder / "server.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        capture_output=True,
        check=True,
    )
    (folder / "server.pem").write_text(key.read_text() + certificate.read_text())


def missing() -> str | None:
    """What is missing for a broker on this machine; None where nothing is."""
    for command in ("java", "openssl"):
        if shutil.which(command) is None:
            return f"the command {command} is missing"
    if not list(LIBS.glob("kafka_*.jar")):
        return "Kafka's jars are missing: run make kafka"
    return None


@pytest.fixture(scope="session")
def expansion_service() -> Iterator[str]:
    """The address of Beam's expansion service with KafkaIO."""
    if shutil.which("java") is None or not list(EXPANSION.glob("beam-sdks-java-io-kafka-*.jar")):
        pytest.skip("no expansion service: it needs java, and its jars: run make kafka-expansion")
    folder, port = Path(tempfile.mkdtemp(prefix="expansion-")), free_port()
    environment = {
        **os.environ,
        "EXPANSION_LIBS": str(EXPANSION),
        "EXPANSION_DATA": str(folder),
        "EXPANSION_PORT": str(port),
    }
    scripts = SCRIPTS / "expansion"
    subprocess.run(
        [scripts / "start.sh"],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    yield f"127.0.0.1:{port}"
    subprocess.run(
        [scripts / "stop.sh"], env=environment, capture_output=True, check=True, timeout=60
    )
    shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _shared() -> KafkaServer:
    return KafkaServer(Path(tempfile.mkdtemp(prefix="kafka-")))


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """One broker for all tests of this process, whichever modules import this."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"no Kafka broker: {reason}")
    server = _shared()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)
    _shared.cache_clear()
