"""Answers BigQuery SQL on a DuckDB connection."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

from connectors.bigquery_sql.diagnose import diagnose
from connectors.bigquery_sql.errors import QueryError
from connectors.bigquery_sql.translate import translate

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["answer"]

PLAN = "EXPLAIN "
"""DuckDB tells the place of an error when it plans a query, and not always when it runs it."""

SETTINGS = ("errors_as_json", "lock_configuration")


def answer(connection: duckdb.DuckDBPyConnection, query: str, tables: Collection[str]) -> pa.Table:
    """Answers a query.

    Args:
        connection: has the tables and the macros of `install_functions`. From the first query on
            its settings are locked.
        query: one SELECT query of BigQuery.
        tables: names of the tables and views that it may read.

    Returns:
        All rows: half an answer before an error would look like a whole one.

    Raises:
        QueryError: the query is wrong, or asks for what DuckDB cannot answer as BigQuery would.
        duckdb.IOException: a file of a table cannot be read.
    """
    import duckdb  # noqa: PLC0415  (whoever has a connection has loaded it)

    translation = translate(query, tables)
    for setting in SETTINGS:
        if not connection.execute(f"SELECT current_setting('{setting}')").fetchall()[0][0]:
            connection.execute(f"SET {setting} = true")
    try:
        plan = dataclasses.replace(translation, sql=PLAN + translation.sql)
        connection.execute(plan.sql)
        rows = connection.sql(translation.sql).to_arrow_table()
    except duckdb.IOException:
        raise
    except duckdb.Error as error:
        columns = {
            name: [row[0] for row in connection.execute(f'DESCRIBE "{name}"').fetchall()]
            for name in translation.tables
        }
        raise diagnose(error, query, plan, columns) from error
    _check_columns(rows.schema)
    return rows


def _check_columns(schema: pa.Schema) -> None:
    lower = [name.lower() for name in schema.names]
    twice = sorted({name for name in schema.names if lower.count(name.lower()) > 1})
    if twice:
        msg = f"two columns of the answer are named {' and '.join(twice)}; rename one with AS"
        raise QueryError(msg)
    for field in schema:
        if "interval" in str(field.type):
            msg = f"column {field.name} is an INTERVAL; use TIMESTAMP_DIFF for a number of units"
            raise QueryError(msg)
