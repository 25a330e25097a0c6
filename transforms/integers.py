"""Many integers, as text, read at once: all 64 bits of them, which doubles would round."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.numbers import BITS, HUNDRED_MILLIONS, _eight_digits, parse_numbers
from transforms.spans import HIGH_BITS, ONES, Bools, Ints, Spans

__all__ = ["FINE", "NOT_FINITE", "NOT_INTEGER", "TOO_LARGE", "Integers", "parse_integers"]

FINE, NOT_INTEGER, NOT_FINITE, TOO_LARGE = range(4)
"""What is wrong with a text. TOO_LARGE is beyond 64 bits."""

WIDTH = 24
"""Bytes of text read at once: three words, the last one ends where the text does."""
MOST_DIGITS = 19
MOST = 2**63 - 1
UNTIL_A_MARK = ONES * np.uint64(0x76)
"""Added to a digit of 0 to 9, it leaves the highest bit unset."""
DIGITS = re.compile(r"[ \t-\r]*([+-]?)0*(\d*)[ \t-\r]*", re.ASCII)


@dataclass(frozen=True)
class Integers:
    """n integers.

    Attributes:
        values: the integers; 0 where something is wrong.
        faults: what is wrong with each text, if anything.
        is_json: where the text is exact JSON syntax of an integer.
    """

    values: Ints
    faults: npt.NDArray[np.uint8]
    is_json: Bools


def parse_integers(spans: Spans, *, hasty: bool = False) -> Integers:
    """Reads every span as an integer from -2**63 to 2**63 - 1.

    Args:
        spans: the texts. Besides digits, every number whose value is whole is understood, as
            `parse_numbers` understands numbers: `3.0` and `3e2` are, as doubles, 3 and 300.
        hasty: what is not a minus and up to 19 digits is called NOT_INTEGER without a look.

    Returns:
        Values and flags, one an input span.
    """
    negative = (spans.buffer[spans.starts] == ord("-")) & (spans.lengths > 0)
    digits = spans.lengths - negative
    text = spans.gather(spans.starts + spans.lengths - WIDTH, WIDTH) ^ np.uint8(0x30)
    words = text.view("<u8")
    magnitude = np.zeros(len(spans), np.uint64)
    marks = np.zeros(len(spans), np.uint64)
    for column in range(words.shape[1]):
        inside = np.clip(digits - (2 - column) * 8, 0, 8)
        cut = BITS.take(8 - inside)
        # A shift of 64 bits gives 0.
        word = words[:, column] >> cut << cut
        marks |= (word + UNTIL_A_MARK) | word
        magnitude = magnitude * HUNDRED_MILLIONS + _eight_digits(word)
    plain = ((marks & HIGH_BITS) == 0) & (digits > 0) & (digits <= MOST_DIGITS)
    plain &= magnitude <= np.uint64(MOST) + negative
    signs = negative.astype(np.int64)
    values = (magnitude.view(np.int64) ^ -signs) + signs
    values[~plain] = 0
    zero_first = spans.buffer[spans.starts + negative] == ord("0")
    found = Integers(
        values,
        np.where(plain, np.uint8(FINE), np.uint8(NOT_INTEGER)),
        plain & ~(zero_first & (digits > 1)),
    )
    if not hasty and not plain.all():
        _read_others(spans, np.flatnonzero(~plain), found)
    return found


def _read_others(spans: Spans, rows: npt.NDArray[np.int64], found: Integers) -> None:
    """Fills in, of the given rows, whatever else is a number."""
    numbers = parse_numbers(spans.take(rows), micros=False)
    values = numbers.values
    faults = np.full(len(rows), FINE, np.uint8)
    faults[np.abs(values) >= float(MOST)] = TOO_LARGE
    faults[values == -float(MOST)] = FINE
    faults[np.isfinite(values) & (values != np.trunc(values))] = NOT_INTEGER
    faults[~np.isfinite(values)] = NOT_FINITE
    faults[~numbers.is_number] = NOT_INTEGER
    whole = np.where(faults == FINE, values, 0).astype(np.int64)
    # Only beyond 2**53 does a double differ from the integer that was written.
    for row in np.flatnonzero(numbers.is_number & (np.abs(values) >= 2**53)).tolist():
        written = DIGITS.fullmatch(spans.text(int(rows[row])))
        if written is not None:
            value = int(written[2]) if len(written[2]) <= MOST_DIGITS else MOST + 2
            value = -value if written[1] == "-" else value
            fits = -MOST - 1 <= value <= MOST
            whole[row], faults[row] = (value, FINE) if fits else (0, TOO_LARGE)
    found.values[rows], found.faults[rows] = whole, faults
