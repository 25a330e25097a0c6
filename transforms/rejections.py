"""Rejected records as rows: the reason, the sentence, the raw text, and where the whole stands."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reading import REJECTED
from schemas.reasons import Causes
from transforms.spans import Spans

__all__ = ["MAX_RAW", "one_rejection", "place_in", "places_in", "rejections"]

MAX_RAW = 64 * 1024
"""Bytes of a record's text that are kept."""

AT_ONCE = 2048
"""Texts that are hashed at a time."""


def rejections(
    records: Spans,
    cause: npt.NDArray[np.unsignedinteger],
    causes: Causes,
    places: pa.Array,
    *,
    hashed: bool = True,
) -> pa.RecordBatch:
    """The records as rows of `rejected_readings`.

    Args:
        records: the rejected records, any bytes.
        cause: the number of each one's cause.
        causes: what the numbers mean.
        places: where each stands: the file, topic or address, and where in it.
        hashed: False may leave `raw_sha256` NULL where `raw` is the whole record.

    Returns:
        A batch of schema `REJECTED`.
    """
    raw, hashes = _raw_and_hashes(records, hashed=hashed)
    index = pa.array(cause.astype(np.int32) - 1)
    now = pa.scalar(time.time_ns() // 1000).cast(REJECTED.field("rejected_at").type)
    return pa.RecordBatch.from_arrays(
        [
            pc.take(pa.array(causes.reasons, pa.string()), index),
            pc.take(pa.array(causes.details, pa.string()), index),
            raw,
            pa.array(records.lengths),
            hashes,
            places,
            pa.repeat(now, len(records)),
        ],
        schema=REJECTED,
    )


def place_in(source: str, offset: int | str | None, unit: str = "byte") -> str:
    """A place in a source as it is written everywhere: `/data/a.jsonl#byte=1540`."""
    return source if offset is None else f"{source}#{unit}={offset}"


def places_in(source: str, offsets: pa.Array, unit: str = "byte") -> pa.Array:
    """Places in a source, each as `place_in` writes it."""
    prefix = pa.scalar(place_in(source, "", unit))
    return pc.binary_join_element_wise(prefix, pc.cast(offsets, pa.string()), "")


def one_rejection(
    *, reason: str, detail: str, raw: bytes, raw_size: int, raw_sha256: str, source: str
) -> pa.RecordBatch:
    """One rejected record whose size and hash are already known, as for one too large to hold."""
    now = pa.scalar(time.time_ns() // 1000).cast(REJECTED.field("rejected_at").type)
    values = [[reason], [detail], [_text(raw)], [raw_size], [raw_sha256], [source]]
    columns = [pa.array(value, field.type) for value, field in zip(values, REJECTED, strict=False)]
    return pa.RecordBatch.from_arrays([*columns, pa.repeat(now, 1)], schema=REJECTED)


def _raw_and_hashes(records: Spans, *, hashed: bool) -> tuple[pa.Array, pa.Array]:
    short = records.lengths <= MAX_RAW
    if short.all():
        raw = records.to_arrow()
        try:
            raw.validate(full=True)
        except pa.ArrowInvalid:
            pass
        else:
            return raw, _sha256(raw) if hashed else pa.nulls(len(raw), pa.string())
    pieces = [
        records.buffer[start : start + length].tobytes()
        for start, length in zip(records.starts.tolist(), records.lengths.tolist(), strict=True)
    ]
    hashes = [hashlib.sha256(piece).hexdigest() for piece in pieces]
    return pa.array([_text(piece) for piece in pieces], pa.string()), pa.array(hashes, pa.string())


def _sha256(texts: pa.Array) -> pa.Array:
    """The hash of every text, in hexadecimal digits.

    Python's own is OpenSSL's, which uses what the processor has for it: less work than DuckDB's.
    """
    sha256 = hashlib.sha256
    # Few at a time, so that they stay in the processor's caches.
    hashes = [
        sha256(text).digest()
        for begin in range(0, len(texts), AT_ONCE)
        for text in texts.slice(begin, AT_ONCE).cast(pa.binary()).to_pylist()
    ]
    size = 2 * sha256().digest_size
    places = np.arange(0, (len(texts) + 1) * size, size, dtype=np.int32)
    digits = b"".join(hashes).hex().encode()
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(places), pa.py_buffer(digits))


def _text(raw: bytes) -> str:
    """At most `MAX_RAW` bytes as text; what is not UTF-8 becomes U+FFFD."""
    text = raw[:MAX_RAW].decode("utf-8", "replace")
    while len(text.encode()) > MAX_RAW:
        text = text[: -max(1, (len(text.encode()) - MAX_RAW) // 4)]
    return text
