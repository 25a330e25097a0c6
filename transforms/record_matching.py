"""How a record's pattern is held against many records at once: step by step, for all of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.fields import NUMBER, STRING, Field
from transforms.number_shapes import number_shapes
from transforms.numbers import Numbers, parse_numbers, parse_numbers_until
from transforms.spans import Bools, Bytes, Ints, Spans, find_byte, gather

__all__ = [
    "INTEGER_WINDOW",
    "MAX_RECORD",
    "Matching",
    "Step",
    "Value",
    "add_literal",
    "distance_to",
    "pieces_of",
    "stands",
]

MAX_RECORD = 4096
"""Bytes of the longest record that has a template."""
WINDOWS = {16: "<u2", 32: "<u4", 64: "<u8"}
"""How far the end of a string without a usual length is looked for at once, in bytes."""
MAX_WIDTH = 256
"""Bytes that are taken at a time, about: wider rows of a matrix would leave the caches."""
STEP, WORD = 16, 8
MAX_STEPS = 8
LONG_NUMBER = 40
INTEGER_WINDOW = 32
"""How far the end of an integer that stays text is looked for at once, in bytes."""


@dataclass(frozen=True)
class Value:
    """One value of a template.

    Attributes:
        key: where it stands.
        kind: whether a string or a number.
        length: a string's usual length; where it varies, one of `WINDOWS`.
        varies: whether there is no usual length; of numbers, those that stay text.
        numeric: whether it is wanted as a number, be it a string.
        wanted: whether it is a part of a reading.
        exact: whether its millionths are wanted.
    """

    key: str
    kind: int
    length: int
    varies: bool = False
    numeric: bool = False
    wanted: bool = False
    exact: bool = False

    def joined(self, other: Value) -> Value:
        """The value of both patterns: a string has any length where theirs differ."""
        if self.kind == NUMBER or self.numeric:
            return self
        if self.length == other.length and not self.varies:
            return self
        longest = max(self.length, other.length, min(WINDOWS))
        window = next((width for width in WINDOWS if width >= longest), max(WINDOWS))
        return Value(self.key, self.kind, window, varies=True, wanted=self.wanted)


@dataclass
class Step:
    """A piece of a pattern: literals and strings of known length, then perhaps another value.

    Attributes:
        literals: pieces of 8 bytes at most and where they stand.
        strings: strings of known length and where they stand.
        width: how long all this is.
        last: the value that follows it, if any.
        stop: the byte that ends that value.
    """

    literals: list[tuple[int, bytes]] = field(default_factory=list)
    strings: list[tuple[Value, int]] = field(default_factory=list)
    width: int = 0
    last: Value | None = None
    stop: int = 0

    @property
    def window(self) -> int:
        """How many bytes of the last value are looked at."""
        if self.last is not None and self.last.varies and not self.last.numeric:
            return self.last.length
        return STEP

    @property
    def reach(self) -> int:
        """How many bytes are taken at once."""
        width = max([0, *(offset + WORD for offset, _ in self.literals)])
        return width if self.last is None else max(width, self.width + self.window)

    @functools.cached_property
    def pattern(self) -> str:
        """What makes two steps the same, as a text: its hash is computed once."""
        return repr((self.literals, self.strings, self.width, self.last, self.stop))


class Matching:
    """Which records fit so far, how far each is read, and the fields that were found.

    Args:
        buffer: the padded text.
        starts, ends: where the records begin and end.
        rows: their numbers.
    """

    def __init__(self, buffer: Bytes, starts: Ints, ends: Ints, rows: Ints) -> None:
        self.buffer, self.at, self.ends, self.rows = buffer, starts, ends, rows
        self.fits = np.ones(len(rows), bool)
        self.fields: dict[str, Field] = {}

    def some(self, rows: npt.NDArray[np.int64]) -> Matching:
        """The same of some of the records only, all of which fit so far."""
        part = Matching(self.buffer, self.at[rows], self.ends[rows], self.rows[rows])
        part.fields = {key: field.take(rows) for key, field in self.fields.items()}
        return part

    def text(self, width: int) -> Bytes | None:
        """The next bytes of every record; None where there are not so many in the buffer."""
        # Whoever is read beyond the end of his record does not fit, as `end` will see; he only
        # must not leave the buffer.
        if width > len(self.buffer):
            return None
        return gather(self.buffer, np.minimum(self.at, len(self.buffer) - width), width)

    def take(self, step: Step, text: Bytes) -> None:
        """Takes the values of a step, whose literals stand here, and goes behind it."""
        for value, offset in step.strings:
            if value.wanted:
                lengths = np.full(len(self.at), value.length, np.int64)
                self._keep(value, self.at + offset, lengths)
        self.at = self.at + step.width
        if step.last is not None:
            window, width = f"V{step.window}", text.shape[1]
            near = np.ndarray((len(text),), window, text, offset=step.width, strides=(width,))
            near = near.copy().view(np.uint8).reshape(-1, step.window)
            self._read_value(near, step.last, step.stop)

    def _read_value(self, near: Bytes, value: Value, stop: int) -> None:
        numbers, window = None, near.shape[1]
        if value.kind == STRING or value.varies:
            marks = np.packbits((near == stop).reshape(-1), bitorder="little")
            flags = marks.view(WINDOWS[window])
            short = np.bitwise_count((flags & (~flags + flags.dtype.type(1))) - flags.dtype.type(1))
            if value.numeric:
                numbers, plain = parse_numbers_until(near, stop, micros=value.exact)
                # What is no plain number is read again, as far as the string goes.
                again = (plain != short) | ~numbers.is_number
        elif value.numeric:
            numbers, short = parse_numbers_until(near, stop, micros=value.exact)
            again = short == window
        else:
            is_json, short = number_shapes(near, stop)
            again = short == window
        lengths = short.astype(np.int64)
        long = np.flatnonzero((short == window) & self.fits)
        if len(long):
            lengths[long] = distance_to(self.buffer, self.at[long], stop)
        if value.kind == NUMBER and not value.varies and numbers is None:
            rows = np.flatnonzero(again & self.fits)
            if len(rows):
                is_json[rows] = parse_numbers(self._near(rows, lengths), micros=False).is_json
            self.fits &= is_json
        elif numbers is not None:
            rows = np.flatnonzero(again & self.fits)
            if len(rows):
                most = MAX_RECORD if value.kind == STRING else LONG_NUMBER
                spans = self._near(rows, lengths, most)
                numbers.put(rows, parse_numbers(spans, micros=value.exact))
            if value.kind == NUMBER:
                self.fits &= numbers.is_json
        if value.wanted:
            self._keep(value, self.at, lengths, numbers)
        self.at = self.at + lengths

    def _near(self, rows: Ints, lengths: Ints, most: int = LONG_NUMBER) -> Spans:
        return Spans(self.buffer, self.at[rows], np.minimum(lengths[rows], most))

    def _keep(
        self, value: Value, starts: Ints, lengths: Ints, numbers: Numbers | None = None
    ) -> None:
        kinds = np.full(len(starts), value.kind, np.uint8)
        self.fields[value.key] = Field(Spans(self.buffer, starts, lengths), kinds, numbers)

    def end(self) -> npt.NDArray[np.int64]:
        """The rows that fit and end here; the fields are theirs from now on."""
        self.fits &= self.at == self.ends
        if self.fits.all():
            return self.rows
        rows = np.flatnonzero(self.fits)
        self.fields = {key: field.take(rows) for key, field in self.fields.items()}
        return self.rows[rows]


def distance_to(buffer: Bytes, at: Ints, stop: int) -> Ints:
    """How far it is to the byte that ends a value; `MAX_RECORD` where it is nowhere near."""
    lengths = np.zeros(len(at), np.int64)
    rows = np.arange(len(at))
    for _ in range(MAX_STEPS):
        place = np.minimum(at[rows] + lengths[rows], len(buffer) - STEP)
        more = find_byte(buffer, place, stop)
        lengths[rows] += more
        rows = rows[more == STEP]
        if not len(rows):
            return lengths
    lengths[rows] = MAX_RECORD
    return lengths


def pieces_of(literal: bytes, offset: int = 0) -> list[tuple[int, bytes]]:
    """A literal that stands at an offset as pieces of 8 bytes at most and where they stand."""
    return [
        (offset + begin, literal[begin : begin + WORD]) for begin in range(0, len(literal), WORD)
    ]


def add_literal(steps: list[Step], literal: bytes) -> None:
    """Adds a literal to the last step, or to new ones where it would grow too wide."""
    for _, piece in pieces_of(literal):
        if steps[-1].width + WORD > MAX_WIDTH:
            steps.append(Step())
        steps[-1].literals.append((steps[-1].width, piece))
        steps[-1].width += len(piece)


def stands(text: Bytes, offset: int, literal: bytes) -> Bools:
    """In which rows of the matrix the literal of at most 8 bytes stands at the offset."""
    words = np.ndarray((len(text),), "<u8", text, offset=offset, strides=(text.shape[1],))
    wanted = np.uint64(int.from_bytes(literal, "little"))
    if len(literal) < WORD:
        words = words & np.uint64((1 << (8 * len(literal))) - 1)
    return words == wanted
