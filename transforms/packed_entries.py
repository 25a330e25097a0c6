"""Placed readings as packed rows, and packed rows as batches of entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.entries import ENTRIES, NO_PLACE
from schemas.groupings import BOTH
from transforms.grouping import distinct
from transforms.numbers import MICROS
from transforms.packed_rows import (
    DELETED,
    NO_POSITION,
    NOWHERE,
    PLACED,
    ROW,
    Name,
    Packed,
    compact,
    flags_of,
    kinds_of,
    labels_of,
    series_of,
)
from transforms.spans import Ints
from transforms.versions import entries_of

__all__ = ["arrow_entries", "packed_entries"]

NONE = (NOWHERE, None)
LATEST_ARRIVAL = 2**32 - 1
"""Seconds: the latest moment that a row can hold."""


def packed_entries(batch: pa.RecordBatch, now: float, group_by: str = BOTH) -> Packed:
    """The entries of placed readings.

    Args:
        batch: of schema `PLACED_READINGS`.
        now: the arrival of rows with neither `arrived_at` nor an event time, in seconds since the
            epoch.
        group_by: what means are grouped by.
    """
    entries = entries_of(batch, group_by)
    rows = np.zeros(batch.num_rows, ROW)
    rows["high"] = entries.column("identity_high")
    rows["low"] = entries.column("identity_low")
    rows["version"] = entries.column("version")
    rows["event_time"] = entries.column("event_time").view(pa.int64())
    rows["longitude"] = entries.column("longitude")
    rows["latitude"] = entries.column("latitude")
    rows["value"] = entries.column("value_micros")
    rows["arrival"] = _arrivals(batch, now)
    deleted = entries.column("deleted").to_numpy(zero_copy_only=False)
    nowhere = (rows["longitude"] == NO_PLACE) | (rows["latitude"] == NO_PLACE)
    flags = (
        deleted * DELETED
        + entries.column("region_code").is_valid().to_numpy(zero_copy_only=False) * PLACED
        + (nowhere & ~deleted) * NO_POSITION
    )
    series, names = _series_of(entries)
    rows["label"] = labels_of(series, np.asarray(entries.column("version_kind")), flags)
    return Packed(rows, names)


def _series_of(entries: pa.RecordBatch) -> tuple[Ints, tuple[Name, ...]]:
    """The number of each row's series, and what they are called."""
    quantities, codes, regions, sensors = (
        entries.column(name) for name in ("quantity", "region_code", "region", "sensor_id")
    )
    width, length = len(codes.dictionary) + 1, len(sensors.dictionary) + 1
    combined = np.asarray(quantities.indices).astype(np.int64) * width
    combined += np.asarray(codes.indices.fill_null(-1)) + 1
    if length > 1:
        # Of many sensors a batch may name only few.
        combined = combined * length + np.asarray(sensors.indices.fill_null(-1)) + 1
    found, numbers = distinct(combined, len(quantities.dictionary) * width * length)
    texts = codes.dictionary.to_pylist()
    unnamed = regions.null_count == len(regions)
    named = [None] * len(texts) if unnamed else regions.dictionary.to_pylist()
    places = [NOWHERE, *zip(texts, named, strict=True)]
    words = quantities.dictionary.to_pylist()
    # The last one stands for none.
    which = (found % length - 1) % length
    called = pa.concat_arrays([sensors.dictionary, pa.nulls(1, pa.string())]).take(pa.array(which))
    names = tuple(
        (words[number // width], *places[number % width], sensor)
        for number, sensor in zip((found // length).tolist(), called.to_pylist(), strict=True)
    )
    return numbers, names


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
    packed = compact(packed)
    rows, names = packed.rows, packed.names
    flags, series = flags_of(rows), series_of(rows)
    placed = (flags & PLACED) > 0
    columns: dict[str, pa.Array] = {
        "identity_high": _column(rows["high"]),
        "identity_low": _column(rows["low"]),
        "version_kind": pa.array(kinds_of(rows).astype(np.int8)),
        "version": _column(rows["version"]),
        "deleted": pa.array((flags & DELETED) > 0),
        "event_time": _column(rows["event_time"]).view(ENTRIES.field("event_time").type),
        "longitude": _column(rows["longitude"]),
        "latitude": _column(rows["latitude"]),
        "value_micros": _column(rows["value"]),
    }
    quantities, numbers = _distinct([name[0] for name in names], np.int8)
    indices = pa.array(numbers[series])
    columns["quantity"] = pa.DictionaryArray.from_arrays(indices, pa.array(quantities, pa.string()))
    # The two dictionaries of a place are filled in step, as everywhere.
    places, numbers = _distinct([name[1:3] for name in names], np.int8)
    has_windows = np.array([name[2] is not None for name in names], bool)
    masks = {"region_code": ~placed, "region": ~(placed & has_windows[series])}
    for part, (name, mask) in enumerate(masks.items()):
        # Arrow cannot join dictionaries that hold a NULL; what is masked is not looked up.
        texts = pa.array([place[part] or "" for place in places], pa.string())
        indices = pa.array(numbers[series], mask=mask)
        columns[name] = pa.DictionaryArray.from_arrays(indices, texts)
    columns["sensor_id"] = _sensors([name[3] for name in names], series)
    return pa.RecordBatch.from_arrays([columns[name] for name in ENTRIES.names], schema=ENTRIES)


def _sensors(names: Sequence[str | None], series: npt.NDArray) -> pa.DictionaryArray:
    kind = ENTRIES.field("sensor_id").type
    if not any(name is not None for name in names):
        return pa.nulls(len(series), kind)
    sensors, numbers = _distinct(names, np.int32)
    none = np.array([name is None for name in names], bool)
    indices = pa.array(numbers[series], mask=none[series])
    return pa.DictionaryArray.from_arrays(indices, pa.array(sensors, pa.string()))


def _column(values: npt.NDArray) -> pa.Array:
    return pa.array(np.ascontiguousarray(values))


def _distinct(values: Sequence[Any], kind: type[np.integer]) -> tuple[list[Any], npt.NDArray]:
    """The different values, and which of them each one is; what stands for none is none of them."""
    distinct_ones = [value for value in dict.fromkeys(values) if value not in NONE]
    number = {value: place for place, value in enumerate(distinct_ones)}
    return distinct_ones, np.array([number.get(value, 0) for value in values], kind)
