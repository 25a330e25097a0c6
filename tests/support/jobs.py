"""The main job as a person runs it, and what it leaves behind."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.local_store import LocalStore
from pipelines.regional_means import main

ROOT = Path(__file__).parents[2]
OF_THE_RUN = {"revision", "pane", "emitted_at", "run_id", "rejected_at"}
"""Columns that say when and by which run a row was written: another run has others."""


class Outcome(NamedTuple):
    """How a job ended."""

    code: int
    out: str
    err: str


def run_job(*arguments: object) -> Outcome:
    """Runs the main job in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def run_command(*arguments: object, **options: Any) -> Outcome:
    """Runs the main job as a command of its own."""
    done = subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, **options
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def command(*arguments: object) -> list[str]:
    """The main job's command line."""
    return [sys.executable, "-m", "pipelines.regional_means", *map(str, arguments)]


def ask(store: Path | str, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query over the store's tables and views."""
    with LocalStore(store).connect() as connection:
        return connection.execute(query).fetchall()


def rows_of(store: Path | str, *tables: str) -> dict[str, list[str]]:
    """All rows of tables or views, sorted, without what only says which run wrote them.

    As text that tells all values apart: the same text is the same bytes.
    """
    found = {}
    with LocalStore(store).connect() as connection:
        for table in tables:
            columns = [
                row[0]
                for row in connection.execute(f"DESCRIBE {table}").fetchall()
                if row[0] not in OF_THE_RUN
            ]
            listed = ", ".join(f'"{name}"' for name in columns)
            rows = connection.sql(f"SELECT {listed} FROM {table}")
            found[table] = sorted(map(repr, _plain(rows.to_arrow_table()).to_pylist()))
    return found


def _plain(rows: pa.Table) -> pa.Table:
    """With timestamps as whole numbers: Python's datetime ends before the last window does."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            column = rows.column(number).cast(pa.int64())
            rows = rows.set_column(number, field.name, column)
    return rows


def tree(folder: Path) -> list[tuple[str, bytes | None]]:
    """Every path below a folder with its content, but for the marks of processes that write."""
    return sorted(
        (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
        if ".writing" not in path.parts
    )
