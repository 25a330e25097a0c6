"""Google's own Pub/Sub emulator for tests, and what they need of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud import pubsub_v1

from connectors.input_error import InputError
from pipelines.children import free_port
from pipelines.prism import find_prism

SCRIPT = Path(__file__).parents[2] / "deploy" / "pubsub" / "emulator.sh"
PROJECT = "test-project"
START_SECONDS = 60


class Emulator:
    """An emulator of the test's own.

    Attributes:
        host: as PUBSUB_EMULATOR_HOST names it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.host = f"127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until it answers; the tests are skipped where it is not installed."""
        with (self._folder / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(SCRIPT), str(self._port)], stdout=log, stderr=subprocess.STDOUT
            )
        channel = grpc.insecure_channel(self.host)
        ready = grpc.channel_ready_future(channel)
        until = time.monotonic() + START_SECONDS
        try:
            while True:
                with contextlib.suppress(grpc.FutureTimeoutError):
                    ready.result(timeout=0.2)
                    return
                said = (self._folder / "emulator.log").read_text()
                if self._process.poll() == 1 and ("not installed" in said or "needs Java" in said):
                    pytest.skip(said.strip().splitlines()[-1])
                assert self._process.poll() is None, said
                assert time.monotonic() < until, f"the emulator does not answer: {said}"
        finally:
            channel.close()

    def stop(self) -> None:
        """Ends the process that was started, and no other."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None


class Queue:
    """A topic and a subscription of a test's own."""

    def __init__(self, ack_deadline: int = 10) -> None:
        name = f"test-{uuid.uuid4().hex[:10]}"
        self._publisher = pubsub_v1.PublisherClient()
        self.subscriber = pubsub_v1.SubscriberClient()
        self.topic = f"projects/{PROJECT}/topics/{name}"
        self.subscription = f"projects/{PROJECT}/subscriptions/{name}"
        self._publisher.create_topic(name=self.topic)
        self.subscriber.create_subscription(
            name=self.subscription, topic=self.topic, ack_deadline_seconds=ack_deadline
        )

    @property
    def topic_uri(self) -> str:
        return f"pubsub://{self.topic}"

    @property
    def uri(self) -> str:
        """The subscription's."""
        return f"pubsub://{self.subscription}"

    def publish(self, messages: Sequence[bytes | dict[str, Any]], **attributes: str) -> list[str]:
        """Publishes and waits until all is confirmed; gives the identifiers of the messages."""
        texts = [
            each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages
        ]
        sent = [self._publisher.publish(self.topic, text, **attributes) for text in texts]
        return [each.result(timeout=30) for each in sent]

    def left(self, seconds: float = 0.5) -> list[Any]:
        """Messages that can be had now; they are acknowledged.

        Waits no longer than this for the first one.
        """
        found: list[Any] = []
        until = time.monotonic() + seconds
        while time.monotonic() < until or found:
            answer = self.subscriber.pull(
                request={
                    "subscription": self.subscription,
                    "max_messages": 1000,
                    "return_immediately": True,
                }
            )
            if not answer.received_messages:
                if found:
                    return found
                time.sleep(0.05)
                continue
            found += [each.message for each in answer.received_messages]
            self.subscriber.acknowledge(
                subscription=self.subscription,
                ack_ids=[each.ack_id for each in answer.received_messages],
            )
        return found

    def close(self) -> None:
        self.subscriber.close()
        self._publisher.stop()


@contextlib.contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator, which PUBSUB_EMULATOR_HOST names while the block runs."""
    before = os.environ.get("PUBSUB_EMULATOR_HOST")
    emulator = Emulator(folder)
    try:
        emulator.start()
        os.environ["PUBSUB_EMULATOR_HOST"] = emulator.host
        yield emulator
    finally:
        emulator.stop()
        if before is None:
            os.environ.pop("PUBSUB_EMULATOR_HOST", None)
        else:
            os.environ["PUBSUB_EMULATOR_HOST"] = before


@pytest.fixture(name="emulator", scope="module")
def emulator_fixture(tmp_path_factory):
    """An emulator for a module's tests."""
    with running_emulator(tmp_path_factory.mktemp("pubsub")) as started:
        yield started


@pytest.fixture(name="queue")
def queue_fixture(emulator):  # noqa: ARG001 - it must run
    """A topic and a subscription in it."""
    made = Queue()
    yield made
    made.close()


@pytest.fixture(name="prism")
def prism_fixture() -> None:
    """Skips a test where Prism is missing."""
    try:
        find_prism()
    except InputError as error:
        pytest.skip(str(error))
