"""JSON arrays of flat objects, one array a line, cut into their objects the quick way.

Where no bracket, brace or backslash stands inside an object, its end is the next brace. That this
is so is checked by counting; whatever else there is, is left to `transforms.records.split_array`.
"""

from __future__ import annotations

import numpy as np

from transforms.spans import CACHED, Bools, Bytes, Ints, Spans, Words, positions_of

__all__ = ["flat_objects"]

SPACE, QUOTE, BACKSLASH, COMMA = 0x20, 0x22, 0x5C, 0x2C
OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT = 0x5B, 0x5D, 0x7B, 0x7D


def flat_objects(buffer: Bytes, starts: Ints, lengths: Ints) -> Spans | None:
    """The objects of arrays such as `[{"a": 1}, {"a": 2}]`.

    Args:
        buffer: the padded text.
        starts: where the arrays begin, each with a `[`.
        lengths: how long they are.

    Returns:
        The objects in order; None where any of the arrays is written in another way.
    """
    ends = starts + lengths
    text = buffer[starts[0] : ends[-1]]
    closes = positions_of(text, CLOSE_OBJECT) + starts[0]
    firsts = np.searchsorted(closes, starts)
    counts = np.diff(firsts, append=len(closes))
    if counts.min() == 0:
        return None
    lasts = firsts + counts - 1
    opens = np.empty_like(closes)
    opens[1:] = closes[:-1] + 2
    opens[1:] += buffer[opens[1:]] == SPACE
    opens[firsts] = starts + 1
    between = buffer[closes + 1] == COMMA
    between[lasts] = (closes[lasts] == ends - 2) & (buffer[ends - 1] == CLOSE_ARRAY)
    if not (between.all() and (buffer[opens] == OPEN_OBJECT).all()):
        return None
    # One pair of braces an object, one of brackets an array, no escapes: then a brace or comma
    # that was taken for structure could only stand in a string if quotes before it were odd.
    if (
        _count(text, OPEN_OBJECT) != len(closes)
        or _count(text, OPEN_ARRAY) != len(starts)
        or _count(text, CLOSE_ARRAY) != len(starts)
        or _count(text, BACKSLASH)
    ):
        return None
    quotes, before = _flags(text, QUOTE)
    outside = ~_odd(quotes, before, opens - starts[0])
    outside[lasts] &= ~_odd(quotes, before, closes[lasts] - starts[0])
    return Spans(buffer, opens, closes + 1 - opens) if outside.all() else None


def _count(text: Bytes, byte: int) -> int:
    parts = range(0, len(text), CACHED)
    return sum(int(np.count_nonzero(text[begin : begin + CACHED] == byte)) for begin in parts)


def _flags(text: Bytes, byte: int) -> tuple[Words, Ints]:
    """Which bytes are equal to one, as bits of words; how many there are before each word."""
    flags = np.zeros((len(text) // 64 + 1) * 8, np.uint8)
    for begin in range(0, len(text), CACHED):
        bits = np.packbits(text[begin : begin + CACHED] == byte, bitorder="little")
        flags[begin // 8 : begin // 8 + len(bits)] = bits
    words: Words = flags.view("<u8")
    counts = np.bitwise_count(words)
    return words, np.cumsum(counts, dtype=np.int64) - counts


def _odd(words: Words, before: Ints, places: Ints) -> Bools:
    """Where the number of flags before a place is odd."""
    rows = places >> 6
    below = (np.uint64(1) << (places & 63).astype(np.uint64)) - np.uint64(1)
    odd: Bools = ((before[rows] + np.bitwise_count(words[rows] & below)) & 1) == 1
    return odd
