"""The columns of readings before they are a batch, and how they become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reading import READINGS, VersionKind
from transforms.layouts import Codes, FormatSet
from transforms.spans import PADDING, Bools, Floats, Ints, Spans

__all__ = ["Columns", "reading_batch"]

MOMENT = READINGS.field("event_time").type
NO_TEXTS = pa.array([], pa.string())


@dataclass(frozen=True)
class Columns:
    """The columns of n readings, and `causes`: 0 where good, else the number of the cause.

    Where `deleted`, places and values mean nothing, and neither do times if there is an id.
    Where a layout has no place, these columns hold anything.

    Attributes:
        rows: the number of the record that holds each.
        entries: which entry of its record it is; -1 where the record is one reading, or wrong
            as a whole; None where all are.
        ids, sensors: their texts; None where the layouts have none.
        layouts: numbers of the parser's layouts.
        quantities: numbers of the parser's quantities.
    """

    rows: Ints
    entries: Ints | None
    ids: Spans | None
    sensors: Spans | None
    layouts: Codes
    quantities: Codes
    times: Ints
    longitudes: Floats
    latitudes: Floats
    micros: Ints
    in_france: Bools
    versions: Ints
    version_kinds: npt.NDArray[np.int8]
    deleted: Bools
    causes: npt.NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def join(cls, pieces: Sequence[Columns]) -> Columns:
        """The rows of all pieces, whose ids and sensors stand in the same buffer."""
        if len(pieces) == 1:
            return pieces[0]
        joined: dict[str, Any] = {}
        for one in dataclass_fields(cls):
            columns: list[Any] = [getattr(piece, one.name) for piece in pieces]
            known = next((column for column in columns if column is not None), None)
            if known is None:
                joined[one.name] = None
            elif isinstance(known, Spans):
                columns = [
                    _no_spans(known, len(piece)) if column is None else column
                    for column, piece in zip(columns, pieces, strict=True)
                ]
                starts = np.concatenate([spans.starts for spans in columns])
                lengths = np.concatenate([spans.lengths for spans in columns])
                joined[one.name] = Spans(known.buffer, starts, lengths)
            else:
                columns = [
                    np.full(len(piece), -1) if column is None else column
                    for column, piece in zip(columns, pieces, strict=True)
                ]
                joined[one.name] = np.concatenate(columns)
        return cls(**joined)


def reading_batch(
    columns: Columns,
    rows: npt.NDArray[np.int64],
    formats: FormatSet,
    source: str,
    arrived_at: int | Ints | None = None,
) -> pa.RecordBatch:
    """The given rows as a batch of readings.

    Args:
        columns: what `interpret` gave.
        rows: which rows, all good, at least one.
        formats: what the numbers of layouts and quantities mean.
        source: where the rows came from.
        arrived_at: when they were brought, in microseconds since the epoch, all at once or each
            of the given rows: the version of those that have none; None for files.

    Returns:
        A batch of schema `READINGS`.
    """
    count = len(rows)
    whole = count == len(columns)

    def pick(values: npt.NDArray) -> npt.NDArray:
        return values if whole else values[rows]

    layouts = pick(columns.layouts)
    deleted, versions, kinds = (
        pick(values) for values in (columns.deleted, columns.versions, columns.version_kinds)
    )
    has_id, has_sensor, has_place = (
        _having(flags, layouts) for flags in (formats.has_id, formats.has_sensor, formats.has_place)
    )
    # Arrow sees a mask's bits one by one: most batches need none.
    gone = deleted if deleted.any() else None
    timeless = None if gone is None else gone & (True if has_id is None else has_id)
    if timeless is not None and timeless.any():
        # A deletion of what has an id says nothing else.
        has_sensor = ~timeless if has_sensor is None else has_sensor & ~timeless
    nowhere = gone if has_place is None else (~has_place if gone is None else gone | ~has_place)
    arrivals = pa.nulls(count, MOMENT)
    if arrived_at is not None:
        moments = np.broadcast_to(np.asarray(arrived_at, np.int64), count)
        arrivals = pa.array(np.ascontiguousarray(moments)).view(MOMENT)
        versions = np.where(kinds == VersionKind.NONE, arrived_at, versions)
        kinds = np.maximum(kinds, np.int8(VersionKind.ARRIVAL))
    return pa.RecordBatch.from_arrays(
        [
            _texts(_some(columns.ids, rows, whole=whole), has_id, count),
            _names(_some(columns.sensors, rows, whole=whole), has_sensor, count),
            _encoded(pick(columns.quantities), formats.quantities),
            pa.array(pick(columns.times), mask=timeless).view(MOMENT),
            pa.array(pick(columns.longitudes), mask=nowhere),
            pa.array(pick(columns.latitudes), mask=nowhere),
            pa.array(pick(columns.micros), mask=gone),
            pa.array(pick(columns.in_france)),
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), [source]),
            pa.array(versions),
            pa.array(kinds),
            pa.array(deleted),
            arrivals,
            _encoded(formats.format_of.take(layouts), tuple(one.name for one in formats.formats)),
        ],
        schema=READINGS,
    )


def _having(flags: Bools, layouts: Codes) -> Bools | None:
    """Which rows have something, by their layouts; None where all do."""
    if flags.all():
        return None
    if not flags.any():
        return np.zeros(len(layouts), bool)
    having = flags.take(layouts)
    return None if having.all() else having


def _no_spans(like: Spans, count: int) -> Spans:
    nothing = np.zeros(count, np.int64)
    return Spans(like.buffer, nothing + PADDING, nothing)


def _some(spans: Spans | None, rows: Ints, *, whole: bool) -> Spans | None:
    return spans if whole or spans is None else spans.take(rows)


def _texts(spans: Spans | None, having: Bools | None, count: int) -> pa.Array:
    if spans is None:
        return pa.nulls(count, pa.string())
    if having is None:
        return spans.to_arrow()
    kept = Spans(spans.buffer, spans.starts, np.where(having, spans.lengths, 0))
    return pc.if_else(pa.array(having), kept.to_arrow(), None)


def _names(spans: Spans | None, having: Bools | None, count: int) -> pa.DictionaryArray:
    """The texts, each different one once."""
    if spans is None:
        return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), NO_TEXTS)
    return _texts(spans, having, count).dictionary_encode()


def _encoded(codes: Codes, names: Sequence[str]) -> pa.DictionaryArray:
    """Numbers with what they mean; names that do not occur are left out."""
    first = int(codes[0])
    if (codes == first).all():
        return pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(codes), np.int8)), [names[first]]
        )
    present = np.flatnonzero(np.bincount(codes, minlength=len(names)))
    again = np.zeros(len(names), np.int8)
    again[present] = np.arange(len(present))
    texts = [names[number] for number in present.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(again.take(codes)), texts)
