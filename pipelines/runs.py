"""Lists which runs wrote what: `python -m pipelines.runs --output results`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.local_store import LocalStore
from connectors.local_store.manifest import read_document
from connectors.local_store.records import INDEX, RunRecord
from pipelines.console import write_out
from pipelines.rendering import FORMATS, render
from pipelines.store_commands import add_options, run_command

__all__ = ["files_of_runs", "list_of_runs", "main"]

MOMENT = pa.timestamp("us", tz="UTC")
EPILOG = """\
kinds of runs: batch and stream read readings, compaction merged files, reconcile corrected means.
A column for each table says how many rows a run wrote; files is how many of its files the store
still has. Files that were merged belong to the compaction. The rows of sensors are counted among
those of regional_means_revisions, whose files they share.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 for a list, 1 for an unreadable store, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.runs",
        description="List the runs of a local store and what they wrote, the oldest first.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser, tuple(FORMATS))
    parser.add_argument("--files", action="store_true", help="list every file with its run")
    return run_command(parser, arguments, _list)


def _list(options: argparse.Namespace, store: LocalStore) -> int:
    if options.files:
        rows = files_of_runs(read_document(store.folder))
    else:
        rows = list_of_runs(read_document(store.folder), store.manifest().runs)
    return write_out(lambda: render(rows, options.format, sys.stdout), "the list cannot be written")


def list_of_runs(document: Mapping[str, Any], runs: Sequence[RunRecord]) -> pa.Table:
    """One row a run.

    Args:
        document: the manifest.
        runs: the runs in it.
    """
    files = Counter(
        entry.get("run_id") for entries in document["tables"].values() for entry in entries
    )
    tables = sorted({name for run in runs for name in run.counts})
    columns = {
        "run_id": pa.array([run.run_id for run in runs], pa.string()),
        "kind": pa.array([run.kind for run in runs], pa.string()),
        "status": pa.array([run.status for run in runs], pa.string()),
        "started_at": _moments([run.started_at for run in runs]),
        "finished_at": _moments([run.finished_at for run in runs]),
        "inputs": pa.array([run.inputs for run in runs], pa.list_(pa.string())),
        **{name: pa.array([run.counts.get(name) for run in runs], pa.int64()) for name in tables},
        "files": pa.array([files[run.run_id] for run in runs], pa.int64()),
    }
    return pa.table(columns)


def files_of_runs(document: Mapping[str, Any]) -> pa.Table:
    """One row a file that the manifest names.

    Args:
        document: the manifest.
    """
    listed = [
        (name, entry)
        for name, entries in [*document["tables"].items(), (INDEX, document["index"])]
        for entry in entries
    ]
    return pa.table(
        {
            "table": pa.array([name for name, _ in listed], pa.string()),
            "path": pa.array([entry["path"] for _, entry in listed], pa.string()),
            "rows": pa.array([entry["rows"] for _, entry in listed], pa.int64()),
            "bytes": pa.array([entry["bytes"] for _, entry in listed], pa.int64()),
            # An entry of the index says itself which run it belongs to.
            "run_id": pa.array([entry.get("run_id") for _, entry in listed], pa.string()),
        }
    )


def _moments(texts: Sequence[str]) -> pa.Array:
    """ISO 8601 as timestamps; NULL for what is not known."""
    known = pa.array([text or None for text in texts], pa.string())
    return known.cast(MOMENT)


if __name__ == "__main__":
    sys.exit(main())
