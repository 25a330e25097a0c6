"""What is told of JSON without its parser: UTF-8, dangling commas, what no look inside is for."""

from __future__ import annotations

import json

import numpy as np

from transforms.numbers import parse_numbers
from transforms.spans import CACHED, PADDING, Bools, Bytes, Ints, Spans

__all__ = ["plain_scalars", "refuse_dangling_commas", "surely_no_json", "valid_utf8"]

COMMA, CLOSING, SPACE = ord(","), ord("}"), ord(" ")
OPEN_OBJECT, QUOTE, BACKSLASH, MINUS, LAST = (ord(mark) for mark in '{"\\-~')
ZERO = np.uint8(ord("0"))
WORDS = (b"null", b"true", b"false")
SHORT = 32
"""Bytes of the longest text or number that is seen to be JSON without a parser."""
NO_BEGINNING = np.zeros(256, bool)
"""The bytes with which no JSON begins, however leniently it is read."""
NO_BEGINNING[0x21:0x7F] = True
NO_BEGINNING[np.frombuffer(b"\"'[{-+.0123456789/#TFNItfniu", np.uint8)] = False


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


def surely_no_json(records: Spans) -> Bools:
    """Which records no JSON parser takes, by their first and last bytes: words, cut objects."""
    first = records.buffer[records.starts]
    last = records.buffer[records.starts + records.lengths - 1]
    cut = (first == OPEN_OBJECT) & (last != CLOSING) & (last > SPACE)
    return (cut | NO_BEGINNING.take(first)) & (records.lengths > 0)


def plain_scalars(records: Spans) -> Bools:
    """Which records, in ASCII, are surely JSON and no objects: null, a number, a short text."""
    found = np.zeros(len(records), bool)
    first = records.buffer[records.starts]
    for word in WORDS:
        rows = np.flatnonzero((first == word[0]) & (records.lengths == len(word)))
        found[rows] = (records.gather(records.starts[rows], len(word)) == list(word)).all(axis=1)
    short = (records.lengths > 0) & (records.lengths <= SHORT)
    rows = np.flatnonzero(short & ((first == MINUS) | (first - ZERO <= 9)))
    if len(rows):
        found[rows] = parse_numbers(records.take(rows), micros=False).is_json
    rows = np.flatnonzero(short & (first == QUOTE))
    if len(rows):
        text = records.gather(records.starts[rows], SHORT)
        # Nothing but plain letters up to the one other quotation mark, which is the end.
        odd = (text < SPACE) | (text == BACKSLASH) | (text > LAST) | (text == QUOTE)
        odd[:, 0] = False
        end = odd.argmax(axis=1)
        found[rows] = (end == records.lengths[rows] - 1) & (
            text[np.arange(len(rows)), end] == QUOTE
        )
    return found


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
