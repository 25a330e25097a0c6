"""Makes a store smaller and quicker to read without changing what it says.

New files are written beside the old ones, and each table's are put in their place in one
transaction; whoever reads keeps the old ones, which go an hour later. A run that commits in between
is not in the way: of what it has replaced itself, nothing is changed.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from connectors.local_store import archive_files
from connectors.local_store.archive_merging import merge_archive, repeated_rows
from connectors.local_store.archive_state import ArchiveState, read_state, write_state
from connectors.local_store.cleaning import Leftovers, remove_leftovers
from connectors.local_store.dates import SEVERAL, day_of
from connectors.local_store.index_merge import merge_into_one, next_segment
from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.merging import Replacement, merge_tables
from connectors.local_store.records import INDEX, RunRecord, StoredFile
from connectors.local_store.transaction import Transaction, transaction
from connectors.local_store.writers import announce_writer

__all__ = ["COMPACTION", "Compacted", "TableChange", "compact"]

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


@dataclasses.dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes:
        run_id: its name among the runs; None where it changed nothing.
        tables: the tables that changed, and the index.
        leftovers: files of crashed runs that were removed.
        seconds: how long it took.
    """

    run_id: str | None
    tables: Mapping[str, TableChange]
    leftovers: Leftovers
    seconds: float


def compact(folder: Path, timeout: float) -> Compacted:
    """Merges small files, removes what stands in the archive twice, and leftovers of crashes.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for the store's lock, each time.

    Raises:
        StoreError: the store cannot be read or written.
    """
    began = time.monotonic()
    announce_writer(folder)
    work = _Compaction(folder, timeout)
    work.archive()
    for table in work.manifest.files:
        if table != archive_files.TABLE:
            work.table(table)
    work.index()
    leftovers = remove_leftovers(folder, timeout)
    changed = {name: change for name, change in work.changes.items() if change != TableChange()}
    run_id = work.run_id if any(change.replaced for change in changed.values()) else None
    return Compacted(run_id, changed, leftovers, time.monotonic() - began)


class _Compaction:
    """One compaction, table by table."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self._folder, self._timeout = folder, timeout
        self._document = read_document(folder)
        self._started = datetime.datetime.now(datetime.UTC).isoformat()
        self.manifest = Manifest.from_document(self._document)
        self.run_id = uuid.uuid4().hex
        self.changes: dict[str, TableChange] = {}

    def table(self, table: str) -> None:
        """Merges the small files of a table."""
        files = self.manifest.files[table]
        alive = Transaction(self._folder, self._document).alive
        replacements = list(merge_tables(self._folder, table, files, alive))
        if replacements:
            with transaction(self._folder, self._timeout) as change:
                self._replace(change, table, replacements)

    def archive(self) -> None:
        """Merges the small files of the archive, and removes repeats."""
        files = self.manifest.files.get(archive_files.TABLE, ())
        state = read_state(self._document)
        dropped = repeated_rows(self._folder, files, state)
        replacements = list(merge_archive(self._folder, files, dropped))
        if not replacements and not state.repeated:
            return
        with transaction(self._folder, self._timeout) as change:
            busy = self._replace(change, archive_files.TABLE, replacements)
            now = read_state(change.document)
            known = {file.path for file in files}
            later = change.before.files.get(archive_files.TABLE, ())
            unseen = {day_of(file.path) for file in later if file.path not in known}
            unseen |= {day_of(file.path) for file in busy}
            cleared = dataclasses.replace(
                now,
                repeated=_left(now, state, unseen),
                waiting=_waiting(now.waiting, replacements, busy),
            )
            if cleared != now:
                write_state(change.document, cleared)
                change.changed = True

    def index(self) -> None:
        """Merges the index into one segment."""
        files = self.manifest.index
        if len({file.segment for file in files}) < 2:
            return
        alive = Transaction(self._folder, self._document).alive
        merged = merge_into_one(self._folder, files, next_segment(files), alive)
        with transaction(self._folder, self._timeout) as change:
            if self._count(change, INDEX, Replacement(files, tuple(merged))):
                others = [file for file in change.before.index if file not in set(files)]
                segment = next_segment(others)
                alone = [dataclasses.replace(file, segment=segment) for file in merged]
                change.set_index([*alone, *others])
                self._record(change)

    def _replace(
        self, change: Transaction, table: str, replacements: Iterable[Replacement]
    ) -> list[StoredFile]:
        """Puts files in the place of others; returns those that were replaced by others."""
        busy: list[StoredFile] = []
        total = self.changes.setdefault(table, TableChange())
        for replacement in replacements:
            if self._count(change, table, replacement):
                change.remove(replacement.replaced)
                change.add(replacement.files, self.run_id)
            else:
                busy += replacement.replaced
        if total.replaced:
            self._record(change)
        return busy

    def _count(self, change: Transaction, table: str, replacement: Replacement) -> bool:
        """Whether all the files are still there to be replaced."""
        listed = change.document["index"] if table == INDEX else change.document["tables"][table]
        named = {entry["path"] for entry in listed}
        total = self.changes.setdefault(table, TableChange())
        if not named.issuperset(file.path for file in replacement.replaced):
            total.busy += len(replacement.replaced)
            return False
        total.replaced += len(replacement.replaced)
        total.files += len(replacement.files)
        total.rows += sum(file.rows for file in replacement.files)
        total.removed += replacement.removed
        total.bytes_before += sum(file.bytes for file in replacement.replaced)
        total.bytes_after += sum(file.bytes for file in replacement.files)
        return True

    def _record(self, change: Transaction) -> None:
        counts = {name: total.rows for name, total in self.changes.items() if total.rows}
        change.record(
            RunRecord(
                run_id=self.run_id,
                revision=change.before.revision,
                started_at=self._started,
                finished_at=datetime.datetime.now(datetime.UTC).isoformat(),
                counts=counts,
                kind=COMPACTION,
            )
        )
        _forget_records(change.document)


def _left(now: ArchiveState, before: ArchiveState, unseen: set[int]) -> frozenset[int]:
    """Days that may still hold repeats: those noted since, and those with files not looked at."""
    return frozenset(
        day
        for day in now.repeated
        if day in unseen or not before.repeated.intersection({day, SEVERAL})
    )


def _waiting(
    waiting: frozenset[str], replacements: Iterable[Replacement], busy: Collection[StoredFile]
) -> frozenset[str]:
    """The files that may hold readings which no window holds, after files were replaced."""
    for replacement in replacements:
        replaced = {file.path for file in replacement.replaced}
        if replaced & waiting and replacement.replaced[0] not in busy:
            waiting = waiting - replaced | {file.path for file in replacement.files}
    return waiting


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
