"""What DuckDB's JSON parser does not look at: whether text is UTF-8, and commas that dangle."""

from __future__ import annotations

import json

import numpy as np

from transforms.spans import CACHED, PADDING, Bools, Bytes, Ints, Spans

__all__ = ["refuse_dangling_commas", "valid_utf8"]

COMMA, CLOSING, SPACE = ord(","), ord("}"), ord(" ")


def valid_utf8(records: Spans) -> Bools:
    """Which records are valid UTF-8."""
    valid = np.ones(len(records), bool)
    if records.buffer.max(initial=0) < 0x80:
        return valid
    try:
        records.buffer.tobytes().decode()
    except UnicodeDecodeError:
        pass
    else:
        return valid
    foreign = np.concatenate([[0], np.cumsum(records.buffer >= 0x80)])
    has = foreign[records.starts + records.lengths] > foreign[records.starts]
    for row in np.flatnonzero(has).tolist():
        start, length = int(records.starts[row]), int(records.lengths[row])
        try:
            records.buffer[start : start + length].tobytes().decode()
        except UnicodeDecodeError:
            valid[row] = False
    return valid


def refuse_dangling_commas(records: Spans, is_json: Bools) -> None:
    """Clears the flag of records that only a lenient parser takes for JSON, in place."""
    if not len(records):
        return
    buffer = records.buffer
    found = np.concatenate(
        [_last_before_closing(buffer, at) for at in range(0, len(buffer), CACHED)]
    )
    found = found[buffer[found] == COMMA]
    rows = np.searchsorted(records.starts, found, side="right") - 1
    rows = rows[rows >= 0]
    for row in np.unique(rows[is_json[rows]]).tolist():
        try:
            # The comma may stand inside a string: only a strict parser knows.
            json.loads(records.text(row))
        except (ValueError, RecursionError):
            is_json[row] = False


def _last_before_closing(buffer: Bytes, begin: int) -> Ints:
    """Of a part of the text, where what stands before } and ] may be a comma."""
    part = buffer[max(begin - 1, 0) : begin + CACHED]
    # } and ] differ in one bit. A comma or a blank before one is rare.
    closing = (part[1:] | np.uint8(0x20)) == CLOSING
    closing &= (part[:-1] == COMMA) | (part[:-1] <= SPACE)
    places = np.flatnonzero(closing) + max(begin - 1, 0)
    blank = np.flatnonzero(buffer[places] <= SPACE)
    while len(blank):
        places[blank] -= 1
        blank = blank[(buffer[places[blank]] <= SPACE) & (places[blank] > PADDING)]
    return places
