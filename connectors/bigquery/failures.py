"""Rows that BigQuery does not take for good, as rows of the table `failed_rows`."""

from __future__ import annotations

import base64
import datetime
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.tables import unchecked_schema

__all__ = ["FAILED_ROWS", "FailedRow", "failed_batch", "json_row", "json_rows"]

FAILED_ROWS = "failed_rows"
"""The table."""

MOST_KEPT = 64 << 10
"""Characters that are kept of each text of a row, as of a rejected record."""

NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}


@dataclass(frozen=True)
class FailedRow:
    """A row that was meant for a table and does not fit into it.

    Attributes:
        table: the table.
        reason: why, for a machine: one word.
        detail: why, as one sentence.
        row: the row as JSON.
    """

    table: str
    reason: str
    detail: str
    row: str


def failed_batch(rows: Sequence[FailedRow], run_id: str) -> pa.RecordBatch:
    """The rows as rows of `failed_rows`.

    Args:
        rows: what has failed.
        run_id: the run that wrote it.
    """
    now = datetime.datetime.now(datetime.UTC)
    listed = [
        {
            "table_name": each.table,
            "row": each.row,
            "reason": each.reason,
            "detail": each.detail,
            "run_id": run_id,
            "failed_at": now,
        }
        for each in rows
    ]
    return pa.RecordBatch.from_pylist(listed, schema=unchecked_schema(FAILED_ROWS))


def json_rows(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as BigQuery takes them in JSON.

    Whole numbers and moments are texts, so that none is rounded, and numbers that are not finite
    are named: JSON has none. A column that is NULL is left out.
    """
    columns = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type):
            # Python's datetime ends before the last window does, and Arrow's text does not.
            columns[field.name] = column.cast(pa.string()).to_pylist()
        elif pa.types.is_floating(field.type):
            columns[field.name] = [_finite(value) for value in column.to_pylist()]
        elif pa.types.is_binary(field.type):
            columns[field.name] = [_base64(value) for value in column.to_pylist()]
        else:
            columns[field.name] = column.to_pylist()
    names = list(columns)
    return [
        {name: value for name, value in zip(names, values, strict=True) if value is not None}
        for values in zip(*columns.values(), strict=True)
    ]


def json_row(rows: pa.RecordBatch, number: int) -> str:
    """One of the rows as JSON text; of a longer text `MOST_KEPT` characters are kept."""
    row = json_rows(rows.slice(number, 1))[0]
    kept = {
        name: value[:MOST_KEPT] if isinstance(value, str) else value for name, value in row.items()
    }
    return json.dumps(kept, ensure_ascii=False)


def _finite(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else NOT_FINITE[str(value)]


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
