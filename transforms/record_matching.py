"""How a record's pattern is held against many records at once: step by step, for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from transforms.fields import NUMBER, STRING, Field
from transforms.numbers import Numbers, parse_numbers, parse_numbers_until
from transforms.spans import Bools, Bytes, Ints, Spans, find_byte, gather

__all__ = ["INTEGER_WINDOW", "MAX_RECORD", "Matching", "Step", "Value", "add_literal"]

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
        key: its key.
        kind: whether a string or a number.
        length: a string's usual length; where it varies, one of `WINDOWS`.
        varies: whether there is no usual length; of numbers, those that stay text.
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


@dataclass
class Step:
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


class Matching:
    """Which records fit so far, how far each is read, and the fields that were found."""

    def __init__(self, records: Spans) -> None:
        self.buffer = records.buffer
        self.at = records.starts
        self.ends = records.starts + records.lengths
        self.fits = np.ones(len(records), bool)
        self.fields: dict[str, Field] = {}

    def take(self, step: Step, keys: tuple[str, ...], exact: str) -> None:
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
        if value.kind == NUMBER and not value.varies:
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
                spans = Spans(self.buffer, self.at[long], np.minimum(lengths[long], LONG_NUMBER))
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


def add_literal(steps: list[Step], literal: bytes) -> None:
    """Adds a literal to the last step, or to new ones where it would grow too wide."""
    for begin in range(0, len(literal), WORD):
        piece = literal[begin : begin + WORD]
        if steps[-1].width + WORD > MAX_WIDTH:
            steps.append(Step())
        steps[-1].literals.append((steps[-1].width, piece))
        steps[-1].width += len(piece)


def _stands(text: Bytes, offset: int, literal: bytes) -> Bools:
    """In which rows of the matrix the literal of at most 8 bytes stands at the offset."""
    words = np.ndarray((len(text),), "<u8", text, offset=offset, strides=(text.shape[1],))
    wanted = np.uint64(int.from_bytes(literal, "little"))
    if len(literal) < WORD:
        words = words & np.uint64((1 << (8 * len(literal))) - 1)
    return words == wanted
