"""From the fields of records to readings: types, ranges, and the cause where one is no reading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from schemas.reasons import REASONS, Causes
from transforms.blame import Blame
from transforms.columns import Columns
from transforms.fields import DOUBT, NUMBER, STRING, Fault, Field, Fields
from transforms.layouts import Codes, Known
from transforms.measurements import (
    MEASURED,
    Measurements,
    choose_values,
    read_measurements,
    read_times,
    read_values,
    spread,
)
from transforms.message_versions import read_deletions, read_versions
from transforms.required_fields import odd_entries, what_is_lacking, wrong_names
from transforms.spans import PADDING, Bools, Ints, Spans, padded

__all__ = ["interpret"]

URGENCY = {reason: number for number, reason in enumerate((DOUBT, *REASONS))}


def interpret(fields: Fields, known: Known, causes: Causes, *, strict: bool = False) -> Columns:
    """Reads the fields as the format says.

    Args:
        fields: of n records; paths that the format does not name are not looked at.
        known: the layout of the records: which path is what.
        causes: gives the numbers of the causes; new ones are added.
        strict: the fields are those of records that fit a template: none is missing, but the
            numbers' text has not been through a JSON parser. What may not be exact JSON
            syntax gets the cause `UNSURE`, and so do rare forms of timestamps and versions.

    Returns:
        A row for each reading, good or bad, and for each record that is wrong as a whole; first
        those that are. Where several things are wrong with one, the first in the order of
        `schemas.reasons.REASONS` is its cause; what is wrong with `deleted` or a version comes
        after all others. In a deletion only the identity and the version are looked at.
    """
    layout = known.layout
    fields = _with_constants(fields, known)
    count = len(fields.rows)
    blame = Blame(count, causes)
    deleted, doubts = read_deletions(fields, layout)
    alone = layout.entries is None
    chosen, value, which = _chosen(fields, known) if alone else (None, None, None)
    if not strict:
        blame.put(what_is_lacking(fields.by_path, layout, deleted, value, which))
    blame.put(wrong_names(fields.by_path, layout, deleted, strict=strict))
    if chosen is not None:
        blame.put([_unknown_quantity(chosen, known)])
    measured, micros = _measured(fields, known, blame, deleted, (chosen, value, which), strict)
    versions = read_versions(fields, layout, strict=strict)
    blame.put([*doubts, *versions.faults])
    nothing = np.zeros(count, np.int64)
    columns = Columns(
        fields.rows,
        None,
        _spans(fields, layout.paths.get("id")),
        _spans(fields, layout.paths.get("sensor_id")),
        np.full(count, known.number, np.int8),
        nothing.astype(np.int8) if chosen is None else known.codes.take(np.maximum(chosen, 0)),
        measured.times,
        measured.longitudes,
        measured.latitudes,
        nothing if micros is None else micros,
        measured.in_france,
        versions.numbers,
        versions.kinds,
        deleted,
        blame.cause,
    )
    return columns if alone else _with_entries(fields, known, columns, causes, strict=strict)


def _measured(
    fields: Fields,
    known: Known,
    blame: Blame,
    deleted: Bools,
    values: tuple[Codes | None, Field | None, Ints | None],
    strict: bool,
) -> tuple[Measurements, Ints | None]:
    """Time, place and value of those that are not blamed, and not deleted if that spares them."""
    layout, count = known.layout, len(fields.rows)
    chosen, value, which = values
    rows = None if strict else np.flatnonzero((blame.cause == 0) & ~deleted)
    if rows is None or len(rows) == count:
        measured = read_measurements(fields.by_path, layout, strict=strict)
        faults, micros, among = measured.faults, None, None
        if value is not None and chosen is not None:
            micros, more = read_values(value, known, chosen, which, strict=strict)
            faults = [*faults, *more]
    else:
        # Whoever is blamed already is spared the cost of reading the rest.
        paths = [layout.paths.get(part, "") for part in MEASURED]
        left = fields.only([path for path in paths if path in fields.by_path]).take(rows)
        measured = read_measurements(left.by_path, layout)
        faults, micros, among = measured.faults, None, rows
        if value is not None and chosen is not None:
            part = None if which is None else which[rows]
            micros, more = read_values(value.take(rows), known, chosen[rows], part)
            faults, micros = [*faults, *more], spread(micros, rows, count)
        measured = measured.spread(rows, count)
    blame.put(sorted(faults, key=lambda fault: URGENCY[fault.reason]), among)
    if not strict and not layout.has_id and deleted.any():
        gone = np.flatnonzero((blame.cause == 0) & deleted)
        path = layout.paths["event_time"]
        times, fault = read_times(fields.by_path[path].spans.take(gone), path, hasty=False)
        blame.put([fault], gone)
        measured.times[gone] = times.micros
    return measured, micros


def _chosen(fields: Fields, known: Known) -> tuple[Codes, Field, Ints | None]:
    """Which of the layout's quantities each measures, and the field with the value."""
    selector, by_path = known.layout.selector, fields.by_path
    if fields.quantity is not None:
        quantity = tuple(known.layout.quantities.values())[fields.quantity]
        path = next(path for path in quantity.values if path in by_path)
        count = len(fields.rows)
        which = np.full(count, known.layout.values.index(path))
        return np.full(count, fields.quantity, np.int8), by_path[path], which
    if selector is None:
        field = by_path[known.layout.values[0]]
        chosen = np.zeros(len(field.kinds), np.int8)
    else:
        said = by_path[selector]
        chosen = known.names.codes(said.spans)
        chosen[said.kinds != STRING] = -1
    return chosen, *choose_values(by_path, known, chosen)


def _unknown_quantity(chosen: Codes, known: Known) -> Fault:
    listed = ", ".join(known.names.texts)
    detail = f"the field {known.layout.selector} is not one of {listed}"
    return Fault(chosen < 0, "wrong_type", detail)


def _with_entries(
    fields: Fields, known: Known, messages: Columns, causes: Causes, *, strict: bool
) -> Columns:
    """The rows of the entries; of messages that are wrong as a whole there is one each."""
    layout = known.layout
    owners, entries = fields.owners, fields.entries
    assert owners is not None and entries is not None  # noqa: S101, PT018 - who calls has looked
    empty = np.bincount(owners, minlength=len(messages)) == 0
    if empty.any():
        empty &= messages.causes == 0
        detail = f"the field {layout.entries} holds no reading"
        messages.causes[empty] = causes.number("missing_field", detail)
    good = messages.causes == 0
    by_path = {path: fields.by_path[path] for path in fields.by_path if "[]" in path}
    odd = fields.odd
    if not good.all():
        kept = np.flatnonzero(good[owners])
        owners, entries = owners[kept], entries[kept]
        by_path = {path: field.take(kept) for path, field in by_path.items()}
        odd = None if odd is None else odd[kept]
    blame = Blame(len(owners), causes)
    deleted = messages.deleted[owners]
    chosen, value, which = _chosen(Fields(owners, by_path), known)
    if not strict:
        if odd is not None:
            blame.put(odd_entries(odd, layout))
        selector = layout.selector
        blame.put(what_is_lacking(by_path, layout, deleted, value, which, selector=selector))
    blame.put([_unknown_quantity(chosen, known)])
    rows = np.flatnonzero((blame.cause == 0) & ~deleted) if not strict else np.arange(len(owners))
    if len(rows) == len(owners):
        micros, faults = read_values(value, known, chosen, which, strict=strict)
        blame.put(faults)
    else:
        part = None if which is None else which[rows]
        micros, faults = read_values(value.take(rows), known, chosen[rows], part)
        blame.put(faults, rows)
        micros = spread(micros, rows, len(owners))
    codes = known.codes.take(np.maximum(chosen, 0))
    wrong = np.flatnonzero(~good)
    return _joined(messages, wrong, owners, entries, codes, micros, blame.cause)


def _joined(
    messages: Columns,
    wrong: Ints,
    owners: Ints,
    entries: Ints,
    quantities: Codes,
    micros: Ints,
    causes: npt.NDArray[np.uint16],
) -> Columns:
    """Wrong messages, one row each, and the entries of the others, with what their message says."""
    every = np.concatenate([wrong, owners]) if len(wrong) else owners
    nothing = np.zeros(len(wrong), np.int64)
    return Columns(
        messages.rows[every],
        np.concatenate([nothing - 1, entries]),
        None if messages.ids is None else messages.ids.take(every),
        None if messages.sensors is None else messages.sensors.take(every),
        messages.layouts[every],
        np.concatenate([nothing.astype(np.int8), quantities]),
        messages.times[every],
        messages.longitudes[every],
        messages.latitudes[every],
        np.concatenate([nothing, micros]),
        messages.in_france[every],
        messages.versions[every],
        messages.version_kinds[every],
        messages.deleted[every],
        np.concatenate([messages.causes[wrong], causes]),
    )


def _with_constants(fields: Fields, known: Known) -> Fields:
    """The fields, with those that an older schema version has not and that are always the same."""
    constants = known.layout.constants
    if not constants:
        return fields
    by_path = dict(fields.by_path)
    for path, constant in constants.items():
        in_entries = "[]" in path and fields.owners is not None
        count = len(fields.owners) if in_entries else len(fields.rows)  # type: ignore[arg-type]
        text = str(constant).encode()
        kind = STRING if isinstance(constant, str) else NUMBER
        spans = Spans(
            padded(text),
            np.full(count, PADDING, np.int64),
            np.full(count, len(text), np.int64),
        )
        by_path[path] = Field(spans, np.full(count, kind, np.uint8))
    return replace(fields, by_path=by_path)


def _spans(fields: Fields, path: str | None) -> Spans | None:
    return None if path is None else fields.by_path[path].spans
