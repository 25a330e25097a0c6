"""Placed readings as packed rows, and packed rows as batches of entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.entries import ENTRIES, NO_PLACE
from transforms.numbers import MICROS
from transforms.packed_rows import DELETED, NO_POSITION, NOWHERE, PLACED, ROW, Packed
from transforms.spans import Ints
from transforms.versions import entries_of

__all__ = ["arrow_entries", "packed_entries"]

LATEST_ARRIVAL = 2**32 - 1
"""Seconds: the latest moment that a row can hold."""


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
