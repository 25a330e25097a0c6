"""Which version of a reading counts: entries of whole batches, ordered and reduced at once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.entries import ENTRIES, NO_PLACE
from schemas.groupings import BOTH
from schemas.reading import VersionKind
from transforms.grouping import distinct, grouped
from transforms.identity import identities
from transforms.spans import Bools, Ints

__all__ = [
    "Newest",
    "comparable",
    "entries_of",
    "joined",
    "newest",
    "same_rows",
    "text_keys",
    "version_order",
]

Keys: TypeAlias = npt.NDArray[np.bytes_]
VERSION_KIND, VERSION, CONTENT_FROM = 2, 3, 4
"""Places among the `comparable` columns."""

MOMENT = ENTRIES.field("event_time").type
MISSING = {
    "event_time": pa.scalar(0, MOMENT),
    "longitude": pa.scalar(NO_PLACE),
    "latitude": pa.scalar(NO_PLACE),
    "value_micros": pa.scalar(0, pa.int64()),
}
"""What stands in an entry for NULL."""

LONGEST_KEY = 200
"""Bytes by which names of sensors are ordered."""


def entries_of(batch: pa.RecordBatch, group_by: str = BOTH) -> pa.RecordBatch:
    """The entries of placed readings.

    Args:
        batch: of schema `PLACED_READINGS`.
        group_by: what means are grouped by, one of `schemas.groupings.GROUPINGS`.

    Returns:
        A batch of schema `ENTRIES`, row by row.
    """
    high, low = identities(batch)
    batch = grouped(batch, group_by)
    columns = {
        "identity_high": pa.array(high),
        "identity_low": pa.array(low),
        **{name: batch.column(name) for name in ENTRIES.names[2:]},
    }
    if batch.column("deleted").true_count:
        gone = batch.column("deleted")
        columns["event_time"] = pc.if_else(gone, pa.scalar(None, MOMENT), columns["event_time"])
    for name, value in MISSING.items():
        if columns[name].null_count:
            columns[name] = columns[name].fill_null(value)
    return pa.RecordBatch.from_arrays([columns[name] for name in ENTRIES.names], schema=ENTRIES)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All the batches, of one schema, as one; their dictionaries become one."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches)
    columns = [
        pa.concat_arrays(column.unify_dictionaries().chunks)
        if pa.types.is_dictionary(column.type)
        else column.combine_chunks()
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batches[0].schema)


@dataclass(frozen=True)
class Newest:
    """Entries reduced to the newest of each reading.

    Attributes:
        entries: one row a reading, in the order of the identities.
        duplicates: rows left out that say the same as one that is kept or superseded: they equal
            it, or only their arrival, which is all the version they have, is another.
        superseded: rows left out that have an older version.
    """

    entries: pa.RecordBatch
    duplicates: int
    superseded: int


def newest(entries: pa.RecordBatch) -> Newest:
    """The newest version of each reading.

    The result depends on the set of rows alone, not on their order: the greater version kind wins,
    then the greater version, then a deletion, then the greatest content.

    Args:
        entries: of schema `ENTRIES`.
    """
    order, last, repeated = version_order(entries)
    duplicates = int(repeated.sum())
    superseded = len(last) - int(last.sum()) - duplicates
    kept = entries.take(pa.array(order[last] if duplicates or superseded else order))
    return Newest(kept, duplicates, superseded)


def version_order(entries: pa.RecordBatch) -> tuple[Ints, Bools, Bools]:
    """An order of the rows by identity, then version.

    Args:
        entries: of schema `ENTRIES`.

    Returns:
        The order; by place in it, whether the row is the newest of its reading; and whether it is
        a repeat of the row at the next place.
    """
    high = np.asarray(entries.column("identity_high"))
    order = np.argsort(high)
    sorted_high = high[order]
    equal = sorted_high[1:] == sorted_high[:-1]
    last = np.ones(len(order), bool)
    repeated = np.zeros(len(order), bool)
    if not equal.any():
        return order, last, repeated
    shared = np.zeros(len(order), bool)
    shared[1:] = equal
    shared[:-1] |= equal
    places = np.flatnonzero(shared)
    # Only the rows that share a hash are compared any further.
    rows = entries.take(pa.array(order[places]))
    columns = comparable(rows)
    within = np.lexsort(columns[::-1])
    order[places] = order[places[within]]
    columns = [column[within] for column in columns]
    follows = np.ones(max(len(within) - 1, 0), bool)
    for column in columns[:2]:
        follows &= column[1:] == column[:-1]
    last[places[:-1]] = ~follows
    same = [column[1:] == column[:-1] for column in columns]
    arrived = columns[VERSION_KIND] == VersionKind.ARRIVAL
    # What says the same again is a repeat, though a later arrival makes it a newer version.
    repeats = same[VERSION_KIND] & (same[VERSION] | arrived[1:])
    for column in same[CONTENT_FROM:]:
        repeats &= column
    repeated[places[:-1]] = follows & repeats
    return order, last, repeated


def same_rows(left: pa.RecordBatch, right: pa.RecordBatch) -> Bools:
    """Row by row, whether version and content are equal."""
    same = np.ones(left.num_rows, bool)
    for one, other in zip(comparable(left), comparable(right), strict=True):
        same &= one == other
    return same


def comparable(entries: pa.RecordBatch) -> list[npt.NDArray[Any]]:
    """The columns that order entries, the most important first.

    Between equal versions a deletion wins, then the greatest content: any rule would do that does
    not depend on the order in which they came.
    """
    return [
        np.asarray(entries.column("identity_high")),
        np.asarray(entries.column("identity_low")),
        np.asarray(entries.column("version_kind")),
        np.asarray(entries.column("version")),
        entries.column("deleted").to_numpy(zero_copy_only=False),
        np.asarray(entries.column("event_time").view(pa.int64())),
        np.asarray(entries.column("longitude")),
        np.asarray(entries.column("latitude")),
        np.asarray(entries.column("value_micros")),
        _region_numbers(entries.column("region_code")),
        _sensor_keys(entries.column("sensor_id")),
    ]


def _sensor_keys(sensors: pa.DictionaryArray) -> Keys:
    """Each row's sensor in a form that is ordered as SQL orders it; NULL comes first."""
    if sensors.null_count == len(sensors):
        return text_keys([None])[np.zeros(len(sensors), np.int64)]
    texts = sensors.dictionary
    numbers = np.asarray(sensors.indices.cast(pa.int64()).fill_null(len(texts)))
    # A few rows of a large batch still carry all its names.
    found, places = distinct(numbers, len(texts) + 1)
    names = texts.take(pa.array(found[found < len(texts)])).to_pylist()
    return text_keys([*names, None])[places]


def text_keys(texts: Sequence[str | None]) -> Keys:
    """Texts in a form that NumPy compares, byte by byte; of long ones the first bytes and a hash.

    None comes before all others.
    """
    keys = [b"" if text is None else b"\1" + text.encode() for text in texts]
    return np.array(
        [
            key
            if len(key) <= LONGEST_KEY
            else key[:LONGEST_KEY] + hashlib.blake2b(key, digest_size=16).digest()
            for key in keys
        ],
        np.bytes_,
    )


def _region_numbers(codes: pa.DictionaryArray) -> Ints:
    """A number for each row's region, the same in all batches; 0 where there is none.

    One message may say that its country is France where an equal one does not, and two runs may
    know different boundaries.
    """
    table = np.array([*map(_region_number, codes.dictionary.to_pylist()), 0], np.int64)
    numbers: Ints = table[np.asarray(codes.indices.cast(pa.int32()).fill_null(len(table) - 1))]
    return numbers


@functools.lru_cache(maxsize=10_000)
def _region_number(code: str) -> int:
    """A number of 63 bits, in the order of the codes' first four bytes, as SQL orders them."""
    text = code.encode()
    digest = hashlib.blake2b(text, digest_size=4).digest()
    first = int.from_bytes(text[:4].ljust(4, b"\0"), "big")
    return first << 31 | int.from_bytes(digest, "little") >> 2 << 1 | 1
