"""Which records hold something inside a string that a template does not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.spans import CACHED, Bools, Bytes, Ints, Spans

__all__ = ["unusual_rows"]

NEWLINE, QUOTE, BACKSLASH = 0x0A, 0x22, 0x5C
WIDEST_GAP = 2
"""Bytes between lines, at most, that are counted the quick way: \\r and \\n."""


def unusual_rows(
    records: Spans, fitting: npt.NDArray[np.int64], quotes: npt.NDArray[np.int64], *, lines: bool
) -> Bools:
    """Which of the fitting records have something inside a string that a pattern does not see.

    Args:
        records: all records of the block, in rising order.
        fitting: the rows that fit a template.
        quotes: how many quotation marks a record of each one's template has.
        lines: no record holds a newline, because the block was cut into lines.

    Returns:
        Records with another number of quotation marks, a backslash, a control character, or
        bytes that are not UTF-8.
    """
    buffer = records.buffer
    unusual = np.zeros(len(records), bool)
    others = np.ones(len(records), bool)
    others[fitting] = False
    rest = records.take(np.flatnonzero(others)).compact()
    expected = int(quotes.sum())
    if _nothing_else(records, rest, expected):
        return unusual
    seen = _census(buffer)
    quotes_left = int(np.count_nonzero(rest.buffer == QUOTE))
    if seen.quotes - quotes_left != expected:
        found = _count(records, QUOTE)
        unusual[fitting] |= found[fitting] != quotes
    if seen.backslashes:
        unusual |= _count(records, BACKSLASH) > 0
    if lines and seen.special == seen.newlines:
        return unusual
    unusual |= _holding(records, np.flatnonzero(buffer < 0x20))
    beyond = np.flatnonzero(buffer >= 0x80)
    if len(beyond):
        try:
            buffer.tobytes().decode()
        except UnicodeDecodeError:
            unusual |= _holding(records, beyond)
    return unusual


def _nothing_else(records: Spans, rest: Spans, quotes: int) -> bool:
    """Whether the fitting records hold no mark but their templates' quotation marks.

    The templates' own are there, as the literals stand: if the marks in the whole block, less
    those between records and in other records, are no more than these, none is elsewhere.
    """
    begins, ends = records.starts, records.starts + records.lengths
    gaps = begins[1:] - ends[:-1]
    widest = int(gaps.max()) if len(gaps) else 0
    if widest > WIDEST_GAP:
        return False
    buffer = records.buffer[begins[0] : ends[-1]]
    found = _marks(buffer) - _marks(rest.buffer)
    for distance in range(widest):
        found -= _marks(records.buffer[(ends[:-1] + distance)[gaps > distance]])
    return found == quotes


def _marks(buffer: Bytes) -> int:
    """How many bytes are quotation marks, backslashes, control characters or beyond ASCII."""
    count = 0
    for begin in range(0, len(buffer), CACHED):
        part = buffer[begin : begin + CACHED]
        # With one bit turned, quotation marks come right after the control characters; as
        # signed numbers, bytes beyond ASCII come before them.
        count += int(np.count_nonzero((part ^ np.uint8(2)).view(np.int8) <= QUOTE ^ 2))
        count += int(np.count_nonzero(part == BACKSLASH))
    return count


@dataclass
class _Seen:
    """How often some bytes occur. `special` are control characters and bytes beyond ASCII."""

    quotes: int = 0
    backslashes: int = 0
    newlines: int = 0
    special: int = 0


def _census(buffer: Bytes) -> _Seen:
    seen = _Seen()
    for begin in range(0, len(buffer), CACHED):
        part = buffer[begin : begin + CACHED]
        seen.quotes += int(np.count_nonzero(part == QUOTE))
        seen.backslashes += int(np.count_nonzero(part == BACKSLASH))
        seen.newlines += int(np.count_nonzero(part == NEWLINE))
        # As signed numbers, control characters and bytes beyond ASCII are less than a space.
        seen.special += int(np.count_nonzero(part.view(np.int8) < 0x20))
    return seen


def _holding(records: Spans, positions: Ints) -> Bools:
    """Which records hold one of the positions."""
    holding = np.zeros(len(records), bool)
    rows = np.searchsorted(records.starts, positions, side="right") - 1
    inside = positions < (records.starts + records.lengths)[rows]
    holding[rows[inside & (rows >= 0)]] = True
    return holding


def _count(records: Spans, byte: int) -> Ints:
    if len(records) < 1000:
        pieces = zip(records.starts.tolist(), records.lengths.tolist(), strict=True)
        view = [bytes(records.buffer[start : start + length]) for start, length in pieces]
        mark = bytes([byte])
        return np.array([piece.count(mark) for piece in view], np.int64)
    return _count_where(records, records.buffer == byte)


def _count_where(records: Spans, flags: Bools) -> Ints:
    total = np.zeros(len(flags) + 1, np.int32)
    np.cumsum(flags, out=total[1:])
    counts: Ints = (total[records.starts + records.lengths] - total[records.starts]).astype(
        np.int64
    )
    return counts
