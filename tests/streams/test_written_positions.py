"""Where a stream goes on that is written to an output which keeps no positions."""

from __future__ import annotations

import uuid

import pytest

from connectors.streams import written_positions as module
from connectors.streams.kafka import KafkaSource
from connectors.streams.positions import StoredPositions, positions_of
from connectors.streams.source import Part
from connectors.streams.written_positions import (
    WrittenPositions,
    note_writing,
    note_written,
    written_positions,
)
from tests.support.kafka_server import KafkaServer, kafka_server  # noqa: F401 - a fixture
from transforms.payload import Reached


@pytest.fixture
def output():
    return f"bigquery://test-project.{uuid.uuid4().hex}"


@pytest.fixture
def clock(monkeypatch):
    """The time, which passes when it is told to."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_positions_are_told_when_rejected_records_have_had_time(output, clock):
    assert written_positions(output, ended=True) == {}
    note_written(output, [Reached("a", 5), Reached("a", 3), Reached("b", 1)])
    assert WrittenPositions(output).recent() == {}
    clock[0] += 1.0
    assert WrittenPositions(output).recent() == {"a": 5, "b": 1}
    note_written(output, [])
    note_written(output, [Reached("a", 4)])
    clock[0] += 1.0
    assert WrittenPositions(output).recent() == {"a": 5, "b": 1}
    assert WrittenPositions(output).read() == {}


def test_a_bundle_that_is_being_written_holds_back_what_came_with_it(output, clock):
    note_written(output, [Reached("a", 5)])
    clock[0] += 0.5
    ended = note_writing(output)
    clock[0] += 60.0
    assert WrittenPositions(output).recent() == {}
    ended()
    ended()
    assert WrittenPositions(output).recent() == {"a": 5}


def test_all_is_told_when_the_pipeline_has_ended(output, clock):
    assert clock
    note_written(output, [Reached("a", 5)])
    assert written_positions(output, ended=False) == {}
    assert written_positions(output, ended=True) == {"a": 5}


def test_what_nobody_asks_for_does_not_fill_the_memory(output, clock, monkeypatch):
    monkeypatch.setattr(module, "MOST_NOTED", 3)
    for number in range(10):
        clock[0] += 1.0
        note_written(output, [Reached(f"part {number % 2}", number)])
    assert len(module._outputs[output].noted) == 3
    clock[0] += 1.0
    assert WrittenPositions(output).recent() == {"part 0": 8, "part 1": 9}


def test_outputs_do_not_know_of_each_other(output, clock):
    note_written(output, [Reached("a", 5)])
    clock[0] += 2.0
    assert WrittenPositions(f"{output}2").recent() == {}


def test_a_store_is_asked_for_its_own(tmp_path, output):
    assert isinstance(positions_of(str(tmp_path)), StoredPositions)
    assert isinstance(positions_of(output), WrittenPositions)


@pytest.mark.slow
def test_a_run_without_a_store_goes_on_at_the_offset_of_its_group(kafka_server):  # noqa: F811
    server: KafkaServer = kafka_server
    topic = server.topic(partitions=2)
    server.send(topic, [b"{}"] * 100, partition=1)
    kept = KafkaSource.parse(server.uri(topic), output="bigquery://p.d")
    source = KafkaSource(kept.uri, kept.cluster, kept.group, from_group=True)
    assert [part.start for part in source.parts({})] == [0, 0]
    reader = source.open(Part(source.name_of(1)))
    reader.stored(40)
    reader.close()
    assert [part.start for part in source.parts({})] == [0, 40]
    assert [part.start for part in kept.parts({})] == [0, 0]
    # What a store says comes first.
    assert [part.start for part in source.parts({source.name_of(1): 70})] == [0, 70]
