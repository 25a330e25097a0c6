"""Many timestamps, as text, turned into microseconds since the epoch at once.

Understood are `2019-02-19 14:02:10` and ISO 8601 (`T`, `Z`, offsets, fractions), where a time
without a zone is UTC, and the epoch in seconds or milliseconds. All digits of a word are
read at once, as in `transforms.numbers`; days come from a table of the 120,000 months there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.numbers import parse_numbers
from transforms.spans import HIGH_BITS, ONES, Bools, Bytes, Ints, Spans, Words

__all__ = ["Timestamps", "parse_timestamps"]

SECOND = 1_000_000
MILLISECONDS_FROM = 1e11
"""An epoch of this size or more is in milliseconds: in seconds it would be the year 5138."""
EARLIEST = -62_135_596_800 * SECOND  # 0001-01-01
LATEST = 253_402_300_800 * SECOND  # 10000-01-01
LONGEST = 60
FEW = 0.9
"""Where this share is understood at once, a hasty reader leaves the others."""

NIBBLES = ONES * np.uint64(0xF)
TEN = np.uint64(10)
CLOCK = 19  # characters of `2019-02-19 14:02:10`


@dataclass(frozen=True)
class Timestamps:
    """n event times: `micros` since 1970-01-01 UTC, and whether each text was understood."""

    micros: Ints
    good: Bools


def parse_timestamps(spans: Spans, *, hasty: bool = False) -> Timestamps:
    """Reads every span as a point in time.

    Args:
        spans: the texts. Fractions beyond the microsecond are cut; the years are 1 to 9999.
        hasty: where a few are written in another way than the others, leave them.

    Returns:
        Microseconds since the epoch and flags, one an input span; 0 where not understood.
    """
    if not len(spans):
        return Timestamps(np.zeros(0, np.int64), np.zeros(0, bool))
    micros, good = _clock(spans)
    good &= spans.lengths >= CLOCK
    longer = good & (spans.lengths > CLOCK)
    if longer.any():
        rows = np.flatnonzero(longer)
        shift, right = _tail(spans.take(rows))
        micros[rows] += shift
        good[rows] = right
    if np.count_nonzero(good) < len(spans) * (FEW if hasty else 1):
        rest = np.flatnonzero(~good & (spans.lengths > 0) & (spans.lengths <= LONGEST))
        if len(rest):
            micros[rest], good[rest] = _without_seconds(spans.take(rest))
            rest = rest[~good[rest]]
        if len(rest):
            micros[rest], good[rest] = _epoch(spans.take(rest))
    good &= (micros >= EARLIEST) & (micros < LATEST)
    micros[~good] = 0
    return Timestamps(micros, good)


def _clock(spans: Spans) -> tuple[Ints, Bools]:
    """The first 19 characters of every span as `YYYY-MM-DD?hh:mm:ss`."""
    text = spans.gather(spans.starts, 24)
    length, before, good = _months(text.view("<u8")[:, 0])
    # DD?hh:mm:ss and whatever follows, every byte reduced by the digit 0.
    rest = np.ndarray((len(spans),), "V16", text, offset=8, strides=(24,)).copy()
    reduced = rest.view(np.uint8).reshape(-1, 16) ^ np.uint8(0x30)
    other = np.packbits((reduced > 9).reshape(-1), bitorder="little").view("<u2")
    good = good & ((other & np.uint16(0x7FF)) == 0b100100100)
    separator = text[:, 10]
    good &= (separator == 0x20) | ((separator | np.uint8(0x20)) == 0x74)
    good &= (text[:, 13] == 0x3A) & (text[:, 16] == 0x3A)
    tens, units = reduced[:, 9], reduced[:, 10]
    good &= tens < 6
    secs = (tens * np.uint8(10) + units).astype(np.int64)
    # In every byte, ten times its digit plus the next one: all pairs of digits at once.
    pairs = reduced.view("<u8")[:, 0] & np.uint64(0x0F0F000F0F000F0F)
    pairs = pairs * TEN + (pairs >> np.uint64(8))
    day, hour, minute = _byte(pairs, 0), _byte(pairs, 3), _byte(pairs, 6)
    good &= ((day - 1).view(np.uint64) < length) & (hour < 24) & (minute < 60)
    return ((before + day) * 86_400 + hour * 3600 + minute * 60 + secs) * SECOND, good


def _months(words: Words) -> tuple[Words, Ints, Bools]:
    """Of every `YYYY-MM-`: its days, the days from the epoch to before it, whether it is one.

    Where all are the same month, one answer stands for all.
    """
    if (words == words[:1]).all():
        words = words[:1]
    good = (words & np.uint64(0xFF0000FF00000000)) == np.uint64(0x2D00002D00000000)
    # Every punctuation mark becomes the digit 0, so that all can be tested and read as digits.
    words = (words & np.uint64(0x00FFFF00FFFFFFFF)) | np.uint64(0x3000003000000000)
    good &= _digits(words)
    words = (words & NIBBLES) * TEN + ((words & NIBBLES) >> np.uint64(8))
    calendar = (_byte(words, 0) * 100 + _byte(words, 2)) * 16 + np.minimum(_byte(words, 5), 15)
    days: Words = MONTH_LENGTHS.take(calendar, mode="clip")
    return days, DAYS_BEFORE.take(calendar, mode="clip"), good


def _digits(words: Words) -> Bools:
    below = words - ONES * np.uint64(0x30)
    above = words + ONES * np.uint64(0x46)
    return ((below | above | words) & HIGH_BITS) == 0


def _byte(words: Words, byte: int) -> Ints:
    return ((words >> np.uint64(8 * byte)) & np.uint64(0xFF)).view(np.int64)


def _calendar() -> tuple[Words, Ints]:
    """By 16 times the year plus the month: days in the month, days from the epoch to before it."""
    year, month = np.divmod(np.arange(10_000 * 16), 16)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    lengths = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0])[month]
    lengths = np.where(year >= 1, lengths + (leap & (month == 2)), 0)
    before = np.cumsum(lengths) - lengths
    return lengths.astype(np.uint64), before - before[1970 * 16] - 1


MONTH_LENGTHS, DAYS_BEFORE = _calendar()


def _tail(spans: Spans) -> tuple[Ints, Bools]:
    """What follows the seconds: a fraction, a zone, both. Returns a shift in µs and flags."""
    text = spans.gather(spans.starts + CLOCK, LONGEST - CLOCK)
    lengths = spans.lengths - CLOCK
    good = lengths <= text.shape[1]
    position = np.zeros(len(spans), np.int64)
    fraction = np.zeros(len(spans), np.int64)
    dotted = np.isin(text[:, 0], (0x2E, 0x2C))
    if dotted.any():
        fraction, digits = _fraction(text, lengths)
        good &= ~dotted | (digits > 0)
        fraction = np.where(dotted, fraction, 0)
        position = np.where(dotted, digits + 1, 0)
    shift, zoned = _zone(text, position, lengths)
    return fraction - shift, good & zoned


def _fraction(text: Bytes, lengths: Ints) -> tuple[Ints, Ints]:
    """Microseconds in the digits after the first character, and how many digits there are."""
    columns = np.arange(1, text.shape[1])
    is_digit = ((text[:, 1:] - np.uint8(0x30)) <= 9) & (columns < lengths[:, None])
    stop = ~is_digit
    digits = np.where(stop.any(axis=1), stop.argmax(axis=1), is_digit.shape[1])
    micros = np.zeros(len(text), np.int64)
    for place in range(6):
        inside = place < digits
        micros = micros * 10 + np.where(inside, text[:, 1 + place].astype(np.int64) - 0x30, 0)
    return micros, digits


def _zone(text: Bytes, position: Ints, lengths: Ints) -> tuple[Ints, Bools]:
    """The offset from UTC in µs that stands at `position`, which must be the end of the text."""
    left = lengths - position
    good = left == 0
    shift = np.zeros(len(text), np.int64)
    if good.all():
        return shift, good
    rows = np.arange(len(text))
    width = text.shape[1]

    def at(place: int | Ints) -> npt.NDArray[np.int64]:
        return text[rows, np.minimum(position + place, width - 1)].astype(np.int64)

    def two(place: int | Ints) -> tuple[Ints, Bools]:
        tens, units = at(place) - 0x30, at(place + 1) - 0x30
        return tens * 10 + units, (tens >= 0) & (tens <= 9) & (units >= 0) & (units <= 9)

    # One space may stand before the zone, as databases write it.
    spaced = (left > 1) & (at(0) == 0x20)
    position = position + spaced
    left = left - spaced
    mark = at(0)
    good |= (left == 1) & ((mark | 0x20) == 0x7A)
    signed = (mark == 0x2B) | (mark == 0x2D)
    colon = (left == 6) & (at(3) == 0x3A)
    with_minutes = colon | (left == 5)
    hours, right = two(1)
    minutes, right_minutes = two(np.where(colon, 4, 3))
    minutes = np.where(with_minutes, minutes, 0)
    offset = signed & right & (hours <= 23) & (minutes < 60)
    offset &= (left == 3) | (with_minutes & right_minutes)
    sign = np.where(mark == 0x2D, -1, 1)
    shift = np.where(offset, sign * (hours * 3600 + minutes * 60) * SECOND, 0)
    return shift, good | offset


def _without_seconds(spans: Spans) -> tuple[Ints, Bools]:
    """`2019-02-19T14:02`, with or without a zone: ISO 8601 lets the seconds go."""
    short = 16
    after = spans.buffer[spans.starts + short]
    # The seconds are ours: neither they nor a fraction can follow.
    possible = (spans.lengths == short) | ~np.isin(after, (0x2E, 0x2C, 0x3A))
    possible &= (spans.lengths >= short) & (spans.lengths < LONGEST - 3)
    rows = np.flatnonzero(possible)
    micros, good = np.zeros(len(spans), np.int64), np.zeros(len(spans), bool)
    if not len(rows):
        return micros, good
    text = np.ascontiguousarray(spans.take(rows).gather(spans.starts[rows], LONGEST))
    full = np.full((len(rows), LONGEST + 3 + 64), 0x20, np.uint8)
    full[:, :short] = text[:, :short]
    full[:, short : short + 3] = np.frombuffer(b":00", np.uint8)
    full[:, short + 3 : LONGEST + 3] = text[:, short:]
    starts = np.arange(len(rows), dtype=np.int64) * full.shape[1]
    whole = Spans(full.reshape(-1), starts, spans.lengths[rows] + 3)
    clock, right = _clock(whole)
    tail, tail_right = _tail(whole)
    micros[rows], good[rows] = clock + tail, right & tail_right
    return micros, good


def _epoch(spans: Spans) -> tuple[Ints, Bools]:
    """Seconds or milliseconds since the epoch, by their size."""
    numbers = parse_numbers(spans)
    good = numbers.is_number & (np.abs(numbers.values) < LATEST / 1000)
    milliseconds = np.abs(numbers.values) >= MILLISECONDS_FROM
    with np.errstate(invalid="ignore"):
        # The whole and the fraction apart: together they are more than a double can hold.
        whole = np.where(good, np.trunc(numbers.values), 0)
        fraction = np.where(good, numbers.values - whole, 0)
        from_milliseconds = whole.astype(np.int64) * 1000
        from_milliseconds += np.rint(fraction * 1000).astype(np.int64)
    return np.where(milliseconds, from_milliseconds, numbers.micros), good
