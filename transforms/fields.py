"""The fields of many records: where each one's text stands and what kind of JSON value it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.numbers import Numbers
from transforms.spans import Bools, Spans

__all__ = ["DOUBT", "MISSING", "NULL", "NUMBER", "OTHER", "STRING", "Fault", "Field", "Fields"]

MISSING, NULL, STRING, NUMBER, OTHER = range(5)
"""Kinds of a field's value. OTHER is a boolean, an object or an array."""

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

    def take(self, rows: npt.NDArray[np.int64]) -> Field:
        """The field of some rows only."""
        numbers = None if self.numbers is None else self.numbers.take(rows)
        return Field(self.spans.take(rows), self.kinds[rows], numbers)


@dataclass(frozen=True)
class Fields:
    """The fields of those records that are JSON objects.

    Attributes:
        rows: the records' numbers.
        by_key: a field for each key that was asked for.
    """

    rows: npt.NDArray[np.int64]
    by_key: dict[str, Field]


@dataclass(frozen=True)
class Fault:
    """Something wrong with some of n records.

    Attributes:
        wrong: which ones.
        reason: one of `schemas.reasons.REASONS`, or `DOUBT`.
        detail: the case as a sentence.
    """

    wrong: Bools
    reason: str
    detail: str
