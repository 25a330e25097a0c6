"""Drops what is older than a time from every table of a store, and from its index."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from connectors.local_store.archive_files import TABLE
from connectors.local_store.archive_state import read_state, still_waiting, write_state
from connectors.local_store.dates import DAY, DELETIONS
from connectors.local_store.horizon import KEPT_FROM, kept_from
from connectors.local_store.index import Index
from connectors.local_store.index_merge import next_segment
from connectors.local_store.means_files import MEANS
from connectors.local_store.merging import Replacement
from connectors.local_store.old_entries import forget
from connectors.local_store.records import INDEX
from connectors.local_store.retention import old_means, old_readings, old_rejected
from connectors.local_store.store_changes import StoreChanges
from connectors.local_store.transaction import Transaction, transaction

__all__ = ["drop_old"]

REJECTED = "rejected_readings"


def drop_old(changes: StoreChanges, horizon: int) -> None:
    """Drops readings and windows before a time, and records that were rejected before it.

    Args:
        changes: the compaction that it is part of.
        horizon: a midnight, in microseconds since the epoch.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    with transaction(changes.folder, changes.timeout) as change:
        # From now on no run writes an older window.
        change.set({KEPT_FROM: max(horizon, kept_from(change.document))})
    changes.look()
    horizon = kept_from(changes.document)
    folder, files = changes.folder, changes.manifest.files
    _drop(changes, MEANS, list(old_means(folder, files.get(MEANS, ()), horizon)))
    rejected = files.get(REJECTED, ())
    _drop(changes, REJECTED, list(old_rejected(folder, REJECTED, rejected, horizon)))
    _drop(changes, TABLE, list(old_readings(folder, files.get(TABLE, ()), horizon)), horizon)
    changes.look()
    _forget(changes, horizon)


def _drop(
    changes: StoreChanges,
    table: str,
    replacements: Sequence[Replacement],
    horizon: int | None = None,
) -> None:
    if replacements:
        with transaction(changes.folder, changes.timeout) as change:
            _replace(changes, change, table, replacements, horizon)


def _replace(
    changes: StoreChanges,
    change: Transaction,
    table: str,
    replacements: Sequence[Replacement],
    horizon: int | None,
) -> None:
    busy = changes.replace(change, table, replacements)
    if table == TABLE:
        state = read_state(change.document)
        repeated = state.repeated
        if horizon is not None:
            gone = {day for day in repeated if day != DELETIONS and day < horizon // DAY}
            repeated -= gone
        waiting = still_waiting(state.waiting, replacements, busy)
        write_state(change.document, dataclasses.replace(state, repeated=repeated, waiting=waiting))


def _forget(changes: StoreChanges, horizon: int) -> None:
    """Has the index forget readings that are gone, if the archive can tell which these are."""
    state, files = read_state(changes.document), changes.manifest.index
    if state.without or not files or changes.manifest.unsettled:
        return
    found = forget(
        changes.folder,
        Index(changes.folder, files),
        changes.manifest.files.get(TABLE, ()),
        horizon,
        changes.alive,
        next_segment(files),
    )
    if found.index is None and not found.deletions:
        return
    with transaction(changes.folder, changes.timeout) as change:
        # A run that has committed meanwhile may have brought versions of what is to be forgotten.
        if change.before.index != files:
            changes.note_busy(INDEX, len(files))
            return
        _replace(changes, change, TABLE, found.deletions, None)
        if found.index is not None:
            changes.note(INDEX, Replacement(files, tuple(found.index), found.entries))
            change.set_index(found.index)
            changes.record(change)
