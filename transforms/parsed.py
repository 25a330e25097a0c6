"""What a block of records held: batches of readings and of rejected records."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reading import REJECTED
from schemas.reasons import Causes
from transforms.origin import Origin
from transforms.rejections import rejections
from transforms.spans import Ints, Spans

__all__ = ["Parsed", "Records"]

ANY_ENTRY = "[]"
"""Stands, in the sentence of a cause, for the number of the entry."""


@dataclass(frozen=True)
class Records:
    """Records, whose texts may stand elsewhere than in the block.

    Attributes:
        texts: the records.
        starts: where they begin in the block's padded text.
    """

    texts: Spans
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: Ints) -> Records:
        """Some of the records, in a text that holds nothing else."""
        if len(rows) == len(self):
            return self
        return Records(self.texts.take(rows).compact(), self.starts[rows])


@dataclass
class Parsed:
    """What a block held.

    Attributes:
        readings: batches of schema `READINGS`.
        rejected: batches of schema `REJECTED`, with those that are too late.
        too_late: batches of schema `READINGS`.
    """

    readings: list[pa.RecordBatch] = field(default_factory=list)
    rejected: list[pa.RecordBatch] = field(default_factory=list)
    too_late: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def read(self) -> int:
        """How many readings, good or bad; a message that is wrong as a whole is one."""
        return sum(batch.num_rows for batch in (*self.readings, *self.rejected))

    def extend(self, more: Parsed) -> None:
        """Adds what another block held."""
        self.readings += more.readings
        self.rejected += more.rejected
        self.too_late += more.too_late

    def reject(
        self,
        records: Records,
        rows: Ints,
        entries: Ints | None,
        causes: npt.NDArray[np.unsignedinteger],
        meaning: Causes,
        origin: Origin,
        hashed: bool,
    ) -> None:
        """Adds records, or entries of them, as rejected ones.

        Args:
            records: the records of the block.
            rows: which of them.
            entries: which entry of its record each is; -1, or None, for the whole record.
            causes: the number of each one's cause.
            meaning: what the numbers mean.
            origin: where the records come from.
            hashed: as for `rejections`.
        """
        places = origin.places(records.starts[rows], entries)
        batch = rejections(records.texts.take(rows), causes, meaning, places, hashed=hashed)
        if entries is not None and (entries >= 0).any():
            details = _with_numbers(batch.column("detail"), entries)
            columns = [*batch.columns]
            columns[REJECTED.get_field_index("detail")] = details
            batch = pa.RecordBatch.from_arrays(columns, schema=REJECTED)
        self.rejected.append(batch)


def _with_numbers(details: pa.Array, entries: Ints) -> pa.Array:
    """The sentences with the number of the entry in the path that they name."""
    numbers = pc.cast(pa.array(entries), pa.string())
    parts = pc.split_pattern(details, ANY_ENTRY, max_splits=1)
    named = pc.and_(pc.greater(pc.list_value_length(parts), 1), pa.array(entries >= 0))
    if not pc.any(named).as_py():
        return details
    padded = pc.list_slice(parts, 0, 2, return_fixed_size_list=True)
    before, after = (pc.list_element(padded, place) for place in (0, 1))
    numbered = pc.binary_join_element_wise(
        pc.binary_join_element_wise(before, numbers, "["), after, "]"
    )
    return pc.if_else(named, numbered, details)
