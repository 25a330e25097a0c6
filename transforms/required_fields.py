"""Which messages lack a field, or have something there that can be no part of a reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from schemas.layout import Layout
from transforms.fields import DOUBT, MISSING, NULL, NUMBER, OTHER, STRING, Fault, Field
from transforms.spans import Bools, Ints

__all__ = ["odd_entries", "what_is_lacking", "wrong_names"]

LONGEST_DECIMAL = 32
"""Bytes of the longest number with a fraction that is kept as it is written."""
OPEN_ARRAY = ord("[")


def what_is_lacking(
    by_path: Mapping[str, Field],
    layout: Layout,
    deleted: Bools,
    value: Field | None,
    which: Ints | None,
    *,
    selector: str | None = "",
) -> Iterator[Fault]:
    """Required fields that are missing, or null, or of a kind that they cannot be.

    Args:
        by_path: of n messages, or of their entries.
        layout: says what is required.
        deleted: which of them take their reading back: they need their identity only.
        value: the field with the value; None for messages whose entries hold it.
        which: as `transforms.measurements.choose_values` gives it.
        selector: for entries: where the quantity stands, all else of the message is fine.
    """
    if selector == "":
        paths = [path for group in layout.required if len(group) == 1 for path in group]
        paths = [path for path in paths if path not in layout.values or layout.entries]
    else:
        paths = [path for path in (selector,) if path is not None and "[]" in path]
    identity = {*layout.identity, *paths} if selector != "" else set(layout.identity)
    some_deleted = bool(deleted.any())
    name = "{}" if which is not None else (*layout.values, "")[0]
    names = layout.values if which is not None else ()
    for kind, reason, says in (
        (MISSING, "missing_field", "the field {} is missing"),
        (NULL, "null_value", "the field {} is null"),
        (OTHER, "wrong_type", "the field {} is not {}"),
    ):
        for path in paths:
            wrong = _is(by_path[path], kind, path == layout.entries)
            if some_deleted and path not in identity:
                wrong &= ~deleted
            yield Fault(wrong, reason, says.format(path, _wanted(path, layout)))
        if value is not None:
            wrong = value.kinds == kind
            if some_deleted:
                wrong &= ~deleted
            yield Fault(wrong, reason, says.format(name, "a number"), names, which)


def odd_entries(odd: Bools, layout: Layout) -> Iterator[Fault]:
    """Entries that are no objects."""
    yield Fault(odd, "wrong_type", f"the field {layout.entries}[] is not an object")


def wrong_names(
    by_path: Mapping[str, Field], layout: Layout, deleted: Bools, *, strict: bool
) -> Iterator[Fault]:
    """Ids of messages and sensors that are neither a text nor an integer."""
    paths = [layout.paths[part] for part in ("id", "sensor_id") if part in layout.paths]
    for path in paths if strict else ():
        yield Fault(_leading_zero(by_path[path]), DOUBT, "a number may not be JSON")
    for path in paths:
        field = by_path[path]
        fractional = (field.kinds == NUMBER) & _not_integer(field)
        if path not in layout.identity:
            fractional &= ~deleted
        detail = f"the field {path} is not {_wanted(path, layout)}"
        yield Fault(fractional, "wrong_type", detail)


def _is(field: Field, kind: int, is_array: bool) -> Bools:
    """Where a field is of a kind; an array that is to be one is no OTHER, and all else is."""
    if not is_array or kind != OTHER:
        return field.kinds == kind
    arrays = (field.kinds == OTHER) & (field.spans.buffer[field.spans.starts] == OPEN_ARRAY)
    return (field.kinds >= STRING) & ~arrays


def _wanted(path: str, layout: Layout) -> str:
    if path == layout.entries:
        return "an array"
    if path == layout.selector:
        return "one of " + ", ".join(layout.quantities)
    names = {layout.paths.get(part) for part in ("id", "sensor_id", "event_time")}
    return "a string or an integer" if path in names else "a number"


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
