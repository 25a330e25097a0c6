"""Records that all look alike, read by their pattern: the fast way for what sensors really send.

A sender writes its records with one serialiser, so they differ in their values alone. A template
is learnt from one record: the literal text between the values. Reading a record is then checking
the literals and finding each value's end, for thousands of records at once. What does not fit is
left to the general way (`transforms.json_fields`), which decides; the two agree on every record
that a template takes (`tests/transforms/test_record_template.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from schemas.layout import Layout
from transforms.fields import NUMBER, STRING, Field, Fields
from transforms.layouts import FormatSet, Known
from transforms.numbers import Numbers
from transforms.record_matching import (
    INTEGER_WINDOW,
    MAX_RECORD,
    Step,
    Value,
    add_literal,
)
from transforms.record_shape import Shape, read_shape
from transforms.spans import Ints, Spans

__all__ = ["RecordTemplate"]

MOST_ENTRIES = 32


@dataclass(frozen=True)
class RecordTemplate:
    """The pattern of a JSON object.

    Attributes:
        literals: the text before each value, and the text after the last one.
        values: the values, in order.
        known: how the records are to be read.
        count: how many entries a record has; None where it is one reading.
        quantity: which of the layout's quantities all of them measure; None where each says it.
    """

    literals: tuple[bytes, ...]
    values: tuple[Value, ...]
    known: Known
    count: int | None = None
    quantity: int | None = None

    @classmethod
    def learn(cls, text: str, formats: FormatSet) -> RecordTemplate | None:
        """The template of one record.

        Args:
            text: the record.
            formats: the formats that it may be of.

        Returns:
            The template; None where the record lacks a required field, or is a deletion, or has
            something that is neither a string nor a number where a part of a reading belongs.
        """
        shape = read_shape(text) if len(text) <= MAX_RECORD else None
        known = None if shape is None else _layout_of(text, shape, formats)
        if shape is None or known is None:
            return None
        layout, fixed = known.layout, set[str]()
        count = None if layout.entries is None else shape.lengths.get(layout.entries, 0)
        quantity = None
        if layout.chosen_by_quantity:
            quantity = _quantity_of(text, shape, layout)
            fixed.update([] if layout.selector is None else [layout.selector])
        if (layout.chosen_by_quantity and quantity is None) or not _is_usual(shape, layout, count):
            return None
        if known.version_path is not None:
            fixed.add(known.version_path)
        literals, values = _pattern(text, shape, known, fixed)
        return cls(literals, values, known, count, quantity)

    def is_like(self, other: RecordTemplate) -> bool:
        """Whether the same records fit both: only the usual lengths of strings differ."""
        return self.literals == other.literals and [
            (value.key, value.kind) for value in self.values
        ] == [(value.key, value.kind) for value in other.values]

    def joined(self, other: RecordTemplate) -> RecordTemplate:
        """The pattern of both, which are alike."""
        values = (one.joined(two) for one, two in zip(self.values, other.values, strict=True))
        return replace(self, values=tuple(values))

    @property
    def quotes(self) -> int:
        """How many quotation marks stand in a record of this pattern."""
        return sum(literal.count(b'"') for literal in self.literals)

    @functools.cached_property
    def wanted(self) -> frozenset[str]:
        """The keys of the values that are parts of a reading."""
        return frozenset(value.key for value in self.values if value.wanted)

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """The pattern cut into pieces of known width: one gather each, whatever the width."""
        steps = [Step()]
        for literal, value, following in zip(
            self.literals, self.values, self.literals[1:], strict=False
        ):
            add_literal(steps, literal)
            if value.kind == STRING and not value.varies:
                steps[-1].strings.append((value, steps[-1].width))
                steps[-1].width += value.length
            else:
                steps[-1].last, steps[-1].stop = value, following[0]
                steps.append(Step())
        add_literal(steps, self.literals[-1])
        return tuple(steps)

    def fields(self, rows: Ints, found: Mapping[str, Field]) -> Fields:
        """The fields of records that fit, by the paths of the format.

        Args:
            rows: the records.
            found: their values that are wanted, by key.
        """
        layout = self.known.layout
        by_path = {path: found[path] for path in layout.keys if path in found}
        if self.count is None:
            return Fields(rows, by_path, quantity=self.quantity)
        for path in layout.entry_keys:
            keys = [_entry_key(path, number) for number in range(self.count)]
            by_path[path] = _stacked([found[key] for key in keys])
        owners = np.repeat(np.arange(len(rows)), self.count)
        entries = np.tile(np.arange(self.count), len(rows))
        return Fields(rows, by_path, owners, entries)


def _entry_key(path: str, number: int | None) -> str:
    return path if number is None else path.replace("[]", f"[{number}]", 1)


def _layout_of(text: str, shape: Shape, formats: FormatSet) -> Known | None:
    """By which layout a record is read; None where its schema version is not known."""
    one = formats.recognise_paths(shape.by_path.keys() | shape.lengths.keys())
    version = None
    if one.version_path is not None:
        said = shape.by_path.get(one.version_path)
        if one.version_path in shape.lengths or (said and said.word in {"true", "false"}):
            return None
        if said is not None and said.word is None:
            version = text[said.begin : said.end]
    return formats.of_version(one, version)


def _quantity_of(text: str, shape: Shape, layout: Layout) -> int | None:
    """Which quantity a record measures, where that says under which key the value stands."""
    said = shape.by_path.get(layout.selector or "")
    texts = list(layout.quantities)
    if said is None or layout.entries is not None:
        return None
    word = text[said.begin : said.end]
    if word not in texts or not any(
        path in shape.by_path for path in layout.quantities[word].values
    ):
        return None
    return texts.index(word)


def _is_usual(shape: Shape, layout: Layout, count: int | None) -> bool:
    """Whether a record is a reading whatever text or number stands in its places."""
    needed = [group for group in layout.required if group != (layout.entries,)]
    for path in layout.entry_keys:
        needed += [(_entry_key(path, number),) for number in range(count or 0)]
    says: list[str] = []
    if layout.selector is not None and layout.selector not in layout.constants:
        entries = [None] if count is None else range(count)
        says = [_entry_key(layout.selector, number) for number in entries]
    return (
        not any(path in shape.lengths for path in (*layout.paths.values(), *sum(needed, ())))
        and (count is None or 0 < count <= MOST_ENTRIES)
        and _says_no_deletion(shape, layout)
        and all(_is_there(shape, group) for group in needed)
        and all(shape.by_path[path].is_string for path in says)
    )


def _is_there(shape: Shape, group: tuple[str, ...]) -> bool:
    """Whether a record has one of the paths, and text or numbers in all that it has."""
    words = [shape.by_path[path].word for path in group if path in shape.by_path]
    return bool(words) and not any(words)


def _says_no_deletion(shape: Shape, layout: Layout) -> bool:
    """Whether a record is surely no deletion, and its version, if any, is text or a number."""
    for part, known in (
        ("deleted", {"false", "null"}),
        ("version", {None, "null"}),
        ("updated_at", {None, "null"}),
    ):
        scalar = shape.by_path.get(layout.paths.get(part, ""))
        if scalar is not None and scalar.word not in known:
            return False
    return True


def _pattern(
    text: str, shape: Shape, known: Known, fixed: set[str]
) -> tuple[tuple[bytes, ...], tuple[Value, ...]]:
    """The literals and values of a record; some of its scalars belong to the literals."""
    layout = known.layout
    numeric = {layout.paths[part] for part in ("latitude", "longitude") if part in layout.paths}
    numeric |= set(layout.values)
    wanted = {*layout.keys, *layout.entry_keys}
    literals, values, since = [], [], 0
    for scalar in shape.scalars:
        if scalar.word is not None or scalar.path in fixed:
            continue
        path = scalar.path
        if layout.entries is not None and path.startswith(f"{layout.entries}["):
            path = f"{layout.entries}[{path[path.index(']') :]}"
        kind = STRING if scalar.is_string else NUMBER
        exact = path in layout.values
        literals.append(text[since : scalar.begin].encode())
        since = scalar.end
        value = Value(scalar.path, kind, 0, wanted=path in wanted, exact=exact)
        if path in numeric:
            values.append(replace(value, varies=kind == STRING, numeric=True))
        elif kind == NUMBER and path == layout.paths.get("version"):
            values.append(replace(value, length=INTEGER_WINDOW, varies=True))
        else:
            values.append(replace(value, length=len(text[scalar.begin : scalar.end].encode())))
    literals.append(text[since:].encode())
    return tuple(literals), tuple(values)


def _stacked(fields: Sequence[Field]) -> Field:
    """The fields of n records as one of all their entries, record by record."""
    if len(fields) == 1:
        return fields[0]

    def woven(columns: list[np.ndarray]) -> np.ndarray:
        return np.stack(columns, axis=1).reshape(-1)

    starts = woven([field.spans.starts for field in fields])
    lengths = woven([field.spans.lengths for field in fields])
    kinds = woven([field.kinds for field in fields])
    read = [field.numbers for field in fields if field.numbers is not None]
    numbers = None
    if len(read) == len(fields):
        numbers = Numbers(
            woven([one.values for one in read]),
            woven([one.micros for one in read]),
            woven([one.is_number for one in read]),
            woven([one.is_json for one in read]),
        )
    return Field(Spans(fields[0].spans.buffer, starts, lengths), kinds, numbers)
