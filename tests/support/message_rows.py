"""The rows that the fast parser gives for messages of any format, as `reference_messages` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.support.fast_parser import GeneralParser, assert_same_rows, micros_since_epoch
from tests.support.reference_messages import Bad, Row, read_message
from transforms.parse_block import BlockParser
from transforms.parsed import Parsed

BLANKS = b" \t\r\n"


def rows_of_messages(parsed: Parsed) -> list[Row | Bad]:
    """All rows of a parsed block."""
    rows: list[Row | Bad] = []
    for batch in parsed.readings:
        batch.validate(full=True)
        rows.extend(_row(row) for row in batch.to_pylist())
    for batch in parsed.rejected:
        rows.extend(_bad(row) for row in batch.to_pylist())
    assert len(rows) == parsed.read
    return rows


def _row(row: dict[str, Any]) -> Row:
    moment = row["event_time"]
    return Row(
        row["format"],
        row["id"],
        row["sensor_id"],
        row["quantity"],
        None if moment is None else micros_since_epoch(moment),
        repr(row["longitude"]),
        repr(row["latitude"]),
        row["value_micros"],
        row["in_france"],
        row["version"],
        row["version_kind"],
        row["deleted"],
    )


def _bad(row: dict[str, Any]) -> Bad:
    entry = re.search(r"&entry=(\d+)$", row["source"])
    number = None if entry is None else int(entry[1])
    assert "[]" not in row["detail"]
    if number is not None:
        assert f"[{number}]" in row["detail"]
    return Bad(row["reason"], row["raw"].encode("utf-8", "replace"), number)


def all_ways_agree(
    blocks: Sequence[Sequence[bytes]], message_format: str = "auto"
) -> list[Row | Bad]:
    """Reads blocks in three ways, asserts that all give the same rows, and gives these."""
    only = None if message_format == "auto" else message_format
    quick, general = BlockParser(message_format), GeneralParser(message_format)
    every: list[Row | Bad] = []
    for records in blocks:
        expected = [row for one in records for row in read_message(one.strip(BLANKS), only)]
        expected = [_readable(row) for row in expected]
        every += expected
        for way, parser in (("general", general), ("quick", quick)):
            found = rows_of_messages(parser.parse(b"\n".join(records), "a.jsonl"))
            try:
                assert_same_rows(found, expected)
            except AssertionError as error:
                msg = f"the {way} way differs: {error}"
                raise AssertionError(msg) from error
    return every


def _readable(row: Row | Bad) -> Row | Bad:
    if isinstance(row, Bad):
        return row._replace(raw=row.raw.decode("utf-8", "replace").encode())
    return row
