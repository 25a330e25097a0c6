"""Queues and services take what is sent, and the counts say what they took."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from google.cloud.pubsub_v1 import PublisherClient

from pipelines.simulate import main
from simulation.batch import make_batches
from simulation.counts import Counts
from simulation.messages import Writing
from simulation.outputs.output import OutputError
from simulation.outputs.post import PostOutput
from simulation.outputs.pubsub import PubSubOutput
from simulation.outputs.serve import ServeOutput
from simulation.schedule import Clock, Faults, schedule
from simulation.world import make_sensors
from tests.support.kafka_server import free_port, kafka_server  # noqa: F401 - a fixture
from tests.support.pubsub_emulator import emulator_fixture, queue_fixture  # noqa: F401

DAY = 86_400_000_000
START = 1_733_011_200_000_000
FAULTY = (
    *("--late", 0.2, "--too_late", 0.05, "--future", 0.05, "--duplicates", 0.1),
    *("--corrections", 0.1, "--deletions", 0.05, "--bad", 0.1),
)


def simulate(tmp_path, *arguments: object, code: int = 0) -> dict[str, Any]:
    """Runs the command in this process; gives the counts and what it says."""
    said, counts = io.StringIO(), tmp_path / "counts.json"
    with contextlib.redirect_stderr(said):
        found = main([str(each) for each in ("--counts", counts, *arguments)])
    assert found == code, said.getvalue()
    return {**json.loads(counts.read_text()), "said": said.getvalue()}


def batches(count: int, name: str = "regional", **faults: float):
    clock = Clock(START, 10**8, 20)
    sensors = make_sensors(20, 0.1, 1)
    messages = schedule(clock, Faults(delay=10**6, **faults), 1, 50, count, None)
    return make_batches(name, messages, Writing(sensors, 1, clock.turn), None, json_only=True)


def messages_of(server, topic: str, partitions: int, count: int) -> list[Any]:
    client = Consumer({"bootstrap.servers": server.address, "group.id": "test"})
    client.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[Any] = []
    until = time.monotonic() + 30
    while len(found) < count and time.monotonic() < until:
        found += client.consume(count - len(found), timeout=1)
    client.close()
    return found


def test_kafka_has_what_was_sent_with_the_time_of_sending(tmp_path, kafka_server):  # noqa: F811
    topic = f"made-{free_port()}"
    options = ("--messages", 3000, "--rate", 0, "--quiet", *FAULTY, "--bad", 0)
    uri = kafka_server.uri(topic)
    counts = simulate(tmp_path, *options, "--output", uri, "--partitions", 3)
    found = messages_of(kafka_server, topic, 3, 3000)
    assert len(found) == counts["messages"] == 3000
    partitions = {}
    for each in found:
        assert partitions.setdefault(each.key(), each.partition()) == each.partition()
    assert set(partitions.values()) == {0, 1, 2}
    path = tmp_path / "same.jsonl"
    of_file = simulate(tmp_path, *options, "--output", path)
    assert sorted(each.value() for each in found) == sorted(path.read_bytes().splitlines())
    too_late = future = 0
    for each in found:
        text = json.loads(each.value()).get("timestamp")
        if text is not None:
            after = each.timestamp()[1] - np.datetime64(text, "ms").astype(np.int64)
            too_late += after > DAY // 1000
            future += after < -300_000
    assert counts["balance"]["too_late"] == too_late > 0
    assert counts["rejected"]["from_the_future"] == future > 0
    assert of_file["balance"]["too_late"] == 0
    assert counts["balance"]["read"] == of_file["balance"]["read"]


def test_kafka_takes_all_though_little_fits_into_the_client(tmp_path, kafka_server):  # noqa: F811
    topic = kafka_server.topic(1, retention_ms="-1")
    small = ("--kafka_option", "queue.buffering.max.messages=500", "--partitions", 1)
    counts = simulate(
        tmp_path, *("--messages", 5000, "--rate", 0, "--output", kafka_server.uri(topic)), *small
    )
    assert counts["messages"] == 5000
    assert len(messages_of(kafka_server, topic, 1, 5000)) == 5000


def test_messages_that_a_broker_refuses_are_named(tmp_path, kafka_server):  # noqa: F811
    uri = kafka_server.uri(kafka_server.topic(1, max_message_bytes="150"))
    counts = simulate(tmp_path, "--messages", 200, "--rate", 0, "--output", uri, code=1)
    assert "messages were not taken" in counts["said"]
    assert counts["refused"]["not confirmed"] > 0


def test_a_topic_that_is_not_there_is_named(tmp_path, kafka_server):  # noqa: F811
    uri = kafka_server.uri("nowhere")
    counts = simulate(tmp_path, "--messages", 5, "--rate", 0, "--output", uri, code=1)
    assert "topic nowhere" in counts["said"]
    assert counts["messages"] == 0


def test_no_broker_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("connectors.kafka_client.CONNECT_SECONDS", 1.0)
    uri = f"kafka://127.0.0.1:{free_port()}/topic"
    counts = simulate(tmp_path, "--messages", 5, "--rate", 0, "--output", uri, code=1)
    assert "no Kafka broker answers at 127.0.0.1" in counts["said"]


def test_pubsub_has_what_was_sent(tmp_path, queue):
    uri = f"pubsub://{queue.topic}"
    counts = simulate(tmp_path, "--messages", 300, "--rate", 0, "--output", uri, "--quiet")
    found = queue.left(10)
    assert len(found) == counts["messages"] == 300
    for each in found:
        event_time = np.datetime64(json.loads(each.data)["timestamp"], "s").astype(np.int64)
        assert int(each.attributes["timestamp"]) // 1000 == event_time
        assert int(each.attributes["sensor"]) >= 1
    # Their arrival is now, and they are of 2024.
    assert counts["balance"]["too_late"] == 300


@pytest.mark.usefixtures("emulator")
def test_a_topic_of_the_emulator_is_made(tmp_path):
    uri = "pubsub://projects/test-project/topics/made-by-simulate"
    counts = simulate(tmp_path, "--messages", 5, "--rate", 0, "--output", uri, "--quiet")
    assert counts["messages"] == 5


def test_messages_that_pubsub_does_not_take_are_named(queue):
    counts = Counts(10**18, 10**18)
    output = PubSubOutput(queue.topic_uri, counts)
    PublisherClient().delete_topic(topic=queue.topic)
    output.send(next(batches(30)))
    with pytest.raises(OutputError, match=r"30 messages were not taken: .* does not exist"):
        output.close()
    assert (counts.messages, counts.refused) == (0, {"not confirmed": 30})


def get(address: str, **headers: str) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(  # noqa: S310 - our own server
        address, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.fixture
def served():
    counts, stop = Counts(10**18, 10**18), threading.Event()
    interval = 2_000_000
    output = ServeOutput("127.0.0.1", 0, interval, START, "a key", counts, stop)
    yield output, counts
    stop.set()
    output.close()


def test_the_server_answers_the_readings_of_the_last_interval_with_the_key(served):
    output, counts = served
    made = list(batches(100, duplicates=0.2, bad=0.2, corrections=0.2))
    assert get(output.address)[0] == 401
    assert get(output.address, X_API_Key="another")[0] == 401
    assert get(output.address + "/other", X_API_Key="a key")[0] == 404
    status, body, headers = get(output.address, X_API_Key="a key")
    assert (status, body, headers["Content-Type"]) == (200, b"[]", "application/json")
    seen: list[Any] = []
    for batch in made:
        for row in range(len(batch)):
            output.send(batch.between(row, row + 1))
            status, body, headers = get(output.address, X_API_Key="a key")
            part = json.loads(body)
            if part and part not in seen:
                seen.append(part)
                tag = headers["ETag"]
                again = get(output.address, X_API_Key="a key", If_None_Match=tag)
                assert again[:2] == (304, b"")
    total = sum(map(len, seen))
    assert counts.messages == total
    assert len(seen) >= 4
    # 20 measurements in 2 s, and what follows them.
    assert all(len(part) >= 20 for part in seen[:4])
    assert counts.balance["read"] == total


def test_what_nobody_fetches_is_not_counted(served):
    output, counts = served
    sent = 0
    for batch in batches(100):
        output.send(batch)
        sent += len(batch)
    get(output.address, X_API_Key="a key")
    assert counts.messages == 20
    assert counts.refused == {"not fetched": sent - 20 - 20}


def test_the_command_serves_some_220_kb_at_its_default_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULATED_KEY", "a key")
    port, bodies = free_port(), []

    def fetch() -> None:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(urllib.error.URLError):
                body = get(address, X_API_Key="a key")[1]
                if len(body) > 2:
                    bodies.append(body)
                    return
            time.sleep(0.05)

    reader = threading.Thread(target=fetch)
    reader.start()
    # A simulated interval of ten seconds takes half a second.
    counts = simulate(
        tmp_path,
        *("--serve", port, "--api_key_env", "SIMULATED_KEY", "--speed", 20, "--rate", 2880),
        *("--duration", "500ms", "--interval", "500ms", "--start", "2024-12-01"),
    )
    reader.join()
    assert len(json.loads(bodies[0])) == counts["messages"] == 1440
    assert 200_000 < len(bodies[0]) < 240_000
    assert f"serving at http://127.0.0.1:{port}" in counts["said"]


def test_a_port_that_is_taken_and_a_key_that_is_not_set_are_named(tmp_path, served):
    port = served[0].address.rpartition(":")[2]
    assert f"port {port} of 127.0.0.1 cannot" in simulate(tmp_path, "--serve", port, code=1)["said"]
    options = ("--serve", 0, "--api_key_env", "NO_SUCH_KEY")
    assert "NO_SUCH_KEY is not set" in simulate(tmp_path, *options, code=1)["said"]


class Service:
    """A service that takes arrays, all or none, but for the answers that it is told to give."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.taken: list[Any] = []
        self.paths: Counter[str] = Counter()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.paths[self.path] += 1
                status, headers, answer = service.answer(body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, body: list[Any]) -> tuple[int, dict[str, str], bytes]:
        if self.answers:
            status, headers = self.answers.pop(0)
            return status, headers, b"no"
        errors = [
            {"index": index, "reason": "wrong_type"}
            for index, each in enumerate(body)
            if not (isinstance(each, dict) and isinstance(each.get("device_id"), str))
        ]
        if errors:
            return 422, {}, json.dumps({"accepted": 0, "errors": errors}).encode()
        self.taken += body
        return 202, {}, b"{}"


@pytest.fixture
def service():
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


def posted(service, count: int, stop: threading.Event | None = None, **faults: float):
    counts = Counts(10**18, 10**18)
    output = PostOutput(service.address, counts, stop or threading.Event())
    try:
        for batch in batches(count, "device", **faults):
            output.send(batch)
    finally:
        output.close()
    return counts


def test_posts_leave_out_what_the_service_does_not_take(service):
    counts = posted(service, 1500, bad=0.2)
    assert len(service.taken) == counts.messages
    assert counts.messages + counts.refused["wrong_type"] == 1500
    assert counts.refused["wrong_type"] > 20
    assert set(service.paths) == {"/devices/messages"}


def test_posts_wait_as_long_as_the_service_says(service):
    service.answers = [(429, {"Retry-After": "1"}), (503, {"Retry-After": "soon"})]
    began = time.monotonic()
    counts = posted(service, 30)
    assert counts.messages == len(service.taken) == 30
    assert time.monotonic() - began >= 1.5


def test_a_service_that_answers_something_else_ends_it(service):
    service.answers = [(500, {})]
    with pytest.raises(OutputError, match="answers 500: no"):
        posted(service, 30)
    service.answers = [(422, {})]
    with pytest.raises(OutputError, match="answers 422"):
        posted(service, 30)


def test_waiting_ends_when_it_is_interrupted(service):
    service.answers = [(429, {"Retry-After": "60"})] * 2
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(OutputError, match="it answers 429"):
        posted(service, 30, stop)
