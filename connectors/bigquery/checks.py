"""Looks whether rows fit into their table, before they are sent: all rows of a batch at once.

BigQuery refuses a whole request for one wrong row, and a load job the whole load.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery.failures import FailedRow, json_row
from schemas.tables import bigquery_schema

__all__ = ["FIRST_MICROS", "LARGEST_ROW", "LAST_MICROS", "check_rows"]

FIRST_MICROS, LAST_MICROS = -62_135_596_800_000_000, 253_402_300_799_999_999
"""BigQuery's first and last TIMESTAMP: of the years 1 and 9999."""

LARGEST_ROW = 8 << 20
"""Bytes of a row at most: a request of either way to stream takes 10 MB."""

Mask = npt.NDArray[np.bool_]


def check_rows(table: str, rows: pa.RecordBatch) -> tuple[pa.RecordBatch, list[FailedRow]]:
    """Parts rows that fit into a table from those that do not.

    Args:
        table: one of `schemas.tables.TABLES`.
        rows: with the table's columns.

    Returns:
        The rows that fit, and those that do not, each with the first of its faults.
    """
    wrong = np.zeros(rows.num_rows, bool)
    failed = []
    for found, reason, detail in _faults(table, rows):
        new = found & ~wrong
        wrong |= new
        failed += [
            FailedRow(table, reason, detail, json_row(rows, number))
            for number in np.flatnonzero(new).tolist()
        ]
    return (rows.filter(pa.array(~wrong)) if failed else rows), failed


def _faults(table: str, rows: pa.RecordBatch) -> Iterator[tuple[Mask, str, str]]:
    """What is wrong with some rows, and with which; nothing where all is well."""
    for column in bigquery_schema(table):
        name = column["name"]
        values = rows.column(name)
        if column["mode"] == "REQUIRED" and values.null_count:
            missing = _mask(pc.is_null(values))
            yield missing, "null_value", f"{name} is NULL, and the table requires it"
        if column["type"] == "TIMESTAMP":
            outside = _outside(values)
            if outside.any():
                detail = f"{name} is not in the years 1 to 9999, and TIMESTAMP has no others"
                yield outside, "out_of_range", detail
    sizes = _sizes(rows)
    if (sizes > LARGEST_ROW).any():
        yield sizes > LARGEST_ROW, "too_large", f"the row is larger than {LARGEST_ROW >> 20} MiB"


def _outside(moments: pa.Array) -> Mask:
    micros = moments.cast(pa.int64()).fill_null(0).to_numpy()
    found: Mask = (micros < FIRST_MICROS) | (micros > LAST_MICROS)
    return found


def _sizes(rows: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Bytes of each row: of its texts, and 8 for each of the other columns."""
    texts = [column for column in rows.columns if pa.types.is_string(column.type)]
    sizes = np.full(rows.num_rows, 8 * (rows.num_columns - len(texts)), np.int64)
    for column in texts:
        sizes += pc.binary_length(column).fill_null(0).to_numpy()
    return sizes


def _mask(array: pa.BooleanArray) -> Mask:
    return np.asarray(array.to_numpy(zero_copy_only=False), bool)
