"""Pub/Sub by Beam's own reader: the same payloads."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.utils.timestamp import Timestamp

from connectors.streams import beam_pubsub
from connectors.streams.beam_pubsub import ReadPubSubWithBeam
from connectors.streams.pubsub import PubSubSource
from tests.support.jobs import ROOT
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    emulator_fixture,
    queue_fixture,
)

URI = "pubsub://projects/test-project/subscriptions/some"
PUBLISHED = datetime.datetime(2019, 2, 19, 14, 2, 10, 500, tzinfo=datetime.UTC)


def collected(messages, attribute=None):
    """Payloads and their timestamps, by the DoFn as a runner calls it."""
    join = beam_pubsub._Join(URI, attribute)
    join.start_bundle()
    given = [value for message, at in messages for value in join.process(message, at)]
    return given + list(join.finish_bundle())


def message(text, number, **attributes):
    return PubsubMessage(text, attributes, f"id-{number}", PUBLISHED)


def test_messages_of_a_bundle_are_one_payload():
    at = Timestamp
    [joined] = collected([(message(b"1", 1), at(20)), (message(b"2", 2), at(10))])
    assert joined.timestamp == at(10)
    assert joined.value.data == b"1\n2"
    assert joined.value.source == URI
    assert list(joined.value.messages.places) == ["id-1", "id-2"]
    assert joined.value.messages.unit == "message"
    assert joined.value.messages.arrived_at.tolist() == [1_550_584_930_000_500] * 2
    assert joined.value.reached is None


def test_a_bundle_without_messages_gives_nothing():
    assert collected([]) == []


def test_large_bundles_are_several_payloads(monkeypatch):
    monkeypatch.setattr(beam_pubsub, "PAYLOAD_MESSAGES", 2)
    at = Timestamp(0)
    found = collected([(message(b"%d" % number, number), at) for number in range(5)])
    assert [each.value.data for each in found] == [b"0\n1", b"2\n3", b"4"]


def test_where_the_runner_does_not_say_more():
    at = Timestamp(1.5)
    [joined] = collected([(PubsubMessage(b"1", {}), at)])
    assert list(joined.value.messages.places) == [""]
    assert joined.value.messages.arrived_at.tolist() == [1_500_000]


def test_an_attribute_can_stand_for_the_arrival():
    at = Timestamp(0)
    [joined] = collected([(message(b"1", 1, at="2000"), at), (message(b"2", 2), at)], "at")
    assert joined.value.messages.arrived_at.tolist() == [2_000_000, 1_550_584_930_000_500]


@pytest.mark.parametrize("for_runner", [False, True])
def test_what_the_runner_is_told(for_runner):
    source = PubSubSource(URI, timestamp_attribute="at", id_attribute="key")
    pipeline = beam.Pipeline()
    pipeline | ReadPubSubWithBeam(source, attribute_as_event_time=for_runner)
    told = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def visit_transform(self, node):
            if isinstance(node.transform, beam.io.Read):
                told.append(node.transform.source)

    pipeline.visit(Visitor())
    assert told[0].full_subscription == "projects/test-project/subscriptions/some"
    assert told[0].id_label == "key"
    assert told[0].timestamp_attribute == ("at" if for_runner else None)


@pytest.mark.slow
def test_on_the_bundle_based_runner(queue, tmp_path):
    file = tmp_path / "payloads"
    sent = queue.publish([b"%d" % number for number in range(25)], at="2019-02-19T14:02:10Z")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pubsub_beam_job", queue.uri, str(file), "at"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until, found = time.monotonic() + 60, []
        while sum(len(payload["texts"]) for payload in found) < 25:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.1)
            if file.exists():
                lines = file.read_text().split("\n")[:-1]
                found = [json.loads(each) for each in lines]
    finally:
        process.kill()
        process.communicate()
    assert sorted(place for payload in found for place in payload["places"]) == sorted(sent)
    assert sorted(int(text) for payload in found for text in payload["texts"]) == list(range(25))
    assert {payload["source"] for payload in found} == {queue.uri}
    assert {at for payload in found for at in payload["arrived_at"]} == {1_550_584_930_000_000}
    assert min(payload["timestamp"] for payload in found) > time.time() - 120
