"""What is said when Pub/Sub cannot be read: one sentence, soon."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.pubsub_v1 import types

from connectors.input_error import InputError
from connectors.streams import pubsub_leases, pubsub_reader
from connectors.streams.pubsub import PubSubSource
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    PROJECT,
    Queue,
    emulator_fixture,
    free_port,
    queue_fixture,
    running_emulator,
)

TOPIC = f"pubsub://projects/{PROJECT}/topics/some-topic"
SUBSCRIPTION = f"pubsub://projects/{PROJECT}/subscriptions/some-subscription"


class Answers(grpc.GenericRpcHandler):
    """A server that gives the same status to every call, or to those of some methods."""

    def __init__(self, status, details, only=""):
        self._status, self._details, self._only = status, details, only

    def service(self, handler_call_details):
        if self._only not in handler_call_details.method:
            return None
        return grpc.unary_unary_rpc_method_handler(self._refuse)

    def _refuse(self, _, context):
        context.abort(self._status, self._details)


class Flaky(grpc.GenericRpcHandler):
    """A subscription of one message, whose acknowledgements fail so often before one succeeds."""

    def __init__(self, failures):
        self.failures, self.acknowledged, self.deadlines = failures, [], []
        self._given = False

    def service(self, handler_call_details):
        method = handler_call_details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(getattr(self, method))

    def GetSubscription(self, _, context):  # noqa: N802 - the service's names
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "No.")

    def Pull(self, _, context):  # noqa: N802
        del context
        if self._given:
            time.sleep(0.1)
            return b""
        self._given = True
        message = {"data": b"1", "message_id": "m"}
        received = {"ack_id": "ack", "message": message}
        return types.PullResponse.serialize(types.PullResponse(received_messages=[received]))

    def Acknowledge(self, request, context):  # noqa: N802
        if self.failures:
            self.failures -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        self.acknowledged += types.AcknowledgeRequest.deserialize(request).ack_ids
        return b""

    def ModifyAckDeadline(self, request, context):  # noqa: N802
        del context
        asked = types.ModifyAckDeadlineRequest.deserialize(request)
        self.deadlines.append((list(asked.ack_ids), asked.ack_deadline_seconds))
        return b""


@pytest.fixture
def answering(monkeypatch):
    """Starts servers that refuse."""
    servers = []

    def start(*answers):
        server = grpc.server(ThreadPoolExecutor(4))
        server.add_generic_rpc_handlers(answers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{port}")

    yield start
    for server in servers:
        server.stop(None).wait(5)


def poll_on(reader, position=0, seconds=10):
    """Polls until the reader refuses."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        reader.poll(position, 0.1)


def open_and_poll(source):
    reader = source.open(source.parts({})[0])
    try:
        poll_on(reader)
    finally:
        reader.close()


def refusal(source):
    """What a source says that cannot be read, by when it is polled."""
    began = time.monotonic()
    with pytest.raises(InputError) as refused:
        open_and_poll(source)
    assert time.monotonic() - began < 10
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_subscription_or_topic_that_does_not_exist(queue):
    del queue
    assert refusal(PubSubSource(SUBSCRIPTION)) == (
        f"{SUBSCRIPTION} does not exist; create it, or correct its name"
    )
    assert refusal(PubSubSource(TOPIC)) == f"{TOPIC} does not exist; create it, or correct its name"


def test_an_emulator_that_is_not_there(monkeypatch):
    host = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", host)
    said = refusal(PubSubSource(SUBSCRIPTION))
    assert f"the emulator at {host} does not answer; start it, or correct" in said


def test_a_host_that_never_answers(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{listener.getsockname()[1]}")
        assert "does not answer" in refusal(PubSubSource(TOPIC))


def test_no_credentials(monkeypatch, tmp_path):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    assert "there are no Google credentials for Pub/Sub" in refusal(PubSubSource(TOPIC))


@pytest.mark.parametrize(
    ("status", "details", "said"),
    [
        (
            grpc.StatusCode.PERMISSION_DENIED,
            "User not authorized to perform this action.",
            "this account is not allowed to; give it the role roles/pubsub.subscriber",
        ),
        (grpc.StatusCode.UNAUTHENTICATED, "", "Google refused the credentials; renew them"),
        (
            grpc.StatusCode.NOT_FOUND,
            "Requested project not found or user does not have access to it",
            f"there is no project {PROJECT}, or this account may not use it",
        ),
        (grpc.StatusCode.FAILED_PRECONDITION, "It is detached.", "cannot be read: It is detached"),
    ],
)
def test_pubsub_refuses(answering, status, details, said):
    answering(Answers(status, details))
    assert said in refusal(PubSubSource(SUBSCRIPTION))


def test_a_topic_to_which_nothing_may_be_subscribed(answering):
    answering(Answers(grpc.StatusCode.PERMISSION_DENIED, "No."))
    assert "name a subscription of the topic, or give it" in refusal(PubSubSource(TOPIC))


def test_who_may_not_look_may_perhaps_read(answering):
    answering(
        Answers(grpc.StatusCode.PERMISSION_DENIED, "No.", only="GetSubscription"),
        Answers(grpc.StatusCode.NOT_FOUND, "Resource not found", only="Pull"),
    )
    source = PubSubSource(SUBSCRIPTION)
    assert source.prepare() is None
    assert f"{SUBSCRIPTION} does not exist" in refusal(source)


def test_a_service_that_fails_for_longer_than_can_be_borne(answering):
    answering(
        Answers(grpc.StatusCode.PERMISSION_DENIED, "No.", only="GetSubscription"),
        Answers(grpc.StatusCode.INTERNAL, "Oh.", only="Pull"),
    )
    assert "does not answer" in refusal(PubSubSource(SUBSCRIPTION, patience=2.0))


def test_silence_of_the_service_is_not_the_end_of_the_messages(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setattr(pubsub_reader, "PULL_SECONDS", 0.3)
        monkeypatch.setattr(pubsub_reader, "QUIET_SECONDS", 0.5)
        named = PubSubSource(SUBSCRIPTION).named
        reader = pubsub_reader.PubSubReader(named, SUBSCRIPTION, 10)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert not reader.poll(0, 0.1).caught_up
        began = time.monotonic()
        reader.close()
        assert time.monotonic() - began < 10


def one_message(answering, failures):
    """A reader that has read the one message, the server, and the reader's position."""
    server = Flaky(failures)
    answering(server)
    source = PubSubSource(SUBSCRIPTION)
    reader = source.open(source.parts({})[0])
    until, position = time.monotonic() + 10, 0
    while position == 0:
        assert time.monotonic() < until
        position = reader.poll(position, 0.1).position
    return reader, server, position


def test_an_acknowledgement_that_fails_is_sent_again(answering):
    reader, server, position = one_message(answering, failures=3)
    reader.stored(position)
    until = time.monotonic() + 10
    while not server.acknowledged:
        assert time.monotonic() < until
        time.sleep(0.02)
    reader.close()
    assert server.acknowledged == ["ack"]
    assert server.deadlines == []


def test_closing_sends_what_is_stored_and_gives_the_rest_back(answering):
    reader, server, position = one_message(answering, failures=0)
    reader.stored(position)
    reader.close()
    assert (server.acknowledged, server.deadlines) == (["ack"], [])
    reader, server, _ = one_message(answering, failures=0)
    reader.close()
    assert (server.acknowledged, server.deadlines) == ([], [(["ack"], 0)])


def test_closing_ends_though_nothing_can_be_sent(answering, monkeypatch):
    monkeypatch.setattr(pubsub_leases, "CLOSE_SECONDS", 0.0)
    reader, server, position = one_message(answering, failures=1 << 30)
    reader.stored(position)
    began = time.monotonic()
    reader.close()
    assert time.monotonic() - began < 12
    assert server.acknowledged == []


def test_a_fault_of_ours_is_told_too(answering, monkeypatch):
    answering(Flaky(0))
    monkeypatch.setattr(pubsub_reader.PubSubReader, "_pull", lambda _: 1 / 0)
    assert "ZeroDivisionError" in refusal(PubSubSource(SUBSCRIPTION))


def test_messages_that_are_delivered_elsewhere(queue):
    name = queue.subscription + "-push"
    queue.subscriber.create_subscription(
        name=name, topic=queue.topic, push_config={"push_endpoint": "http://127.0.0.1:1/none"}
    )
    assert "are delivered elsewhere (push" in refusal(PubSubSource(f"pubsub://{name}"))


def test_a_subscription_of_the_same_name_to_another_topic(queue):
    source = PubSubSource(queue.topic_uri, output="results")
    other = Queue()
    queue.subscriber.create_subscription(name=source.subscription.path, topic=other.topic)
    other.close()
    assert "belongs to another topic" in refusal(source)


@pytest.mark.slow
def test_an_emulator_that_comes_back_has_forgotten_all(tmp_path):
    with running_emulator(tmp_path) as emulator:
        queue = Queue()
        queue.publish([b"1"])
        reader = PubSubSource(queue.uri).open(PubSubSource(queue.uri).parts({})[0])
        until, position = time.monotonic() + 60, 0
        while position == 0:
            assert time.monotonic() < until
            position = reader.poll(position, 0.1).position
        emulator.stop()
        down = time.monotonic()
        while time.monotonic() - down < 2:
            assert reader.poll(position, 0.1).payload is None, "it waits for the service"
        emulator.start()
        with pytest.raises(InputError, match="does not exist"):
            poll_on(reader, position, 30)
        reader.stored(position)
        reader.close()
        queue.close()
