"""The committed state as SQL: an in-memory DuckDB with a view for every table and view.

The archive shows each row once, though two runs may have written it. Only where the manifest says
that there may be repeats (`archive_state`) are its files read that way, which takes a sort.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import sql
from connectors.local_store import archive_files
from connectors.local_store.archive_state import ArchiveState, distinct_rows, read_state
from connectors.local_store.errors import StoreError
from connectors.local_store.files import checked_path
from connectors.local_store.manifest import Manifest, StoredFile
from connectors.local_store.means_files import MEANS
from connectors.local_store.patterns import literal_pattern
from connectors.local_store.records import STREAM
from schemas.groupings import REGION, SENSOR
from schemas.series import TABLE_OF
from schemas.tables import ONCE_A_PLACE, TABLES, arrow_schema

if TYPE_CHECKING:
    import duckdb

__all__ = ["open_views"]

DUCKDB_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}

COMPUTED = {"rejected_readings": {"raw_sha256": "coalesce(raw_sha256, sha256(raw))"}}
"""Columns that are computed when they are asked for: the hash of a record that is held whole."""


ROWS_OF = {TABLE_OF[REGION]: "sensor_id IS NULL", TABLE_OF[SENSOR]: "sensor_id IS NOT NULL"}
"""Which rows of the files of means each of their tables shows."""

WITH_REPEATS = "readings_with_repeats"
"""The archive as it was written; no query of a user can name it."""


def open_views(folder: Path, document: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
    """Opens the state that a manifest describes in a DuckDB that can read nothing else.

    Args:
        folder: the store's folder.
        document: the manifest, as `read_document` gives it.

    Returns:
        A connection in UTC with a view for every table of `schemas.tables.TABLES` and the views
        of `sql/views`. Files may hold more columns than their table has: these are not shown.

    Raises:
        StoreError: a file is missing or damaged.
    """
    import duckdb  # noqa: PLC0415  (a run that only writes has no need of it)

    from connectors.bigquery_sql import install_functions  # noqa: PLC0415

    manifest = Manifest.from_document(document)
    paths = [str(checked_path(folder, file)) for files in manifest.files.values() for file in files]
    readable = dict.fromkeys([*paths, *map(literal_pattern, paths)])
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone = 'UTC'")
        install_functions(connection)
        for view in _views(folder, manifest, read_state(document)):
            connection.execute(view)
        # Settings take no parameters. DuckDB asks for the pattern first, then for the file.
        connection.execute(f"SET allowed_paths = {_texts(readable)}")
        connection.execute("SET enable_external_access = false")
    except duckdb.Error as error:
        connection.close()
        reason = str(error).partition("\n")[0]
        msg = f"cannot read the store in {folder}, a file may be damaged: {reason}"
        raise StoreError(msg) from error
    return connection


def _views(folder: Path, manifest: Manifest, state: ArchiveState) -> Iterator[str]:
    """The views of all tables and of `sql/views`, as statements that create them."""
    for table in TABLES:
        files = manifest.files.get(MEANS if table in ROWS_OF else table, ())
        # A stream that has started again after a failure writes what it has read since once more.
        again = len(manifest.runs) > 1 or any(run.kind == STREAM for run in manifest.runs)
        once = table in ONCE_A_PLACE and again
        suspects = state.suspects(files) if table == archive_files.TABLE else []
        others = [file for file in files if file not in set(suspects)]
        parts = [_empty(table)]
        if paths := _paths(folder, others):
            read = _read(table, paths)
            parts.append(f"{read} {_once_a_place(table)}" if once else read)
        if paths := _paths(folder, suspects):
            parts.append(distinct_rows(_read(table, paths)))
        yield f"CREATE VIEW {table} AS {' UNION ALL BY NAME '.join(parts)}"
    archived = _paths(folder, manifest.files.get(archive_files.TABLE, ()))
    parts = [_empty(archive_files.TABLE)]
    if archived:
        parts.append(_read(archive_files.TABLE, archived))
    yield f"CREATE VIEW {WITH_REPEATS} AS {' UNION ALL BY NAME '.join(parts)}"
    for name in sql.VIEWS:
        query = _query(name)
        if name == "latest_readings":
            query = (
                # It picks one of several rows by itself, so that they need not be told apart first.
                query.replace(f'"{archive_files.TABLE}"', f'"{WITH_REPEATS}"')
                if state.repeated or state.versions
                else f"SELECT * FROM {archive_files.TABLE} WHERE NOT deleted"  # noqa: S608
            )
        yield f"CREATE VIEW {name} AS {query}"


def _empty(table: str) -> str:
    """No rows, with the columns and types of a table."""
    columns = ", ".join(
        f'CAST(NULL AS {DUCKDB_TYPES[field.type]}) AS "{field.name}"'
        for field in arrow_schema(table)
    )
    return f"SELECT {columns} WHERE false"


def _read(table: str, paths: Sequence[str]) -> str:
    """The rows of a table's files."""
    computed = COMPUTED.get(table, {})
    columns = ", ".join(
        f'{computed[name]} AS "{name}"' if name in computed else f'"{name}"'
        for name in arrow_schema(table).names
    )
    files = f"read_parquet({_texts(paths)}, hive_partitioning = false)"
    which = f" WHERE {ROWS_OF[table]}" if table in ROWS_OF else ""
    return f"SELECT {columns} FROM {files}{which}"  # noqa: S608


def _once_a_place(table: str) -> str:
    """Of the rows that come from one place in the input, one; where no place is told, one run's."""
    place = ", ".join(ONCE_A_PLACE[table])
    first = f"OVER (PARTITION BY {place} ORDER BY run_id"
    told = "strpos(source, '#') > 0"
    return f"QUALIFY rank() {first}) = 1 AND (NOT {told} OR row_number() {first}, rejected_at) = 1)"


def _paths(folder: Path, files: Iterable[StoredFile]) -> list[str]:
    return [literal_pattern(str(folder / file.path)) for file in files if file.rows]


@functools.cache
def _query(name: str) -> str:
    """A view's query for DuckDB."""
    from connectors.bigquery_sql import translate  # noqa: PLC0415

    return translate(sql.view(name), (*TABLES, *sql.VIEWS)).sql


def _texts(texts: Iterable[str]) -> str:
    """A DuckDB list of string literals."""
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
