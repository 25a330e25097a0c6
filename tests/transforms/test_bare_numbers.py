"""Bare integers of one quantity: their arrival is their time, their place their id."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.fast_parser import micros_since_epoch
from transforms.parse_block import BlockParser
from transforms.payload import Payload, join_messages

ARRIVAL = 1_550_600_000_123_456


def rows_of(batches):
    return [row for batch in batches for row in batch.to_pylist()]


def parser():
    return BlockParser("integers:humidity")


def test_an_integer_of_a_queue_is_a_reading():
    arrivals = np.array([ARRIVAL, ARRIVAL + 5])
    payload = join_messages([b"42", b"[7, -1]"], "kafka://h:1/t/0", np.array([17, 18]), arrivals)
    rows = rows_of(parser().parse_payload(payload).readings)
    assert [row["id"] for row in rows] == [
        "kafka://h:1/t/0#offset=17",
        "kafka://h:1/t/0#offset=18",
        "kafka://h:1/t/0#offset=18&record=1",
    ]
    assert [row["value_micros"] for row in rows] == [42_000_000, 7_000_000, -1_000_000]
    assert [micros_since_epoch(row["event_time"]) for row in rows] == [
        ARRIVAL, ARRIVAL + 5, ARRIVAL + 5,
    ]  # fmt: skip
    assert {(row["sensor_id"], row["quantity"], row["format"]) for row in rows} == {
        ("humidity", "humidity", "integers")
    }
    assert {(row["longitude"], row["latitude"]) for row in rows} == {(None, None)}
    assert {(row["version"], row["version_kind"]) for row in rows} == {
        (ARRIVAL, 1), (ARRIVAL + 5, 1),
    }  # fmt: skip


def test_the_same_place_of_two_responses_is_two_readings():
    ids = set()
    for offset in (0, None):
        for moment in (ARRIVAL, ARRIVAL + 1):
            payload = Payload(b"1\n1", "http://h/x", offset, arrived_at=moment)
            ids |= {row["id"] for row in rows_of(parser().parse_payload(payload).readings)}
    assert len(ids) == 8


def test_a_file_has_no_time_for_bare_numbers():
    parsed = parser().parse(b"1\n2\nx", "a.txt")
    rows = rows_of(parsed.rejected)
    assert not parsed.readings
    assert [row["reason"] for row in rows] == ["missing_field", "missing_field", "not_json"]
    assert rows[0]["detail"].startswith("a bare number has no time of its own")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"1.5", "wrong_type"),
        (b"null", "null_value"),
        (b"true", "wrong_type"),
        (b'{"a": 1}', "wrong_type"),
        (b'"warm"', "wrong_type"),
        (b"NaN", "not_finite"),
        (b"1000000001", "out_of_range"),
        (b"1e10", "out_of_range"),
        (b"01", "not_json"),
        (b"1 2", "not_json"),
        (b"\xff", "not_json"),
        (b"-", "not_json"),
    ],
)
def test_what_is_no_integer_is_rejected(text, reason):
    parsed = parser().parse(b"5\n" + text + b"\n6", "q", arrived_at=ARRIVAL)
    assert [row["reason"] for row in rows_of(parsed.rejected)] == [reason]
    assert [row["value_micros"] for row in rows_of(parsed.readings)] == [5_000_000, 6_000_000]


def test_integers_may_be_written_in_other_ways():
    parsed = parser().parse(b'"12"\n3e2\n4.0\n-0\n-1000000000', "q", arrived_at=ARRIVAL)
    values = [row["value_micros"] for row in rows_of(parsed.readings)]
    assert values == [12_000_000, 300_000_000, 4_000_000, 0, -(10**15)]
