"""The tables that a run writes, from one source: `schemas/bigquery/*.json`.

Each file is a BigQuery JSON schema with a description for every column. The Arrow schemas of the
local store are derived from it, so the two cannot drift apart.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pyarrow as pa

__all__ = [
    "BIGQUERY_ONLY",
    "ONCE_A_PLACE",
    "TABLES",
    "arrow_schema",
    "bigquery_schema",
    "unchecked_schema",
]

FOLDER = Path(__file__).parent / "bigquery"
BIGQUERY_ONLY = ("failed_rows", "regions")
"""Tables that a dataset of BigQuery has, and a local store has not."""

TABLES = tuple(sorted({path.stem for path in FOLDER.glob("*.json")} - {*BIGQUERY_ONLY}))
"""Tables that both have."""

ONCE_A_PLACE = {
    "rejected_readings": ("source", "raw_sha256"),
}
"""Tables whose rows come from one place in the input, and the columns that name the place: of
several runs that read the same place, one counts."""

ARROW_TYPES = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "GEOGRAPHY": pa.string(),
}
"""Arrow's type of each of BigQuery's; a GEOGRAPHY is written as text, WKT."""


@functools.cache
def bigquery_schema(table: str) -> list[dict[str, str]]:
    """The table's columns as BigQuery's JSON schema.

    Args:
        table: one of `TABLES` or `BIGQUERY_ONLY`.

    Returns:
        A list of `{"name", "type", "mode", "description"}`.

    Raises:
        KeyError: there is no such table.
    """
    if table not in {*TABLES, *BIGQUERY_ONLY}:
        msg = f"no table {table!r}; there are {', '.join((*TABLES, *BIGQUERY_ONLY))}"
        raise KeyError(msg)
    fields: list[dict[str, str]] = json.loads((FOLDER / f"{table}.json").read_text("utf-8"))
    return fields


@functools.cache
def arrow_schema(table: str) -> pa.Schema:
    """The table's columns as an Arrow schema; REQUIRED columns are not nullable."""
    return pa.schema(
        pa.field(
            column["name"],
            ARROW_TYPES[column["type"]],
            nullable=column["mode"] != "REQUIRED",
            metadata={"description": column["description"]},
        )
        for column in bigquery_schema(table)
    )


@functools.cache
def unchecked_schema(table: str) -> pa.Schema:
    """Names and types of `arrow_schema` alone: for rows that are yet to be checked."""
    return pa.schema(pa.field(field.name, field.type) for field in arrow_schema(table))
