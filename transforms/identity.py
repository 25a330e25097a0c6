"""The identity of readings, as hashes of 128 bits, computed for a whole batch at once.

Two messages are about the same reading if format, `id` and quantity are equal; without an `id`, if
sensor, quantity and event time are, whatever the format; without a sensor either, if format, place,
quantity and event time are. The hash is two multiplicative lanes over the id's
words of 8 bytes, finished like MurmurHash3 (Appleby 2011); it is spread well, but no protection
against somebody who makes up ids to collide. It is part of the store's format: a change to it
needs a new version of the index.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.spans import PADDING, Ints, Spans, Words, gather_words

__all__ = ["identities"]

LONG = 256
"""Bytes from which a text is hashed by BLAKE2b instead, one at a time: such ids are rare."""

BY_SENSOR = ""
"""Stands for the format of readings that are told apart by their sensor."""

FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
FINISH = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
MASKS = np.array([(1 << (8 * length)) - 1 for length in range(9)], np.uint64)


def identities(batch: pa.RecordBatch) -> tuple[Words, Words]:
    """The hash of each reading's identity.

    Args:
        batch: with at least the columns `format`, `id`, `sensor_id`, `quantity`, `event_time`,
            `longitude` and `latitude` of schema `READINGS`.

    Returns:
        The upper and the lower 64 bits, one number a row.
    """
    high, low = _seeds(batch)
    ids = batch.column("id")
    if not ids.null_count:
        _add_texts(high, low, ids)
        return _finished(high, low)
    sensors = batch.column("sensor_id")
    unnamed = ids.is_null().to_numpy(zero_copy_only=False)
    by_sensor = unnamed & sensors.is_valid().to_numpy(zero_copy_only=False)
    if by_sensor.any():
        quantities = batch.column("quantity")
        texts = quantities.dictionary.to_pylist()
        seeds = np.array([_seed(BY_SENSOR, text) for text in texts], np.uint64)
        rows = np.flatnonzero(by_sensor)
        high[rows], low[rows] = seeds[np.asarray(quantities.indices)[rows]].T
        names = sensors.dictionary_decode().cast(ids.type)
        ids = pc.if_else(pa.array(by_sensor), names, ids)
    _add_texts(high, low, ids)
    _add_words_of(high, low, batch, ("longitude", "latitude"), np.flatnonzero(unnamed & ~by_sensor))
    _add_words_of(high, low, batch, ("event_time",), np.flatnonzero(unnamed))
    return _finished(high, low)


def _add_words_of(
    high: Words, low: Words, batch: pa.RecordBatch, names: Sequence[str], rows: Ints
) -> None:
    """Stirs columns of some rows into their states."""
    for name in names:
        column = batch.column(name).take(pa.array(rows))
        if pa.types.is_timestamp(column.type):
            words = np.asarray(column.view(pa.int64()).fill_null(0)).view(np.uint64)
        else:
            # Adding 0.0 makes one zero of the two.
            words = (np.asarray(column.fill_null(np.nan)) + 0.0).view(np.uint64)
        high[rows], low[rows] = _stirred(high[rows], low[rows], words)


def _seeds(batch: pa.RecordBatch) -> tuple[Words, Words]:
    """The state to begin with: it depends on format and quantity."""
    formats, quantities = batch.column("format"), batch.column("quantity")
    table = np.array(
        [
            _seed(message_format, quantity)
            for message_format in formats.dictionary.to_pylist()
            for quantity in quantities.dictionary.to_pylist()
        ],
        np.uint64,
    ).reshape(-1, 2)
    if len(table) == 1:
        high, low = table[0]
        return np.full(batch.num_rows, high), np.full(batch.num_rows, low)
    rows = np.asarray(formats.indices).astype(np.int64) * len(quantities.dictionary)
    seeds = table[rows + np.asarray(quantities.indices)]
    return np.ascontiguousarray(seeds[:, 0]), np.ascontiguousarray(seeds[:, 1])


@functools.lru_cache(maxsize=10_000)
def _seed(message_format: str, quantity: str) -> tuple[int, int]:
    return _halves(f"{message_format}\0{quantity}".encode())


def _halves(text: bytes) -> tuple[int, int]:
    digest = hashlib.blake2b(text, digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


def _add_texts(high: Words, low: Words, texts: pa.Array) -> None:
    """Stirs each row's text into its state, and then its length."""
    spans = Spans.from_arrow(texts)
    lengths = spans.lengths
    long = np.flatnonzero(lengths >= LONG)
    if len(long):
        short = np.flatnonzero(lengths < LONG)
        part = high[short], low[short]
        _add_words(*part, spans.take(short))
        high[short], low[short] = part
    else:
        _add_words(high, low, spans)
    for row in long.tolist():
        begin = int(spans.starts[row])
        for half in _halves(spans.buffer[begin : begin + int(lengths[row])].tobytes()):
            one = slice(row, row + 1)
            high[one], low[one] = _stirred(high[one], low[one], np.array([half], np.uint64))
    # NULL is none of the texts, not even the empty one.
    known = np.where(np.asarray(texts.is_null()), -1, lengths) if texts.null_count else lengths
    high ^= _unsigned(known) * SECOND
    low += _unsigned(known) * FIRST


def _add_words(high: Words, low: Words, spans: Spans) -> None:
    """Stirs each row's text into its state, 8 bytes at a time."""
    lengths = spans.lengths
    least, most = int(lengths.min(initial=LONG)), int(lengths.max(initial=0))
    for offset in range(0, most, 16):
        rows = np.flatnonzero(lengths > offset) if offset >= least else slice(None)
        words = gather_words(spans.buffer, spans.starts[rows] + offset)
        for begin, word in zip((offset, offset + 8), words, strict=True):
            if begin + 8 <= least:
                high[:], low[:] = _stirred(high, low, word)
                continue
            left = lengths[rows] - begin
            some = np.flatnonzero(left > 0)
            ends = word[some] & MASKS[np.minimum(left[some], 8)]
            into = some if isinstance(rows, slice) else rows[some]
            high[into], low[into] = _stirred(high[into], low[into], ends)


def _stirred(high: Words, low: Words, words: Words) -> tuple[Words, Words]:
    high = (high ^ words) * FIRST
    high ^= high >> np.uint64(29)
    low = (low + ((words << np.uint64(31)) | (words >> np.uint64(33)))) * SECOND
    low ^= low >> np.uint64(32)
    return high, low


def _finished(high: Words, low: Words) -> tuple[Words, Words]:
    high = high + low
    low = low + high
    high, low = _spread(high), _spread(low)
    high += low
    low += high
    return high, low


def _spread(state: Words) -> Words:
    for factor in FINISH:
        state = (state ^ (state >> np.uint64(33))) * factor
    return state ^ (state >> np.uint64(33))


def _unsigned(numbers: Ints) -> Words:
    return numbers.astype(np.int64).view(np.uint64)


assert PADDING >= 16  # noqa: S101 - texts are read 16 bytes at a time, past their end
