"""How far a source has been read, told along with the readings until they are stored.

A batch without rows, after those of a payload, carries it in the metadata of its schema: whoever
has stored all batches that came up to it has stored all that the source has given up to there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa

from transforms.payload import Reached

__all__ = ["farthest", "only_reached", "reached_of"]

KEY = b"reached"


def only_reached(schema: pa.Schema, reached: Reached) -> pa.RecordBatch:
    """A batch without rows that says how far its source has been read with what came before it."""
    told = schema.with_metadata({KEY: json.dumps([reached.part, reached.position])})
    return pa.RecordBatch.from_pylist([], schema=told)


def reached_of(batch: pa.RecordBatch) -> Reached | None:
    """What the batch says; None where it says nothing."""
    text = (batch.schema.metadata or {}).get(KEY)
    return None if text is None else Reached(*json.loads(text))


def farthest(reached: Iterable[Reached]) -> dict[str, int]:
    """How far each part has been read, of several words on it."""
    positions: dict[str, int] = {}
    for each in reached:
        positions[each.part] = max(each.position, positions.get(each.part, 0))
    return positions
