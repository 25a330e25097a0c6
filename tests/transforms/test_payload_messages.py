"""Messages of a queue, joined: places and arrivals of what they hold, good or bad."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from tests.support.fast_parser import GeneralParser, micros_since_epoch
from tests.support.format_messages import good_message
from tests.support.messages import line
from transforms.check_arrival import ArrivalRule
from transforms.parse_block import BlockParser
from transforms.payload import Reached, join_messages

SOURCE = "kafka://h:9092/t/0"
FIRST = 1_550_600_000_000_000


def joined(texts, **more):
    places = np.arange(100, 100 + len(texts))
    arrivals = FIRST + np.arange(len(texts)) * 1000
    return join_messages(texts, SOURCE, places, arrivals, **more)


def rows_of(batches):
    return [row for batch in batches for row in batch.to_pylist()]


def air(entries, **changes):
    return {**good_message("air_quality", random.Random(1)), "sensordatavalues": entries, **changes}


@pytest.mark.parametrize("kind", [BlockParser, GeneralParser])
@pytest.mark.parametrize("bad", [1, 40])
def test_each_reading_arrived_with_its_message(kind, bad):
    texts = [line(id=number) if number % 2 else b"bad" for number in range(2 * bad)]
    parsed = kind().parse_payload(joined(texts))
    for row in rows_of(parsed.readings):
        assert micros_since_epoch(row["arrived_at"]) == FIRST + int(row["id"]) * 1000
        assert (row["version"], row["version_kind"]) == (FIRST + int(row["id"]) * 1000, 1)
    assert [row["source"] for row in rows_of(parsed.rejected)] == [
        f"{SOURCE}#offset={100 + number}" for number in range(0, 2 * bad, 2)
    ]


@pytest.mark.parametrize("kind", [BlockParser, GeneralParser])
def test_entries_and_records_of_one_message_have_places_of_their_own(kind):
    bad = {"value": "x", "value_type": "P1"}
    good = {"value": "1", "value_type": "P2"}
    texts = [
        json.dumps(air([bad, good, bad])).encode(),
        b'["bad", "bad", "bad"]',
        json.dumps([air([bad]), air([bad])]).encode(),
        b"bad",
    ]
    parsed = kind().parse_payload(joined(texts))
    rows = rows_of(parsed.rejected)
    assert sorted(row["source"].removeprefix(f"{SOURCE}#offset=") for row in rows) == [
        "100&entry=0", "100&entry=2", "101", "101&record=1", "101&record=2", "102&entry=0",
        "102&record=1&entry=0", "103",
    ]  # fmt: skip
    assert len({(row["source"], row["raw_sha256"]) for row in rows}) == len(rows)
    assert len(rows_of(parsed.readings)) == 1
    assert parsed.read == 9
    details = {row["source"]: row["detail"] for row in rows}
    place = f"{SOURCE}#offset=100&entry=2"
    assert details[place] == "the field sensordatavalues[2].value is not a number"
    raws = {row["source"]: row["raw"] for row in rows}
    assert raws[place] == texts[0].decode()


def test_entries_without_offsets_have_places_too():
    text = json.dumps(air([{"value_type": "P1"}, 5, {"value_type": "P2", "value": None}])).encode()
    parsed = BlockParser().parse(text, "message", None)
    assert [(row["source"], row["reason"], row["detail"]) for row in rows_of(parsed.rejected)] == [
        ("message#entry=0", "missing_field", "the field sensordatavalues[0].value is missing"),
        ("message#entry=1", "wrong_type", "the field sensordatavalues[1] is not an object"),
        ("message#entry=2", "null_value", "the field sensordatavalues[2].value is null"),
    ]


def test_messages_of_many_lines_keep_their_places():
    pretty = json.dumps(json.loads(line(id="a")), indent=2).encode()
    several = json.dumps([{"id": "b"}, json.loads(line(id="c"))], indent=1).encode()
    after_one_another = line(id="d") + b"\n" + line(id="e")
    payload = joined([pretty, b"", several, b"{\n}", after_one_another])
    assert payload.elements is not None
    parsed = BlockParser().parse_payload(payload)
    arrivals = {
        row["id"]: micros_since_epoch(row["arrived_at"]) - FIRST for row in rows_of(parsed.readings)
    }
    assert arrivals == {"a": 0, "c": 2000, "d": 4000, "e": 4000}
    assert [(row["source"], row["reason"]) for row in rows_of(parsed.rejected)] == [
        (f"{SOURCE}#offset=102", "missing_field"),
        (f"{SOURCE}#offset=103", "missing_field"),
    ]


def test_places_may_be_names():
    payload = join_messages(
        [b"bad", line()], "pubsub://p/s", ["m-7", "m-8"], np.array([FIRST, FIRST]), unit="message"
    )
    parsed = BlockParser().parse_payload(payload)
    assert [row["source"] for row in rows_of(parsed.rejected)] == ["pubsub://p/s#message=m-7"]
    assert [row["source"] for row in rows_of(parsed.readings)] == ["pubsub://p/s#message=m-7"]


def test_what_comes_too_late_says_which_message_and_entry():
    rule = ArrivalRule(60, 60)
    good = {"value": "1", "value_type": "P2"}
    now, late, ahead = FIRST // 10**6, FIRST // 10**6 - 100, FIRST // 10**6 + 100
    texts = [json.dumps(air([good, good], timestamp=at)).encode() for at in (now, late, ahead)]
    parsed = BlockParser(arrival_rule=rule).parse_payload(joined(texts))
    assert len(rows_of(parsed.readings)) == 2
    assert len(rows_of(parsed.too_late)) == 2
    assert sorted((row["source"], row["reason"]) for row in rows_of(parsed.rejected)) == [
        (f"{SOURCE}#offset=101&entry=0", "too_late"),
        (f"{SOURCE}#offset=101&entry=1", "too_late"),
        (f"{SOURCE}#offset=102&entry=0", "from_the_future"),
        (f"{SOURCE}#offset=102&entry=1", "from_the_future"),
    ]
    assert parsed.read == 6


def test_no_messages_hold_nothing():
    payload = join_messages([], SOURCE, np.array([], np.int64), np.array([], np.int64))
    assert BlockParser().parse_payload(payload).read == 0
    reached = Reached("t/0", 7)
    assert joined([b"{}"], reached=reached).reached == reached
