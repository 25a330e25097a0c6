"""The fields of many records: where each one's text stands and what kind of JSON value it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.numbers import Numbers
from transforms.spans import PADDING, Bools, Bytes, Ints, Spans

__all__ = [
    "DOUBT",
    "MISSING",
    "NULL",
    "NUMBER",
    "OTHER",
    "QUOTES_OF_KIND",
    "STRING",
    "Fault",
    "Field",
    "Fields",
]

MISSING, NULL, STRING, NUMBER, OTHER = range(5)
"""Kinds of a field's value. OTHER is a boolean, an object or an array."""
QUOTES_OF_KIND = np.array([0, 2, 4, 2, 2], np.uint8)
"""Quotation marks of a field by its kind: its key's and its own, not those inside of it."""

DOUBT = "doubt"
"""Stands in place of a reason where only a JSON parser can decide."""


@dataclass(frozen=True)
class Field:
    """One field of n records.

    Attributes:
        spans: the text of its values; a string's without the quotes.
        kinds: what each value is.
        numbers: the values as numbers, where whoever found the field has read them already.
    """

    spans: Spans
    kinds: npt.NDArray[np.uint8]
    numbers: Numbers | None = None

    @classmethod
    def missing(cls, count: int, buffer: Bytes) -> Field:
        """A field that no record has, in a padded text."""
        nothing = np.zeros(count, np.int64)
        return cls(Spans(buffer, nothing + PADDING, nothing), np.full(count, MISSING, np.uint8))

    def take(self, rows: npt.NDArray[np.int64]) -> Field:
        """The field of some rows only."""
        numbers = None if self.numbers is None else self.numbers.take(rows)
        return Field(self.spans.take(rows), self.kinds[rows], numbers)


@dataclass(frozen=True)
class Fields:
    """The fields of those records that are JSON objects.

    Attributes:
        rows: the records' numbers.
        by_path: a field for each path that was asked for: of the records, or, where the path
            goes through an array, of the entries of all these arrays.
        owners: of which of the `rows` each entry is; None where there are none.
        entries: which of its array each entry is, from 0.
        odd: which entries are no objects.
        quantity: which of the layout's quantities all of them measure; None where each says it.
    """

    rows: npt.NDArray[np.int64]
    by_path: dict[str, Field]
    owners: Ints | None = None
    entries: Ints | None = None
    odd: Bools | None = None
    quantity: int | None = None

    def take(self, rows: npt.NDArray[np.int64]) -> Fields:
        """The fields of some of the rows, which have no entries yet."""
        # What no record has is one field under many paths.
        taken = {id(field): field for field in self.by_path.values()}
        taken = {key: field.take(rows) for key, field in taken.items()}
        by_path = {path: taken[id(field)] for path, field in self.by_path.items()}
        return Fields(self.rows[rows], by_path)

    def only(self, paths: Sequence[str]) -> Fields:
        """The same with some of the paths only."""
        return Fields(self.rows, {path: self.by_path[path] for path in paths})


@dataclass(frozen=True)
class Fault:
    """Something wrong with some of n records.

    Attributes:
        wrong: which ones.
        reason: one of `schemas.reasons.REASONS`, or `DOUBT`.
        detail: the case as a sentence; `{}` in it stands for the name of the field, if there are
            several.
        names: these names.
        which: the number of each record's name.
    """

    wrong: Bools
    reason: str
    detail: str
    names: Sequence[str] = ()
    which: Ints | None = None
