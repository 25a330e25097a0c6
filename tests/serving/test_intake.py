"""The way to the queue, with queues that fail as no real one does at will."""

import asyncio
import json
import threading

import pytest

from serving import intake as intake_module
from serving.admission import Admission, Limits
from serving.bodies import BodyError
from serving.intake import Intake
from tests.serving.device_messages import THERMOSTAT

TEXT = json.dumps(THERMOSTAT).encode()
BAD = b'{"device_id": 1}'


class OwnQueue:
    """Does with each call what it is told to."""

    uri = "own://queue"

    def __init__(self, *outcomes):
        self.outcomes, self.published = list(outcomes), []

    def check(self, timeout):
        pass

    def publish(self, messages, done):
        if not messages:
            done(None)
            return
        self.published.append([message.value for message in messages])
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome != "silent":
            threading.Timer(0.01, done, [outcome]).start()

    def close(self, timeout):  # noqa: ARG002
        return 0


async def take_all(intake, *requests):
    return await asyncio.gather(
        *(intake.take(list(texts)) for texts in requests), return_exceptions=True
    )


def test_a_fault_of_the_service_itself_is_a_503_and_the_next_request_is_served(caplog):
    intake = Intake(OwnQueue(RuntimeError("secret")), None, Limits())
    (failed,) = asyncio.run(take_all(intake, [TEXT]))
    assert isinstance(failed, BodyError)
    assert failed.status == 503
    assert "secret" not in str(failed)
    assert [record.getMessage() for record in caplog.records] == ["fault"]
    (taken,) = asyncio.run(take_all(intake, [TEXT]))
    assert not taken.faults
    assert intake.close(1) == 0


def test_a_queue_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(intake_module, "GRACE", 0.1)
    intake = Intake(OwnQueue("silent"), None, Limits(confirm_within=0.1))
    (failed,) = asyncio.run(take_all(intake, [TEXT]))
    assert failed.status == 503
    assert failed.retry_after > 0


def test_who_sends_what_is_bad_need_not_wait_for_the_queue():
    queue = OwnQueue("it is full")
    intake = Intake(queue, None, Limits())
    good, bad = asyncio.run(take_all(intake, [TEXT, TEXT], [BAD, TEXT]))
    assert good.status == 503
    assert "it is full" in str(good)
    assert list(bad.faults) == [0]
    assert [len(values) for values in queue.published] == [2]


def test_where_raw_messages_are_kept_both_queues_must_confirm():
    queue, raw = OwnQueue(), OwnQueue("it is full")
    intake = Intake(queue, raw, Limits())
    good, bad = asyncio.run(take_all(intake, [TEXT], [BAD]))
    assert (good.status, bad.status) == (503, 503)
    assert raw.published == [[TEXT, BAD]]
    good, bad = asyncio.run(take_all(intake, [TEXT], [BAD]))
    assert (good.faults, list(bad.faults)) == ({}, [0])


def test_requests_that_wait_are_checked_together_but_not_too_many(monkeypatch):
    monkeypatch.setattr(intake_module, "AT_ONCE", 5)
    queue = OwnQueue()
    intake = Intake(queue, None, Limits())
    taken = asyncio.run(take_all(intake, *[[TEXT] * 2] * 3, [TEXT] * 9, [TEXT]))
    assert all(not one.faults for one in taken)
    assert [len(values) for values in queue.published] == [4, 2, 9, 1]


def test_what_is_in_flight_is_bounded():
    admission = Admission(Limits(in_flight=10, in_flight_bytes=100))
    admission.add_messages(6)
    for status, count in ((429, 5), (413, 11)):
        with pytest.raises(BodyError) as caught:
            admission.add_messages(count)
        assert caught.value.status == status
    admission.add_bytes(90)
    with pytest.raises(BodyError) as caught:
        admission.add_bytes(11)
    assert caught.value.status == 429
    admission.leave(6, 90)
    assert (admission.messages, admission.bytes) == (0, 0)
