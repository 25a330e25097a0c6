"""Rows of means as a store holds them: with the exact sums from which they could have come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from connectors.local_store.means_files import FILE_SCHEMA, hidden_columns
from connectors.local_store.partials import EXTREMES
from schemas.series import ALL_MEANS
from transforms.window_means import PARTIAL

MASK = (1 << 32) - 1


def summed_rows(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of means of regions or sensors, each as if all its values were its mean."""
    table = pa.Table.from_pylist(rows, schema=ALL_MEANS)
    counts = [row["count"] for row in rows]
    values = [round(1e6 * (row["mean"] or 0)) if row["count"] else 0 for row in rows]
    sums = [count * value for count, value in zip(counts, values, strict=True)]
    squares = [count * value * value for count, value in zip(counts, values, strict=True)]
    partials = {
        "count": np.array(counts, np.int64),
        "sum": np.array([[n & MASK, n >> 32] for n in sums], np.int64).reshape(-1, 2),
        "square_sum": np.array(
            [[n & MASK, n >> 32 & MASK, n >> 64] for n in squares], np.int64
        ).reshape(-1, 3),
    }
    for name, none in EXTREMES.items():
        came = [value if count else none for count, value in zip(counts, values, strict=True)]
        partials[name] = np.array([[value, none] for value in came], np.int64).reshape(-1, 2)
    columns = {name: table.column(name) for name in table.schema.names}
    columns |= hidden_columns(PARTIAL, partials)
    for field in FILE_SCHEMA:
        columns.setdefault(field.name, pa.nulls(len(rows), field.type))
    return pa.table([columns[name] for name in FILE_SCHEMA.names], schema=FILE_SCHEMA)
