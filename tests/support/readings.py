"""Batches of placed readings for tests, without any parsing or placing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.reading import PLACED_READINGS

CODES, NAMES = ("11", "76", "94"), ("Île-de-France", "Occitanie", "Corse")

PlainReading = tuple[int | None, str, int, int]
"""Region's number or None, quantity, event time in µs, value in millionths."""


def placed_batch(readings: Sequence[PlainReading]) -> pa.RecordBatch:
    """A batch of schema `PLACED_READINGS`."""
    count = len(readings)
    regions = pa.array([reading[0] for reading in readings], pa.int8())
    quantities = pa.array([reading[1] for reading in readings], pa.string()).dictionary_encode()
    nowhere = pa.array(np.zeros(count))
    return pa.RecordBatch.from_arrays(
        [
            pa.array([str(number) for number in range(count)], pa.string()),
            pa.array([None] * count, PLACED_READINGS.field("sensor_id").type),
            quantities.cast(pa.dictionary(pa.int8(), pa.string())),
            pa.array([reading[2] for reading in readings], pa.int64()).view(
                pa.timestamp("us", tz="UTC")
            ),
            nowhere,
            nowhere,
            pa.array([reading[3] for reading in readings], pa.int64()),
            pa.array([False] * count, pa.bool_()),
            pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), ["test"]),
            pa.array([0] * count, pa.int64()),
            pa.array([0] * count, pa.int8()),
            pa.array([False] * count, pa.bool_()),
            pa.nulls(count, pa.timestamp("us", tz="UTC")),
            pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), ["test"]),
            pa.DictionaryArray.from_arrays(regions, pa.array(CODES)),
            pa.DictionaryArray.from_arrays(regions, pa.array(NAMES)),
        ],
        schema=PLACED_READINGS,
    )


def plain_readings(readings: Sequence[PlainReading]) -> list[tuple[str, str, int, int]]:
    """The readings that lie in a region, as `plain_means` takes them."""
    return [
        (CODES[number], quantity, micros, value)
        for number, quantity, micros, value in readings
        if number is not None
    ]
