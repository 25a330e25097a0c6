"""Records that all look alike, read by their pattern: the fast way for what sensors really send.

A sender writes its records with one serialiser, so they differ in their values alone. A template
is learnt from one record: the literal text between the values. Reading a record is then checking
the literals and finding each value's end, for thousands of records at once. What does not fit is
left to the general way (`transforms.json_fields`), which decides; the two agree on every record
that a template takes (`tests/transforms/test_record_template.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.fields import MISSING, NUMBER, STRING, Field
from transforms.numbers import parse_numbers, parse_numbers_until
from transforms.spans import Bools, Bytes, Ints, Spans, find_byte, gather_words

__all__ = ["RecordTemplate", "unusual_rows"]

VALUE = re.compile(r'"(?P<string>[^"\\\x00-\x1f]*)"|(?P<number>-?\d[\d.]*)|(?P<word>true|false)')
KEY = re.compile(r'\s*"(?P<key>[^"\\\x00-\x1f]*)"\s*:\s*')
MAX_RECORD = 4096
STEP = 16
CACHED = 1 << 17
MAX_STEPS = 8
NEWLINE, QUOTE, BACKSLASH = 0x0A, 0x22, 0x5C


@dataclass(frozen=True)
class Value:
    """One value of a template: its key, whether a string or a number, and its usual length."""

    key: str
    kind: int
    length: int


@dataclass(frozen=True)
class RecordTemplate:
    """The pattern of a flat JSON object.

    Attributes:
        literals: the text before each value, and the text after the last one.
        values: the values, in order.
    """

    literals: tuple[bytes, ...]
    values: tuple[Value, ...]

    @classmethod
    def learn(cls, text: str, required: tuple[str, ...]) -> RecordTemplate | None:
        """The template of one record.

        Args:
            text: the record.
            required: keys that the record must have, as a string or a number.

        Returns:
            The template; None where the record is not a flat object that has these keys once.
        """
        if len(text) > MAX_RECORD or not text.startswith("{") or not _is_object(text):
            return None
        literals, values, at = [], [], 1
        since = 0
        while match := KEY.match(text, at):
            value = VALUE.match(text, match.end())
            if value is None:
                return None
            at = value.end()
            if value["word"] is None:
                kind = NUMBER if value["string"] is None else STRING
                begin, end = value.span("number" if kind == NUMBER else "string")
                literals.append(text[since:begin].encode())
                values.append(Value(match["key"], kind, len(text[begin:end].encode())))
                since = end
            comma = re.compile(r"\s*,").match(text, at)
            if comma is None:
                break
            at = comma.end()
        literals.append(text[since:].encode())
        keys = [value.key for value in values]
        if re.fullmatch(r"\s*}", text[at:]) is None or len(set(keys)) < len(keys):
            return None
        return cls(tuple(literals), tuple(values)) if set(required) <= set(keys) else None

    @property
    def quotes(self) -> int:
        """How many quotation marks stand in a record of this pattern."""
        return sum(literal.count(b'"') for literal in self.literals)

    def match(
        self, records: Spans, keys: tuple[str, ...], exact: str
    ) -> tuple[Bools, dict[str, Field]]:
        """Tries the pattern on every record.

        Args:
            records: the records.
            keys: the fields wanted.
            exact: the one whose numbers are wanted as whole millionths too.

        Returns:
            Which records fit (strings may still hold marks that are not allowed there:
            `unusual_rows`), and the wanted fields of all; only those that fit mean anything.
        """
        buffer = records.buffer
        ends = records.starts + records.lengths
        at = records.starts
        fits = np.ones(len(records), bool)
        found: dict[str, Field] = {}
        for literal, value, following in zip(
            self.literals, self.values, self.literals[1:], strict=False
        ):
            fits &= _has_literal(buffer, at, literal)
            at = at + len(literal)
            if not fits.all():
                # Only rows that no longer fit can have left their record.
                at = np.minimum(at, ends)
            micros = value.key == exact
            field = _read_value(buffer, at, value, following[0], fits, micros=micros)
            if value.key in keys:
                found[value.key] = field
            elif field.numbers is not None:
                fits &= field.numbers.is_json
            at = at + field.spans.lengths
        at = np.minimum(at, ends)
        fits &= _has_literal(buffer, at, self.literals[-1])
        fits &= at + len(self.literals[-1]) == ends
        for key in keys:
            if key not in found:
                nothing = Spans(buffer, records.starts, np.zeros(len(records), np.int64))
                found[key] = Field(nothing, np.full(len(records), MISSING, np.uint8))
        return fits, found


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _has_literal(buffer: Bytes, at: Ints, literal: bytes) -> Bools:
    same = np.ones(len(at), bool)
    for begin in range(0, len(literal), STEP):
        piece = literal[begin : begin + STEP]
        low, high = gather_words(buffer, at + begin if begin else at)
        same &= _begins(low, piece[:8])
        if len(piece) > 8:
            same &= _begins(high, piece[8:])
    return same


def _begins(words: npt.NDArray[np.uint64], text: bytes) -> Bools:
    wanted = np.uint64(int.from_bytes(text, "little"))
    if len(text) == 8:
        return words == wanted
    return (words & np.uint64((1 << (8 * len(text))) - 1)) == wanted


def _read_value(
    buffer: Bytes, at: Ints, value: Value, stop: int, fits: Bools, *, micros: bool
) -> Field:
    """The values that begin at the given places. Clears `fits` where no end is near."""
    kinds = np.full(len(at), value.kind, np.uint8)
    if value.kind == NUMBER:
        numbers, lengths = parse_numbers_until(buffer, at, stop, micros=micros)
        rows = np.flatnonzero(lengths == STEP)
        if len(rows):
            lengths = lengths.copy()
            _go_on(buffer, at, lengths, stop, fits, rows)
            numbers = parse_numbers(Spans(buffer, at, lengths), micros=micros)
        return Field(Spans(buffer, at, lengths), kinds, numbers)
    # Ids and times have one length: look there first. That no quotation mark was passed over is
    # checked for the whole block at once, by counting them.
    lengths = np.full(len(at), value.length, np.int64)
    rows = np.flatnonzero(buffer[np.minimum(at + value.length, len(buffer) - 1)] != stop)
    if len(rows):
        lengths[rows] = 0
        _go_on(buffer, at, lengths, stop, fits, rows)
    return Field(Spans(buffer, at, lengths), kinds)


def _go_on(
    buffer: Bytes, at: Ints, lengths: Ints, stop: int, fits: Bools, rows: npt.NDArray[np.int64]
) -> None:
    """Makes the rows' values longer, up to the byte that ends them."""
    for _ in range(MAX_STEPS):
        place = np.minimum(at[rows] + lengths[rows], len(buffer) - STEP)
        more = find_byte(buffer, place, stop)
        lengths[rows] += more
        rows = rows[more == STEP]
        if not len(rows):
            return
    fits[rows] = False
    lengths[rows] = 0


def unusual_rows(records: Spans, fits: Bools, quotes: int, *, lines: bool) -> Bools:
    """Which of the fitting records have something inside a string that a pattern does not see.

    Args:
        records: all records of the block.
        fits: those that fit a template.
        quotes: how many quotation marks a record of that template has.
        lines: no record holds a newline, because the block was cut into lines.

    Returns:
        Records with another number of quotation marks, a backslash, a control character, or
        bytes that are not UTF-8.
    """
    buffer = records.buffer
    unusual = np.zeros(len(records), bool)
    seen = _census(buffer)
    rest = records.take(np.flatnonzero(~fits))
    if seen.quotes - int(_count(rest, QUOTE).sum()) != quotes * int(fits.sum()):
        unusual |= _count(records, QUOTE) != quotes
    if seen.backslashes:
        unusual |= _count(records, BACKSLASH) > 0
    if lines and seen.special == seen.newlines:
        return unusual
    unusual |= _holding(records, np.flatnonzero(buffer < 0x20))
    beyond = np.flatnonzero(buffer >= 0x80)
    if len(beyond):
        try:
            buffer.tobytes().decode()
        except UnicodeDecodeError:
            unusual |= _holding(records, beyond)
    return unusual


@dataclass
class _Seen:
    """How often some bytes occur. `special` are control characters and bytes beyond ASCII."""

    quotes: int = 0
    backslashes: int = 0
    newlines: int = 0
    special: int = 0


def _census(buffer: Bytes) -> _Seen:
    seen = _Seen()
    for begin in range(0, len(buffer), CACHED):
        part = buffer[begin : begin + CACHED]
        seen.quotes += int(np.count_nonzero(part == QUOTE))
        seen.backslashes += int(np.count_nonzero(part == BACKSLASH))
        seen.newlines += int(np.count_nonzero(part == NEWLINE))
        # As signed numbers, control characters and bytes beyond ASCII are less than a space.
        seen.special += int(np.count_nonzero(part.view(np.int8) < 0x20))
    return seen


def _holding(records: Spans, positions: Ints) -> Bools:
    """Which records hold one of the positions."""
    holding = np.zeros(len(records), bool)
    rows = np.searchsorted(records.starts, positions, side="right") - 1
    inside = positions < (records.starts + records.lengths)[rows]
    holding[rows[inside & (rows >= 0)]] = True
    return holding


def _count(records: Spans, byte: int) -> Ints:
    if len(records) < 1000:
        pieces = zip(records.starts.tolist(), records.lengths.tolist(), strict=True)
        view = [bytes(records.buffer[start : start + length]) for start, length in pieces]
        mark = bytes([byte])
        return np.array([piece.count(mark) for piece in view], np.int64)
    return _count_where(records, records.buffer == byte)


def _count_where(records: Spans, flags: Bools) -> Ints:
    total = np.zeros(len(flags) + 1, np.int32)
    np.cumsum(flags, out=total[1:])
    counts: Ints = (total[records.starts + records.lengths] - total[records.starts]).astype(
        np.int64
    )
    return counts
