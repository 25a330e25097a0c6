"""Many decimal numbers, as text, turned into doubles and into whole millionths at once.

Numbers of up to 15 digits are read exactly with integer arithmetic: digits as one integer below
2**53, divided by a power of ten, is the correctly rounded double (Clinger, "How to read floating
point numbers accurately", 1990). All others (exponents, more digits, spaces, NaN) take a slower
way that gives the same answers: Python's own correctly rounded `float`, or Arrow's.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.millionths import MICROS, float_to_micros
from transforms.spans import Bools, Bytes, Floats, Ints, Spans, Words

__all__ = ["MICROS", "Numbers", "float_to_micros", "parse_numbers", "parse_numbers_until"]

TENS = np.array([10**power for power in range(19)], np.int64)
FLOAT_TENS = TENS.astype(np.float64)
MAX_EXACT = 10**15
MICRO_DIGITS = 6
MICRO_FACTORS = np.array([10 ** max(6 - decimals, 0) for decimals in range(17)], np.int64)
MOST = 2**63 - 1
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
SOUND = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
"""What Arrow reads as Python does."""
SPECIAL = r"(?i)^[+-]?(nan|inf|infinity)$"
MANY = 32
"""From so many texts on, Arrow is quicker than one after another."""
CAN_STAND = np.zeros(256, bool)
"""The bytes of which numbers, NaN, Infinity and blanks consist."""
CAN_STAND[np.frombuffer(b"+-.0123456789eENnAaIiFfTtYy \t\r\n\f\v\x1c\x1d\x1e\x1f", np.uint8)] = True
NOT_FINITE = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE | re.ASCII)


WIDTH = 16
"""Bytes in which a plain number must end: two words, read at once."""
Flags: TypeAlias = npt.NDArray[np.uint16]
ONE_FLAG = np.uint16(1)
INSIDE = np.array([(1 << length) - 1 for length in range(WIDTH + 1)], np.uint16)
BITS = np.arange(0, 8 * (WIDTH + 1), 8).astype(np.uint64)
BYTE, WORD, WORD_BYTES = np.uint64(8), np.uint64(64), np.uint8(8)
HUNDRED_MILLIONS = np.uint64(10**8)
DOT, MINUS = ord(".") ^ 0x30, ord("-") ^ 0x30


@dataclass(frozen=True)
class Numbers:
    """n numbers.

    Attributes:
        values: the nearest double to each text; NaN where `is_number` is False.
        micros: whole millionths of the shortest decimal that gives the same double, a tie to the
            even one; 0 where the value is not finite or beyond ±9.2e12.
        is_number: False where the text is not a number at all. True for `NaN` and `Infinity`,
            whose value is not finite.
        is_json: where the text is exact JSON number syntax (no spaces, `+` or leading zeros).
    """

    values: Floats
    micros: Ints
    is_number: Bools
    is_json: Bools

    def put(self, rows: npt.NDArray[np.int64], numbers: Numbers) -> None:
        """Replaces some of the numbers."""
        self.values[rows], self.micros[rows] = numbers.values, numbers.micros
        self.is_number[rows], self.is_json[rows] = numbers.is_number, numbers.is_json

    def take(self, rows: npt.NDArray[np.int64]) -> Numbers:
        """Some of the numbers only."""
        return Numbers(
            self.values[rows], self.micros[rows], self.is_number[rows], self.is_json[rows]
        )


def parse_numbers(spans: Spans, *, micros: bool = True) -> Numbers:
    """Reads every span as a decimal number.

    Args:
        spans: the texts. Signs, exponents, surrounding spaces, `NaN` and `Infinity` in any case
            are understood; thousands separators, hexadecimal and decimal commas are not numbers.
        micros: False leaves `micros` at 0, for quantities that are not kept as millionths.

    Returns:
        Values, millionths and flags, one an input span.
    """
    text = spans.gather(spans.starts, WIDTH)
    lengths = np.minimum(spans.lengths, WIDTH).astype(np.uint8)
    digits = text ^ np.uint8(0x30)
    inside = INSIDE.take(lengths, mode="clip")
    minus = (digits[:, 0] == MINUS) & (lengths > 0)
    others = (_flags(digits > 9) & inside) ^ minus
    # Nothing but digits and at most one dot.
    dot = _flags(digits == DOT) & inside
    plain = (others == dot) & ((dot & (dot - ONE_FLAG)) == 0) & (spans.lengths <= WIDTH)
    numbers = _read_plain(digits, _Shape(lengths, dot, minus, plain), micros=micros)
    if not numbers.is_number.all():
        rest = np.flatnonzero(~numbers.is_number)
        numbers.values[rest] = math.nan
        numbers.micros[rest] = 0
        rest = _read_long(spans, rest, numbers, micros=micros)
        _read_text(spans, rest, numbers, micros=micros)
    return numbers


def parse_numbers_until(
    text: Bytes, stop: int, *, micros: bool = True
) -> tuple[Numbers, npt.NDArray[np.uint8]]:
    """Reads the plain decimal number at the beginning of every row, up to a `stop` byte.

    Args:
        text: n rows of 16 bytes, one after another in memory.
        stop: the byte that ends the numbers.
        micros: as for `parse_numbers`.

    Returns:
        The numbers, and the length of each text. What is not plain (an exponent, say) has
        `is_number` False and any value; a length of 16 says that no end was found.
    """
    digits = text ^ np.uint8(0x30)
    minus = digits[:, 0] == MINUS
    others = _flags(digits > 9) ^ minus
    first = others & (~others + ONE_FLAG)
    dot = first & _flags(digits == DOT)
    # Where the first mark is a dot, the second one is the end.
    others ^= dot
    end = others & (~others + ONE_FLAG)
    plain = (end & _flags(text == stop)) != 0
    lengths = np.bitwise_count(end - ONE_FLAG)
    return _read_plain(digits, _Shape(lengths, dot, minus, plain), micros=micros), lengths


def _flags(matrix: npt.NDArray[np.bool_]) -> Flags:
    """Rows of 16 flags as 16 bits, the first one lowest."""
    return np.packbits(matrix.reshape(-1), bitorder="little").view("<u2")


@dataclass(frozen=True)
class _Shape:
    """Of n texts: length, place of the dot, whether a minus leads, whether the rest is digits."""

    lengths: npt.NDArray[np.uint8]
    dot: Flags
    minus: Bools
    plain: Bools


def _read_plain(digits: Bytes, shape: _Shape, *, micros: bool) -> Numbers:
    """Numbers from their first 16 bytes, in which every byte is reduced by the digit 0."""
    lengths, minus = shape.lengths, shape.minus
    some_negative = bool(minus.any())
    if some_negative:
        digits[:, 0] *= ~minus
    point = np.minimum(np.bitwise_count(shape.dot - ONE_FLAG), lengths)
    has_dot = point != lengths
    decimals = lengths - point - has_dot
    whole = point - minus
    low, high = np.ascontiguousarray(digits.view("<u8").T)

    # The digits after the dot at the right end of 16 bytes. Shifts of 64 bits or more, and
    # those that would be negative, give 0: what the other terms then need.
    bits = BITS.take(lengths)
    after = (high << (WORD + WORD - bits)) | (low >> (bits - WORD)) | (low << (WORD - bits))
    fine = BITS.take(decimals)
    cut = WORD - np.minimum(fine, WORD)
    mantissa = _eight_digits(after >> cut << cut)
    if (decimals > WORD_BYTES).any():
        cut = WORD + WORD - np.maximum(fine, WORD)
        earlier = low << (WORD + WORD - bits)
        mantissa += _eight_digits(earlier >> cut << cut) * HUNDRED_MILLIONS
    bits = BITS.take(point)
    before = _eight_digits(low << (WORD - np.minimum(bits, WORD)))
    if (point > WORD_BYTES).any():
        before *= TENS.view(np.uint64).take(np.maximum(point, WORD_BYTES) - WORD_BYTES)
        before += _eight_digits(high << (WORD + WORD - bits))
    mantissa += before * TENS.view(np.uint64).take(decimals)
    exact = mantissa.view(np.int64)

    good = shape.plain & (lengths - minus > has_dot) & (exact < MAX_EXACT)
    is_json = good & (whole != 0) & (has_dot == (decimals != 0))
    is_json &= (whole == 1) | (digits[:, 0] != 0) | (minus & (digits[:, 1] != 0))
    if some_negative:
        # The sign goes to the integer: -0 is the same value as 0.
        negative = minus.astype(np.int64)
        exact = (exact ^ -negative) + negative
    values = exact / FLOAT_TENS.take(decimals)
    millionths = _to_micros(exact, decimals, good) if micros else np.zeros(len(values), np.int64)
    return Numbers(values, millionths, good, is_json)


def _eight_digits(digits: Words) -> Words:
    """The value of eight digits (bytes from 0 to 9), the first in the lowest byte."""
    pairs = digits * np.uint64(10) + (digits >> BYTE)
    mask = np.uint64(0x000000FF000000FF)
    return (
        (pairs & mask) * np.uint64(0x000F424000000064)
        + ((pairs >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    ) >> np.uint64(32)


def _to_micros(mantissa: Ints, decimals: npt.NDArray[np.uint8], good: Bools) -> Ints:
    """Mantissa / 10**decimals in whole millionths, a tie to the even one."""
    result = mantissa * MICRO_FACTORS.take(decimals)
    if len(result) and max(mantissa.max(), -mantissa.min()) > MOST // MICROS:
        # A mantissa of 15 digits times a million does not fit: such values are out of range.
        result[np.abs(mantissa) > MOST // MICRO_FACTORS[decimals]] = 0
    fine = good & (decimals > MICRO_DIGITS)
    if fine.any():
        divisor = TENS[decimals[fine] - MICRO_DIGITS]
        quotient, remainder = np.divmod(np.abs(mantissa[fine]), divisor)
        twice = 2 * remainder
        quotient += (twice > divisor) | ((twice == divisor) & ((quotient & 1) == 1))
        result[fine] = np.sign(mantissa[fine]) * quotient
    return result


def _read_long(
    spans: Spans, rows: npt.NDArray[np.int64], numbers: Numbers, *, micros: bool
) -> npt.NDArray[np.int64]:
    """Fills in, of the given rows, the plain decimals of more than 16 bytes; returns the others."""
    plain = _plain_decimals(spans, rows)
    if not plain.any():
        return rows
    long = rows[plain]
    numbers.values[long] = pc.cast(spans.take(long).to_arrow(), "float64").to_numpy() + 0.0
    numbers.is_number[long] = True
    numbers.is_json[long] = _plain_json(spans, long)
    if micros:
        numbers.micros[long] = float_to_micros(numbers.values[long])
    return rows[~plain]


def _read_text(
    spans: Spans, rows: npt.NDArray[np.int64], numbers: Numbers, *, micros: bool
) -> None:
    """Fills in, of the given rows, whatever else is a number, one by one."""
    text = spans.gather(spans.starts[rows], WIDTH)
    outside = np.arange(WIDTH) >= spans.lengths[rows][:, None]
    rows = rows[(CAN_STAND[text] | outside).all(axis=1) & (spans.lengths[rows] > 0)]
    left = rows
    if len(rows) >= MANY:
        texts = spans.take(rows).to_arrow()
        sound = pc.match_substring_regex(texts, SOUND).to_numpy(zero_copy_only=False)
        try:
            values = pc.cast(texts.filter(pa.array(sound)), "float64").to_numpy()
        except pa.ArrowInvalid:
            pass
        else:
            numbers.values[rows[sound]] = values + 0.0
            numbers.is_number[rows[sound]] = True
            not_finite = pc.match_substring_regex(texts, SPECIAL).to_numpy(zero_copy_only=False)
            numbers.is_number[rows[not_finite]] = True
            left = rows[~(sound | not_finite)]
    for row in left.tolist():
        word = spans.text(row)
        if NUMBER.fullmatch(word):
            numbers.values[row], numbers.is_number[row] = float(word) + 0.0, True
        elif NOT_FINITE.fullmatch(word):
            numbers.is_number[row] = True
    if micros and len(rows):
        numbers.micros[rows] = float_to_micros(numbers.values[rows])


def _plain_decimals(spans: Spans, rows: npt.NDArray) -> Bools:
    """Which texts are digits with one dot inside and at most a minus, 17 to 32 bytes long."""
    starts, lengths = spans.starts[rows], spans.lengths[rows]
    fits = (lengths >= 3) & (lengths <= 32)
    text = spans.gather(starts, 32)
    inside = np.arange(32) < lengths[:, None]
    digit = (text - np.uint8(0x30)) <= 9
    dot = (text == 0x2E) & inside
    minus = text[:, :1] == 0x2D
    digit[:, :1] |= minus
    column = dot.argmax(axis=1)
    dot_inside = (dot.sum(axis=1) == 1) & (column > minus[:, 0]) & (column < lengths - 1)
    return np.asarray(fits & dot_inside & (digit | dot | ~inside).all(axis=1))


def _plain_json(spans: Spans, rows: npt.NDArray) -> Bools:
    starts = spans.starts[rows]
    starts = starts + (spans.buffer[starts] == 0x2D)
    return np.asarray((spans.buffer[starts] != 0x30) | (spans.buffer[starts + 1] == 0x2E))
