"""When the readings behind a change of a window arrived: it travels with the change to its row.

Changes of a window name the oldest arrival in them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from schemas.reading import VersionKind
from transforms.measures import ARRIVAL_TO_RESULT, observe

__all__ = ["UNKNOWN", "Waits", "oldest_arrival"]

UNKNOWN = (1 << 63) - 1
"""Stands for an arrival that nobody knows: later than any."""


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


class Waits:
    """How long the readings of a bundle's rows have waited for them, since their arrival."""

    def __init__(self) -> None:
        self._arrivals: list[int] = []

    def add(self, arrived: Iterable[int]) -> None:
        """Notes the oldest arrivals that are new in rows."""
        self._arrivals += (each for each in arrived if each != UNKNOWN)

    def observe(self) -> None:
        """Adds what was noted to the metrics, at the end of a bundle."""
        arrivals, self._arrivals = self._arrivals, []
        if arrivals:
            waits = time.time_ns() // 1000 - np.array(arrivals, np.int64)
            observe(ARRIVAL_TO_RESULT, waits // 1000)
