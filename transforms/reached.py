"""How far a source has been read, told along with the readings until they are stored.

The last batch of a payload carries it in the metadata of its schema: whoever has stored all batches
that came up to it has stored all that the source has given up to there.
"""

from __future__ import annotations

import json

import pyarrow as pa

from transforms.payload import Reached

__all__ = ["reached_of", "with_reached"]

KEY = b"reached"


def with_reached(batch: pa.RecordBatch, reached: Reached) -> pa.RecordBatch:
    """The batch, saying how far its source has been read with it."""
    return batch.replace_schema_metadata({KEY: json.dumps([reached.part, reached.position])})


def reached_of(batch: pa.RecordBatch) -> Reached | None:
    """What the batch says; None where it says nothing."""
    text = (batch.schema.metadata or {}).get(KEY)
    return None if text is None else Reached(*json.loads(text))
