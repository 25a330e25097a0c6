"""From the fields of records to readings: types, ranges, and the cause where one is no reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.message_formats import MessageFormat
from schemas.reading import READINGS, VersionKind
from schemas.reasons import Causes
from transforms.fields import DOUBT, MISSING, NULL, NUMBER, OTHER, Fault, Field, Fields
from transforms.measurements import read_measurements
from transforms.message_versions import read_deletions, read_versions
from transforms.spans import Bools, Floats, Ints, Spans

__all__ = ["UNSURE", "Columns", "interpret", "reading_batch"]

UNSURE = 255
"""The cause of a record on which only a JSON parser can decide."""

LONGEST_DECIMAL = 32
"""Bytes of the longest number with a fraction that is kept as it is written."""


@dataclass(frozen=True)
class Columns:
    """The columns of n readings, and `causes`: 0 where good, else the number of the cause.

    Where `deleted`, times, places and values mean nothing.
    """

    ids: Spans
    times: Ints
    longitudes: Floats
    latitudes: Floats
    micros: Ints
    in_france: Bools
    versions: Ints
    version_kinds: npt.NDArray[np.int8]
    deleted: Bools
    causes: npt.NDArray[np.uint8]

    @classmethod
    def join(cls, pieces: Sequence[Columns]) -> Columns:
        """The rows of all pieces, whose ids stand in the same buffer."""

        def joined(name: str) -> npt.NDArray:
            return np.concatenate([getattr(piece, name) for piece in pieces])

        starts = np.concatenate([piece.ids.starts for piece in pieces])
        lengths = np.concatenate([piece.ids.lengths for piece in pieces])
        names = [one.name for one in dataclass_fields(cls) if one.name != "ids"]
        ids = Spans(pieces[0].ids.buffer, starts, lengths)
        return cls(ids, **{name: joined(name) for name in names})


def interpret(
    fields: Fields, message_format: MessageFormat, causes: Causes, *, strict: bool = False
) -> Columns:
    """Reads the fields as the format says.

    Args:
        fields: of n records; keys that the format does not name are not looked at.
        message_format: which key is what.
        causes: gives the numbers of the causes; new ones are added.
        strict: the fields are those of records that fit a template: none is missing, but the
            numbers' text has not been through a JSON parser. What may not be exact JSON
            syntax gets the cause `UNSURE`, and so do rare forms of timestamps and versions.

    Returns:
        n rows. Where several things are wrong with a record, the first in the order of
        `schemas.reasons.REASONS` is its cause; what is wrong with `deleted` or a version comes
        after all others. In a deletion only the id and the version are looked at.
    """
    form, by_key = message_format, fields.by_key
    count = len(fields.rows)
    cause = np.zeros(count, np.uint8)

    def blame(faults: Iterable[Fault], among: npt.NDArray[np.int64] | None = None) -> None:
        for fault in faults:
            if fault.wrong.any():
                rows = np.flatnonzero(fault.wrong) if among is None else among[fault.wrong]
                if fault.reason == DOUBT:
                    cause[rows] = UNSURE
                else:
                    cause[rows[cause[rows] == 0]] = causes.number(fault.reason, fault.detail)

    deleted, doubts = read_deletions(fields, form)
    if not strict:
        blame(_lacks(by_key, form, deleted))
    blame(_wrong_ids(by_key[form.id], form, strict=strict))
    rows = None if strict else np.flatnonzero((cause == 0) & ~deleted)
    if rows is None or len(rows) == count:
        measured = read_measurements(by_key, form, strict=strict)
        blame(measured.faults)
    else:
        # Whoever is blamed already is spared the cost of reading the rest.
        left = {key: field.take(rows) for key, field in by_key.items()}
        measured = read_measurements(left, form)
        blame(measured.faults, rows)
        measured = measured.spread(rows, count)
    versions = read_versions(fields, form, strict=strict)
    blame([*doubts, *versions.faults])
    return Columns(
        by_key[form.id].spans,
        measured.times,
        measured.longitudes,
        measured.latitudes,
        measured.micros,
        measured.in_france,
        versions.numbers,
        versions.kinds,
        deleted,
        cause,
    )


def reading_batch(
    columns: Columns,
    rows: npt.NDArray[np.int64],
    message_format: MessageFormat,
    source: str,
    arrived_at: int | Ints | None = None,
) -> pa.RecordBatch:
    """The given rows as a batch of readings.

    Args:
        columns: what `interpret` gave.
        rows: which rows, all good.
        message_format: says the quantity.
        source: where the rows came from.
        arrived_at: when they were brought, in microseconds since the epoch, all at once or each
            of the given rows: the version of those that have none; None for files.

    Returns:
        A batch of schema `READINGS`.
    """
    count = len(rows)
    whole = count == len(columns.times)

    def pick(values: npt.NDArray) -> npt.NDArray:
        return values if whole else values[rows]

    same = pa.array(np.zeros(count, np.int8))
    moment = READINGS.field("event_time").type
    deleted, versions, kinds = (
        pick(values) for values in (columns.deleted, columns.versions, columns.version_kinds)
    )
    # Arrow sees a mask's bits one by one: most batches need none.
    gone = deleted if deleted.any() else None
    arrivals = pa.nulls(count, moment)
    if arrived_at is not None:
        moments = np.broadcast_to(np.asarray(arrived_at, np.int64), count)
        arrivals = pa.array(np.ascontiguousarray(moments)).view(moment)
        versions = np.where(kinds == VersionKind.NONE, arrived_at, versions)
        kinds = np.maximum(kinds, np.int8(VersionKind.ARRIVAL))
    return pa.RecordBatch.from_arrays(
        [
            (columns.ids if whole else columns.ids.take(rows)).to_arrow(),
            pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), pa.array([], pa.string())),
            pa.DictionaryArray.from_arrays(same, [message_format.quantity]),
            pa.array(pick(columns.times), mask=gone).view(moment),
            pa.array(pick(columns.longitudes), mask=gone),
            pa.array(pick(columns.latitudes), mask=gone),
            pa.array(pick(columns.micros), mask=gone),
            pa.array(pick(columns.in_france)),
            pa.DictionaryArray.from_arrays(same, [source]),
            pa.array(versions),
            pa.array(kinds),
            pa.array(deleted),
            arrivals,
            pa.DictionaryArray.from_arrays(same, [message_format.name]),
        ],
        schema=READINGS,
    )


def _lacks(by_key: Mapping[str, Field], form: MessageFormat, deleted: Bools) -> Iterator[Fault]:
    """Which messages lack a field, or have something there that is no string and no number."""
    some_deleted = bool(deleted.any())
    for kind, reason, says in (
        (MISSING, "missing_field", "the field {} is missing"),
        (NULL, "null_value", "the field {} is null"),
        (OTHER, "wrong_type", "the field {} is not {}"),
    ):
        for key in form.required:
            wrong = by_key[key].kinds == kind
            if some_deleted and key != form.id:
                wrong &= ~deleted
            yield Fault(wrong, reason, says.format(key, _wanted(key, form)))


def _wrong_ids(identifier: Field, form: MessageFormat, *, strict: bool) -> Iterator[Fault]:
    if strict:
        yield Fault(_leading_zero(identifier), DOUBT, "a number may not be JSON")
    fractional = (identifier.kinds == NUMBER) & _not_integer(identifier)
    detail = f"the field {form.id} is not {_wanted(form.id, form)}"
    yield Fault(fractional, "wrong_type", detail)


def _wanted(key: str, form: MessageFormat) -> str:
    return "a string or an integer" if key in (form.id, form.time) else "a number"


def _not_integer(field: Field) -> Bools:
    """Where the text of a number has a dot, an exponent or a letter (NaN)."""
    if not (field.kinds == NUMBER).any():
        return np.zeros(len(field.kinds), bool)
    text = field.spans.gather(field.spans.starts, LONGEST_DECIMAL)
    other = ((text - np.uint8(0x30)) > 9) & (text != 0x2D)
    inside = np.arange(LONGEST_DECIMAL) < field.spans.lengths[:, None]
    return np.asarray((other & inside).any(axis=1))


def _leading_zero(field: Field) -> Bools:
    """Where an integer begins with a zero that is not all of it."""
    if not (field.kinds == NUMBER).any():
        return np.zeros(len(field.kinds), bool)
    buffer, starts = field.spans.buffer, field.spans.starts
    negative = buffer[starts] == 0x2D
    digits = field.spans.lengths - negative
    # `-0` is the number 0, whose text has no sign.
    zero = (buffer[starts + negative] == 0x30) & ((digits > 1) | negative)
    return np.asarray((field.kinds == NUMBER) & (zero | (digits == 0)))
