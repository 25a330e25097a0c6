"""Messages made ahead: a block of readings in which only ids and times change from time to time.

A block is sent again and again. Each time, the eight hexadecimal digits that its ids begin with are
the block's number, and its times are the second in which it is sent; both are written into their
places by NumPy. The rest of an id is random and differs from row to row, so ids never meet.

Of each block some rows are readings of an earlier block once more: repeats say the same again,
corrections have another value, and every second one another place, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.readings import BYTES_A_READING, Recipe, make_lines

__all__ = ["CORRECTION", "ORIGINAL", "REPEAT", "Block", "Said", "Shares", "make_blocks"]

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

ORIGINAL, REPEAT, CORRECTION = range(3)
ID_AT = len('{"id":"')
NUMBER = 8
"""Digits of a block's number."""
SPREAD = 2_654_435_761
TIME_AT = len('{"id":"1b16b092-e8e8-490b-a9be-0db1580fb164","timestamp":"')
TIME = len("2019-02-19 14:02:10")
NEWLINE, COMMA = ord("\n"), ord(",")


@dataclass(frozen=True)
class Shares:
    """What part of the messages is no new reading.

    Attributes:
        repeats: say the same again.
        corrections: say something else about a reading that was sent before.
        hot: lie in one region, the others evenly in the other ones; None: as inhabitants do.
    """

    repeats: float = 0.02
    corrections: float = 0.02
    hot: float | None = None

    def __post_init__(self) -> None:
        """Refuses shares that leave too few readings to repeat or to correct."""
        if min(self.repeats, self.corrections) < 0 or self.repeats + self.corrections > 0.5:
            msg = (
                "repeats and corrections are shares from 0 to 0.5 in all, not "
                f"{self.repeats:g} and {self.corrections:g}"
            )
            raise ValueError(msg)


@dataclass(frozen=True)
class Said:
    """What readings say.

    Attributes:
        longitudes, latitudes: degrees.
        in_france: the message says that its country is France.
        values: in 1e-6.
    """

    longitudes: npt.NDArray[np.float64]
    latitudes: npt.NDArray[np.float64]
    in_france: npt.NDArray[np.bool_]
    values: Integers


class Block:
    """Readings that are sent together.

    Args:
        lines: their texts, of placeholders where ids and times go.
        kinds: what each is: `ORIGINAL`, `REPEAT` or `CORRECTION`.
        about: the row that each repeats or corrects; of an original its own.
        per_message: readings in a message: 1, or an array of so many; the last may have fewer.

    Attributes:
        kinds, about: as given.
        said: what each says of place and value.
        bytes: of all messages.
        messages: how many there are.
    """

    def __init__(
        self, lines: list[bytes], kinds: Integers, about: Integers, per_message: int
    ) -> None:
        self.kinds, self.about = kinds, about
        self.said = _read(lines)
        messages = [
            lines[begin : begin + per_message] for begin in range(0, len(lines), per_message)
        ]
        if per_message == 1:
            text, before = b"\n".join(lines), 0
        else:
            text, before = b"\n".join(b"[%s]" % b",".join(rows) for rows in messages), 1
        self.bytes = len(text) - (len(messages) - 1)
        self.messages = len(messages)
        self._text: Bytes = np.frombuffer(bytearray(text), np.uint8)
        starts = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
        # Each array before a line has two brackets of its own, and the newline is the comma's.
        starts = starts + (np.arange(len(lines)) // per_message * 2 + 1) * before
        old = kinds != ORIGINAL
        self._ids = [_places(starts[rows], ID_AT, NUMBER) for rows in (~old, old)]
        self._times = [_places(starts[rows], TIME_AT, TIME) for rows in (~old, old)]

    def __len__(self) -> int:
        return len(self.kinds)

    def texts(self, number: int, second: int, before: tuple[int, int]) -> list[bytes]:
        """The messages.

        Args:
            number: this block's, from 0 to 16^8 - 1.
            second: the event time of its readings.
            before: number and second of the block whose readings are repeated and corrected.
        """
        for place, (block, moment) in enumerate([(number, second), before]):
            # Multiplied by an odd number, so that ids are not in the order of time.
            digits = np.frombuffer(b"%08x" % (block * SPREAD % 16**NUMBER), np.uint8)
            clock = str(np.datetime64(moment, "s")).replace("T", " ").encode()
            self._text[self._ids[place]] = digits
            self._text[self._times[place]] = np.frombuffer(clock, np.uint8)
        return self._text.tobytes().split(b"\n")


def make_blocks(
    number: int, size: int, per_message: int, shares: Shares, seed: int = 1
) -> list[Block]:
    """Makes blocks of readings of message format A.

    Args:
        number: how many blocks.
        size: readings in each.
        per_message: readings in a message.
        shares: of repeats and corrections.
        seed: another seed, other readings.
    """
    repeats, corrections = round(size * shares.repeats), round(size * shares.corrections)
    originals = size - repeats - corrections
    rows = number * size
    recipe = Recipe(int((rows + 16) * BYTES_A_READING), seed=seed, hot=shares.hot)
    lines = make_lines(recipe, 0, rows)[0].split(b"\n")[:rows]
    order = np.random.default_rng(seed)
    blocks = []
    for first in range(0, rows, size):
        mine = lines[first : first + originals]
        others = lines[first + originals : first + size]
        # Repeats are of the first rows, corrections of those after them.
        mine += mine[:repeats]
        mine += [
            _corrected(mine[repeats + row], others[row], moved=bool(row % 2))
            for row in range(corrections)
        ]
        kinds = np.repeat([ORIGINAL, REPEAT, CORRECTION], [originals, repeats, corrections])
        about = np.concatenate([np.arange(originals), np.arange(repeats + corrections)])
        place = order.permutation(size)
        row_at = np.argsort(place)
        texts = [mine[row] for row in place]
        blocks.append(Block(texts, kinds[place], row_at[about[place]], per_message))
    return blocks


def _corrected(line: bytes, other: bytes, *, moved: bool) -> bytes:
    """A reading with the value of another one, and with its place if it has moved."""
    cut = line.index(b',"lat":')
    begin, rest = line[:cut], line[cut:]
    other_rest = other[other.index(b',"lat":') :]
    if moved:
        return begin + other_rest
    place, _, after = rest.partition(b',"temperature":')
    _, _, other_after = other_rest.partition(b',"temperature":')
    value, country = other_after.split(b",")[0], after.partition(b",")[2]
    return begin + place + b',"temperature":' + value + b"," + country


def _read(lines: list[bytes]) -> Said:
    """What lines of message format A say."""
    found = [json.loads(line) for line in lines]
    return Said(
        np.array([each["lon"] for each in found]),
        np.array([each["lat"] for each in found]),
        np.array([each["country"] == "France" for each in found]),
        np.array([round(each["temperature"] * 1e6) for each in found], np.int64),
    )


def _places(starts: Integers, at: int, width: int) -> Integers:
    return starts[:, None] + np.arange(at, at + width)
