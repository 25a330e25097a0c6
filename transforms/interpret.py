"""From the fields of records to readings: types, ranges, and the cause where one is no reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.message_formats import MessageFormat
from schemas.reading import READINGS, VersionKind
from schemas.reasons import Causes
from transforms.fields import MISSING, NULL, NUMBER, OTHER, STRING, Field, Fields
from transforms.message_versions import read_deletions, read_versions
from transforms.numbers import parse_numbers
from transforms.spans import Bools, Floats, Ints, Spans, gather_words
from transforms.timestamps import parse_timestamps

__all__ = ["MAX_VALUE", "Columns", "interpret", "reading_batch"]

MAX_VALUE = 1e9
"""Values beyond ±1e9 are `out_of_range`: no sensor means them, and sums must stay exact."""

MAX_LATITUDE, MAX_LONGITUDE = 90.0, 180.0
FRANCE = ("france", "fr", "fra")
"""What a message may write, in any case, to say that its country is France."""


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
        strict: the numbers' text has not been through a JSON parser: what is not exact JSON
            syntax gets the cause `not_json`. Causes then only say that a record must be read
            the general way; rare forms of timestamps get one, too.

    Returns:
        n rows. Where several things are wrong with a record, the first in the order of
        `schemas.reasons.REASONS` is its cause; what is wrong with `deleted` or a version comes
        after all others. In a deletion only the id and the version are looked at.
    """
    form, by_key = message_format, fields.by_key
    cause = np.zeros(len(fields.rows), np.uint8)

    deleted, faults = read_deletions(fields, form)
    some_deleted = bool(deleted.any())

    def blame(wrong: Bools, reason: str, detail: str, *, always: bool = False) -> None:
        if some_deleted and not always:
            wrong = wrong & ~deleted
        if wrong.any():
            cause[wrong & (cause == 0)] = causes.number(reason, detail)

    for kind, reason, says in (
        (MISSING, "missing_field", "the field {} is missing"),
        (NULL, "null_value", "the field {} is null"),
        (OTHER, "wrong_type", ""),
    ):
        for key in form.required:
            detail = says.format(key) or _wrong_type(key, form)
            blame(by_key[key].kinds == kind, reason, detail, always=key == form.id)

    identifier = by_key[form.id]
    numbers = {
        key: by_key[key].numbers or parse_numbers(by_key[key].spans, micros=key == form.value)
        for key in (form.longitude, form.latitude, form.value)
    }
    if strict:
        for key, read in numbers.items():
            doubtful = (by_key[key].kinds == NUMBER) & ~read.is_json
            blame(doubtful, "not_json", "a number is not JSON")
        blame(_leading_zero(identifier), "not_json", "a number is not JSON", always=True)
    fractional = (identifier.kinds == NUMBER) & _not_integer(identifier)
    blame(fractional, "wrong_type", _wrong_type(form.id, form), always=True)
    for key in (form.latitude, form.longitude, form.value):
        blame(~numbers[key].is_number, "wrong_type", _wrong_type(key, form))

    times = parse_timestamps(by_key[form.time].spans, hasty=strict)
    blame(~times.good, "bad_timestamp", f"the field {form.time} is not a timestamp we know")
    longitudes, latitudes = numbers[form.longitude].values, numbers[form.latitude].values
    for key, values, most in (
        (form.latitude, latitudes, MAX_LATITUDE),
        (form.longitude, longitudes, MAX_LONGITUDE),
    ):
        detail = f"the field {key} is not a number from -{most:.0f} to {most:.0f}"
        blame(~(np.abs(values) <= most), "bad_coordinates", detail)
    value = numbers[form.value]
    blame(~np.isfinite(value.values), "not_finite", f"the field {form.value} is not finite")
    detail = f"the field {form.value} is beyond ±{MAX_VALUE:.0e}"
    blame(np.abs(value.values) > MAX_VALUE, "out_of_range", detail)

    versions = read_versions(fields, form, strict=strict)
    for fault in (*faults, *versions.faults):
        blame(fault.rows, fault.reason, fault.detail, always=True)
    return Columns(
        identifier.spans,
        times.micros,
        longitudes,
        latitudes,
        value.micros,
        _says_france(by_key[form.country]) & ~deleted,
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
    arrived_at: int | None = None,
) -> pa.RecordBatch:
    """The given rows as a batch of readings.

    Args:
        columns: what `interpret` gave.
        rows: which rows, all good.
        message_format: says the quantity.
        source: where the rows came from.
        arrived_at: when they were brought, in microseconds since the epoch: the version of those
            that have none; None for files.

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
        arrivals = pa.repeat(pa.scalar(arrived_at, moment), count)
        versions = np.where(kinds == VersionKind.NONE, arrived_at, versions)
        kinds = np.maximum(kinds, np.int8(VersionKind.ARRIVAL))
    return pa.RecordBatch.from_arrays(
        [
            (columns.ids if whole else columns.ids.take(rows)).to_arrow(),
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


def _wrong_type(key: str, form: MessageFormat) -> str:
    wanted = "a string or an integer" if key in (form.id, form.time) else "a number"
    return f"the field {key} is not {wanted}"


def _not_integer(field: Field) -> Bools:
    """Where the text of a number has a dot, an exponent or a letter (NaN)."""
    if not (field.kinds == NUMBER).any():
        return np.zeros(len(field.kinds), bool)
    text = field.spans.gather(field.spans.starts, 24)
    other = ((text - np.uint8(0x30)) > 9) & (text != 0x2D)
    return np.asarray((other & (np.arange(24) < field.spans.lengths[:, None])).any(axis=1))


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


def _says_france(country: Field) -> Bools:
    lengths = country.spans.lengths
    word, _ = gather_words(country.spans.buffer, country.spans.starts)
    says = np.zeros(len(lengths), bool)
    for name in FRANCE:
        mask = np.uint64((1 << (8 * len(name))) - 1)
        lower = (word | np.uint64(0x2020202020202020)) & mask
        says |= (lengths == len(name)) & (
            lower == np.uint64(int.from_bytes(name.encode(), "little"))
        )
    return says & (country.kinds == STRING)
