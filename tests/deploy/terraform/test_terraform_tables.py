"""tables.json, and the schemas of messages."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from connectors.bigquery.tables import LAYOUTS
from deploy.terraform import write_tables

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "deploy" / "terraform" / "schemas"
FIELD = re.compile(r"^  (optional )?(\w+) (\w+) = (\d+);$", re.MULTILINE)
TYPES = {"string": 9, "double": 1, "int64": 3, "bool": 8}


def test_tables_are_those_of_the_code() -> None:
    assert write_tables.PATH.read_text("utf-8") == write_tables.as_json(), (
        "tables.json is stale: run python -m deploy.terraform.write_tables"
    )


def test_tables_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_tables, "PATH", tmp_path / "tables.json")
    assert write_tables.main() == 0
    written = json.loads((tmp_path / "tables.json").read_text("utf-8"))
    assert set(written) == set(LAYOUTS)
    assert written["readings"]["partitioned_by"] == LAYOUTS["readings"].partitioned_by


def message_class(name: str) -> Any:
    """The message of a schema, as Pub/Sub reads JSON for it."""
    text = (SCHEMAS / f"{name}.proto").read_text("utf-8")
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", syntax="proto3")
    title = re.findall(r"^message (\w+)", text, re.MULTILINE)[0]
    message = file.message_type.add(name=title)
    for _, kind, field, number in FIELD.findall(text):
        message.field.add(name=field, number=int(number), type=TYPES[kind], label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(title))


@pytest.mark.parametrize("name", ["regional", "device"])
def test_messages_of_the_format_fit_its_schema(name: str) -> None:
    form = json.loads((ROOT / "schemas" / "formats" / f"{name}.json").read_text("utf-8"))
    kind = message_class(name)
    for example in form["message"]["examples"]:
        read = json_format.Parse(json.dumps(example), kind())
        assert json_format.MessageToDict(read)


@pytest.mark.parametrize(
    "message",
    ['{"id": "a", "tags": 1}', '{"id": "a", "lat": "north"}', '{"id": {}}', '{"version": 1.5}'],
)
def test_other_messages_do_not(message: str) -> None:
    with pytest.raises(json_format.ParseError):
        json_format.Parse(message, message_class("regional")())
