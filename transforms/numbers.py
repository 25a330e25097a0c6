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

from transforms.spans import HIGH_BITS, ONES, Bools, Floats, Ints, Spans, Words
from transforms.spans import equal_bytes, first_flag, gather_words

__all__ = ["MICROS", "Numbers", "float_to_micros", "parse_numbers"]

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


def parse_numbers(spans: Spans, *, micros: bool = True) -> Numbers:
    """Reads every span as a decimal number.

    Args:
        spans: the texts. Signs, exponents, surrounding spaces, `NaN` and `Infinity` in any case
            are understood; thousands separators, hexadecimal and decimal commas are not numbers.
        micros: False leaves `micros` at 0, for quantities that are not kept as millionths.

    Returns:
        Values, millionths and flags, one an input span.
    """
    low, high = gather_words(spans.buffer, spans.starts + (spans.lengths - 16))
    negative = spans.buffer[spans.starts] == 0x2D
    digits = spans.lengths - negative
    fits = (digits - 1).view(np.uint64) < 16
    # What stands before the number becomes the digit 0, which changes nothing.
    keep_low, keep_high = _keep_last(np.minimum(digits, 16))
    low = ((low ^ ZEROS) & keep_low) ^ ZEROS
    high = ((high ^ ZEROS) & keep_high) ^ ZEROS

    dots_low, dots_high = equal_bytes(low, 0x2E), equal_bytes(high, 0x2E)
    # Bytes from the dot on: 16 - its index in the low word or 8 - its index in the high one.
    decimals = np.where(dots_high, 7 - first_flag(dots_high), 15 - first_flag(dots_low))
    has_dot = (dots_low | dots_high) != 0
    single = (dots_low == 0) | (dots_high == 0)
    single &= ((dots_low & (dots_low - ONE)) | (dots_high & (dots_high - ONE))) == 0
    if has_dot.all():
        low, high = _close_gap(low, high, decimals)
    else:
        decimals *= has_dot
        closed_low, closed_high = _close_gap(low, high, decimals)
        low, high = np.where(has_dot, closed_low, low), np.where(has_dot, closed_high, high)

    low ^= ZEROS
    high ^= ZEROS
    good = fits & single & (_beyond_nine(low) | _beyond_nine(high) == 0)
    mantissa = (_eight_digits(low) * np.uint64(10**8) + _eight_digits(high)).view(np.int64)
    whole = digits - has_dot - decimals
    good &= (mantissa < MAX_EXACT) & (whole + decimals > 0)
    is_json = good & (whole > 0) & (decimals >= has_dot)
    is_json &= (whole == 1) | (mantissa >= TENS.take(whole + decimals - 1, mode="clip"))

    values = mantissa / FLOAT_TENS.take(decimals, mode="clip")
    millionths = _to_micros(mantissa, decimals, good) if micros else np.zeros(len(spans), np.int64)
    if negative.any():
        # Adding 0.0 makes -0.0 the same value as 0.0.
        values = np.where(negative, -values, values) + 0.0
        millionths = np.where(negative, -millionths, millionths)
    is_number = good.copy()
    if not good.all():
        rest = np.flatnonzero(~good)
        _parse_slowly(spans, rest, values, millionths, is_number, is_json, micros=micros)
    return Numbers(values, millionths, is_number, is_json)


def _keep_last(count: Ints) -> tuple[Words, Words]:
    """Masks of two words that keep the last `count` (0 to 16) of their 16 bytes."""
    bits = ((16 - count) << 3).view(np.uint64)
    # Shifts of 64 bits and more give 0, which is what the low word then needs.
    return ALL << bits, ALL << (np.maximum(bits, np.uint64(64)) - np.uint64(64))


def _close_gap(low: Words, high: Words, decimals: Ints) -> tuple[Words, Words]:
    """Moves the digits before the dot up by one byte, over the dot."""
    above_low, above_high = _keep_last(decimals)
    shifted_high = (high << BYTE) | (low >> np.uint64(56))
    shifted_low = (low << BYTE) | np.uint64(0x30)
    return (
        ((low ^ shifted_low) & above_low) ^ shifted_low,
        ((high ^ shifted_high) & above_high) ^ shifted_high,
    )


def _beyond_nine(digits: Words) -> Words:
    """Not 0 where a byte, its ASCII digit already reduced by 0x30, is no digit."""
    return ((digits + ONES * np.uint64(0x76)) | digits) & HIGH_BITS


def _eight_digits(digits: Words) -> Words:
    """The value of eight digits (bytes from 0 to 9), the first in the lowest byte."""
    pairs = digits * np.uint64(10) + (digits >> BYTE)
    mask = np.uint64(0x000000FF000000FF)
    return (
        (pairs & mask) * np.uint64(0x000F424000000064)
        + ((pairs >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    ) >> np.uint64(32)


def _to_micros(mantissa: Ints, decimals: Ints, good: Bools) -> Ints:
    """mantissa / 10**decimals in whole millionths, a tie to the even one."""
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
