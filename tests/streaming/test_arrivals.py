"""Readings that come too late or from the future: diverted by their own times, and kept."""

from __future__ import annotations

import json

import pytest

from schemas.reading import READINGS
from tests.support.messages import lines
from tests.support.streams import at, counted, run_stream, stream_of_anything
from transforms import AssignRegions, HourlyMeans, ParseReadings, Payload
from transforms.balance import CLASSES
from transforms.check_arrival import ArrivalRule
from transforms.keep_latest import KeepLatestVersion
from transforms.parse_block import BlockParser

DAY = 86_400
PARIS = {"lat": 48.8566, "lon": 2.3522}


def payload(arrived, *messages):
    """A block of messages that a queue brought at a moment."""
    micros = None if arrived is None else round(at(arrived).timestamp() * 10**6)
    return Payload(lines(*messages), "queue", arrived_at=micros)


def measured(name, minutes, value=10.0, **more):
    return {"id": name, "timestamp": f"{at(minutes):%FT%TZ}", "temperature": value, **PARIS, **more}


def run(*payloads, minutes=0):
    def build(blocks):
        parsed = blocks | ParseReadings(allowed_lateness=DAY, max_future=300)
        latest = parsed | AssignRegions() | KeepLatestVersion()
        return {
            "means": latest | HourlyMeans(),
            "rejected": parsed.rejected,
            "too_late": parsed.too_late,
            "entries": latest.entries,
        }

    stream = stream_of_anything()
    for each in payloads:
        stream.elements(each, minutes=minutes).wait()
    return run_stream(stream, build)


def test_a_reading_that_arrives_too_late_is_kept_and_not_counted():
    day = 24 * 60
    late, in_time = measured("late", 1), measured("in time", 1, 20.0)
    seen = run(payload(day + 2, late), payload(day + 1, in_time))
    (rejected,) = seen.rows["rejected"]
    assert rejected["reason"] == "too_late"
    assert rejected["detail"] == "it arrived more than 86,400 s after its event time"
    assert json.loads(rejected["raw"])["id"] == "late"
    assert rejected["source"] == "queue#byte=0"
    (kept,) = seen.rows["too_late"]
    assert set(kept) == {*READINGS.names, "value"} - {"value_micros"}
    assert (kept["id"], kept["event_time"], kept["value"]) == ("late", at(1), 10.0)
    assert [row["mean"] for row in seen.rows["means"]] == [20.0]
    assert {name: seen.balance[name] for name in ("read", "counted", "too_late", "rejected")} == {
        "read": 2,
        "counted": 1,
        "too_late": 1,
        "rejected": 0,
    }


def test_a_reading_from_the_future_is_rejected():
    ahead, in_time = measured("ahead", 6, 10.0), measured("in time", 5, 20.0)
    seen = run(payload(0, ahead, in_time))
    (rejected,) = seen.rows["rejected"]
    assert rejected["reason"] == "from_the_future"
    assert rejected["detail"] == "its event time is more than 300 s ahead of its arrival"
    assert json.loads(rejected["raw"])["id"] == "ahead"
    assert seen.rows["too_late"] == []
    assert [row["mean"] for row in seen.rows["means"]] == [20.0]
    assert (seen.balance["counted"], seen.balance["rejected"]) == (1, 1)


def test_of_a_block_each_record_is_told_apart_with_its_own_text_and_place():
    day = 24 * 60
    messages = [
        measured("a", day),
        measured("b", 0),
        {"id": "c", "timestamp": "never", "temperature": 1, **PARIS},
        measured("d", day + 10),
        measured("e", day, value="12.5"),
        # Of another shape, so that it is read the general way.
        {"nested": {"a": []}, **measured("f", 0)},
        {"id": "g", "deleted": True},
    ]
    seen = run(payload(day + 1, *messages))
    data = lines(*messages)
    found = {json.loads(row["raw"])["id"]: row for row in seen.rows["rejected"]}
    assert {name: row["reason"] for name, row in found.items()} == {
        "b": "too_late",
        "c": "bad_timestamp",
        "d": "from_the_future",
        "f": "too_late",
    }
    for row in found.values():
        begin = int(row["source"].removeprefix("queue#byte="))
        assert data[begin : begin + row["raw_size"]].decode() == row["raw"]
    assert sorted(row["id"] for row in seen.rows["too_late"]) == ["b", "f"]
    assert [row["count"] for row in seen.rows["means"]] == [2]
    assert seen.balance["read"] == 7 == sum(seen.balance[name] for name in CLASSES)
    assert seen.balance["deleted"] == 1


def test_what_has_no_arrival_is_never_too_late():
    seen = run(payload(None, measured("a", -60 * 24 * 365), measured("b", 60 * 24 * 365)))
    assert seen.balance["counted"] == 2
    assert seen.rows["rejected"] == []


def test_messages_of_a_queue_can_come_one_by_one():
    """They have no arrival of their own: they are only read."""
    seen = run(*(lines(measured(name, 1)).strip() for name in "ab"))
    assert seen.balance["counted"] == 2


def test_without_a_rule_nothing_is_diverted():
    parsed = BlockParser().parse(lines(measured("a", 0)), "queue", arrived_at=0)
    assert (len(parsed.readings), len(parsed.rejected), len(parsed.too_late)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("lateness", "reason"),
    [(3600 * 10**6, None), (3600 * 10**6 + 1, "too_late"), (-300 * 10**6, None),
     (-300 * 10**6 - 1, "from_the_future")],
)  # fmt: skip
def test_the_limits_are_exact_to_a_microsecond(lateness, reason):
    parser = BlockParser(arrival_rule=ArrivalRule(3600, 300))
    arrived = round(at(0).timestamp() * 10**6) + lateness
    with counted():
        parsed = parser.parse(lines(measured("a", 0)), "queue", arrived_at=arrived)
    found = [row["reason"] for batch in parsed.rejected for row in batch.to_pylist()]
    assert found == ([] if reason is None else [reason])
    assert parsed.read == 1


@pytest.mark.parametrize("name", ["allowed_lateness", "max_future"])
def test_negative_limits_are_refused(name):
    with pytest.raises(ValueError, match=rf"^{name} cannot be negative: -1 s$"):
        ParseReadings(**{name: -1})
