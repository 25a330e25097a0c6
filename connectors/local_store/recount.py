"""Counts the readings of the archive that no window holds, as a batch run would count them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from connectors.local_store.archive_files import TABLE
from connectors.local_store.archive_state import ArchiveState, read_state, write_state
from connectors.local_store.commit import Committed, commit_run
from connectors.local_store.differences import window_columns
from connectors.local_store.from_index import windows_of_slices
from connectors.local_store.index import Index
from connectors.local_store.manifest import Manifest
from connectors.local_store.means_files import (
    ALL_STATISTICS,
    FILE_SCHEMA,
    MEANS,
    means_rows,
    read_file,
    read_windows,
)
from connectors.local_store.new_rows import RECONCILED
from connectors.local_store.reconcile_job import Job
from connectors.local_store.records import StoredFile
from connectors.local_store.truth import event_times
from connectors.local_store.waiting import Waiting, find_waiting
from connectors.local_store.window_check import seen
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.slices import SliceAccumulator
from transforms.windows import slice_seconds

__all__ = ["count_waiting"]


def count_waiting(job: Job, manifest: Manifest, state: ArchiveState) -> None:
    """Counts readings that came too late, or whose former version their run had forgotten.

    Args:
        job: the reconciliation.
        manifest: the store as it is.
        state: what is known of its archive.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    archive = manifest.files.get(TABLE, ())
    files = [file for file in archive if job.everything or file.path in state.waiting]
    times = None if job.everything else event_times(job.span, job.families)
    index = Index(job.store.folder, manifest.index)
    found = find_waiting(job.store.folder, files, index, times, job.arrived, job.group_by)
    cleared = state.waiting.intersection(file.path for file in found.cleared)
    if not found.entries and not cleared:
        return
    written = _files(job, found)
    with job.store.transaction() as change:
        if written:
            before = change.before.files.get(MEANS, ())
            committed = commit_run(change, job.record(change.revision), written)
            _note_rows(job, before, committed)
            job.wrote = True
        now = read_state(change.document)
        write_state(change.document, dataclasses.replace(now, waiting=now.waiting - cleared))
        change.changed = True


def _files(job: Job, found: Waiting) -> list[StoredFile]:
    """The files that the workers of a batch run over these readings would write."""
    seconds = slice_seconds(job.families)
    slices = SliceAccumulator(seconds, ALL_STATISTICS)
    files: list[StoredFile] = []
    for entries in found.entries:
        slices.add(entries)
        job.readings += entries.num_rows
        files += job.store.write_entries([entries], job.run_id)
    rows = windows_of_slices(slices, job.families, seconds)
    if rows is not None:
        place = rows.schema.get_field_index("pane")
        rows = rows.set_column(place, "pane", pa.repeat(RECONCILED, rows.num_rows))
        revision = job.store.next_revision()
        files.append(job.store.write(MEANS, means_rows(rows, revision, job.run_id, job.started)))
    return files


def _note_rows(job: Job, before: tuple[StoredFile, ...], committed: Committed) -> None:
    """Notes which windows a commit has changed."""
    folder, known = job.store.folder, {file.path for file in before}
    new = [file for file in committed.manifest.files.get(MEANS, ()) if file.path not in known]
    rows = pa.concat_tables([FILE_SCHEMA.empty_table(), *(read_file(folder, f) for f in new)])
    # A new file may hold rows of others, which were merged with these.
    ours = np.array(rows.column("run_id").to_pylist(), object) == job.run_id
    rows = rows.filter(pa.array(ours, pa.bool_()))
    job.counts[MEANS] += rows.num_rows
    numbering = Numbering()
    starts = rows.column("window_start").cast(pa.int64()).to_numpy()
    windows = Windows.of([(numbering.series(rows), starts)])
    current = [file for file in before if not file.history]
    former = read_windows(folder, current, np.unique(starts), FILE_SCHEMA.names)
    everywhere = np.arange(len(windows))
    job.differences.add(
        window_columns(numbering, windows, everywhere),
        seen(windows, former, numbering),
        seen(windows, rows, numbering),
        everywhere,
    )
