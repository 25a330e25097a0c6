"""The rows that the fast parser gives, in the words of `reference_parser`."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np

from tests.support.reference_parser import Reading, Rejected
from transforms.parse_block import BlockParser, Parsed
from transforms.rejections import MAX_RAW
from transforms.spans import PADDING, Spans, padded

SOURCE = "a.jsonl"


class GeneralParser(BlockParser):
    """Reads every record the general way."""

    def _by_template(self, records: Spans, *_: Any, **__: Any) -> Any:
        return np.arange(len(records))


def block_parser(*, templates: bool = True) -> BlockParser:
    """A new parser, which reads by the order of keys however few records there are."""
    parser = BlockParser() if templates else GeneralParser()
    parser._orders.fewest = 1 if templates else 1 << 62
    return parser


def spans_of(texts: list[bytes]) -> Spans:
    """The texts one after another in a buffer, a space between them."""
    lengths = np.array([len(text) for text in texts], np.int64)
    starts = np.cumsum(lengths + 1) - lengths - 1 + PADDING
    return Spans(padded(b" ".join(texts)), starts, lengths)


def rows_of_parsed(parsed: Parsed, data: bytes, source: str = SOURCE) -> list[Reading | Rejected]:
    """All rows of a parsed block, after checking all that a rejected one says of its text.

    Args:
        parsed: what the parser gave.
        data: the block.
        source: its name; its offset is 0.
    """
    readings = [
        Reading(
            row["id"],
            None if row["deleted"] else micros_since_epoch(row["event_time"]),
            repr(row["longitude"]),
            repr(row["latitude"]),
            row["value_micros"],
            row["in_france"],
            row["version"],
            row["version_kind"],
            row["deleted"],
        )
        for batch in parsed.readings
        for row in batch.to_pylist()
    ]
    rejected = [
        rejected_row(row, data, source) for batch in parsed.rejected for row in batch.to_pylist()
    ]
    assert len(readings) + len(rejected) == parsed.read
    return [*readings, *rejected]


def rejected_row(row: dict[str, Any], data: bytes, source: str) -> Rejected:
    """A row of `rejected_readings` as what it stands for; its claims are checked on the way."""
    place, _, offset = row["source"].rpartition("#byte=")
    assert place == source
    begin = int(offset)
    raw = data[begin : begin + row["raw_size"]]
    assert len(raw) == row["raw_size"]
    assert row["raw_sha256"] == hashlib.sha256(raw).hexdigest()
    text = row["raw"]
    assert len(text.encode()) <= MAX_RAW
    kept = raw[:MAX_RAW].decode("utf-8", "replace")
    assert text == kept if len(kept.encode()) <= MAX_RAW else kept.startswith(text)
    assert row["detail"]
    return Rejected(row["reason"], begin, raw)


def micros_since_epoch(moment: Any) -> int:
    """Of an aware datetime, exactly."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 10**6 + int(moment.microsecond)


def assert_same_rows(found: list[Any], expected: list[Any]) -> None:
    """As multisets; says which rows differ."""
    more, fewer = Counter(found) - Counter(expected), Counter(expected) - Counter(found)
    assert more + fewer == Counter(), f"found {list(more)[:3]}, expected {list(fewer)[:3]}"
