"""Records that all look alike, read by their pattern: the fast way for what sensors really send.

A sender writes its records with one serialiser, so they differ in their values alone. A template
is learnt from one record: the literal text between the values. Reading a record is then checking
the literals and finding each value's end, for thousands of records at once. What does not fit is
left to the general way (`transforms.json_fields`), which decides; the two agree on every record
that a template takes (`tests/transforms/test_record_template.py`).
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.fields import MISSING, NUMBER, STRING, Field
from transforms.numbers import Numbers, parse_numbers, parse_numbers_until
from transforms.spans import Bools, Bytes, Ints, Spans, find_byte, gather

__all__ = ["RecordTemplate"]

VALUE = re.compile(r'"(?P<string>[^"\\\x00-\x1f]*)"|(?P<number>-?\d[\d.]*)|(?P<word>true|false)')
KEY = re.compile(r'\s*"(?P<key>[^"\\\x00-\x1f]*)"\s*:\s*')
MAX_RECORD = 4096
WINDOWS = {16: "<u2", 32: "<u4", 64: "<u8"}
"""How far the end of a string without a usual length is looked for at once, in bytes."""
MAX_WIDTH = 256
"""Bytes that are taken at a time, about: wider rows of a matrix would leave the caches."""
STEP, WORD = 16, 8
MAX_STEPS = 8
LONG_NUMBER = 40


@dataclass(frozen=True)
class Value:
    """One value of a template.

    Attributes:
        key: its key.
        kind: whether a string or a number.
        length: a string's usual length; where it varies, one of `WINDOWS`.
        varies: whether there is no usual length.
    """

    key: str
    kind: int
    length: int
    varies: bool = False

    def joined(self, other: Value) -> Value:
        """The value of both patterns: a string has any length where theirs differ."""
        if self.kind == NUMBER or (self.length == other.length and not self.varies):
            return self
        longest = max(self.length, other.length, min(WINDOWS))
        window = next((width for width in WINDOWS if width >= longest), max(WINDOWS))
        return Value(self.key, self.kind, window, varies=True)


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

    def is_like(self, other: RecordTemplate) -> bool:
        """Whether the same records fit both: only the usual lengths of strings differ."""
        return self.literals == other.literals and [
            (value.key, value.kind) for value in self.values
        ] == [(value.key, value.kind) for value in other.values]

    def joined(self, other: RecordTemplate) -> RecordTemplate:
        """The pattern of both, which are alike."""
        values = (one.joined(two) for one, two in zip(self.values, other.values, strict=True))
        return RecordTemplate(self.literals, tuple(values))

    @property
    def quotes(self) -> int:
        """How many quotation marks stand in a record of this pattern."""
        return sum(literal.count(b'"') for literal in self.literals)

    def match(
        self, records: Spans, keys: tuple[str, ...], exact: str
    ) -> tuple[npt.NDArray[np.int64], dict[str, Field]]:
        """Tries the pattern on every record.

        Args:
            records: the records.
            keys: the fields wanted.
            exact: the one whose numbers are wanted as whole millionths too.

        Returns:
            The rows that fit (their strings may still hold marks that are not allowed there:
            `unusual_rows`), and the wanted fields of these rows.
        """
        matching = _Matching(records)
        for step in self._steps:
            matching.take(step, keys, exact)
        rows = matching.end()
        nothing = Spans(records.buffer, records.starts[rows], np.zeros(len(rows), np.int64))
        missing = Field(nothing, np.full(len(rows), MISSING, np.uint8))
        return rows, {key: matching.fields.get(key, missing) for key in keys}

    @functools.cached_property
    def _steps(self) -> tuple[_Step, ...]:
        """The pattern cut into pieces of known width: one gather each, whatever the width."""
        steps = [_Step()]
        for literal, value, following in zip(
            self.literals, self.values, self.literals[1:], strict=False
        ):
            _add_literal(steps, literal)
            if value.kind == STRING and not value.varies:
                steps[-1].strings.append((value.key, steps[-1].width, value.length))
                steps[-1].width += value.length
            else:
                steps[-1].last, steps[-1].stop = value, following[0]
                steps.append(_Step())
        _add_literal(steps, self.literals[-1])
        return tuple(steps)


@dataclass
class _Step:
    """A piece of a pattern: literals and strings of known length, then perhaps another value.

    Attributes:
        literals: pieces of 8 bytes at most and where they stand.
        strings: keys, where their values stand, how long they are.
        width: how long all this is.
        last: the value that follows it, if any.
        stop: the byte that ends that value.
    """

    literals: list[tuple[int, bytes]] = field(default_factory=list)
    strings: list[tuple[str, int, int]] = field(default_factory=list)
    width: int = 0
    last: Value | None = None
    stop: int = 0

    @property
    def window(self) -> int:
        """How many bytes of the last value are looked at."""
        return self.last.length if self.last is not None and self.last.varies else STEP


def _add_literal(steps: list[_Step], literal: bytes) -> None:
    for begin in range(0, len(literal), WORD):
        piece = literal[begin : begin + WORD]
        if steps[-1].width + WORD > MAX_WIDTH:
            steps.append(_Step())
        steps[-1].literals.append((steps[-1].width, piece))
        steps[-1].width += len(piece)


class _Matching:
    """Which records fit so far, how far each is read, and the fields that were found."""

    def __init__(self, records: Spans) -> None:
        self.buffer = records.buffer
        self.at = records.starts
        self.ends = records.starts + records.lengths
        self.fits = np.ones(len(records), bool)
        self.fields: dict[str, Field] = {}

    def take(self, step: _Step, keys: tuple[str, ...], exact: str) -> None:
        """Sees whether such a piece stands here, and goes behind it."""
        # Whoever is read beyond the end of his record does not fit, as `end` will see; he only
        # must not leave the buffer.
        width = max([0, *(offset + WORD for offset, _ in step.literals)])
        if step.last is not None:
            width = max(width, step.width + step.window)
        if width > len(self.buffer):
            self.fits[:] = False
            return
        at = np.minimum(self.at, len(self.buffer) - width)
        text = gather(self.buffer, at, width)
        for offset, literal in step.literals:
            self.fits &= _stands(text, offset, literal)
        for key, offset, length in step.strings:
            if key in keys:
                self._keep(key, STRING, self.at + offset, np.full(len(at), length, np.int64))
        self.at = self.at + step.width
        if step.last is not None:
            window = f"V{step.window}"
            near = np.ndarray((len(at),), window, text, offset=step.width, strides=(width,))
            near = near.copy().view(np.uint8).reshape(-1, step.window)
            self._read_value(near, step.last, step.stop, keys, exact)

    def _read_value(
        self, near: Bytes, value: Value, stop: int, keys: tuple[str, ...], exact: str
    ) -> None:
        numbers, window = None, near.shape[1]
        if value.kind == NUMBER:
            numbers, short = parse_numbers_until(near, stop, micros=value.key == exact)
        else:
            marks = np.packbits((near == stop).reshape(-1), bitorder="little")
            flags = marks.view(WINDOWS[window])
            short = np.bitwise_count((flags & (~flags + flags.dtype.type(1))) - flags.dtype.type(1))
        lengths = short.astype(np.int64)
        long = np.flatnonzero((short == window) & self.fits)
        if len(long):
            lengths[long] = self._length(self.at[long], stop)
            if numbers is not None:
                spans = Spans(
                    self.buffer, self.at[long], np.minimum(lengths[long], LONG_NUMBER)
                )
                numbers.put(long, parse_numbers(spans, micros=value.key == exact))
        if numbers is not None:
            self.fits &= numbers.is_json
        if value.key in keys:
            self._keep(value.key, value.kind, self.at, lengths, numbers)
        self.at = self.at + lengths

    def _keep(
        self, key: str, kind: int, starts: Ints, lengths: Ints, numbers: Numbers | None = None
    ) -> None:
        kinds = np.full(len(starts), kind, np.uint8)
        self.fields[key] = Field(Spans(self.buffer, starts, lengths), kinds, numbers)

    def end(self) -> npt.NDArray[np.int64]:
        """The rows that fit and end here; the fields are theirs from now on."""
        self.fits &= self.at == self.ends
        if self.fits.all():
            return np.arange(len(self.fits))
        rows = np.flatnonzero(self.fits)
        self.fields = {key: field.take(rows) for key, field in self.fields.items()}
        return rows

    def _length(self, at: Ints, stop: int) -> Ints:
        """How far it is to the byte that ends a value; far too long where it is nowhere near."""
        lengths = np.zeros(len(at), np.int64)
        rows = np.arange(len(at))
        for _ in range(MAX_STEPS):
            place = np.minimum(at[rows] + lengths[rows], len(self.buffer) - STEP)
            more = find_byte(self.buffer, place, stop)
            lengths[rows] += more
            rows = rows[more == STEP]
            if not len(rows):
                return lengths
        lengths[rows] = MAX_RECORD
        return lengths


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _stands(text: Bytes, offset: int, literal: bytes) -> Bools:
    """In which rows of the matrix the literal of at most 8 bytes stands at the offset."""
    words = np.ndarray((len(text),), "<u8", text, offset=offset, strides=(text.shape[1],))
    wanted = np.uint64(int.from_bytes(literal, "little"))
    if len(literal) < WORD:
        words = words & np.uint64((1 << (8 * len(literal))) - 1)
    return words == wanted
