"""What messages are made of: values of columns, JSON documents, attributes, moments."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "Message",
    "as_messages",
    "attributes_of",
    "column_values",
    "documents",
    "each_once",
    "take_moments",
    "texts_of_moments",
    "texts_of_seconds",
]

Message: TypeAlias = tuple[bytes, bytes, dict[str, str]]
"""Key, value and attributes of a message: what the sinks of queues take."""

FORM = "%Y-%m-%dT%H:%M:%SZ"
LONGEST_ATTRIBUTE = 1024
"""Bytes that an attribute may have in Pub/Sub."""

_clock_lock = threading.Lock()
_last_moment = 0


def take_moments(amount: int) -> int:
    """The first of so many moments that this process has given to nothing else, rising."""
    global _last_moment  # noqa: PLW0603 - one clock a process
    with _clock_lock:
        first = max(time.time_ns() // 1000, _last_moment + 1)
        _last_moment = first + amount - 1
    return first


def column_values(
    batch: pa.RecordBatch, name: str, change: Callable[[Any], Any] | None = None
) -> list[Any]:
    """A column's values; NULLs where there is no such column.

    `change` is applied to each different text once.
    """
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column(name)
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return column.to_pylist() if column.null_count else np.asarray(column).tolist()
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    texts = [*column.dictionary.to_pylist(), None]
    if change is not None:
        texts = [change(text) for text in texts]
    numbers = column.indices.fill_null(len(texts) - 1)
    return [texts[number] for number in np.asarray(numbers).tolist()]


def each_once(make: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """What is made of each item; of equal ones once."""
    made = functools.cache(make)
    return [made(item) for item in items]


def texts_of_seconds(moments: pa.Array) -> list[str]:
    """Moments that are whole seconds as `2019-02-19T14:00:00Z`; few of them differ."""
    encoded = moments.dictionary_encode()
    texts = pc.strftime(encoded.dictionary.cast(pa.timestamp("s")), FORM).to_pylist()
    return [texts[number] for number in np.asarray(encoded.indices).tolist()]


def texts_of_moments(micros: np.ndarray) -> list[str]:
    """Moments as `2019-02-19T14:00:00.123456Z`."""
    texts: list[str] = pc.strftime(pa.array(micros).view(pa.timestamp("us")), FORM).to_pylist()
    return texts


def as_messages(
    keys: Iterable[bytes], values: Iterable[bytes], attributes: Iterable[dict[str, str]]
) -> list[Message]:
    """Keys, values and attributes, one of each a message."""
    return list(zip(keys, values, attributes, strict=True))


def documents(fields: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    """Rows as JSON objects with the fields; floats in their shortest exact form."""
    dumps: Callable[[Any], bytes] = orjson.dumps
    return (dumps(dict(zip(fields, row, strict=True))) for row in rows)


def attributes_of(batch: pa.RecordBatch, kind: str, names: Sequence[str]) -> list[dict[str, str]]:
    """What a subscriber may filter by; what is NULL, or too long for Pub/Sub, is left out."""
    columns = {name: column_values(batch, name, _short) for name in names}
    full = ["format", *(name for name in names if None not in columns[name])]
    some = [name for name in names if None in columns[name]]
    rows = zip([kind] * batch.num_rows, *(columns[name] for name in full[1:]), strict=True)
    attributes = [dict(zip(full, row, strict=True)) for row in rows]
    for name in some:
        for found, text in zip(attributes, columns[name], strict=True):
            if text is not None:
                found[name] = text
    return attributes


def _short(text: str | None) -> str | None:
    return None if text is None or len(text.encode()) > LONGEST_ATTRIBUTE else text
