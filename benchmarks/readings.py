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
from simulation import chance
from simulation.byte_columns import CLOCK, table, write_decimal, write_uuid
from simulation.places import PLACES

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
    "lat": 20,
    "lon": 20,
    "temperature": 30,
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
        hot: the share of readings that lie in Paris; the others lie evenly in a town of each of
            the other 17 regions. None: around all towns, as many as their inhabitants would send.

    Raises:
        ValueError: a value is outside its range.
    """

    size: int
    days: int = 1
    bad: float = 0.0
    repeated: float = 0.0
    shuffled: bool = False
    seed: int = 1
    hot: float | None = None

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
        if self.hot is not None and not 0 <= self.hot <= 1:
            msg = f"hot must be between 0 and 1, not {self.hot}"
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
        earlier = chance.upper(chance.draw(self.seed, 8, numbers), 2**31) % np.maximum(numbers, 1)
        earlier -= earlier % every == every - 1
        return np.where(numbers % every == every - 1, earlier, numbers)

    @property
    def records(self) -> int:
        """How many lines; it depends on the size only, so recipes of one size can be compared."""
        return max(1, round(self.size / BYTES_A_READING))


REASON_OF_DEFECT = np.array([REASONS.index(defect.reason) for defect in DEFECTS])
COUNTRIES = table([f'"country":"{place.country}"' for place in PLACES])
LATITUDES = np.array([round(place.latitude * DEGREE) for place in PLACES], np.int64)
LONGITUDES = np.array([round(place.longitude * DEGREE) for place in PLACES], np.int64)
WEIGHTS = np.cumsum([place.weight for place in PLACES])
TOWNS = (
    *("Paris", "Orléans", "Dijon", "Rouen", "Lille", "Strasbourg", "Nantes", "Rennes", "Bordeaux"),
    *("Toulouse", "Lyon", "Marseille", "Ajaccio", "Pointe-à-Pitre", "Fort-de-France", "Cayenne"),
    *("Saint-Denis de La Réunion", "Mamoudzou"),
)
"""One of each region; the first may be hot."""

CHIEF = np.array([[place.name for place in PLACES].index(town) for town in TOWNS])
CHIEF_RADIUS = DEGREE // 20


def _template() -> Bytes:
    parts = dict.fromkeys(WIDTHS, b"")
    for field in FIELDS:
        key = b'"%s":' % field.encode()
        parts[field] = key.ljust(WIDTHS[field] - 1, b"\0") + b","
    parts |= {"open": b"{", "close": b"}", "newline": b"\n"}
    line = b"".join(part.ljust(WIDTHS[name], b"\0") for name, part in parts.items())
    return np.frombuffer(line, np.uint8)


TEMPLATE = _template()


def _shuffle(numbers: Integers, count: int, seed: int) -> Integers:
    """A permutation of 0 to `count` - 1, without holding it in memory.

    Odd multiplication and xor-shift are bijections of the next power of two; who lands beyond
    `count` walks on along its cycle, which keeps it a bijection of the rest.
    """
    bits = max(2, (count - 1).bit_length())
    mask, shift = np.uint64(2**bits - 1), np.uint64((bits + 1) // 2)
    draws = chance.draw(seed, 6, np.arange(4)) | np.uint64(1)
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


def _temperatures(draw: Hashes, latitudes: Integers, seconds: Integers) -> Integers:
    """In 1e-4 °C: colder to the north, warmest at 15:00, give or take 4 degrees."""
    from_peak = np.abs((seconds - 3 * 3_600) % SECONDS_A_DAY - SECONDS_A_DAY // 2)
    words: Integers = draw.astype("<u8").view("<u2").reshape(-1, 4).astype(np.int64)
    noise: Integers = words.sum(axis=1) - 131_070
    warmth: Integers = 310_000 - np.abs(latitudes) // 2_500 - from_peak * 80_000 // 43_200
    return warmth + noise


def _places(draw: Hashes, hot: float | None) -> tuple[Integers, Integers]:
    """By reading the place that it is near, and how far from it, at most."""
    if hot is not None:
        other = CHIEF[1:][chance.lower(draw, len(CHIEF) - 1)]
        is_hot = chance.upper(draw, 2**32) < int(Fraction(str(hot)) * 2**32)
        return np.where(is_hot, CHIEF[0], other), np.full(len(draw), CHIEF_RADIUS)
    place = np.searchsorted(WEIGHTS, chance.upper(draw, int(WEIGHTS[-1])), side="right")
    radius = np.where(chance.lower(draw, 16) == 0, COUNTRYSIDE_RADIUS, TOWN_RADIUS)
    return place, radius


def _write_fields(lines: Bytes, recipe: Recipe, numbers: Integers) -> None:
    def columns(field: str, start: int = 0) -> Bytes:
        return lines[:, OFFSETS[field] + start : OFFSETS[field] + WIDTHS[field]]

    draws = [chance.draw(recipe.seed, purpose, numbers) for purpose in range(6)]
    identity = columns("id", len('"id":'))
    identity[:, [0, 37]] = ord('"')
    write_uuid(identity[:, 1:37], *draws[:2])

    second = numbers * (recipe.days * SECONDS_A_DAY) // recipe.records
    day, clock = np.divmod(second, SECONDS_A_DAY)
    stamp = columns("timestamp", len('"timestamp":'))
    stamp[:, [0, 20]] = ord('"')
    first = int(day.min())
    dates = [str(FIRST_DAY + datetime.timedelta(days=i)) for i in range(first, int(day.max()) + 1)]
    stamp[:, 1:11] = table(dates)[day - first]
    stamp[:, 11] = ord(" ")
    stamp[:, 12:20] = CLOCK[clock]

    place, radius = _places(draws[2], recipe.hot)
    latitudes = LATITUDES[place] + chance.scatter(draws[3], radius)
    longitudes = LONGITUDES[place] + chance.scatter(draws[4], radius)
    write_decimal(columns("lat", len('"lat":')), latitudes, 7)
    write_decimal(columns("lon", len('"lon":')), longitudes, 7)
    temperatures = _temperatures(draws[5], latitudes, clock)
    write_decimal(columns("temperature", len('"temperature":')), temperatures, 4)
    columns("country")[:, : COUNTRIES.shape[1]] = COUNTRIES[place]


def _spoil(lines: Bytes, recipe: Recipe, numbers: Integers) -> Integers:
    """Turns the recipe's share of lines into bad ones; returns how many for each of `REASONS`."""
    draw = chance.draw(recipe.seed, 7, numbers)
    below = int(Fraction(str(recipe.bad)) * 2**32)
    rows = np.flatnonzero(chance.upper(draw, 2**32) < below)
    kinds = chance.lower(draw[rows], len(DEFECTS))
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
