"""A change of the store that becomes visible all at once."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.local_store.consumed import forget_runs, remember_consumed
from connectors.local_store.lock import exclusive_lock
from connectors.local_store.manifest import Manifest, read_document, write_document
from connectors.local_store.records import (
    OWED,
    RUNNING,
    STREAM,
    IndexFile,
    RunRecord,
    StoredFile,
    known_fields,
)

__all__ = ["REPLACED_SECONDS", "Transaction", "transaction"]

REPLACED_SECONDS = 3600.0
"""How long a file stays that the manifest has ceased to name: readers may still have it open."""

RETURN_SECONDS = 86_400.0
"""How long after its end a stream may come back."""


class Transaction:
    """The store's next state, prepared under its lock. Use `LocalStore.transaction`.

    Attributes:
        folder: the store's folder.
        before: what is committed now.
        revision: the revision of the rows that the change adds: greater than any in the store.
    """

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.folder = folder
        self.before = Manifest.from_document(document)
        self.revision = self.before.revision + 1
        self.document = document
        self.changed = False
        self._consumed: list[StoredFile] = []
        self._consumer: RunRecord | None = None

    @property
    def alive(self) -> set[str]:
        """The streams that may commit again.

        These are the running ones, and those that have ended in the last day: one that fails after
        its last commit goes back to its last checkpoint.
        """
        runs = map(self._record, self.document["runs"])
        return {run.run_id for run in runs if run.kind == STREAM and _may_return(run)}

    def add(self, files: Iterable[StoredFile], run_id: str) -> None:
        """Has the manifest name files of tables. One that it names already is left as it is."""
        named = _named(self.document)
        for file in files:
            if file.path not in named:
                listed = self.document["tables"].setdefault(file.table, [])
                listed.append(file.entry() | {"run_id": run_id})
                named.add(file.path)
                self.changed = True
            self.document.get("replaced", {}).pop(file.path, None)

    def remove(self, files: Iterable[StoredFile]) -> None:
        """Has the manifest name files of tables no more. They are deleted an hour later."""
        gone = {(file.table, file.path) for file in files}
        for table in {table for table, _ in gone}:
            kept = []
            for entry in self.document["tables"].get(table, []):
                if (table, entry["path"]) in gone:
                    self._replaced(entry["path"], entry.get("run_id"))
                else:
                    kept.append(entry)
            self.document["tables"][table] = kept

    def set_index(self, files: Iterable[IndexFile]) -> None:
        """Has the manifest name these files of the index, and no others."""
        entries = [file.entry() for file in files]
        named = {entry["path"] for entry in entries}
        for entry in self.document["index"]:
            if entry["path"] not in named:
                self._replaced(entry["path"], None)
        for path in named:
            self.document.get("replaced", {}).pop(path, None)
        self.changed |= entries != self.document["index"]
        self.document["index"] = entries

    def record(self, run: RunRecord) -> None:
        """Remembers a run, in the place of the record with its name if there is one."""
        entry = dataclasses.asdict(run)
        for past in self.document["runs"]:
            if past["run_id"] == run.run_id:
                past.update(entry)
                break
        else:
            self.document["runs"].append(entry)
        self.document["revision"] = max(self.document["revision"], run.revision)
        self.changed = True

    def set(self, values: Mapping[str, Any]) -> None:
        """Sets other keys of the manifest."""
        for key, value in values.items():
            self.changed |= self.document.get(key) != value
            self.document[key] = value

    def consume(self, files: Iterable[StoredFile], run: RunRecord) -> None:
        """Has files removed once the change is made, if the manifest has never named them.

        What they held is in others.
        """
        self._consumed += files
        self._consumer = run

    def owe(self, run_id: str, file: StoredFile | None) -> None:
        """Has the manifest name a file as what a stream owes; None for nothing."""
        owed = self.document.setdefault(OWED, {})
        before = owed.pop(run_id, None)
        if file is not None:
            owed[run_id] = file.entry()
        if before is not None:
            self._consumed.append(StoredFile(OWED, **before))
        self.changed |= before != owed.get(run_id)

    def write(self) -> None:
        """Makes the change, if there is one, and removes what it has made needless."""
        if not self.changed:
            return
        self._sweep()
        write_document(self.folder, self.document)
        named = _named(self.document) | set(self.document.get("replaced", {}))
        gone = [file for file in self._consumed if file.path not in named]
        if gone and self._consumer is not None and self._consumer.kind == STREAM:
            hashes = [file.sha256 for file in gone]
            remember_consumed(self.folder, self._consumer.run_id, hashes)
        for file in gone:
            (self.folder / file.path).unlink(missing_ok=True)

    @staticmethod
    def _record(run: Mapping[str, Any]) -> RunRecord:
        return RunRecord(**known_fields(RunRecord, run))

    def _replaced(self, path: str, run_id: str | None) -> None:
        self.document.setdefault("replaced", {})[path] = [time.time(), run_id]
        self.changed = True

    def _sweep(self) -> None:
        """Deletes files that no manifest of the last hour has named."""
        replaced = self.document.get("replaced", {})
        old = {
            path: run_id
            for path, (when, run_id) in replaced.items()
            if when < time.time() - REPLACED_SECONDS
        }
        alive = self.alive
        for path, run_id in old.items():
            if run_id in alive:
                remember_consumed(self.folder, run_id, [Path(path).stem])
            (self.folder / path).unlink(missing_ok=True)
            del replaced[path]
        forget_runs(self.folder, alive)


def _may_return(run: RunRecord) -> bool:
    if run.status == RUNNING:
        return True
    try:
        finished = datetime.datetime.fromisoformat(run.finished_at)
    except ValueError:
        return False
    return finished.timestamp() > time.time() - RETURN_SECONDS


def _named(document: Mapping[str, Any]) -> set[str]:
    listed = [*document["tables"].values(), document["index"], document.get(OWED, {}).values()]
    return {entry["path"] for entries in listed for entry in entries}


@contextlib.contextmanager
def transaction(folder: Path, timeout: float) -> Iterator[Transaction]:
    """Holds the store's lock, and writes the change when the block ends without an error.

    Args:
        folder: the store's folder, which exists.
        timeout: seconds to wait for the lock.

    Raises:
        StoreError: the lock is held by others, or the manifest is broken.
        OSError: the manifest cannot be written.
    """
    with exclusive_lock(folder, timeout):
        change = Transaction(folder, read_document(folder))
        yield change
        change.write()
