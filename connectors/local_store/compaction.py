"""Makes a store smaller and quicker to read without changing what it says.

New files are written beside the old ones, and each table's are put in their place in one
transaction; whoever reads keeps the old ones, which go an hour later. A run that commits in between
is not in the way: of what it has replaced itself, nothing is changed.

If it is told how long things are kept, it drops what is older first (`retention`).
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping
from pathlib import Path

from connectors.local_store.archive_files import TABLE
from connectors.local_store.archive_merging import merge_archive, repeated_rows
from connectors.local_store.archive_state import (
    ArchiveState,
    read_state,
    still_waiting,
    write_state,
)
from connectors.local_store.cleaning import Leftovers, remove_leftovers
from connectors.local_store.dates import SEVERAL, day_of
from connectors.local_store.drop_old import drop_old
from connectors.local_store.horizon import horizon_of
from connectors.local_store.index_merge import merge_into_one, next_segment
from connectors.local_store.merging import Replacement, merge_tables
from connectors.local_store.records import INDEX
from connectors.local_store.store_changes import StoreChanges, TableChange
from connectors.local_store.transaction import transaction
from connectors.local_store.writers import announce_writer

__all__ = ["Compacted", "compact"]


@dataclasses.dataclass(frozen=True)
class Compacted:
    """What a compaction did.

    Attributes:
        run_id: its name among the runs; None where it changed nothing.
        tables: the tables that changed, and the index.
        leftovers: files of crashed runs that were removed.
        kept_from: what is older was dropped, in microseconds since the epoch; None for nothing.
        seconds: how long it took.
    """

    run_id: str | None
    tables: Mapping[str, TableChange]
    leftovers: Leftovers
    kept_from: int | None
    seconds: float


def compact(
    folder: Path,
    timeout: float,
    keep: datetime.timedelta | None = None,
    now: datetime.datetime | None = None,
) -> Compacted:
    """Merges small files, removes what stands in the archive twice, and leftovers of crashes.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for the store's lock, each time.
        keep: drop what is older; None keeps everything.
        now: since when it is older; the present by default.

    Raises:
        StoreError: the store cannot be read or written.
    """
    began = time.monotonic()
    announce_writer(folder)
    changes = StoreChanges(folder, timeout)
    horizon = None
    if keep is not None:
        horizon = horizon_of(keep, now or datetime.datetime.now(datetime.UTC))
        drop_old(changes, horizon)
        changes.look()
    _merge_archive(changes)
    for table in changes.manifest.files:
        if table != TABLE:
            _merge_table(changes, table)
    _merge_index(changes)
    changes.look()
    _note_versions(changes)
    leftovers = remove_leftovers(folder, timeout)
    changed = {name: change for name, change in changes.tables.items() if change != TableChange()}
    run_id = changes.run_id if any(change.replaced for change in changed.values()) else None
    return Compacted(run_id, changed, leftovers, horizon, time.monotonic() - began)


def _merge_table(changes: StoreChanges, table: str) -> None:
    """Merges the small files of a table."""
    files = changes.manifest.files[table]
    replacements = list(merge_tables(changes.folder, table, files, changes.alive))
    if replacements:
        with transaction(changes.folder, changes.timeout) as change:
            changes.replace(change, table, replacements)


def _merge_archive(changes: StoreChanges) -> None:
    """Merges the small files of the archive, and removes repeats."""
    files = changes.manifest.files.get(TABLE, ())
    state = read_state(changes.document)
    dropped = repeated_rows(changes.folder, files, state)
    replacements = list(merge_archive(changes.folder, files, dropped))
    if not replacements and not state.repeated:
        return
    with transaction(changes.folder, changes.timeout) as change:
        busy = changes.replace(change, TABLE, replacements)
        now = read_state(change.document)
        known = {file.path for file in files}
        later = change.before.files.get(TABLE, ())
        unseen = {day_of(file.path) for file in later if file.path not in known}
        unseen |= {day_of(file.path) for file in busy}
        cleared = dataclasses.replace(
            now,
            repeated=_left(now, state, unseen),
            waiting=still_waiting(now.waiting, replacements, busy),
        )
        if cleared != now:
            write_state(change.document, cleared)
            change.changed = True


def _merge_index(changes: StoreChanges) -> None:
    """Merges the index into one segment."""
    files = changes.manifest.index
    if len({file.segment for file in files}) < 2:
        return
    merged = merge_into_one(changes.folder, files, next_segment(files), changes.alive)
    with transaction(changes.folder, changes.timeout) as change:
        if not set(files) <= set(change.before.index):
            changes.note_busy(INDEX, len(files))
            return
        others = [file for file in change.before.index if file not in set(files)]
        segment = next_segment(others)
        alone = [dataclasses.replace(file, segment=segment) for file in merged]
        changes.note(INDEX, Replacement(files, tuple(merged)))
        change.set_index([*alone, *others])
        changes.record(change)


def _note_versions(changes: StoreChanges) -> None:
    """Has the manifest know if the archive holds one version of each reading, and no more.

    Then no view need look for the newest.
    """
    state, manifest = read_state(changes.document), changes.manifest
    rows = sum(file.rows for file in manifest.files.get(TABLE, ()))
    entries = sum(file.rows for file in manifest.index)
    one_segment = len({file.segment for file in manifest.index}) < 2
    # The index knows all readings of the archive, the archive all of the index, each once.
    complete = not (state.repeated or state.waiting or state.without or manifest.unsettled)
    if state.versions and complete and one_segment and not changes.alive and rows == entries:
        with transaction(changes.folder, changes.timeout) as change:
            if change.document == changes.document:
                write_state(change.document, dataclasses.replace(state, versions=False))
                change.changed = True


def _left(now: ArchiveState, before: ArchiveState, unseen: set[int]) -> frozenset[int]:
    """Days that may still hold repeats: those noted since, and those with files not looked at."""
    return frozenset(
        day
        for day in now.repeated
        if day in unseen or not before.repeated.intersection({day, SEVERAL})
    )
