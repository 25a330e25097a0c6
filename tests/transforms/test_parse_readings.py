"""ParseReadings in a pipeline: every kind of element, both outputs, windows and counters."""

from __future__ import annotations

import datetime
import hashlib
import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from schemas.reading import READINGS, REJECTED
from schemas.tables import arrow_schema
from tests.support.messages import line, message
from tests.support.pipelines import assert_elements, assert_rows, one_thread
from transforms import ParseReadings, Payload
from transforms import parse_readings as module
from transforms.balance import read_balance
from transforms.payload import Oversized


def parse(elements, check=None, check_rejected=None):
    """Runs ParseReadings over the elements; returns the balance."""
    pipeline = one_thread()
    parsed = pipeline | beam.Create(elements, reshuffle=False) | ParseReadings()
    if check:
        assert_rows(parsed.readings, check, label="readings")
    if check_rejected:
        assert_rows(parsed.rejected, check_rejected, label="rejected")
    result = pipeline.run()
    result.wait_until_finish()
    return read_balance(result.metrics())


def ids(expected):
    def check(rows):
        assert sorted(row["id"] for row in rows) == sorted(expected)

    return check


def test_a_message_is_bytes_or_text_an_object_or_an_array():
    array = json.dumps([message(id="c"), message(id="d")])
    pretty = json.dumps([message(id="e"), message(id="f")], indent=2)
    elements = [
        line(id="a"),
        line(id="b").decode(),
        array,
        pretty.encode(),
        json.dumps(message(id="é"), indent=1),
        b"[]",
        b"[\n]",
        b"",
        b" \r\n",
    ]
    balance = parse(elements, ids([*"abcdef", "é"]))
    assert balance["read"] == 7
    assert balance["rejected"] == 0


def test_a_payload_is_a_block_of_lines_or_of_elements():
    lines = line(id="a") + b"\n" + line(id="b") + b"\n[" + line(id="c") + b"]"
    text = b"[" + line(id="d") + b",\n" + line(id="e") + b"]"
    cut = (np.array([1, 3 + len(line(id="d"))]), np.array([len(line(id="d"))] * 2))
    balance = parse([Payload(lines, "a.jsonl"), Payload(text, "a.json", 0, cut)], ids("abcde"))
    assert balance["read"] == 5


def test_a_payload_says_when_it_was_brought():
    text = b"[" + line(id="b") + b"]"
    cut = (np.array([1]), np.array([len(line(id="b"))]))
    payloads = [
        Payload(line(id="a", version=4), "topic", None, arrived_at=1_550_600_000_000_000),
        Payload(text, "topic", 0, cut, arrived_at=1_550_600_001_000_000),
        Payload(line(id="c"), "a.jsonl"),
    ]

    def check(rows):
        assert sorted((row["id"], row["version"], row["version_kind"]) for row in rows) == [
            ("a", 4, 3), ("b", 1_550_600_001_000_000, 1), ("c", 0, 0),
        ]  # fmt: skip
        arrivals = {row["id"]: row["arrived_at"] for row in rows}
        assert arrivals["c"] is None
        assert arrivals["b"] - arrivals["a"] == datetime.timedelta(seconds=1)

    assert parse(payloads, check)["read"] == 3


def test_what_is_no_reading_goes_to_the_other_output_with_its_text():
    bad = [b"hello", b'{"id":\n 1}', b'[1,\n {"id": 2}]', line(id="a\nb").replace(b"\\n", b"\n")]

    def check(rows):
        assert sorted((row["reason"], row["raw"]) for row in rows) == sorted(
            [
                ("not_json", "hello"),
                ("missing_field", '{"id":\n 1}'),
                ("not_an_object", "1"),
                ("missing_field", '{"id": 2}'),
                ("not_json", bad[3].decode()),
            ]
        )
        for row in rows:
            assert row["source"] == "message"
            assert row["raw_size"] == len(row["raw"])
            assert row["raw_sha256"] == hashlib.sha256(row["raw"].encode()).hexdigest()

    balance = parse([*bad, line(id="good")], ids(["good"]), check)
    assert balance["read"] == 6
    assert balance["rejected"] == 5


def test_a_record_too_large_to_hold_is_rejected_as_such():
    large = Oversized(b'{"id": "xxx', 10**8, "ab" * 32, "a.jsonl", 77)

    def check(rows):
        assert len(rows) == 1
        row = rows[0]
        del row["rejected_at"]
        assert row == {
            "reason": "too_large",
            "detail": "the record has 100,000,000 bytes, more than can be held; a large array "
            "can be read from a .json file",
            "raw": '{"id": "xxx',
            "raw_size": 10**8,
            "raw_sha256": "ab" * 32,
            "source": "a.jsonl#byte=77",
        }

    balance = parse([large], check_rejected=check)
    assert balance["read"] == balance["rejected"] == 1


def test_batches_have_their_schemas_and_their_oldest_time():
    class Stamp(beam.DoFn):
        def process(self, element, stamp=beam.DoFn.TimestampParam):
            assert element.schema == READINGS
            yield stamp.micros

    def check(batches):
        assert [batch.schema for batch in batches] == [REJECTED]
        fields = [field for field in arrow_schema("rejected_readings") if field.name != "run_id"]
        assert list(REJECTED) == fields

    with one_thread() as pipeline:
        times = ["2019-02-19 14:02:10", "2019-02-19 13:00:00", "2019-02-20 00:00:00"]
        elements = [line(timestamp=time) for time in times] + [b"bad"]
        parsed = pipeline | beam.Create([b"\n".join(elements)]) | beam.Map(Payload, "a")
        parsed = parsed | ParseReadings()
        assert_that(parsed | beam.ParDo(Stamp()), equal_to([1550581200000000]), label="stamps")
        assert_elements(parsed.rejected, check)


def test_messages_stay_in_their_windows(monkeypatch):
    # Small enough that a bundle is parsed in several goes.
    monkeypatch.setattr(module, "FLUSH_FROM", 700)
    elements = [
        TimestampedValue(b"bad %d" % number if number % 3 == 0 else line(id=number), number)
        for number in range(60)
    ]

    class Window(beam.DoFn):
        def process(self, element, window=beam.DoFn.WindowParam):
            for row in element.to_pylist():
                number = row["id"] if "id" in row else row["raw"].split()[1]
                yield int(number), int(window.start)

    def check(found):
        assert sorted(found) == [(number, number // 10 * 10) for number in range(60)]

    with one_thread() as pipeline:
        parsed = (
            pipeline
            | beam.Create(elements, reshuffle=False)
            | beam.Map(lambda element: element)
            | beam.WindowInto(FixedWindows(10))
            | ParseReadings()
        )
        both = (parsed.readings, parsed.rejected) | beam.Flatten()
        assert_elements(both | beam.ParDo(Window()), check)


def test_an_unknown_message_format_is_refused_in_a_sentence():
    with pytest.raises(
        ValueError, match=r"^unknown message format 'regonal'; there are auto, regional"
    ):
        ParseReadings("regonal")
