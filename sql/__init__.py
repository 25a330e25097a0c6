"""The SQL of the project, one source for BigQuery and for the local store."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FOLDER", "VIEWS", "duckdb_functions", "reconcile", "view"]

FOLDER = Path(__file__).parent
VIEWS = tuple(sorted(path.stem for path in (FOLDER / "views").glob("*.sql")))
"""Names of the views."""


def view(name: str) -> str:
    """The BigQuery SQL of a view, its tables named without a dataset.

    Raises:
        KeyError: there is no such view.
    """
    if name not in VIEWS:
        msg = f"no view {name!r}; there are {', '.join(VIEWS)}"
        raise KeyError(msg)
    return (FOLDER / "views" / f"{name}.sql").read_text("utf-8")


def duckdb_functions() -> str:
    """DuckDB macros with the behaviour of BigQuery's functions, for the local store."""
    return (FOLDER / "duckdb" / "functions.sql").read_text("utf-8")


def reconcile() -> list[str]:
    """The statements that reconcile a dataset of BigQuery; their parameters stand in the file."""
    text = (FOLDER / "reconcile.sql").read_text("utf-8")
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]
