"""Every record that is no reading is kept, with the reason, its text and its place."""

from __future__ import annotations

import hashlib
import json

import pytest

from schemas.reading import READINGS, REJECTED
from schemas.reasons import REASONS
from tests.support.fast_parser import (
    SOURCE,
    assert_same_rows,
    block_parser,
    micros_since_epoch,
    rows_of_parsed,
)
from tests.support.messages import line, message
from tests.support.reference_parser import Reading, Rejected, read_lines
from transforms.payload import Payload
from transforms.rejections import MAX_RAW

GOOD = line(id="good")
UTF16 = json.dumps(message()).encode("utf-16")
NUMERIC = ("lat", "lon", "temperature")
REQUIRED = ("id", "timestamp", *NUMERIC)


def raw_value(key, text):
    """A message whose field holds this JSON text."""
    return line(**{key: "@"}).replace(b'"@"', text)


CASES = {
    "not_json": [
        b"hello",
        b"{",
        b'{"id": 1',
        line() + b"}",
        line() + line(),
        line()[:-1] + b",}",
        line()[:-1],
        line().replace(b'"', b"'"),
        line().replace(b":", b"=", 1),
        line().replace(b",", b";", 1),
        raw_value("temperature", b"01"),
        raw_value("temperature", b"1."),
        raw_value("temperature", b".5"),
        raw_value("temperature", b"+1"),
        raw_value("temperature", b"--1"),
        raw_value("temperature", b"1e"),
        raw_value("temperature", b"0x10"),
        raw_value("lat", b"1 2"),
        raw_value("id", b"1-2"),
        raw_value("id", b"1234567890123456789012345678x9"),
        raw_value("timestamp", b"2019-02-19 14:02:10"),
        raw_value("timestamp", b"01550584930"),
        raw_value("country", b"France"),
        raw_value("country", b"05"),
        raw_value("id", b'"a\\x"'),
        raw_value("id", b'"\\u12"'),
        raw_value("id", b'"\\ud800"'),
        raw_value("id", b'"a\x00b"'),
        raw_value("id", b'"a\tb"'),
        raw_value("id", b'"caf\xe9"'),
        raw_value("id", b'"\xff\xfe"'),
        raw_value("id", b'"\xed\xa0\x80"'),
        raw_value("id", b'"\xc0\x80"'),
        raw_value("other", b"undefined"),
        b"\x00",
        b"\xff\xff",
        line() + b"\x00",
        b"\xef\xbb\xbf" + line(),
        UTF16.replace(b"\n", b""),
        b"// " + line(),
        line() + b" // comment",
        b"nul",
    ],
    "not_an_object": [b"5", b'"text"', b"null", b"true", b"-1.5e3", b"[[1]]", b'["a"]', b"[null]"],
    "missing_field": [
        b"{}",
        *(line(**{key: ...}) for key in REQUIRED),
        line(id=..., deleted=True),
        line(temperature=..., Temperature=5),
        json.dumps({"reading": message()}).encode(),
        line(lat=..., lon=None),
    ],
    "null_value": [
        *(line(**{key: None}) for key in REQUIRED),
        line(lat=None, lon=True),
        line(id=None, deleted=True),
    ],
    "wrong_type": [
        *(
            line(**{key: value})
            for key in REQUIRED
            for value in (True, False, {}, {"a": 1}, [], [1])
        ),
        *(
            line(**{key: value})
            for key in NUMERIC
            for value in ("", " ", "warm", "1,5", "0x1f", "1_000", "5 °C", "--1", "٣", "12.5\u0000")
        ),
        raw_value("id", b"1.0"),
        raw_value("id", b"1e3"),
        raw_value("id", b"NaN"),
        line(lat="x", timestamp="y"),
        *(
            line(deleted=value)
            for value in ("true", "false", "", 0, 1, 1.0, [], {}, [True], {"deleted": True})
        ),
        *(line(version=value) for value in (True, False, {}, [], [5], "", "v1", 1.5, "1.5", "0x1")),
        *(line(updated_at=value) for value in (True, False, {}, [])),
        line(deleted=True, version="new"),
        line(deleted=True, updated_at=[]),
        line(deleted=True, id=1.5),
        raw_value("version", b"1e-5"),
    ],
    "bad_timestamp": [
        *(line(timestamp=text) for text in ("", "now", "2019-02-30 00:00:00", "2019-02-19")),
        line(timestamp=1e300),
        line(timestamp="NaN"),
        raw_value("timestamp", b"NaN"),
        line(timestamp="x", lat=91),
        *(line(updated_at=value) for value in ("", "now", "2019-02-19", 1e300, "NaN")),
        line(updated_at="now", version=None),
        line(deleted=True, updated_at="now"),
        line(timestamp="x", deleted="yes"),
    ],
    "bad_coordinates": [
        *(line(lat=value) for value in (90.0000001, -90.0000001, "91", "NaN", "inf", 1e300)),
        *(line(lon=value) for value in (180.0000001, -180.0000001, "181", "-Infinity", 1e400)),
        raw_value("lat", b"NaN"),
        raw_value("lon", b"-Infinity"),
        line(lat=91, temperature="NaN"),
        line(lat=91, version=True),
    ],
    "not_finite": [
        *(
            line(temperature=text)
            for text in ("NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", " NaN ", "+INF")
        ),
        *(
            raw_value("temperature", text)
            for text in (b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e400", b"-1e400")
        ),
        line(temperature="1e400"),
        *(line(version=text) for text in ("NaN", "Infinity", "1e400")),
        raw_value("version", b"NaN"),
        raw_value("version", b"-1e400"),
        line(deleted=True, version="NaN"),
    ],
    "out_of_range": [
        line(temperature=value)
        for value in (1000000000.0000001, -1000000000.0000001, 1e300, "2e9", 10**30, "-" + "9" * 50)
    ]
    + [
        *(line(version=value) for value in (2**63, -(2**63) - 1, 2**64, 10**400, 1e19, 2.0**63)),
        line(version=str(2**63)),
        line(version="9" * 5000),
        line(deleted=True, version=2**63),
        line(temperature=2e9, deleted=1),
    ],
}


@pytest.mark.parametrize("templates", [True, False], ids=["quick", "general"])
@pytest.mark.parametrize("reason", CASES)
def test_each_bad_record_is_rejected_for_its_reason(reason, templates):
    block = b"\n".join(text for bad in CASES[reason] for text in (bad, GOOD, GOOD)) + b"\n"
    parsed = block_parser(templates=templates).parse(block, SOURCE)
    rows = rows_of_parsed(parsed, block)
    assert_same_rows(rows, read_lines(block))
    rejected = [row for row in rows if isinstance(row, Rejected)]
    assert {row.raw: row.reason for row in rejected} == {
        (json.dumps(json.loads(bad)[0]).encode() if bad[:1] == b"[" else bad): reason
        for bad in CASES[reason]
    }
    assert len(rows) - len(rejected) == 2 * len(CASES[reason])


def test_every_reason_that_a_batch_knows_has_cases():
    others = ["too_large", "from_the_future", "too_late", "parser_failed"]
    assert [*CASES, *others] == list(REASONS)


GOOD_CASES = {
    "an id that is a number": (line(id=59625316), {"id": "59625316"}),
    "an id of many digits": (line(id=10**30 + 7), {"id": str(10**30 + 7)}),
    "a negative id": (line(id=-5), {"id": "-5"}),
    "an empty id": (line(id=""), {"id": ""}),
    "an id of letters of the world": (
        line(id="capteur n°7 — 温度 🌡"),
        {"id": "capteur n°7 — 温度 🌡"},
    ),
    "escapes": (raw_value("id", b'"\\u0041\\n\\"\\\\\\/\\ud83c\\udf21"'), {"id": 'A\n"\\/🌡'}),
    "a NUL that is escaped": (raw_value("id", b'"a\\u0000b"'), {"id": "a\0b"}),
    "an escaped key": (line().replace(b'"temperature"', b'"temp\\u0065rature"'), {}),
    "numbers as strings": (
        line(lat="48.647", lon="9.445", temperature="11.20"),
        {"latitude": "48.647", "longitude": "9.445", "value_micros": 11_200_000},
    ),
    "strings with blanks around the number": (line(temperature=" 5 "), {"value_micros": 5_000_000}),
    "exponents": (raw_value("temperature", b"1.25E+1"), {"value_micros": 12_500_000}),
    "a value at the limit": (line(temperature=-1e9), {"value_micros": -(10**15)}),
    "the poles and the date line": (line(lat=-90, lon=180.0), {"latitude": "-90.0"}),
    "minus zero": (line(lat=-0.0, lon="-0", temperature=-0.0), {"latitude": "0.0"}),
    "a tie": (line(temperature=0.0000025), {"value_micros": 2}),
    "a value of many digits": (
        raw_value("temperature", b"29.406799999999999784"),
        {"value_micros": 29_406_800},
    ),
    "seconds since the epoch": (line(timestamp=1550584930), {"event_micros": 1550584930000000}),
    "milliseconds since the epoch": (
        line(timestamp=1550584930123),
        {"event_micros": 1550584930123000},
    ),
    "no country": (line(country=...), {"in_france": False}),
    "another country": (line(country="DE"), {"in_france": False}),
    "a country that is no text": (line(country=["France"]), {"in_france": False}),
    "FR": (line(country="FR"), {"in_france": True}),
    "fra": (line(country="fra"), {"in_france": True}),
    "FRANCE": (line(country="FRANCE"), {"in_france": True}),
    "France with escapes": (raw_value("country", b'"Fr\\u0061nce"'), {"in_france": True}),
    "a version": (line(version=7), {"version": 7, "version_kind": 3, "deleted": False}),
    "a version as text": (line(version=" +007 "), {"version": 7, "version_kind": 3}),
    "the greatest version": (line(version=2**63 - 1), {"version": 2**63 - 1}),
    "the least version": (line(version=-(2**63)), {"version": -(2**63)}),
    "the least version as text": (line(version=str(-(2**63))), {"version": -(2**63)}),
    "a version beyond the integers of doubles": (line(version=2**53 + 1), {"version": 2**53 + 1}),
    "a long version as text": (line(version=f" {2**53 + 1}"), {"version": 2**53 + 1}),
    "a version with a fraction of nothing": (raw_value("version", b"3.0"), {"version": 3}),
    "a version with an exponent": (raw_value("version", b"-3e2"), {"version": -300}),
    "a version with many zeros": (line(version="0" * 5000 + "5"), {"version": 5}),
    "a version of zero": (line(version=0), {"version": 0, "version_kind": 3}),
    "a version of minus zero": (raw_value("version", b"-0"), {"version": 0, "version_kind": 3}),
    "a version that is null": (line(version=None), {"version": 0, "version_kind": 0}),
    "a key with an escape": (
        line(version=5).replace(b"version", b"v\\u0065rsion"),
        {"version": 5, "version_kind": 3},
    ),
    "a time of change": (
        line(updated_at="2019-02-19T14:02:10.5+01:00"),
        {"version": 1550581330500000, "version_kind": 2},
    ),
    "an epoch of change": (
        line(updated_at=1550584930, version=None),
        {"version": 1550584930000000, "version_kind": 2},
    ),
    "a version before a time of change": (
        line(version=1, updated_at="never"),
        {"version": 1, "version_kind": 3},
    ),
    "not deleted": (line(deleted=False), {"deleted": False}),
    "deleted is null": (line(deleted=None), {"deleted": False}),
    "a deletion": (
        b'{"id": "a", "deleted": true, "version": 8}',
        {"id": "a", "deleted": True, "version": 8, "version_kind": 3, "event_micros": None},
    ),
    "a deletion by a time of change": (
        b'{"id": 5, "updated_at": "2019-02-19 14:02:10", "deleted": true}',
        {"id": "5", "deleted": True, "version": 1550584930000000, "version_kind": 2},
    ),
    "a deletion without a version": (
        b'{"id": "a", "deleted": true}',
        {"deleted": True, "version": 0, "version_kind": 0},
    ),
    "a deletion of a whole message": (
        line(deleted=True),
        {"deleted": True, "value_micros": None, "longitude": "None", "in_france": False},
    ),
    "a deletion whose other fields are wrong": (
        line(deleted=True, timestamp=[], lat="x", lon=None, temperature={}, country=5),
        {"deleted": True, "value_micros": None},
    ),
    "extra fields": (line(sensor={"id": 1, "list": [1, {"a": "}"}]}, note="a,b", x=None), {}),
    "a key twice: the first counts": (
        line()[:-1] + b', "temperature": 5, "lat": null}',
        {"value_micros": 29_406_800},
    ),
    "blanks everywhere": (
        b' { "id" : 1 ,\t"timestamp":0, "lat" : 1,"lon":2 , "temperature":3 } ',
        {},
    ),
}


@pytest.mark.parametrize("templates", [True, False], ids=["quick", "general"])
@pytest.mark.parametrize("case", GOOD_CASES)
def test_a_good_record_is_read_as_what_it_says(case, templates):
    record, says = GOOD_CASES[case]
    block = b"\n".join([record] * 3)
    rows = rows_of_parsed(block_parser(templates=templates).parse(block, SOURCE), block)
    assert_same_rows(rows, read_lines(block))
    assert len(rows) == 3
    assert isinstance(rows[0], Reading)
    assert {key: getattr(rows[0], key) for key in says} == says


@pytest.mark.parametrize("templates", [True, False], ids=["quick", "general"])
def test_what_was_brought_has_its_arrival_and_none_better_as_its_version(templates):
    arrival = 1_550_600_000_123_456
    messages = [line(version=3), line(updated_at=1), GOOD, b'{"id": "x", "deleted": true}']
    parsed = block_parser(templates=templates).parse(
        b"\n".join(messages), SOURCE, arrived_at=arrival
    )
    rows = [row for batch in parsed.readings for row in batch.to_pylist()]
    assert {micros_since_epoch(row["arrived_at"]) for row in rows} == {arrival}
    assert sorted((row["version_kind"], row["version"], row["deleted"]) for row in rows) == [
        (1, arrival, False), (1, arrival, True), (2, 10**6, False), (3, 3, False),
    ]  # fmt: skip


def test_a_file_has_no_arrival_and_names_its_format():
    (batch,) = block_parser().parse(GOOD, SOURCE).readings
    assert batch.column("arrived_at").to_pylist() == [None]
    assert batch.column("format").to_pylist() == ["regional"]


def test_batches_have_their_schemas():
    parsed = block_parser().parse(GOOD + b"\nbad\n" + line(deleted=True), SOURCE)
    assert [batch.schema for batch in parsed.readings] == [READINGS, READINGS]
    assert [batch.schema for batch in parsed.rejected] == [REJECTED]
    for batch in parsed.readings:
        batch.validate(full=True)
    parsed.rejected[0].validate(full=True)


def test_an_empty_block_holds_nothing():
    for block in (b"", b"\n", b" \r\n\t", b"[]\n[ ]"):
        parsed = block_parser().parse(block, SOURCE)
        assert (parsed.read, parsed.readings, parsed.rejected) == (0, [], [])


def test_a_source_without_offsets_is_named_alone():
    parsed = block_parser().parse(b"bad", "message", None)
    assert parsed.rejected[0].column("source").to_pylist() == ["message"]
    parsed = block_parser().parse(GOOD, "message", None)
    assert parsed.readings[0].column("source").to_pylist() == ["message"]


def test_an_offset_counts_from_the_beginning_of_the_file():
    parsed = block_parser().parse(GOOD + b"\nbad", "b.jsonl", 1000)
    place = f"b.jsonl#byte={1000 + len(GOOD) + 1}"
    assert parsed.rejected[0].column("source").to_pylist() == [place]


@pytest.mark.parametrize("templates", [True, False], ids=["quick", "general"])
def test_a_line_of_ten_megabytes_is_read(templates):
    long = line(note="x" * 10_000_000)
    broken = long[:-2]
    array = b"[" + b",".join([GOOD] * 70_000) + b"]"
    block = b"\n".join([GOOD, long, broken, array, GOOD])
    parsed = block_parser(templates=templates).parse(block, SOURCE)
    assert sum(batch.num_rows for batch in parsed.readings) == 70_003
    row = parsed.rejected[0].to_pylist()[0]
    assert (row["reason"], row["raw_size"]) == ("not_json", len(broken))
    assert row["raw"] == broken[:MAX_RAW].decode()
    assert row["raw_sha256"] == hashlib.sha256(broken).hexdigest()
    assert row["source"] == f"{SOURCE}#byte={len(GOOD) + len(long) + 2}"


@pytest.mark.parametrize("letter", [b"x", "é".encode(), "🌡".encode(), b"\xff"])
@pytest.mark.parametrize("shift", range(4))
def test_the_text_of_a_long_record_is_cut_without_breaking_a_letter(letter, shift):
    record = b"!" * (3 + shift) + letter * MAX_RAW
    row = block_parser().parse(record, SOURCE).rejected[0].to_pylist()[0]
    assert row["raw_size"] == len(record)
    assert row["raw_sha256"] == hashlib.sha256(record).hexdigest()
    whole = record.decode("utf-8", "replace")
    assert MAX_RAW - 3 <= len(row["raw"].encode()) <= MAX_RAW
    assert whole.startswith(row["raw"].rstrip("\N{REPLACEMENT CHARACTER}"))


def test_deep_nesting_is_survived():
    deep = b"[" * 100_000 + b"]" * 100_000
    block = b"\n".join([GOOD, raw_value("note", deep), b"[" + deep + b"]", deep, GOOD])
    parsed = block_parser(templates=False).parse(block, SOURCE)
    good = sum(batch.num_rows for batch in parsed.readings)
    bad = sum(batch.num_rows for batch in parsed.rejected)
    assert good >= 2
    assert good + bad == parsed.read == 5


def test_a_payload_knows_its_size():
    assert Payload(b"12345", SOURCE).size == 5
