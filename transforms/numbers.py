"""Many decimal numbers, as text, turned into doubles and into whole millionths at once.

Numbers of up to 15 digits are read exactly with integer arithmetic: digits as one integer below
2**53, divided by a power of ten, is the correctly rounded double (Clinger, "How to read floating
point numbers accurately", 1990). All others (exponents, more digits, spaces, NaN) take a slower
way that gives the same answers: Python's own correctly rounded `float`, or Arrow's.
"""

from __future__ import annotations

import decimal
import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from transforms.spans import (
    HIGH_BITS,
    ONES,
    Bools,
    Bytes,
    Floats,
    Ints,
    Spans,
    Words,
    equal_bytes,
    first_flag,
    gather_words,
)

__all__ = ["MICROS", "Numbers", "float_to_micros", "parse_numbers", "parse_numbers_until"]

MICROS = 1_000_000
"""Values are kept as whole millionths of their unit."""

ZEROS = ONES * np.uint64(0x30)
TENS = np.array([10**power for power in range(19)], np.int64)
FLOAT_TENS = TENS.astype(np.float64)
MAX_EXACT = 10**15
MOST = 2**63 - 1
ONE = np.uint64(1)
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
NOT_FINITE = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)


ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
BYTE = np.uint64(8)
WORD = np.uint64(64)
FIRST_BYTE = np.uint64(0xFF)
MINUS = np.uint64(0x1D)
NOT_DIGIT = ONES * np.uint64(0x76)


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
    low, high = gather_words(spans.buffer, spans.starts)
    return _read_words(low ^ ZEROS, high ^ ZEROS, spans, micros=micros)


def parse_numbers_until(
    buffer: Bytes, starts: Ints, stop: int, *, micros: bool = True
) -> tuple[Numbers, Ints]:
    """Reads a decimal number at every start, up to the first `stop` byte.

    Args:
        buffer: the padded text.
        starts: where the numbers begin.
        stop: the byte that ends them.
        micros: as for `parse_numbers`.

    Returns:
        The numbers, and the length of each text; a length of 16 says that none was found near.
    """
    low, high = gather_words(buffer, starts)
    low ^= ZEROS
    high ^= ZEROS
    ends_low, ends_high = equal_bytes(low, stop ^ 0x30), equal_bytes(high, stop ^ 0x30)
    lengths = first_flag(ends_low)
    beyond = ends_low == 0
    if beyond.any():
        lengths += first_flag(ends_high) * beyond
    return _read_words(low, high, Spans(buffer, starts, lengths), micros=micros), lengths


def _read_words(low: Words, high: Words, spans: Spans, *, micros: bool) -> Numbers:
    """Numbers from their first 16 bytes, in which every byte is reduced by the digit 0."""
    lengths = spans.lengths
    minus = (low & FIRST_BYTE) == 0x1D
    some_negative = bool(minus.any())
    if some_negative:
        low = low ^ (minus * MINUS)
    # To the right end of 16 bytes; digits of 0 come in on the left. Shifts of 64 bits or more,
    # and those that would be negative, give 0: what the other two terms then need.
    bits = ((16 - lengths) << 3).view(np.uint64)
    high = (high << bits) | (low >> (WORD - bits)) | (low << (bits - WORD))
    low = low << bits

    dots_low, dots_high = equal_bytes(low, 0x1E), equal_bytes(high, 0x1E)
    decimals = 7 - first_flag(dots_high)
    many = (dots_high & (dots_high - ONE)) != 0
    has_dot = dots_high != 0
    if dots_low.any():
        elsewhere = dots_low != 0
        many |= (elsewhere & has_dot) | ((dots_low & (dots_low - ONE)) != 0)
        decimals = np.where(elsewhere, 15 - first_flag(dots_low), decimals)
        has_dot |= elsewhere
    decimals = np.where(has_dot, decimals, 0)
    low, high = _close_gap(low, high, decimals, has_dot)

    digits = lengths - minus - has_dot
    wrong = ((low + NOT_DIGIT) | low | (high + NOT_DIGIT) | high) & HIGH_BITS
    unsigned = _eight_digits(high)
    if low.any():
        unsigned = unsigned + _eight_digits(low) * np.uint64(10**8)
    mantissa = unsigned.view(np.int64)
    good = (wrong == 0) & ~many & (digits > 0) & (lengths <= 16) & (mantissa < MAX_EXACT)
    whole = digits - decimals
    is_json = good & (whole > 0) & (decimals >= has_dot)
    is_json &= (whole == 1) | (mantissa >= TENS.take(digits - 1, mode="clip"))

    values = mantissa / FLOAT_TENS.take(decimals, mode="clip")
    millionths = _to_micros(mantissa, decimals, good) if micros else np.zeros(len(spans), np.int64)
    if some_negative:
        # Adding 0.0 makes -0.0 the same value as 0.0.
        values = np.where(minus, -values, values) + 0.0
        millionths = np.where(minus, -millionths, millionths)
    is_number = good.copy()
    if not good.all():
        rest = np.flatnonzero(~good)
        _parse_slowly(spans, rest, values, millionths, is_number, is_json, micros=micros)
    return Numbers(values, millionths, is_number, is_json)


def _close_gap(low: Words, high: Words, decimals: Ints, has_dot: Bools) -> tuple[Words, Words]:
    """Moves the digits before the dot up by one byte, over the dot."""
    # Bytes from here on stand behind the dot (or, where there is none, all bytes stay).
    fixed: Words = np.where(has_dot, decimals << 3, 128).view(np.uint64)
    fixed_high = ALL << (WORD - np.minimum(fixed, WORD))
    moved_high = (high << BYTE) | (low >> np.uint64(56))
    high = ((high ^ moved_high) & fixed_high) ^ moved_high  # type: ignore[assignment]
    if not low.any():
        return low, high
    fixed_low = ALL << (WORD - (np.maximum(fixed, WORD) - WORD))
    moved_low = low << BYTE
    return ((low ^ moved_low) & fixed_low) ^ moved_low, high


def _eight_digits(digits: Words) -> Words:
    """The value of eight digits (bytes from 0 to 9), the first in the lowest byte."""
    pairs = digits * np.uint64(10) + (digits >> BYTE)
    mask = np.uint64(0x000000FF000000FF)
    return (
        (pairs & mask) * np.uint64(0x000F424000000064)
        + ((pairs >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    ) >> np.uint64(32)


def _to_micros(mantissa: Ints, decimals: Ints, good: Bools) -> Ints:
    """Mantissa / 10**decimals in whole millionths, a tie to the even one."""
    shift = decimals - 6
    fine = good & (shift > 0)
    # A mantissa of 15 digits times a million does not fit: such values are out of range.
    factor = TENS.take(-shift, mode="clip")
    result = mantissa * factor
    result[mantissa > MOST // factor] = 0
    if fine.any():
        divisor = TENS[shift[fine]]
        quotient, remainder = np.divmod(mantissa[fine], divisor)
        twice = 2 * remainder
        quotient += (twice > divisor) | ((twice == divisor) & ((quotient & 1) == 1))
        result[fine] = quotient
    return result


def _parse_slowly(
    spans: Spans,
    rows: npt.NDArray,
    values: Floats,
    millionths: Ints,
    is_number: Bools,
    is_json: Bools,
    *,
    micros: bool,
) -> None:
    """Fills the rows that the fast way could not read, in place."""
    values[rows] = math.nan
    millionths[rows] = 0
    first = spans.buffer[spans.starts[rows]]
    # A number starts so: a sign, a digit, a dot, N(aN), I(nfinity) or a space.
    starters = np.frombuffer(b"+-.0123456789NnIi \t\r\n\f\v", np.uint8)
    rows = rows[np.isin(first, starters) & (spans.lengths[rows] > 0)]
    if not len(rows):
        return
    plain = rows[_plain_decimals(spans, rows)]
    if len(plain):
        values[plain] = pc.cast(spans.take(plain).to_arrow(), "float64").to_numpy() + 0.0
        is_number[plain] = True
        is_json[plain] = _plain_json(spans, plain)
    for row in np.setdiff1d(rows, plain, assume_unique=True).tolist():
        text = spans.text(row)
        if NUMBER.fullmatch(text):
            values[row], is_number[row] = float(text) + 0.0, True
        elif NOT_FINITE.fullmatch(text):
            is_number[row] = True
    if micros:
        millionths[rows] = float_to_micros(values[rows])


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


def float_to_micros(values: Floats) -> Ints:
    """Whole millionths of each double's shortest decimal form, a tie to the even one.

    Args:
        values: doubles; those not finite or beyond ±9.2e12 give 0.
    """
    result = np.zeros(len(values), np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values * MICROS
        usable = np.abs(scaled) < 9.2e18
        scaled = np.where(usable, scaled, 0.0)
        nearest = np.rint(scaled)
        result[:] = nearest
        # Near a tie the product's own rounding could decide; there the decimal digits do.
        doubt = np.abs(np.abs(scaled - nearest) - 0.5) <= np.abs(scaled) * 2.0**-50
        doubt |= np.abs(scaled) > 2.0**49
    for row in np.flatnonzero(doubt & usable).tolist():
        exact = decimal.Decimal(repr(float(values[row]))) * MICROS
        result[row] = int(exact.to_integral_value(decimal.ROUND_HALF_EVEN))
    return result
