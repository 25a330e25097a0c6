"""Pieces of text inside one byte buffer, and how to read many of them at once with NumPy.

A span is a start and a length. Reading words at arbitrary offsets costs one gather of a few
nanoseconds whatever the width, so text is taken 16 bytes at a time and worked on as two 64-bit
words ("SIMD within a register"; see Lemire, "Number parsing at a gigabyte per second", 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "PADDING",
    "Bools",
    "Bytes",
    "Floats",
    "Ints",
    "Spans",
    "Words",
    "counts_of",
    "find_byte",
    "gather_words",
    "holds",
    "padded",
    "positions_of",
]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Floats: TypeAlias = npt.NDArray[np.float64]

PADDING = 64
"""Bytes that must stand before and after the text, so that no read leaves the buffer."""

LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
HIGH_BITS = np.uint64(0x8080808080808080)
ONES = np.uint64(0x0101010101010101)
CACHED = 1 << 18
"""Bytes that are worked on at a time in passes over a whole buffer."""


@dataclass(frozen=True)
class Spans:
    """n pieces of text: `buffer[start : start + length]`, the buffer padded on both sides."""

    buffer: Bytes
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: npt.NDArray | slice) -> Spans:
        """The spans of some rows only."""
        return Spans(self.buffer, self.starts[rows], self.lengths[rows])

    def gather(self, offsets: Ints, width: int) -> npt.NDArray:
        """`width` bytes at each offset of the buffer, as a matrix of bytes."""
        return gather(self.buffer, offsets, width)

    def text(self, row: int) -> str:
        """One span as text."""
        start = int(self.starts[row])
        return bytes(self.buffer[start : start + int(self.lengths[row])]).decode("utf-8", "replace")

    def compact(self) -> Spans:
        """The same texts in a buffer of their own that holds nothing else."""
        return Spans.from_arrow(pc.cast(self._views(pa.binary_view()), pa.binary()))

    def _views(self, kind: pa.DataType) -> pa.Array:
        """The spans as an Arrow array of views into the same buffer, without a copy."""
        views = np.zeros((len(self), 16), np.uint8)
        lengths = self.lengths.astype(np.int32)
        views[:, :4] = lengths.view(np.uint8).reshape(-1, 4)
        # A view holds up to 12 bytes itself; of a longer text it holds 4 and the place.
        views[:, 4:8] = self.gather(self.starts, 4)
        views[:, 12:] = self.starts.astype(np.int32).view(np.uint8).reshape(-1, 4)
        short = np.flatnonzero(lengths <= 12)
        if len(short):
            whole = self.gather(self.starts[short], 12)
            whole[np.arange(12) >= lengths[short, None]] = 0
            views[short, 4:] = whole
        return pa.Array.from_buffers(
            kind, len(self), [None, pa.py_buffer(views), pa.py_buffer(self.buffer)]
        )

    def to_arrow(self) -> pa.Array:
        """The spans as an Arrow string array (they must be valid UTF-8)."""
        count = len(self)
        length = int(self.lengths[0]) if count else 0
        if 0 < length <= 1024 and bool((self.lengths == length).all()):
            offsets = np.arange(0, (count + 1) * length, length, dtype=np.int32)
            data = np.ascontiguousarray(self.gather(self.starts, length))
            return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))
        return pc.cast(self.to_arrow_views(), pa.string())

    def to_arrow_views(self) -> pa.Array:
        """The spans as Arrow strings that stay where they are (they must be valid UTF-8)."""
        return self._views(pa.string_view())

    @classmethod
    def from_arrow(cls, texts: pa.Array) -> Spans:
        """Spans over the text of an Arrow array of strings; NULL becomes a span of length 0."""
        offsets = np.frombuffer(texts.buffers()[1], np.int32)[
            texts.offset : texts.offset + len(texts) + 1
        ].astype(np.int64)
        data = texts.buffers()[2]
        content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
        # Arrow's buffer may be longer than what was written to it.
        content = content[: offsets[-1]]
        return cls(padded(content), offsets[:-1] + PADDING, np.diff(offsets))


def padded(text: bytes | Bytes) -> Bytes:
    """A copy of the text with `PADDING` spaces on both sides."""
    source = np.frombuffer(text, np.uint8) if isinstance(text, bytes) else text
    buffer = np.empty(len(source) + 2 * PADDING, np.uint8)
    buffer[:PADDING] = 32
    buffer[PADDING : PADDING + len(source)] = source
    buffer[PADDING + len(source) :] = 32
    return buffer


def gather(buffer: Bytes, offsets: Ints, width: int) -> npt.NDArray:
    """`width` bytes of the buffer at each offset: an array of n × width bytes."""
    windows = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer, strides=(1,))
    return windows[offsets].view(np.uint8).reshape(len(offsets), width)


def gather_words(buffer: Bytes, offsets: Ints) -> tuple[Words, Words]:
    """16 bytes of the buffer at each offset, as two words with the first byte lowest."""
    windows = np.ndarray((len(buffer) - 15,), "V16", buffer, strides=(1,))
    pairs = windows[offsets].view("<u8").reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def equal_bytes(words: Words, byte: int) -> Words:
    """0x80 in every byte of the words that equals `byte`, 0 in the others (exact)."""
    other = words ^ (ONES * np.uint64(byte))
    return ~(((other & LOW_BITS) + LOW_BITS) | other | LOW_BITS)


def first_flag(flags: Words) -> npt.NDArray[np.int64]:
    """Index (0 to 7) of the lowest byte flagged by `equal_bytes`, 8 where none is."""
    lowest = flags & (~flags + np.uint64(1))
    return (np.bitwise_count(lowest - np.uint64(1)) >> 3).astype(np.int64)


def find_byte(buffer: Bytes, offsets: Ints, byte: int) -> Ints:
    """Distance from each offset to the first `byte` in the 16 bytes there; 16 where none is."""
    low, high = gather_words(buffer, offsets)
    first = first_flag(equal_bytes(low, byte))
    later = first == 8
    if later.all():
        return first + first_flag(equal_bytes(high, byte))
    if later.any():
        first[later] += first_flag(equal_bytes(high[later], byte))
    return first


def positions_of(buffer: Bytes, byte: int) -> Ints:
    """Where the byte stands in the buffer; for rare bytes much faster than `flatnonzero`."""
    found = [np.zeros(0, np.int64)]
    for begin in range(0, len(buffer), CACHED):
        equal = buffer[begin : begin + CACHED] == byte
        if not equal.any():
            continue
        flags = np.packbits(equal, bitorder="little")
        words = np.zeros((len(flags) + 7) // 8, np.uint64)
        words.view(np.uint8)[: len(flags)] = flags
        where = np.flatnonzero(words)
        bits = words[where]
        pieces = []
        while len(where):
            lowest = bits & (~bits + np.uint64(1))
            pieces.append((where << 6) + np.bitwise_count(lowest - np.uint64(1)))
            bits = bits ^ lowest
            more = np.flatnonzero(bits)
            where, bits = where[more], bits[more]
        if pieces:
            part = pieces[0] if len(pieces) == 1 else np.sort(np.concatenate(pieces))
            found.append(part + begin)
    return np.concatenate(found)


def holds(buffer: Bytes, byte: int) -> bool:
    """Whether the byte stands anywhere in the buffer."""
    return any(
        bool((buffer[begin : begin + CACHED] == byte).any())
        for begin in range(0, len(buffer), CACHED)
    )


def counts_of(spans: Spans, byte: int) -> Ints:
    """How often the byte stands in each span."""
    bits = np.zeros(len(spans.buffer) // 64 + 1, np.uint64)
    flags = bits.view(np.uint8)
    for begin in range(0, len(spans.buffer), CACHED):
        part = np.packbits(spans.buffer[begin : begin + CACHED] == byte, bitorder="little")
        flags[begin // 8 : begin // 8 + len(part)] = part
    before = np.zeros(len(bits) + 1, np.int64)
    np.cumsum(np.bitwise_count(bits), out=before[1:])

    def up_to(places: Ints) -> Ints:
        within = (np.uint64(1) << (places & 63).astype(np.uint64)) - np.uint64(1)
        word = places >> 6
        return before[word] + np.bitwise_count(bits[word] & within)

    return up_to(spans.starts + spans.lengths) - up_to(spans.starts)
