"""A queue that is slow or away: refused in time, never a hang, and well again afterwards."""

import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.device_messages import THERMOSTAT, device_message
from tests.serving.service_process import running, wait_for
from tests.support.kafka_server import KafkaServer, missing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A broker that these tests may stop."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"no Kafka broker: {reason}")
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield server
    server.stop()


@pytest.fixture
def paused(broker):
    """Holds the broker's process for a while: it neither answers nor closes connections."""
    process = int(Path(broker.folder / "data" / "broker.pid").read_text())
    held = threading.Event()

    def pause():
        held.set()
        os.kill(process, signal.SIGSTOP)

    def go_on():
        os.kill(process, signal.SIGCONT)

    yield pause, go_on
    go_on()


def test_beyond_the_limit_in_flight_requests_are_refused_at_once(broker, paused):
    pause, go_on = paused
    topic = broker.topic()
    options = ["--max_in_flight", 10, "--confirm_within", "60s"]
    with running("--output", broker.uri(topic), *options) as service:
        assert service.post(THERMOSTAT).status == 202
        pause()
        with ThreadPoolExecutor(15) as pool:
            sent = [pool.submit(service.post, THERMOSTAT) for _ in range(15)]
            wait_for(lambda: sum(one.done() for one in sent) == 5)
            refused = [one.result() for one in sent if one.done()]
            began = time.monotonic()
            refused += [service.post(THERMOSTAT) for _ in range(10)]
            assert time.monotonic() - began < 10
            assert {answer.status for answer in refused} == {429}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
            assert "send again later" in refused[0].body["detail"]
            go_on()
            answers = Counter(one.result().status for one in sent)
            assert answers == {202: 10, 429: 5}
        assert service.post(THERMOSTAT).status == 202
        refusals = [line for line in service.events("request") if line["status"] == 429]
        assert {line["level"] for line in refusals} == {"warning"}


def test_a_load_beyond_what_the_queue_takes_is_answered_with_429_and_nothing_is_lost(broker):
    topic = broker.topic()
    options = ["--max_in_flight", 20]
    with running("--output", broker.uri(topic), *options) as service:

        def send(number):
            batch = [device_message(device_id=f"{number}-{n}") for n in range(10)]
            return number, service.post(batch).status

        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(send, range(400)))
    statuses = Counter(status for _, status in answers)
    assert set(statuses) == {202, 429}
    accepted = {f"{number}-{n}" for number, status in answers if status == 202 for n in range(10)}
    found = broker.values(topic, 10 * len(accepted))
    assert {json.loads(text)["device_id"] for _, text in found} == accepted
    assert len(found) == len(accepted)


def test_a_queue_that_is_down_is_told_in_time_and_used_again_when_it_is_back(broker):
    topic = broker.topic()
    options = ["--confirm_within", "2s", "--raw_messages", broker.topic()]
    with running("--output", broker.uri(topic), *options) as service:
        assert service.post(THERMOSTAT).status == 202
        broker.stop()
        began = time.monotonic()
        answer = service.post(device_message(device_id="lost"))
        assert time.monotonic() - began < 8
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "send them again" in answer.body["detail"]
        assert service.get("/health").status == 200
        began = time.monotonic()
        ready = service.get("/ready")
        assert time.monotonic() - began < 8
        assert ready.status == 503
        assert broker.address in ready.body["detail"]
        broker.start()
        wait_for(lambda: service.get("/ready").status == 200)
        wait_for(lambda: service.post(device_message(device_id="found")).status == 202)
    devices = [json.loads(text)["device_id"] for _, text in broker.values(topic, 2)]
    assert devices[0] == "1"
    assert "found" in devices


def test_a_service_that_stops_while_the_queue_is_down_ends_all_the_same(broker):
    topic = broker.topic()
    service_ended = []
    with running("--output", broker.uri(topic), "--confirm_within", "2s") as service:
        assert service.post(THERMOSTAT).status == 202
        broker.stop()
        try:
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(service.post, THERMOSTAT)
                time.sleep(0.2)
                service.signal()
                assert waiting.result().status == 503
            service_ended.append(service.wait())
        finally:
            broker.start()
    assert service_ended == [0]
