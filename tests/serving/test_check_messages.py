"""What the service takes is what the pipeline's parser takes; and all faults are named."""

import json
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.message_formats import open_formats
from schemas.reasons import REASONS
from serving.check_messages import MessageChecker
from serving.normalise import normalise
from tests.serving.device_messages import (
    NORMALISED,
    THERMOSTAT,
    as_text,
    device_message,
    messages,
)
from transforms.check_arrival import ArrivalRule
from transforms.parse_block import BlockParser
from transforms.payload import join_messages

NOW = 1_700_000_000 * 10**6
MAX_FUTURE = 300


def checker(**settings_):
    return MessageChecker(MAX_FUTURE, 64 << 10, **settings_)


def faults_of(*wrong, **settings_):
    found = checker(**settings_).check([as_text(one) for one in wrong], NOW).faults
    return {
        number: [(fault.field, fault.reason) for fault in faults]
        for number, faults in found.items()
    }


def read_by_the_pipeline(texts, formats="auto"):
    """The readings that the pipeline finds in a queue's messages, and why it rejects which."""
    if not texts:
        return [], {}
    parser = BlockParser(open_formats(formats), arrival_rule=ArrivalRule(None, MAX_FUTURE))
    places, arrivals = np.arange(len(texts)), np.full(len(texts), NOW)
    parsed = parser.parse_payload(join_messages(texts, "topic", places, arrivals))
    readings = [row for batch in parsed.readings for row in batch.to_pylist()]
    rejected = {
        int(row["source"].removeprefix("topic#offset=")): row["reason"]
        for batch in parsed.rejected
        for row in batch.to_pylist()
    }
    return readings, rejected


def told_apart(rows):
    """Rows as a multiset, without what only says where a reading came from."""
    return Counter(
        json.dumps({k: str(v) for k, v in row.items() if k not in {"source", "format"}})
        for row in rows
    )


MANY = st.lists(messages(), min_size=1, max_size=40)


def rows_of(checked):
    return [row for batch in checked.readings for row in batch.to_pylist()]


@settings(max_examples=30)
@given(MANY)
def test_the_service_and_the_pipeline_agree_on_every_message(sent):
    texts = [as_text(one) for one in sent]
    faults = checker().check(texts, NOW).faults
    _, rejected = read_by_the_pipeline(texts)
    assert {number: named[0].reason for number, named in faults.items()} == rejected
    good = [text for number, text in enumerate(texts) if number not in faults]
    checked = checker().check(good, NOW)
    assert not checked.faults
    readings, rejected = read_by_the_pipeline(good)
    assert not rejected
    assert told_apart(rows_of(checked)) == told_apart(readings)
    assert len(readings) == len(good)


@settings(max_examples=10)
@given(st.lists(messages(), min_size=2, max_size=8))
def test_messages_are_judged_alike_together_and_alone(sent):
    texts = [as_text(one) for one in sent]
    together = checker().check(texts, NOW).faults
    alone = [checker().check([text], NOW).faults for text in texts]
    assert together == {n: faults[0] for n, faults in enumerate(alone) if faults}


@settings(max_examples=30)
@given(MANY)
def test_a_normalised_message_is_the_same_reading(sent):
    texts = [as_text(one) for one in sent]
    faults = checker().check(texts, NOW).faults
    checked = checker().check([t for n, t in enumerate(texts) if n not in faults], NOW)
    normal = [message for batch in checked.readings for message in normalise(batch)]
    readings, rejected = read_by_the_pipeline([one.value for one in normal], "device_message")
    assert not rejected
    assert told_apart(readings) == told_apart(rows_of(checked))
    assert [one.key for one in normal] == [row["sensor_id"] for row in rows_of(checked)]


@settings(max_examples=20)
@given(MANY)
def test_of_a_bad_message_each_field_is_named_once_with_a_reason(sent):
    for faults in checker().check([as_text(one) for one in sent], NOW).faults.values():
        named = [fault.field for fault in faults]
        assert len(set(named)) == len(named)
        assert {fault.reason for fault in faults} <= set(REASONS)
        assert all(fault.detail for fault in faults)


def test_every_fault_of_a_message_is_named():
    everything = {
        "device_id": [],
        "timestamp": "yesterday",
        "temperature": "warm",
        "tag": "Thermostat",
        "version": "new",
        "deleted": "perhaps",
    }
    assert set(faults_of(everything)[0]) == {
        ("device_id", "wrong_type"),
        ("timestamp", "bad_timestamp"),
        ("temperature", "wrong_type"),
        ("version", "wrong_type"),
        ("deleted", "wrong_type"),
    }


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {},
            {(name, "missing_field") for name in ("device_id", "timestamp", "tag")},
        ),
        (device_message(tag="Hydrometer"), {("tag", "wrong_type")}),
        (
            device_message(tag="Hydrometer", temperature="warm"),
            {("tag", "wrong_type"), ("temperature", "wrong_type")},
        ),
        (
            device_message(tag="Hydrometer", temperature=..., timestamp="yesterday"),
            {("tag", "wrong_type"), ("timestamp", "bad_timestamp")},
        ),
        (device_message(temperature=...), {("temperature", "missing_field")}),
        (device_message(temperature=None), {("temperature", "null_value")}),
        (device_message(temperature=float("nan")), {("temperature", "not_finite")}),
        (device_message(temperature="Infinity"), {("temperature", "not_finite")}),
        (device_message(temperature=2e9), {("temperature", "out_of_range")}),
        (device_message(temperature=True), {("temperature", "wrong_type")}),
        (device_message(device_id=1.5), {("device_id", "wrong_type")}),
        (
            {"device_id": "1", "sensor": "temperature", "timestamp": 1e300, "value": []},
            {("timestamp", "bad_timestamp"), ("value", "wrong_type")},
        ),
        (
            device_message(timestamp="2999-01-01T00:00:00Z", device_id=None),
            {("device_id", "null_value"), (None, "from_the_future")},
        ),
    ],
)
def test_what_is_wrong_with_a_message(message, expected):
    assert set(faults_of(message)[0]) == expected


def test_good_and_bad_messages_are_told_apart_by_their_number():
    bad = device_message(device_id=None)
    assert faults_of(THERMOSTAT, bad, NORMALISED, bad) == {
        1: [("device_id", "null_value")],
        3: [("device_id", "null_value")],
    }


def test_of_very_many_bad_messages_the_first_fault_is_named():
    bad = device_message(device_id=None, temperature="warm")
    found = faults_of(*[bad] * 10, most_named=4)
    assert [len(found[number]) for number in range(10)] == [2] * 4 + [1] * 6


def test_messages_over_many_lines_count_as_one():
    text = json.dumps(THERMOSTAT, indent=2).encode()
    checked = checker().check([text, text], NOW)
    assert not checked.faults
    assert sum(len(batch) for batch in checked.readings) == 2


def test_of_a_key_that_stands_twice_the_first_counts_here_too():
    text = b'{"device_id": [], "device_id": "1", "tag": "Thermostat", "timestamp": "x", "t": 1}'
    (faults,) = checker().check([text], NOW).faults.values()
    assert {"device_id", "timestamp"} <= {fault.field for fault in faults}


def test_the_time_now_is_the_arrival_by_default():
    soon = time.time() + 60
    assert not checker().check([as_text(device_message(timestamp=soon))]).faults
    assert checker().check([as_text(device_message(timestamp=soon + 3600))]).faults


def test_what_is_normalised_keeps_version_and_deletion():
    sent = device_message(version=7, deleted=True, temperature=...)
    (batch,) = checker().check([as_text(sent)], NOW).readings
    (message,) = normalise(batch)
    said = json.loads(message.value)
    assert said == {
        "device_id": "1",
        "timestamp": "2023-03-28T20:04:22Z",
        "sensor": "temperature",
        "version": 7,
        "deleted": True,
    }
    changed = device_message(updated_at="2023-03-29 01:00:00.5")
    (batch,) = checker().check([as_text(changed)], NOW).readings
    assert json.loads(normalise(batch)[0].value) == {
        **NORMALISED,
        "updated_at": "2023-03-29T01:00:00.500000Z",
    }
