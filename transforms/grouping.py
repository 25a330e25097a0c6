"""In which series of windows readings count: that of their region, of their sensor, or of both."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from schemas.groupings import GROUPINGS, REGION, SENSOR
from transforms.row_classes import nowhere
from transforms.spans import Bools, Ints

__all__ = ["GROUPINGS", "checked_grouping", "distinct", "grouped"]

MOST_EMPTY = 4
"""How many times as many numbers as rows there may be for them to be counted, not sorted."""


def checked_grouping(group_by: str) -> str:
    """The same word.

    Raises:
        ValueError: means cannot be grouped by that.
    """
    if group_by not in GROUPINGS:
        msg = f"means can be grouped by {', '.join(GROUPINGS)}, not by {group_by!r}"
        raise ValueError(msg)
    return group_by


def grouped(batch: pa.RecordBatch, group_by: str) -> pa.RecordBatch:
    """Leaves `region` and `sensor_id` only to the readings that count in windows of theirs.

    By region a reading counts in the windows of its region; one without a place in those of its
    sensor, so that sensors of which nobody knows the place are not lost. By sensor it counts in
    those of its sensor, wherever it lies. Deletions count in none. What is grouped again in the
    same way stays as it is.

    Args:
        batch: placed readings or entries.
        group_by: one of `GROUPINGS`.
    """
    sensors = batch.column("sensor_id")
    if group_by == SENSOR and batch.column("region").null_count < batch.num_rows:
        batch = _with_column(batch, "region", pa.nulls(batch.num_rows, batch.column("region").type))
    if sensors.null_count == batch.num_rows:
        return batch
    deleted = batch.column("deleted")
    if group_by == REGION:
        kept = nowhere(batch) & ~deleted.to_numpy(zero_copy_only=False)
    elif deleted.true_count:
        kept = ~deleted.to_numpy(zero_copy_only=False)
    else:
        return batch
    return _with_column(batch, "sensor_id", _only(sensors, kept))


def _only(texts: pa.DictionaryArray, kept: Bools) -> pa.DictionaryArray:
    kept = kept & texts.is_valid().to_numpy(zero_copy_only=False)
    if not kept.any():
        return pa.nulls(len(texts), texts.type)
    indices = np.asarray(texts.indices.fill_null(0))
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=~kept), texts.dictionary)


def _with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, batch.schema.field(place), column)


def distinct(numbers: Ints, limit: int) -> tuple[Ints, Ints]:
    """The different ones of numbers in [0, limit), rising; and which of them each number is."""
    if limit > MOST_EMPTY * len(numbers) + 1024:
        found, places = np.unique(numbers, return_inverse=True)
        return found, places
    used = np.bincount(numbers, minlength=limit) > 0
    found = np.flatnonzero(used)
    places = (np.cumsum(used) - 1)[numbers]
    return found, places
