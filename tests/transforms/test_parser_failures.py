"""A message at which the parser fails is rejected by itself; its neighbours are read."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.messages import message
from transforms import parse_block
from transforms.parse_block import BlockParser
from transforms.payload import join_messages

POISON = b'"poison"'


def texts(number, poisoned, *, lines=True):
    found = []
    for count in range(number):
        name = "poison" if count in poisoned else f"r{count}"
        found.append(json.dumps(message(id=name), indent=None if lines else 1).encode())
    return found


@pytest.fixture
def failing(monkeypatch):
    """A parser that fails at a message, whichever way it takes."""
    read_json, by_template = parse_block.read_json, BlockParser._by_template

    def check(spans):
        if any(POISON in text.encode() for text in map(spans.text, range(len(spans)))):
            raise ZeroDivisionError

    def checked_json(records, *arguments):
        check(records)
        return read_json(records, *arguments)

    def checked_template(self, records, *arguments, **options):
        check(records)
        return by_template(self, records, *arguments, **options)

    monkeypatch.setattr(parse_block, "read_json", checked_json)
    monkeypatch.setattr(BlockParser, "_by_template", checked_template)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize("poisoned", [{0}, {3, 4}, {20}, {0, 7, 20}])
def test_what_the_parser_fails_at_is_rejected_and_all_else_is_read(poisoned, lines):
    number = 21
    sent = texts(number, poisoned, lines=lines)
    offsets = np.arange(100, 100 + number)
    payload = join_messages(sent, "kafka://b/t/0", offsets, np.full(number, 1_700_000_000_000_000))
    parsed = BlockParser().parse_payload(payload)
    names = {name for batch in parsed.readings for name in batch.column("id").to_pylist()}
    assert names == {f"r{count}" for count in range(number) if count not in poisoned}
    rejected = [row for batch in parsed.rejected for row in batch.to_pylist()]
    assert {row["source"] for row in rejected} == {
        f"kafka://b/t/0#offset={100 + count}" for count in poisoned
    }
    assert {row["reason"] for row in rejected} == {"parser_failed"}
    assert {row["raw"].encode() for row in rejected} == {sent[count] for count in poisoned}
    assert all("ZeroDivisionError" in row["detail"] for row in rejected)
    assert parsed.read == number


@pytest.mark.usefixtures("failing")
def test_bare_numbers_are_read_one_by_one_too(monkeypatch):
    read = parse_block.read_bare_numbers

    def failing(records, *arguments, **options):
        if "7" in map(records.text, range(len(records))):
            raise ZeroDivisionError
        return read(records, *arguments, **options)

    monkeypatch.setattr(parse_block, "read_bare_numbers", failing)
    parser = BlockParser("integers:temperature")
    payload = join_messages(
        [b"5", b"7", b"6"], "q", np.arange(3), np.full(3, 1_700_000_000_000_000)
    )
    parsed = parser.parse_payload(payload)
    assert sum(batch.num_rows for batch in parsed.readings) == 2
    (rejected,) = [row for batch in parsed.rejected for row in batch.to_pylist()]
    assert (rejected["raw"], rejected["source"]) == ("7", "q#offset=1")


def test_what_lacks_memory_is_not_the_message_s_fault(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(BlockParser, "_by_template", full)
    with pytest.raises(MemoryError):
        BlockParser().parse(texts(1, ())[0], "a")
    monkeypatch.setattr(BlockParser, "_by_template", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(parse_block, "read_json", full)
    with pytest.raises(MemoryError):
        BlockParser().parse(b"\n".join(texts(2, ())), "a")
