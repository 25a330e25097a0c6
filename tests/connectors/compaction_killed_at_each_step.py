"""Compacts a store again and again, killed at one step after the other. Usage: FOLDER

A step is a file opened, renamed, synced or removed, as Python's audit hooks tell it. Prints how
many steps there were; exits with 1 if the store said something else after one of the kills.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import pyarrow.parquet as pq

from connectors.local_store import LocalStore
from connectors.local_store.compaction import compact
from connectors.local_store.mapped import Mapped
from tests.support.stores import small_store

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "fcntl.flock", "os.listdir"}


def said(folder):
    """All that the store holds. Without DuckDB, whose threads a fork would lose."""
    manifest = LocalStore(folder).manifest()
    rows = {
        table: {
            repr({name: value for name, value in row.items() if name not in {"source", "run_id"}})
            if table == "readings"
            else repr(row)
            for file in files
            for row in pq.ParquetFile(folder / file.path).read().to_pylist()
        }
        for table, files in manifest.files.items()
    }
    # Of rows of the archive that say the same one stays; of entries of one reading the newest.
    rows["readings"] = {row.partition("'ingested_at'")[0] for row in rows["readings"]}
    rows["index"] = {
        (entry["identity_high"], entry["identity_low"])
        for file in manifest.index
        for entry in Mapped(folder, file).rows.to_pylist()
    }
    return rows


def files(folder):
    manifest = LocalStore(folder).manifest()
    return len(list(itertools.chain(manifest.index, *manifest.files.values())))


def main(folder):
    small_store(folder / "whole", runs=3)
    before, many = said(folder / "whole"), files(folder / "whole")
    for step in itertools.count():
        copy = folder / str(step)
        shutil.copytree(folder / "whole", copy)
        child = os.fork()
        if child == 0:
            left = [step]

            def kill(event, _arguments, left=left):
                if event in STEPS:
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1

            sys.addaudithook(kill)
            compact(copy, 10)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if said(copy) != before:
            print(f"step {step}: status {status}, the store says something else")
            sys.exit(1)
        LocalStore(copy).verify()
        if os.WIFEXITED(status):
            break
        shutil.rmtree(copy)
    if os.WEXITSTATUS(status) or not files(copy) < many:
        sys.exit(1)
    print(step)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
