"""The example of docs/message-formats.md works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from schemas.message_formats import MESSAGE_FORMATS, open_formats
from transforms.parse_block import BlockParser

PAGE = Path(__file__).parents[2] / "docs" / "message-formats.md"


def example(name: str) -> str:
    """The block of the page that has this name."""
    found = re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert found, name
    return found[1]


@pytest.fixture
def weather(tmp_path):
    path = tmp_path / "weather.json"
    path.write_text(example("format"), "utf-8")
    return path


def test_the_format_of_the_page_reads_the_message_of_the_page(weather):
    message = example("message")
    (one,) = open_formats(str(weather))
    jsonschema.validate(json.loads(message), dict(one.schema))
    line = json.dumps(json.loads(message)).encode()
    for count in (1, 500):
        parsed = BlockParser(str(weather)).parse(b"\n".join([line] * count), "a.jsonl")
        rows = [row for batch in parsed.readings for row in batch.to_pylist()]
        assert not parsed.rejected
        assert len(rows) == 2 * count
        found = {(row["quantity"], row["value_micros"], row["latitude"]) for row in rows}
        assert found == {("temperature", 10_000_000, 48.72), ("wind_gust", 12_500_000, 48.72)}
        assert {(row["sensor_id"], row["id"], row["format"]) for row in rows} == {
            ("LFPO", None, "weather")
        }


def test_it_is_recognised_among_the_others(weather):
    line = json.dumps(json.loads(example("message"))).encode()
    other = json.dumps(MESSAGE_FORMATS["regional"].examples[0]).encode()
    parsed = BlockParser(f"auto,{weather}").parse(line + b"\n" + other, "a.jsonl")
    formats = {row["format"] for batch in parsed.readings for row in batch.to_pylist()}
    assert formats == {"weather", "regional"}


def test_the_formats_that_the_page_names_are_there():
    text = PAGE.read_text("utf-8")
    for name, one in MESSAGE_FORMATS.items():
        assert f"`{name}" in text
        assert (one.order is None) == (name == "integers")
