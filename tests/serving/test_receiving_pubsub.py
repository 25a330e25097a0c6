"""The service with Google's Pub/Sub emulator behind it."""

import json
import time

import pytest

from tests.serving.device_messages import NORMALISED, THERMOSTAT, device_message
from tests.serving.service_process import run_to_its_end, running
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    PROJECT,
    Emulator,
    Queue,
    emulator_fixture,
    queue_fixture,
)


@pytest.fixture
def raw_queue(emulator):  # noqa: ARG001
    made = Queue()
    yield made
    made.close()


def test_messages_are_published_and_raw_ones_kept(queue, raw_queue):
    with running("--output", queue.topic_uri, "--raw_messages", raw_queue.topic_uri) as service:
        assert service.get("/ready").body == {"status": "ready"}
        batch = [device_message(device_id=str(n)) for n in range(1000)]
        assert service.post(THERMOSTAT).status == 202
        assert service.post(batch).body == {"accepted": 1000}
        assert service.post([THERMOSTAT, {}]).status == 422
    found = [json.loads(message.data) for message in queue.left()]
    assert len(found) == 1001
    assert NORMALISED in found
    assert len(raw_queue.left()) == 1003


def test_a_topic_that_is_missing_is_told(emulator):  # noqa: ARG001
    uri = f"pubsub://projects/{PROJECT}/topics/none-such"
    code, said = run_to_its_end("--port", 0, "--output", uri)
    assert code == 1
    assert said == f"error: {uri} does not exist; create it, or correct its name\n"


@pytest.mark.slow
def test_an_emulator_that_goes_away_is_told_in_time(tmp_path, monkeypatch):
    server = Emulator(tmp_path)
    server.start()
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server.host)
    made = Queue()
    try:
        options = ["--confirm_within", "2s"]
        with running("--output", made.topic_uri, *options) as service:
            assert service.post(THERMOSTAT).status == 202
            server.stop()
            began = time.monotonic()
            answers = [service.post(THERMOSTAT) for _ in range(2)]
            assert time.monotonic() - began < 20
            assert [answer.status for answer in answers] == [503, 503]
            assert server.host in answers[0].body["detail"]
            assert service.get("/ready").status == 503
            server.start()
            made_again = Queue()
            made_again.close()
    finally:
        server.stop()
        made.close()
