"""Flat JSON objects whose keys come in a known order, read by NumPy, good or bad.

A template (`transforms.record_template`) wants every value to be there. Here a member may be
missing, or be null, or of another kind than usual, and the record is read all the same: what
is unusual is looked at apart, all else is as quick as by a template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from transforms.fields import MISSING, NULL, NUMBER, OTHER, QUOTES_OF_KIND, STRING, Field
from transforms.key_order import KeyOrder, Member
from transforms.number_shapes import number_shapes
from transforms.numbers import Numbers, parse_numbers, parse_numbers_until
from transforms.record_matching import MAX_RECORD, distance_to, pieces_of, stands
from transforms.spans import PADDING, Bools, Bytes, Ints, Spans, gather

__all__ = ["Ordered", "read_in_order"]

QUOTE, MINUS, OPEN_OBJECT, CLOSE_OBJECT = ord('"'), ord("-"), ord("{"), ord("}")
WORD, WINDOW = 8, 16
ZERO = np.uint8(ord("0"))
LONGEST_NUMBER = 40
WORDS = ((b"null", NULL), (b"true", OTHER), (b"false", OTHER))
EXPONENT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?[eE][+-]?[0-9]+$"


@dataclass(frozen=True)
class Ordered:
    """What was read of some records.

    Attributes:
        rows: which of them were looked at.
        fits: which of these are flat objects with keys in this order, unless a string holds
            something that this does not see (`transforms.unusual_rows`).
        quotes: how many quotation marks each of those has.
        fields: what stands under each key; anything where a record does not fit.
    """

    rows: Ints
    fits: Bools
    quotes: Ints
    fields: Mapping[str, Field]


def read_in_order(records: Spans, order: KeyOrder) -> Ordered:
    """Reads records as an order of keys says.

    Args:
        records: the records.
        order: how they are written.
    """
    buffer, ends = records.buffer, records.starts + records.lengths
    likely = (buffer[records.starts] == OPEN_OBJECT) & (buffer[ends - 1] == CLOSE_OBJECT)
    rows = np.flatnonzero(likely)
    reading = _Reading(records.take(rows), order)
    fields = {member.path: reading.member(member) for member in order.members}
    return Ordered(rows, reading.end(), reading.quotes, fields)


@dataclass
class _Values:
    """The values of one member, and in which records they are not as usual.

    Attributes:
        extents: how long they are as they are written, quotes and all.
    """

    kinds: npt.NDArray[np.uint8]
    extents: Ints
    numbers: Numbers | None
    odd: Bools


class _Reading:
    """How far records are read.

    `at` is where the comma before the next member begins. Before the first one there is none:
    there it is so that the member begins where it would behind a comma.
    """

    def __init__(self, records: Spans, order: KeyOrder) -> None:
        self.order, self.buffer = order, records.buffer
        self.ends = records.starts + records.lengths
        self.fits = self._stands(records.starts, order.opening)
        self.at = records.starts + (len(order.opening) - len(order.comma))
        self.first = np.arange(len(records))
        self.quotes = np.zeros(len(records), np.int64)

    def member(self, member: Member) -> Field:
        """What stands under a key, where the records have it; goes behind it."""
        begin = len(self.order.comma) + len(member.name)
        width = begin + max(WINDOW + 1, member.length + 2)
        beyond = self.at > len(self.buffer) - width
        if beyond.any():
            self.fits &= ~beyond
            self.at = np.where(beyond, PADDING, self.at)
        text = gather(self.buffer, self.at, width)
        here = self._has(member, text)
        values = self._usual(member, text, begin)
        odd = np.flatnonzero(values.odd & here)
        if len(odd):
            self._read_odd(member, odd, self.at[odd] + begin, values)
            here &= self.fits
        kinds, extents = values.kinds, values.extents
        missing = np.flatnonzero(~here)
        kinds[missing] = MISSING
        self.quotes += QUOTES_OF_KIND.take(kinds)
        is_string = kinds == STRING
        starts = self.at + is_string
        starts += begin
        after = starts + extents
        after -= is_string
        after[missing], starts[missing], extents[missing] = self.at[missing], PADDING, 0
        self.at = after
        extents -= 2 * is_string
        return Field(Spans(self.buffer, starts, extents), kinds, values.numbers)

    def _has(self, member: Member, text: Bytes) -> Bools:
        """Which records have the member next."""
        here = self.fits.copy()
        comma, first = self.order.comma, self.first
        if len(first) < len(here):
            for offset, piece in pieces_of(comma + member.name):
                here &= stands(text, offset, piece)
            text = text[first]
        if len(first):
            begins = self.fits[first]
            for offset, piece in pieces_of(member.name, len(comma)):
                begins &= stands(text, offset, piece)
            here[first] = begins
            self.first = first[~begins]
        return here

    def end(self) -> Bools:
        """Which records end here."""
        closing = self.order.closing
        self.fits[self.first] = False
        self.fits &= self.at + len(closing) == self.ends
        return self.fits & self._stands(np.minimum(self.at, self.ends), closing)

    def _usual(self, member: Member, text: Bytes, begin: int) -> _Values:
        """The values, read as what they usually are."""
        is_string = member.kind == STRING
        near = _window(text, begin + is_string)
        numbers = None
        if is_string and member.length:
            lengths = np.full(len(text), member.length, np.int64)
            usual = text[:, begin + 1 + member.length] == QUOTE
        elif member.numeric:
            stop = QUOTE if is_string else self._stop(member)
            numbers, short = parse_numbers_until(near, stop, micros=member.exact)
            lengths = short.astype(np.int64)
            usual = numbers.is_number if is_string else numbers.is_json
        elif is_string:
            flags = np.packbits((near == QUOTE).reshape(-1), bitorder="little").view("<u2")
            lowest = flags & (~flags + np.uint16(1))
            lengths = np.bitwise_count(lowest - np.uint16(1)).astype(np.int64)
            usual = flags != 0
        else:
            usual, short = number_shapes(near, self._stop(member))
            lengths = short.astype(np.int64)
            usual &= ~stands(text, begin, b"-0")
        if is_string:
            usual = usual & (text[:, begin] == QUOTE)
            lengths += 2
        return _Values(np.full(len(text), member.kind, np.uint8), lengths, numbers, ~usual)

    def _stop(self, member: Member) -> int:
        last = member is self.order.members[-1]
        return (self.order.closing if last else self.order.comma)[0]

    def _read_odd(self, member: Member, rows: Ints, at: Ints, values: _Values) -> None:
        """Reads the values of some rows, whatever they are; where a doubt is left, none fits."""
        text = gather(self.buffer, at, WORD)
        first = text[:, 0]
        kinds, extents = np.full(len(rows), MISSING, np.uint8), np.zeros(len(rows), np.int64)
        for word, kind in WORDS:
            found = np.flatnonzero(stands(text, 0, word))
            kinds[found], extents[found] = kind, len(word)
        strings = np.flatnonzero(first == QUOTE)
        if len(strings):
            kinds[strings] = STRING
            extents[strings] = distance_to(self.buffer, at[strings] + 1, QUOTE) + 2
        numbers = np.flatnonzero((first == MINUS) | (first - ZERO <= 9))
        if len(numbers):
            marks = (self.order.comma[0], self.order.closing[0])
            ends = [distance_to(self.buffer, at[numbers], mark) for mark in marks]
            extents[numbers] = np.minimum(*ends)
            kinds[numbers] = NUMBER
        if len(strings) and values.numbers is not None:
            lengths = np.minimum(extents[strings] - 2, MAX_RECORD)
            read = parse_numbers(Spans(self.buffer, at[strings] + 1, lengths), micros=member.exact)
            values.numbers.put(rows[strings], read)
        if len(numbers):
            spans = Spans(self.buffer, at[numbers], np.minimum(extents[numbers], LONGEST_NUMBER))
            read = parse_numbers(spans, micros=member.exact)
            if values.numbers is not None:
                values.numbers.put(rows[numbers], read)
            kinds[numbers[~_is_json(spans, read, member)]] = MISSING
        values.kinds[rows], values.extents[rows] = kinds, extents
        self.fits[rows[kinds == MISSING]] = False

    def _stands(self, at: Ints, literal: bytes) -> Bools:
        """Where a literal of at most 8 bytes stands."""
        return stands(gather(self.buffer, at, WORD), 0, literal)


def _is_json(spans: Spans, numbers: Numbers, member: Member) -> Bools:
    """Which numbers are JSON beyond doubt, and have one text only."""
    sound = numbers.is_json & (spans.lengths < LONGEST_NUMBER)
    if not member.numeric:
        return sound & ~stands(spans.gather(spans.starts, WORD), 0, b"-0")
    rows = np.flatnonzero(numbers.is_number & ~sound & (spans.lengths < LONGEST_NUMBER))
    if len(rows):
        texts = spans.take(rows).to_arrow()
        sound[rows] = pc.match_substring_regex(texts, EXPONENT).to_numpy(zero_copy_only=False)
    return sound


def _window(text: Bytes, offset: int) -> Bytes:
    """16 bytes of each row of a matrix, one after another in memory."""
    width = text.shape[1]
    near = np.ndarray((len(text),), f"V{WINDOW}", text, offset=offset, strides=(width,))
    return near.copy().view(np.uint8).reshape(-1, WINDOW)
