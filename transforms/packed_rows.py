"""Entries as rows of 64 bytes: what a stream shuffles by identity and keeps in its state.

An Arrow batch of a few hundred rows costs more to write and read than its rows do. These are plain
bytes: a format number, the names of the series, and the rows as they lie in memory.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.grouping import distinct
from transforms.spans import Words

__all__ = [
    "DELETED",
    "NOWHERE",
    "NO_POSITION",
    "PLACED",
    "ROW",
    "Name",
    "Packed",
    "Rows",
    "compact",
    "flags_of",
    "header",
    "kinds_of",
    "labels_of",
    "pack",
    "relabelled",
    "series_of",
    "unpack",
    "words_of",
]

Rows: TypeAlias = npt.NDArray[np.void]
"""An array of `ROW`."""

ROW = np.dtype(
    [
        ("high", "<u8"),  # upper half of the hash of the identity
        ("low", "<u8"),  # lower half
        ("version", "<i8"),
        ("event_time", "<i8"),  # µs since the epoch; 0 where deleted
        ("longitude", "<f8"),
        ("latitude", "<f8"),
        ("value", "<i8"),  # millionths
        ("arrival", "<u4"),  # seconds since the epoch, rounded up
        ("label", "<u4"),  # number of the series, kind of the version, flags
    ]
)
"""One entry: one line of a processor's cache."""

DELETED, PLACED, NO_POSITION = 1, 2, 4
"""Flags: the version takes the reading away; it lies in a region; it has no coordinates."""
FLAGS, KIND_SHIFT, KINDS = 0b111, 3, 0b11
SERIES_SHIFT = 5
MOST_SERIES = 1 << (32 - SERIES_SHIFT)

FORMAT = b"\x02"
FEW = 256
"""Names up to which it pays to remember what became of them."""
FEW_BYTES = 64 * FEW
FEW_ROWS = 64
"""Rows below which the names in front of them weigh."""
Name: TypeAlias = tuple[str, str | None, str | None, str | None]
"""Quantity, region code, region and sensor of a series; a region without a name has no windows."""
NOWHERE = (None, None)
"""No region, in a name."""


@dataclass(frozen=True)
class Packed:
    """Rows and what their series are called.

    Attributes:
        rows: an array of `ROW`.
        names: the series by number.
    """

    rows: Rows
    names: Sequence[Name]


def relabelled(rows: Rows, numbers: npt.NDArray) -> Rows:
    """The rows with other numbers of series: those that stand at the places of the old ones."""
    labels = rows["label"]
    changed = rows.take(np.arange(len(rows)))
    series = numbers.astype(np.uint32)[labels >> SERIES_SHIFT]
    changed["label"] = series << np.uint32(SERIES_SHIFT) | labels & ((1 << SERIES_SHIFT) - 1)
    return changed


def labels_of(series: npt.NDArray, kinds: npt.NDArray, flags: npt.NDArray) -> npt.NDArray:
    """What is written into `label`."""
    labels: npt.NDArray = (
        series.astype(np.uint32) << np.uint32(SERIES_SHIFT)
        | kinds.astype(np.uint32) << np.uint32(KIND_SHIFT)
        | flags.astype(np.uint32)
    )
    return labels


def series_of(rows: Rows) -> npt.NDArray[np.uint32]:
    """The number of each row's series."""
    numbers: npt.NDArray[np.uint32] = rows["label"] >> np.uint32(SERIES_SHIFT)
    return numbers


def kinds_of(rows: Rows) -> npt.NDArray[np.uint8]:
    """The kind of each row's version."""
    return (rows["label"] >> np.uint32(KIND_SHIFT) & np.uint32(KINDS)).astype(np.uint8)


def flags_of(rows: Rows) -> npt.NDArray[np.uint8]:
    """The flags of each row."""
    return (rows["label"] & np.uint32(FLAGS)).astype(np.uint8)


def words_of(rows: Rows) -> Words:
    """The same memory as 8 words a row: NumPy copies these ten times as fast as fields."""
    return rows.view("<u8").reshape(-1, ROW.itemsize // 8)


def compact(packed: Packed) -> Packed:
    """The same rows without the names that none of them has."""
    found, places = distinct(series_of(packed.rows).astype(np.int64), len(packed.names))
    if len(found) == len(packed.names):
        return packed
    labels = packed.rows["label"] & np.uint32((1 << SERIES_SHIFT) - 1)
    rows = packed.rows.take(np.arange(len(packed.rows)))
    rows["label"] = labels | places.astype(np.uint32) << np.uint32(SERIES_SHIFT)
    return Packed(rows, tuple(packed.names[number] for number in found.tolist()))


def pack(packed: Packed) -> bytes:
    """Rows and names as bytes; without the names that no row has, where they weigh."""
    if len(packed.names) > FEW or len(packed.rows) < FEW_ROWS:
        packed = compact(packed)
    return header(packed.names) + packed.rows.tobytes()


def header(names: Sequence[Name]) -> bytes:
    """What stands before the rows."""
    return _header(tuple(names)) if len(names) <= FEW else _header.__wrapped__(names)


@functools.lru_cache(maxsize=1000)
def _header(names: Sequence[Name]) -> bytes:
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":")).encode()
    return FORMAT + len(text).to_bytes(4, "little") + text


def unpack(data: bytes) -> Packed:
    """What `pack` packed; the rows cannot be written to.

    Raises:
        ValueError: another release packed it.
    """
    if data[:1] != FORMAT:
        msg = f"packed entries of format {data[:1]!r} cannot be read; this release reads {FORMAT!r}"
        raise ValueError(msg)
    begin = 5 + int.from_bytes(data[1:5], "little")
    text = data[5:begin]
    names = _names(text) if len(text) <= FEW_BYTES else _names.__wrapped__(text)
    return Packed(np.frombuffer(data, ROW, offset=begin), names)


@functools.lru_cache(maxsize=1000)
def _names(text: bytes) -> tuple[Name, ...]:
    return tuple((name[0], name[1], name[2], name[3]) for name in json.loads(text))
