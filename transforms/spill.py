"""Batches that are shuffled by reference: written to a file that all workers see, not sent.

A runner in one machine copies what it shuffles half a dozen times. A batch of a million rows is
better written once and mapped into memory where it is read: then only its place is shuffled.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

__all__ = ["Spilled", "read_spilled", "spill"]


@dataclass(frozen=True)
class Spilled:
    """The place of a batch.

    Attributes:
        path: the file.
        number: which of its batches.
    """

    path: str
    number: int


def spill(batches: Iterable[pa.RecordBatch], folder: str) -> list[Spilled]:
    """Writes batches of one schema to a new file of the folder.

    Args:
        batches: one or more.
        folder: exists already, and is removed by whoever made it, when the run has ended.

    Returns:
        The place of each batch.
    """
    listed = list(batches)
    # The batches of a file share one dictionary a column.
    table = pa.Table.from_batches(listed).unify_dictionaries()
    path = str(Path(folder) / f"{uuid.uuid4().hex}.arrow")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        for batch in table.to_batches():
            writer.write_batch(batch)
    return [Spilled(path, number) for number in range(len(listed))]


def read_spilled(place: Spilled) -> pa.RecordBatch:
    """The batch at a place, mapped into memory."""
    with pa.memory_map(place.path) as file:
        return pa.ipc.open_file(file).get_batch(place.number)
