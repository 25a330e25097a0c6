"""Puts files of a store in the place of others, and remembers what became of each table."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.merging import Replacement
from connectors.local_store.records import RunRecord, StoredFile
from connectors.local_store.transaction import Transaction

__all__ = ["COMPACTION", "StoreChanges", "TableChange"]

COMPACTION = "compaction"
"""The kind of its runs in the manifest."""

MOST_RECORDS = 20
"""Compactions that are remembered though the manifest names no file of theirs."""


@dataclasses.dataclass
class TableChange:
    """What became of a table.

    Attributes:
        replaced: how many files were merged or written anew.
        files: how many files are in their place.
        removed: rows that are gone: repeats.
        rows: how many rows they hold.
        bytes_before: size of the files that were replaced.
        bytes_after: size of those in their place.
        busy: files that were left as they are, because a run replaced them meanwhile.
    """

    replaced: int = 0
    files: int = 0
    removed: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    busy: int = 0


class StoreChanges:
    """The changes of one compaction, table by table.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for the store's lock, each time.

    Attributes:
        document: the manifest as it was last looked at.
        manifest: the same.
        run_id: the compaction's name among the runs.
        tables: what became of the tables, and of the index.
    """

    def __init__(self, folder: Path, timeout: float) -> None:
        self.folder, self.timeout = folder, timeout
        self._started = datetime.datetime.now(datetime.UTC).isoformat()
        self.run_id = uuid.uuid4().hex
        self.tables: dict[str, TableChange] = {}
        self.look()

    def look(self) -> None:
        """Looks at the manifest."""
        self.document = read_document(self.folder)
        self.manifest = Manifest.from_document(self.document)

    @property
    def alive(self) -> set[str]:
        """The streams that may commit again."""
        return Transaction(self.folder, self.document).alive

    def replace(
        self, change: Transaction, table: str, replacements: Sequence[Replacement]
    ) -> list[StoredFile]:
        """Puts files in the place of others.

        Args:
            change: the transaction in which that is done.
            table: the table.
            replacements: the files.

        Returns:
            Those that somebody else has replaced meanwhile: they are left as they are.
        """
        listed = change.document["tables"].get(table, ())
        named = {entry["path"] for entry in listed}
        busy: list[StoredFile] = []
        taken: list[StoredFile] = []
        made: list[StoredFile] = []
        for replacement in replacements:
            if named.issuperset(file.path for file in replacement.replaced):
                self.note(table, replacement)
                taken += replacement.replaced
                made += replacement.files
            else:
                busy += replacement.replaced
        change.remove(taken)
        change.add(made, self.run_id)
        self.note_busy(table, len(busy))
        if taken:
            self.record(change)
        return busy

    def note(self, table: str, replacement: Replacement) -> None:
        """Counts a replacement that is made."""
        total = self._total(table)
        total.replaced += len(replacement.replaced)
        total.files += len(replacement.files)
        total.rows += sum(file.rows for file in replacement.files)
        total.removed += replacement.removed
        total.bytes_before += sum(file.bytes for file in replacement.replaced)
        total.bytes_after += sum(file.bytes for file in replacement.files)

    def note_busy(self, table: str, count: int) -> None:
        """Counts files that are left as they are, because a run replaced them meanwhile."""
        self._total(table).busy += count

    def _total(self, table: str) -> TableChange:
        return self.tables.setdefault(table, TableChange())

    def record(self, change: Transaction) -> None:
        """Remembers the compaction among the runs."""
        counts = {name: total.rows for name, total in self.tables.items() if total.rows}
        change.record(
            RunRecord(
                run_id=self.run_id,
                revision=change.before.revision,
                started_at=self._started,
                finished_at=datetime.datetime.now(datetime.UTC).isoformat(),
                counts=counts,
                kind=COMPACTION,
                group_by=change.before.group_by,
            )
        )
        _forget_records(change.document)


def _forget_records(document: dict[str, Any]) -> None:
    """Forgets old compactions of which nothing is left."""
    named = {entry.get("run_id") for entries in document["tables"].values() for entry in entries}
    idle = [
        run["run_id"]
        for run in document["runs"]
        if run.get("kind") == COMPACTION and run["run_id"] not in named
    ]
    forgotten = set(idle[:-MOST_RECORDS])
    document["runs"] = [run for run in document["runs"] if run["run_id"] not in forgotten]
