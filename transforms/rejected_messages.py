"""RejectedToMessages: rejected records as JSON messages for a topic of dead letters."""

from __future__ import annotations

import hashlib

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa

import transforms.batches  # noqa: F401 - registers the coder of batches
from transforms.message_values import (
    Message,
    as_messages,
    attributes_of,
    documents,
    texts_of_moments,
)

__all__ = ["RejectedToMessages", "rejected_messages"]


def rejected_messages(batch: pa.RecordBatch) -> list[Message]:
    """Rejected records as messages.

    Args:
        batch: of schema `schemas.reading.REJECTED`. A hash that is NULL is computed: the raw text
            is then the whole record.

    Returns:
        One message a row, in the order of the rows. The key is the place and the hash of the
        record, so that one that is rejected again replaces itself.
    """
    raws, sources = batch.column("raw").to_pylist(), batch.column("source").to_pylist()
    hashes = [
        found or hashlib.sha256(raw.encode()).hexdigest()
        for found, raw in zip(batch.column("raw_sha256").to_pylist(), raws, strict=True)
    ]
    fields = ("reason", "detail", "raw", "raw_size", "raw_sha256", "source", "rejected_at")
    rows = zip(
        batch.column("reason").to_pylist(),
        batch.column("detail").to_pylist(),
        raws,
        batch.column("raw_size").to_pylist(),
        hashes,
        sources,
        texts_of_moments(np.asarray(batch.column("rejected_at").view(pa.int64()))),
        strict=True,
    )
    keys = [orjson.dumps(key) for key in zip(sources, hashes, strict=True)]
    return as_messages(keys, documents(fields, rows), attributes_of(batch, "rejected", ("reason",)))


class RejectedToMessages(
    beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[Message]]
):
    """Rejected records as JSON messages, for a topic of dead letters.

    Elements in are batches of schema `schemas.reading.REJECTED`, elements out as those of
    `ToMessages`.
    """

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Message]:
        return pcoll | "Render" >> beam.FlatMap(rejected_messages).with_output_types(Message)
