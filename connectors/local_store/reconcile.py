"""Recomputes means from the archive and corrects those that differ.

First the readings of the archive that no window holds are counted, as a batch run would count
them: so the windows and the index agree, wherever a reading has moved to or from. Then the windows
themselves are computed anew, and those that differ get a row with the right totals. The archive is
the truth; beside it, the index says where the newest version of a reading lies.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pyarrow as pa

from connectors.local_store.archive_state import read_state
from connectors.local_store.differences import Key
from connectors.local_store.horizon import kept_from
from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.recheck import check_windows
from connectors.local_store.reconcile_job import Job, check_archive, spans
from connectors.local_store.recount import count_waiting
from connectors.local_store.store import LocalStore
from connectors.local_store.writers import announce_writer

__all__ = ["Reconciled", "reconcile"]


@dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found and did.

    Attributes:
        run_id: its name among the runs; None where it wrote nothing.
        differences: rows that differed, and what they are now; see `Differences.table`.
        left_alone: windows that differ and that a live stream is about to change, each with the
            stream's name.
        windows: how many windows were computed anew.
        readings: how many readings were counted that no window held.
        seconds: how long it took.
    """

    run_id: str | None
    differences: pa.Table
    left_alone: list[tuple[Key, str]]
    windows: int
    readings: int
    seconds: float


def reconcile(store: LocalStore, first: int | None = None, last: int | None = None) -> Reconciled:
    """Recomputes the windows that begin in a span of time.

    Without a span all windows are recomputed, and the whole archive is compared with the index.
    With one, the cost follows the span and what came too late.

    Args:
        store: the store.
        first: start of the first window in microseconds since the epoch; None for the earliest.
        last: where the span ends: windows that begin then are left out; None for the latest.

    Raises:
        StoreError: the store has no archive of all its readings, or cannot be read or written.
    """
    began = time.monotonic()
    announce_writer(store.folder)
    document = read_document(store.folder)
    manifest, state = Manifest.from_document(document), read_state(document)
    check_archive(store, manifest, state)
    job = Job.of(store, manifest, kept_from(document), first, last)
    if job.families:
        count_waiting(job, manifest, state)
        for span in spans(job, store.manifest()):
            check_windows(job, span)
    return Reconciled(
        job.run_id if job.wrote else None,
        job.differences.table(),
        job.left_alone,
        job.windows,
        job.readings,
        time.monotonic() - began,
    )
