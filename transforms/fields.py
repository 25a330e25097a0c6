"""The fields of many records: where each one's text stands and what kind of JSON value it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.spans import Spans

__all__ = ["MISSING", "NULL", "NUMBER", "OTHER", "STRING", "Field", "Fields"]

MISSING, NULL, STRING, NUMBER, OTHER = range(5)
"""Kinds of a field's value. OTHER is a boolean, an object or an array."""


@dataclass(frozen=True)
class Field:
    """One field of n records: the text of its value (a string without quotes) and its kind."""

    spans: Spans
    kinds: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fields:
    """The fields of those records that are JSON objects.

    Attributes:
        rows: the records' numbers.
        by_key: a field for each key that was asked for.
    """

    rows: npt.NDArray[np.int64]
    by_key: dict[str, Field]
