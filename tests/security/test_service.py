"""Answers of the receiving service are data, whatever was sent."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from serving.admission import Limits
from serving.app import create_app
from serving.check_messages import MessageChecker
from serving.intake import Intake
from serving.receiving import receiving_router

SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("field", ["device_id", "timestamp", "temperature", SCRIPT])
def test_a_fault_names_fields_of_ours_and_repeats_nothing(field):
    message = {
        "device_id": "1",
        "timestamp": "2023-03-28T20:04:22Z",
        "temperature": 25.2,
        "tag": "Thermostat",
    }
    message[field] = {SCRIPT: SCRIPT} if field != SCRIPT else SCRIPT
    checked = MessageChecker(300, 1 << 20).check([json.dumps(message).encode()])
    assert "script" not in repr(checked.faults)


class NoQueue:
    """Confirms everything."""

    uri = "none://queue"

    def check(self, timeout):
        pass

    def publish(self, messages, done):  # noqa: ARG002
        done(None)

    def close(self, timeout):  # noqa: ARG002
        return 0


@pytest.mark.parametrize(
    "body",
    [
        SCRIPT,
        json.dumps(SCRIPT),
        json.dumps({SCRIPT: SCRIPT}),
        json.dumps({"device_id": SCRIPT, "timestamp": SCRIPT, "sensor": SCRIPT, "value": SCRIPT}),
        json.dumps(
            {
                "device_id": SCRIPT,
                "timestamp": "2023-03-28T20:04:22Z",
                "sensor": "humidity",
                "value": 1,
            }
        ),
    ],
)
def test_answers_of_the_service_are_json_and_nothing_else(body):
    limits = Limits()
    app = create_app([receiving_router(Intake(NoQueue(), None, limits), limits)])
    with TestClient(app) as client:
        answer = client.post(
            "/devices/messages", content=body, headers={"Content-Type": "application/json"}
        )
    assert answer.headers["content-type"] == "application/json"
    assert SCRIPT not in answer.text
