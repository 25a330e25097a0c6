"""Readings in message format A, made many at a time.

All arithmetic is on integers: every random number is a hash (SplitMix64: Steele et al. 2014) of
the seed and of the reading's number, so a file is the same byte for byte on any machine and with
any version of NumPy, and a shuffled file holds the lines of the ordered one. A block of lines is
a table of bytes, one row a line: each field has its columns, bytes not needed are NUL, and all
NULs are dropped at the end.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from benchmarks.defects import DEFECTS, FIELDS, REASONS
from benchmarks.places import PLACES

__all__ = ["Recipe", "make_lines"]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

FIRST_DAY = datetime.date(2024, 12, 1)
SECONDS_A_DAY = 86_400
DEGREE = 10_000_000  # coordinates are integers of 1e-7 degree
TOWN_RADIUS = DEGREE // 4
COUNTRYSIDE_RADIUS = DEGREE  # of one reading in sixteen
BYTES_A_READING = 153.34  # the mean of a good one; bad ones are shorter or longer

WIDTHS = {
    "open": 1,
    "id": 44,
    "timestamp": 34,
    "lat": 19,
    "lon": 19,
    "temperature": 29,
    "country": 26,
    "close": 1,
    "newline": 1,
}
OFFSETS = dict(zip(WIDTHS, np.cumsum([0, *WIDTHS.values()]).tolist(), strict=False))


@dataclass(frozen=True)
class Recipe:
    """What a generated file holds; the same recipe makes the same bytes.

    Args:
        size: about how many bytes; a good reading has about 153.
        days: from 2024-12-01 on, evenly filled.
        bad: the share of records that are not readings, 0 to 1.
        repeated: the share of lines that repeat an earlier line, 0 to 0.5.
        shuffled: in random order instead of time order.
        seed: another seed, other readings.

    Raises:
        ValueError: a value is outside its range.
    """

    size: int
    days: int = 1
    bad: float = 0.0
    repeated: float = 0.0
    shuffled: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or self.days < 1 or not 0 <= self.bad <= 1 or not 0 <= self.seed < 2**64:
            msg = (
                f"size and days must be positive, bad between 0 and 1, seed between 0 and 2^64: "
                f"size={self.size}, days={self.days}, bad={self.bad}, seed={self.seed}"
            )
            raise ValueError(msg)
        if not 0 <= self.repeated <= 0.5:
            msg = f"repeated must be between 0 and 0.5, not {self.repeated}"
            raise ValueError(msg)

    @property
    def _repeat_every(self) -> int:
        """Each so many lines one repeats an earlier one; 0 where none does."""
        return round(1 / self.repeated) if self.repeated else 0

    @property
    def repeats(self) -> int:
        """How many lines repeat an earlier one."""
        return self.records // self._repeat_every if self._repeat_every else 0

    def originals(self, numbers: Integers) -> Integers:
        """The number of the line that each line shows: its own, or an earlier one."""
        every = self._repeat_every
        if not every:
            return numbers
        earlier = _upper(_draw(self.seed, 8, numbers), 2**31) % np.maximum(numbers, 1)
        earlier -= earlier % every == every - 1
        return np.where(numbers % every == every - 1, earlier, numbers)

    @property
    def records(self) -> int:
        """How many lines; it depends on the size only, so recipes of one size can be compared."""
        return max(1, round(self.size / BYTES_A_READING))


REASON_OF_DEFECT = np.array([REASONS.index(defect.reason) for defect in DEFECTS])


def _table(values: list[str]) -> Bytes:
    """Strings as rows of bytes, NULs first."""
    encoded = [value.encode() for value in values]
    width = max(map(len, encoded))
    return np.array([list(value.rjust(width, b"\0")) for value in encoded], np.uint8)


HEX = _table([f"{i:04x}" for i in range(65_536)])
DIGITS = _table([f"{i:04d}" for i in range(10_000)])
WHOLE = _table([str(i) for i in range(181)])
CLOCK = _table([str(datetime.timedelta(seconds=i)).rjust(8, "0") for i in range(SECONDS_A_DAY)])
COUNTRIES = _table([f'"country":"{place.country}"' for place in PLACES])
LATITUDES = np.array([round(place.latitude * DEGREE) for place in PLACES], np.int64)
LONGITUDES = np.array([round(place.longitude * DEGREE) for place in PLACES], np.int64)
WEIGHTS = np.cumsum([place.weight for place in PLACES])


def _template() -> Bytes:
    parts = dict.fromkeys(WIDTHS, b"")
    for field in FIELDS:
        key = b'"%s":' % field.encode()
        parts[field] = key.ljust(WIDTHS[field] - 1, b"\0") + b","
    parts |= {"open": b"{", "close": b"}", "newline": b"\n"}
    line = b"".join(part.ljust(WIDTHS[name], b"\0") for name, part in parts.items())
    return np.frombuffer(line, np.uint8)


TEMPLATE = _template()


def _mix(values: Hashes) -> Hashes:
    """SplitMix64's finalizer, a bijection of 64-bit integers."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _draw(seed: int, purpose: int, numbers: Integers) -> Hashes:
    """One random 64-bit integer for each reading's number, another for each purpose."""
    base = _mix(np.array([seed], np.uint64)) + np.uint64(purpose)
    return _mix(_mix(base) + numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _upper(draw: Hashes, below: int) -> Integers:
    """The upper half of a draw as an integer from 0 to `below` - 1."""
    return (((draw >> np.uint64(32)) * np.uint64(below)) >> np.uint64(32)).astype(np.int64)


def _lower(draw: Hashes, below: int) -> Integers:
    """The lower half of a draw as an integer from 0 to `below` - 1."""
    return _upper(draw << np.uint64(32), below)


def _shuffle(numbers: Integers, count: int, seed: int) -> Integers:
    """A permutation of 0 to `count` - 1, without holding it in memory.

    Odd multiplication and xor-shift are bijections of the next power of two; who lands beyond
    `count` walks on along its cycle, which keeps it a bijection of the rest.
    """
    bits = max(2, (count - 1).bit_length())
    mask, shift = np.uint64(2**bits - 1), np.uint64((bits + 1) // 2)
    draws = _draw(seed, 6, np.arange(4)) | np.uint64(1)
    result = numbers.astype(np.uint64)
    walking = np.arange(len(result))
    while len(walking):
        values = result[walking]
        for draw in draws:
            values = ((values + (draw >> np.uint64(7))) * draw) & mask
            values ^= values >> shift
        result[walking] = values
        walking = walking[values >= np.uint64(count)]
    return result.astype(np.int64)


def _scatter(draw: Hashes, radius: Integers) -> Integers:
    """A distance within the radius either way, denser towards 0: the product of two uniforms."""
    side = _upper(draw, 2**32) - 2**31
    return (((side * _lower(draw, 2**31)) >> 31) * radius) >> 31


def _write_decimal(columns: Bytes, values: Integers, decimals: int) -> None:
    """Writes `values` / 10^`decimals` as JSON prints it: without trailing zeros but the first."""
    whole, fraction = np.divmod(np.abs(values), 10**decimals)
    columns[:, 0] = np.where(values < 0, ord("-"), 0)
    columns[:, 1:4] = WHOLE[whole]
    columns[:, 4] = ord(".")
    end = 5 + decimals
    columns[:, end - 4 : end] = DIGITS[fraction % 10_000]
    if decimals > 4:
        columns[:, 5 : end - 4] = DIGITS[fraction // 10_000][:, 8 - decimals :]
    rows = np.arange(len(columns))
    for column in range(end - 1, 5, -1):
        rows = rows[columns[rows, column] == ord("0")]
        columns[rows, column] = 0


def _temperatures(draw: Hashes, latitudes: Integers, seconds: Integers) -> Integers:
    """In 1e-4 °C: colder to the north, warmest at 15:00, give or take 4 degrees."""
    from_peak = np.abs((seconds - 3 * 3_600) % SECONDS_A_DAY - SECONDS_A_DAY // 2)
    words: Integers = draw.astype("<u8").view("<u2").reshape(-1, 4).astype(np.int64)
    noise: Integers = words.sum(axis=1) - 131_070
    warmth: Integers = 310_000 - np.abs(latitudes) // 2_500 - from_peak * 80_000 // 43_200
    return warmth + noise


def _write_fields(lines: Bytes, recipe: Recipe, numbers: Integers) -> None:
    def columns(field: str, start: int = 0) -> Bytes:
        return lines[:, OFFSETS[field] + start : OFFSETS[field] + WIDTHS[field]]

    draws = [_draw(recipe.seed, purpose, numbers) for purpose in range(6)]
    words = np.stack(draws[:2], axis=1).astype("<u8").view("<u2").astype(np.int64)
    words[:, 3] = words[:, 3] & 0x0FFF | 0x4000  # a UUID of version 4
    words[:, 4] = words[:, 4] & 0x3FFF | 0x8000
    identity = columns("id", len('"id":'))
    identity[:, [0, 37]] = ord('"')
    identity[:, [9, 14, 19, 24]] = ord("-")
    for word, start in enumerate([1, 5, 10, 15, 20, 25, 29, 33]):
        identity[:, start : start + 4] = HEX[words[:, word]]

    second = numbers * (recipe.days * SECONDS_A_DAY) // recipe.records
    day, clock = np.divmod(second, SECONDS_A_DAY)
    stamp = columns("timestamp", len('"timestamp":'))
    stamp[:, [0, 20]] = ord('"')
    first = int(day.min())
    dates = [str(FIRST_DAY + datetime.timedelta(days=i)) for i in range(first, int(day.max()) + 1)]
    stamp[:, 1:11] = _table(dates)[day - first]
    stamp[:, 11] = ord(" ")
    stamp[:, 12:20] = CLOCK[clock]

    place = np.searchsorted(WEIGHTS, _upper(draws[2], int(WEIGHTS[-1])), side="right")
    radius = np.where(_lower(draws[2], 16) == 0, COUNTRYSIDE_RADIUS, TOWN_RADIUS)
    latitudes = LATITUDES[place] + _scatter(draws[3], radius)
    longitudes = LONGITUDES[place] + _scatter(draws[4], radius)
    _write_decimal(columns("lat", len('"lat":')), latitudes, 7)
    _write_decimal(columns("lon", len('"lon":')), longitudes, 7)
    temperatures = _temperatures(draws[5], latitudes, clock)
    _write_decimal(columns("temperature", len('"temperature":')), temperatures, 4)
    columns("country")[:, : COUNTRIES.shape[1]] = COUNTRIES[place]


def _spoil(lines: Bytes, recipe: Recipe, numbers: Integers) -> Integers:
    """Turns the recipe's share of lines into bad ones; returns how many for each of `REASONS`."""
    draw = _draw(recipe.seed, 7, numbers)
    below = int(Fraction(str(recipe.bad)) * 2**32)
    rows = np.flatnonzero(_upper(draw, 2**32) < below)
    kinds = _lower(draw[rows], len(DEFECTS))
    for kind, defect in enumerate(DEFECTS):
        mine = rows[kinds == kind]
        for part, text in defect.edits.items():
            start = OFFSETS[part]
            padded = text.ljust(WIDTHS[part], b"\0")
            lines[mine, start : start + WIDTHS[part]] = np.frombuffer(padded, np.uint8)
    return np.bincount(REASON_OF_DEFECT[kinds], minlength=len(REASONS))


def make_lines(recipe: Recipe, start: int, stop: int) -> tuple[bytes, dict[str, int]]:
    """The lines `start` to `stop` - 1 of the recipe's file.

    Args:
        recipe: what the file holds.
        start: the first line's number, from 0.
        stop: the number after the last line's, at most `recipe.records`.

    Returns:
        The lines, each with its newline, and how many bad ones there are by reason.
    """
    numbers = np.arange(start, stop, dtype=np.int64)
    if recipe.shuffled:
        numbers = _shuffle(numbers, recipe.records, recipe.seed)
    numbers = recipe.originals(numbers)
    lines = np.tile(TEMPLATE, (len(numbers), 1))
    _write_fields(lines, recipe, numbers)
    bad = _spoil(lines, recipe, numbers)
    text = lines.tobytes().translate(None, b"\0")
    return text, dict(zip(REASONS, bad.tolist(), strict=True))
