"""One DuckDB connection a thread, for vectorised functions over Arrow columns."""

from __future__ import annotations

import threading

import duckdb

__all__ = ["connection"]

_local = threading.local()


def connection() -> duckdb.DuckDBPyConnection:
    """This thread's connection, on one core: the runner's threads are the parallelism."""
    if not hasattr(_local, "connection"):
        _local.connection = duckdb.connect(config={"threads": 1})
    found: duckdb.DuckDBPyConnection = _local.connection
    return found
