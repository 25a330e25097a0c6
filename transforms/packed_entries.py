"""Entries packed into rows of 64 bytes: what a stream shuffles by identity and keeps in its state.

An Arrow batch of a few hundred rows costs more to write and read than its rows do. These are plain
bytes: a format number, the names of the series, and the rows as they lie in memory.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.entries import ENTRIES, NO_PLACE
from transforms.numbers import MICROS
from transforms.spans import Ints, Words
from transforms.versions import entries_of

__all__ = [
    "DELETED",
    "NO_POSITION",
    "PLACED",
    "ROW",
    "Packed",
    "Rows",
    "Series",
    "arrow_entries",
    "compact",
    "header",
    "joined_packed",
    "pack",
    "packed_entries",
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
        ("series", "<u2"),  # number of quantity and region
        ("kind", "u1"),  # of the version
        ("flags", "u1"),
    ]
)
"""One entry: one line of a processor's cache."""

DELETED, PLACED, NO_POSITION = 1, 2, 4
"""Flags: the version takes the reading away; it lies in a region; it has no coordinates."""

FORMAT = b"\x01"
LATEST_ARRIVAL = 2**32 - 1
MOST = 128
"""Quantities, and places with none: as many as the dictionaries of a batch can hold."""
Name: TypeAlias = tuple[str, str | None, str | None]
"""Quantity, region code and region of a series."""
PARTS = (itemgetter(0), itemgetter(slice(1, None)))
NOWHERE = (None, None)


@dataclass(frozen=True)
class Packed:
    """Rows and what their series are called.

    Attributes:
        rows: an array of `ROW`.
        names: the series by number.
    """

    rows: Rows
    names: tuple[Name, ...]


@dataclass
class Series:
    """Numbers for series, the same for rows from many places."""

    names: list[Name] = field(default_factory=list)
    _numbers: dict[Name, int] = field(default_factory=dict)
    _known: dict[tuple[Name, ...], npt.NDArray[np.uint16]] = field(default_factory=dict)

    def numbers(self, names: tuple[Name, ...]) -> npt.NDArray[np.uint16]:
        """The number here of each of the names.

        Raises:
            ValueError: more than 128 quantities or 127 regions.
        """
        found = self._known.get(names)
        if found is None:
            for name in names:
                if name not in self._numbers:
                    self._numbers[name] = len(self.names)
                    self.names.append(name)
            if max(len({part(name) for name in self.names}) for part in PARTS) > MOST:
                msg = f"at most {MOST} quantities and {MOST - 1} regions can be told apart"
                raise ValueError(msg)
            found = np.array([self._numbers[name] for name in names], np.uint16)
            if len(self._known) > 1000:
                self._known.clear()
            self._known[names] = found
        return found

    def renumbered(self, packed: Packed) -> Rows:
        """The rows with the numbers of this table."""
        if packed.names == tuple(self.names[: len(packed.names)]):
            return packed.rows
        numbers = self.numbers(packed.names)
        rows = packed.rows.take(np.arange(len(packed.rows)))
        rows["series"] = numbers[rows["series"]]
        return rows


def packed_entries(batch: pa.RecordBatch, now: float) -> Packed:
    """The entries of placed readings.

    Args:
        batch: of schema `PLACED_READINGS`.
        now: the arrival of rows with neither `arrived_at` nor an event time, in seconds since the
            epoch.
    """
    entries = entries_of(batch)
    rows = np.zeros(batch.num_rows, ROW)
    rows["high"] = entries.column("identity_high")
    rows["low"] = entries.column("identity_low")
    rows["version"] = entries.column("version")
    rows["kind"] = entries.column("version_kind")
    rows["event_time"] = entries.column("event_time").view(pa.int64())
    rows["longitude"] = entries.column("longitude")
    rows["latitude"] = entries.column("latitude")
    rows["value"] = entries.column("value_micros")
    rows["arrival"] = _arrivals(batch, now)
    deleted = entries.column("deleted").to_numpy(zero_copy_only=False)
    nowhere = (rows["longitude"] == NO_PLACE) | (rows["latitude"] == NO_PLACE)
    quantities, codes, regions = (
        entries.column(name) for name in ("quantity", "region_code", "region")
    )
    width = len(codes.dictionary) + 1
    inside = np.asarray(codes.indices.fill_null(-1)).astype(np.int64)
    combined = np.asarray(quantities.indices).astype(np.int64) * width + inside + 1
    used = np.bincount(combined, minlength=len(quantities.dictionary) * width) > 0
    rows["series"] = (np.cumsum(used) - 1)[combined]
    rows["flags"] = deleted * DELETED + (inside >= 0) * PLACED + (nowhere & ~deleted) * NO_POSITION
    texts = [column.dictionary.to_pylist() for column in (codes, regions)]
    places = [NOWHERE, *zip(*texts, strict=True)]
    names = [(name, *place) for name in quantities.dictionary.to_pylist() for place in places]
    return Packed(rows, tuple(names[number] for number in np.flatnonzero(used).tolist()))


def _arrivals(batch: pa.RecordBatch, now: float) -> Ints:
    """When each row came, in seconds: its arrival, else its event time, else now."""
    micros = batch.column("arrived_at").view(pa.int64())
    if micros.null_count:
        event_times = batch.column("event_time").view(pa.int64())
        known = micros.is_valid().to_numpy(zero_copy_only=False)
        filled = np.where(known, micros.fill_null(0), event_times.fill_null(int(now * MICROS)))
    else:
        filled = np.asarray(micros)
    return np.clip(-(-filled // MICROS), 0, LATEST_ARRIVAL)


def words_of(rows: Rows) -> Words:
    """The same memory as 8 words a row: NumPy copies these ten times as fast as fields."""
    return rows.view("<u8").reshape(-1, ROW.itemsize // 8)


def joined_packed(pieces: Sequence[Packed]) -> Packed:
    """All the pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    series = Series()
    # NumPy's own way to join arrays looks at the fields of each again.
    rows, end = np.empty(sum(len(piece.rows) for piece in pieces), ROW), 0
    for piece in pieces:
        if len(piece.rows):
            begin, end = end, end + len(piece.rows)
            words_of(rows)[begin:end] = words_of(series.renumbered(piece))
    return Packed(rows, tuple(series.names))


def compact(packed: Packed) -> Packed:
    """The same rows without the names that none of them has."""
    used = np.bincount(packed.rows["series"], minlength=len(packed.names)) > 0
    if used.all():
        return packed
    rows = packed.rows.take(np.arange(len(packed.rows)))
    rows["series"] = (np.cumsum(used) - 1)[rows["series"]]
    return Packed(rows, tuple(packed.names[number] for number in np.flatnonzero(used).tolist()))


def pack(packed: Packed) -> bytes:
    """Rows and names as bytes."""
    return header(packed.names) + packed.rows.tobytes()


@functools.lru_cache(maxsize=1000)
def header(names: tuple[Name, ...]) -> bytes:
    """What stands before the rows."""
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
    return Packed(np.frombuffer(data, ROW, offset=begin), _names(data[5:begin]))


@functools.lru_cache(maxsize=1000)
def _names(text: bytes) -> tuple[Name, ...]:
    return tuple((name[0], name[1], name[2]) for name in json.loads(text))


def arrow_entries(packed: Packed) -> pa.RecordBatch:
    """The rows as a batch of schema `ENTRIES`."""
    rows, names = packed.rows, packed.names
    placed = (rows["flags"] & PLACED) > 0
    series = rows["series"]
    columns: dict[str, pa.Array] = {
        "identity_high": _column(rows["high"]),
        "identity_low": _column(rows["low"]),
        "version_kind": pa.array(rows["kind"].astype(np.int8)),
        "version": _column(rows["version"]),
        "deleted": pa.array((rows["flags"] & DELETED) > 0),
        "event_time": _column(rows["event_time"]).view(ENTRIES.field("event_time").type),
        "longitude": _column(rows["longitude"]),
        "latitude": _column(rows["latitude"]),
        "value_micros": _column(rows["value"]),
    }
    quantities, numbers = _distinct([name[0] for name in names])
    indices = pa.array(numbers[series])
    columns["quantity"] = pa.DictionaryArray.from_arrays(indices, pa.array(quantities, pa.string()))
    # The two dictionaries of a place are filled in step, as everywhere.
    places, numbers = _distinct([name[1:] for name in names])
    indices = pa.array(numbers[series], mask=~placed)
    for part, name in enumerate(("region_code", "region")):
        texts = pa.array([place[part] for place in places], pa.string())
        columns[name] = pa.DictionaryArray.from_arrays(indices, texts)
    return pa.RecordBatch.from_arrays([columns[name] for name in ENTRIES.names], schema=ENTRIES)


def _column(values: npt.NDArray) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))


def _distinct(values: Sequence[Any]) -> tuple[list[Any], npt.NDArray[np.int8]]:
    """The different values, and which of them each one is; no region is none of them."""
    distinct = [value for value in dict.fromkeys(values) if value != NOWHERE]
    number = {value: place for place, value in enumerate(distinct)}
    return distinct, np.array([number.get(value, 0) for value in values], np.int8)
