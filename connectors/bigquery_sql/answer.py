"""Answers BigQuery SQL on a DuckDB connection."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from connectors.bigquery_sql.diagnose import diagnose
from connectors.bigquery_sql.errors import QueryError
from connectors.bigquery_sql.translate import translate

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["answer"]

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
        UnexplainedError: DuckDB failed otherwise; a file may be damaged.
    """
    import duckdb  # noqa: PLC0415  (whoever has a connection has loaded it)

    translation = translate(query, tables)
    for setting in SETTINGS:
        if not connection.execute(f"SELECT current_setting('{setting}')").fetchall()[0][0]:
            connection.execute(f"SET {setting} = true")
    try:
        rows = connection.sql(translation.sql).to_arrow_table()
    except duckdb.Error as error:
        columns = {name: connection.table(name).columns for name in translation.tables}
        told = _with_place(connection, translation.sql) or error
        raise diagnose(told, query, translation, columns) from error
    _check_columns(rows.schema)
    return rows


def _with_place(connection: duckdb.DuckDBPyConnection, sql: str) -> Exception | None:
    """The error of a query once more, with its place: `sql` does not tell it, `execute` does."""
    import duckdb  # noqa: PLC0415

    try:
        connection.execute(sql)
    except duckdb.Error as error:
        return error
    return None


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
