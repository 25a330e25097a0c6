"""Format files: examples fit their JSON Schema, faults are refused in a sentence."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest

from schemas.message_formats import MESSAGE_FORMATS, FormatError, open_formats
from transforms.parse_block import BlockParser
from transforms.parse_readings import ParseReadings


@pytest.mark.parametrize("name", MESSAGE_FORMATS)
def test_examples_fit_the_schema_and_are_read(name):
    one = MESSAGE_FORMATS[name]
    validator = jsonschema.Draft202012Validator
    validator.check_schema(dict(one.schema))
    assert one.examples
    assert one.description.endswith(".")
    chosen = f"{name}:temperature" if one.bare else name
    for example in one.examples:
        validator(dict(one.schema)).validate(example)
        line = json.dumps(example).encode()
        parsed = BlockParser(chosen).parse(line, "a", arrived_at=10**15)
        assert parsed.read
        assert not parsed.rejected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("regional", {"id": "a"}),
        ("regional", {"id": True, "deleted": True}),
        ("device", {"device_id": "1", "timestamp": "2023-03-28T20:04:22Z", "tag": "Barometer"}),
        ("device", {"device_id": "1", "timestamp": "2023-03-28T20:04:22Z", "tag": "Toaster"}),
        ("device_message", {"device_id": "1", "timestamp": 1, "sensor": "noise", "value": 1}),
        ("air_quality", {"id": 1, "timestamp": 1, "sensor": {"id": 1}, "location": {}}),
        ("integers", 1.5),
    ],
)
def test_what_the_parser_rejects_the_schema_rejects(name, message):
    one = MESSAGE_FORMATS[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(message, dict(one.schema))
    chosen = f"{name}:temperature" if one.bare else name
    parsed = BlockParser(chosen).parse(json.dumps(message).encode(), "a", arrived_at=10**15)
    assert not parsed.readings


def test_a_quantity_has_one_unit_in_all_packaged_formats():
    units = {}
    for one in MESSAGE_FORMATS.values():
        for quantity, unit in one.quantities.items():
            assert units.setdefault(quantity, unit) == unit


def test_the_regional_format_is_that_of_the_interface():
    (layout,) = MESSAGE_FORMATS["regional"].layouts.values()
    required = ("id", "timestamp", "lat", "lon", "temperature")
    assert layout.required == tuple((path,) for path in required)
    assert layout.keys == (*required, "country", "version", "updated_at", "deleted")
    assert MESSAGE_FORMATS["regional"].quantities == {"temperature": "°C"}


def test_auto_tries_the_formats_in_their_order():
    names = [one.name for one in open_formats("auto")]
    assert names == ["regional", "device", "device_message", "air_quality"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("regonal", "unknown message format 'regonal'; there are auto, regional"),
        ("", "unknown message format ''"),
        ("integers", "integers needs its quantity after a colon"),
        ("integers:", "integers needs its quantity after a colon"),
        ("integers:a b", "integers needs its quantity after a colon"),
        ("regional:temperature", "unknown message format 'regional:temperature'"),
        ("regional,integers:temperature", "bare numbers cannot be told from others"),
        ("/nowhere/a.json", "cannot be read: No such file"),
    ],
)
def test_an_unknown_name_is_refused_in_a_sentence(name, says):
    for use in (open_formats, BlockParser, ParseReadings):
        with pytest.raises(ValueError, match=f"^[^\n]*{says}[^\n]*$"):
            use(name)


GOOD = {
    "description": "A test.",
    "message": {
        "type": "object",
        "properties": {
            "a": {}, "t": {}, "v": {}, "k": {}, "x": {}, "y": {}, "n": {},
            "list": {"items": {"properties": {"v": {}, "k": {}}}},
            "other": {"items": {"properties": {"v": {}}}},
        },
    },
    "reading": {
        "sensor_id": "a", "event_time": "t", "value": "v", "quantity": {"name": "q", "unit": "u"},
    },
}  # fmt: skip


def written(tmp_path, *changes):
    document = copy.deepcopy(GOOD)
    for path, value in changes:
        *inner, last = path.split("/")
        target = document
        for key in inner:
            target = target.setdefault(key, {})
        if value is ...:
            del target[last]
        else:
            target[last] = value
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(document), "utf-8")
    return str(file)


KINDS = {"path": "k", "is": {"one": {"unit": "u"}}}
OLD = {"path": "n", "newest": "2"}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("more", 1, "unknown key 'more'"),
        ("order", "first", "order is not an integer"),
        ("message", [], "message is not a JSON object"),
        ("reading", ..., "reading is not a JSON object"),
        ("reading/place", "x", "unknown key 'place'"),
        ("reading/value", "w", "does not have 'w'"),
        ("reading/value", 5, "is no path for value"),
        ("reading/value", "v..w", "is no path for value"),
        ("reading/value", ..., "not said where the value of q stands"),
        ("reading/event_time", ..., "reading needs event_time"),
        ("reading/sensor_id", ..., "reading needs event_time, and id or sensor_id"),
        ("reading/sensor_id", "list[].v", "only the value and the quantity"),
        ("reading/latitude", "x", "one of latitude and longitude"),
        ("reading/quantity", {"name": "q"}, "a name and a unit"),
        ("reading/quantity", {"name": "q", "unit": "u", "factor": "2"}, "is not a number"),
        ("reading/quantity", {"name": "q", "unit": "u", "factor": 0}, "is 0"),
        ("reading/quantity", {**KINDS, "is": {}}, "names no quantity"),
        ("reading/quantity", {**KINDS, "is": {"x" * 60: {"unit": "u"}}}, "1 to 56 bytes"),
        ("reading/quantity", {**KINDS, "path": "list[].k"}, "neither both in the message"),
        ("schema_version", {"path": "n"}, "the newest, as a text"),
        ("schema_version", {**OLD, "without": "7"}, "no schema version '7'"),
        ("schema_version", {**OLD, "older": {"1": {"renamed": {"x": "y"}}}}, "does not use 'x'"),
        ("schema_version", {**OLD, "older": {"1": {"constants": {"a": "b"}}}}, "neither an id"),
        ("schema_version", {**OLD, "older": {"1": {"constants": {"v": True}}}}, "text or a number"),
        ("schema_version", {**OLD, "older": {"1": {"converted": {"z": {}}}}}, "no quantity 'z'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_a_sentence(tmp_path, path, value, says):
    open_formats(written(tmp_path))
    with pytest.raises(FormatError) as refused:
        open_formats(written(tmp_path, (path, value)))
    assert says in str(refused.value)
    assert "mine.json is wrong: " in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text("{", "utf-8")
    with pytest.raises(FormatError, match="it is not JSON"):
        open_formats(str(file))


def test_two_units_of_one_quantity_are_refused(tmp_path):
    other = written(tmp_path, ("reading/quantity", {"name": "temperature", "unit": "K"}))
    with pytest.raises(FormatError, match="'temperature' has two units, °C and K"):
        open_formats(f"regional,{other}")


def test_an_older_schema_version_becomes_the_newest(tmp_path):
    older = {
        "1": {
            "renamed": {"v": "x"},
            "constants": {"k": "one"},
            "converted": {"one": {"factor": 0.5, "offset": 1}},
        }
    }
    file = written(
        tmp_path,
        ("reading/quantity", KINDS),
        ("schema_version", {**OLD, "without": "1", "older": older}),
    )
    messages = [
        {"a": 1, "t": 0, "x": 20},
        {"n": "1", "a": 1, "t": 0, "x": "30"},
        {"n": 2, "a": 1, "t": 0, "v": 20, "k": "one"},
        {"n": 3, "a": 1, "t": 0, "v": 20, "k": "one"},
        {"n": 2, "a": 1, "t": 0, "x": 20, "k": "one"},
    ]
    for times in (1, 400):
        block = "\n".join(json.dumps(one) for one in messages for _ in range(times))
        parsed = BlockParser(file).parse(block.encode(), "a.jsonl")
        rows = [row for batch in parsed.readings for row in batch.to_pylist()]
        values = sorted(row["value_micros"] for row in rows)
        assert values == sorted([11_000_000, 16_000_000, 20_000_000] * times)
        assert {row["quantity"] for row in rows} == {"one"}
        bad = [row for batch in parsed.rejected for row in batch.to_pylist()]
        assert {(row["reason"], row["detail"]) for row in bad} == {
            ("wrong_type", "the field n is not one of 2, 1"),
            ("missing_field", "the field v is missing"),
        }
        assert len(bad) == 2 * times
