"""Answers BigQuery SQL from the local store or BigQuery: `python -m pipelines.query "SELECT …"`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import sql as sql_files
from connectors.bigquery.client import open_client
from connectors.bigquery.query import ask
from connectors.bigquery.uri import is_bigquery, parse
from connectors.bigquery_sql import QueryError, UnexplainedError, answer
from connectors.local_store import LocalStore, StoreError
from connectors.local_store.manifest import MANIFEST
from connectors.output_error import OutputError
from pipelines.console import fail, write_out
from pipelines.rendering import FORMATS, render
from schemas.tables import TABLES

__all__ = ["main"]

NAMES = (*sql_files.VIEWS, *TABLES)
EPILOG = """\
examples:
  python -m pipelines.query "SELECT region, hour, mean, mean_3h_before FROM hourly_means
                             WHERE hour = TIMESTAMP '2019-02-19 14:00:00' ORDER BY region"
  python -m pipelines.query --format csv - < my_query.sql
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 for an answer, 1 for a wrong query or one that cannot be answered, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.query",
        description="Answer BigQuery SQL from the local store, or from BigQuery.",
        epilog=f"tables and views: {', '.join(NAMES)}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sql", metavar="SQL", help="one SELECT query; - reads it from the input")
    parser.add_argument(
        "--output",
        default="./results",
        metavar="URI",
        help="folder or bigquery://PROJECT.DATASET that a job wrote to (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="table",
        help="table for eyes (long cells are cut), csv or json (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    query = sys.stdin.read() if options.sql == "-" else _text(options.sql)
    if not query.strip():
        parser.error("the SQL is empty")
    if is_bigquery(options.output):
        return _ask_bigquery(options.output, query, options.format)
    location = urlsplit(options.output)
    if location.scheme not in {"", "file"}:
        parser.error(
            f"--output is {options.output}, but only the results in a local folder or in BigQuery "
            "can be queried"
        )
    folder = Path(location.path if location.scheme else options.output)
    try:
        return _run(folder, query, options.format)
    except KeyboardInterrupt:
        return 130


def _ask_bigquery(uri: str, query: str, form: str) -> int:
    try:
        dataset = parse(uri)
        rows = ask(open_client(dataset.project), dataset, query)
    except OutputError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return 130
    return write_out(lambda: render(rows, form, sys.stdout), "the answer cannot be written")


def _text(argument: str) -> str:
    """The argument as UTF-8, though the locale may have taken it for something else."""
    if argument.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in argument):
        return argument
    return os.fsencode(argument).decode(errors="replace")


def _run(folder: Path, query: str, form: str) -> int:
    store = LocalStore(folder)
    try:
        if not (folder / MANIFEST).exists():
            msg = (
                f"there are no results in {folder}; run a job into it first, "
                f"python -m pipelines.regional_means --output {folder}"
            )
            raise StoreError(msg)
        try:
            with store.connect() as connection:
                rows = answer(connection, query, NAMES)
        except UnexplainedError:
            store.verify()
            raise
    except StoreError as error:
        return fail(str(error))
    except QueryError as error:
        return fail(error.describe(query))
    return write_out(lambda: render(rows, form, sys.stdout), "the answer cannot be written")


if __name__ == "__main__":
    sys.exit(main())
