"""When the readings behind a change of a window arrived: it travels with the change to its row.

A change is a packed row of partial statistics; behind it stand eight bytes with the oldest arrival
in it. A change without them, such as one that an older release has left in a runner's state, is
taken as it is.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from schemas.reading import VersionKind
from transforms.measures import ARRIVAL_TO_RESULT, observe

__all__ = ["UNKNOWN", "Waits", "oldest_arrival", "stamped_change", "unstamped"]

UNKNOWN = (1 << 63) - 1
"""Stands for an arrival that nobody knows: later than any."""

STAMP = struct.Struct("<q")


def oldest_arrival(batch: pa.RecordBatch) -> int:
    """The oldest arrival among the readings of a batch.

    Args:
        batch: placed readings, whose `arrived_at` says so; or entries, of which those do whose
            version is their arrival, and are not taken away.

    Returns:
        Microseconds since the epoch; `UNKNOWN` where no reading says.
    """
    names = batch.schema.names
    if "arrived_at" in names:
        column = batch.column("arrived_at")
        if column.null_count == len(column):
            return UNKNOWN
        return int(np.min(column.drop_null().view(pa.int64())))
    if "version_kind" not in names:
        return UNKNOWN
    kinds = np.asarray(batch.column("version_kind"))
    versions = np.asarray(batch.column("version"))
    says = kinds == VersionKind.ARRIVAL
    if "weight" in names:
        says &= np.asarray(batch.column("weight")) > 0
    if not says.all():
        versions = versions[says]
    return int(versions.min()) if len(versions) else UNKNOWN


def stamped_change(row: bytes, arrived: int) -> bytes:
    """A packed row with the oldest arrival in it, in microseconds since the epoch."""
    return row + STAMP.pack(arrived)


def unstamped(values: Iterable[bytes], size: int) -> tuple[list[bytes], int]:
    """The packed rows of changes, and the oldest arrival in them.

    Args:
        values: changes, stamped or not.
        size: bytes of a packed row.
    """
    rows, oldest = [], UNKNOWN
    for value in values:
        if len(value) == size + STAMP.size:
            oldest = min(oldest, STAMP.unpack_from(value, size)[0])
            rows.append(value[:size])
        else:
            rows.append(value)
    return rows, oldest


class Waits:
    """How long the readings of a bundle's rows have waited for them, since their arrival."""

    def __init__(self) -> None:
        self._arrivals: list[int] = []

    def add(self, arrived: int) -> None:
        """Notes the oldest arrival that is new in a row."""
        if arrived != UNKNOWN:
            self._arrivals.append(arrived)

    def observe(self) -> None:
        """Adds what was noted to the metrics, at the end of a bundle."""
        arrivals: Sequence[int] = self._arrivals
        self._arrivals = []
        if arrivals:
            waits = time.time_ns() // 1000 - np.array(arrivals, np.int64)
            observe(ARRIVAL_TO_RESULT, waits // 1000)
