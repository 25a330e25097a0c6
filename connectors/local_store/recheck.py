"""Computes windows anew and corrects the rows that differ."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_files import TABLE
from connectors.local_store.differences import window_columns
from connectors.local_store.index import Index
from connectors.local_store.index_merge import merge_segments, next_segment
from connectors.local_store.means_files import FILE_SCHEMA, MEANS, write_means
from connectors.local_store.new_rows import totals_table
from connectors.local_store.owed import drop_owed
from connectors.local_store.reconcile_job import Job
from connectors.local_store.stream_shares import StreamShare, share_of_stream
from connectors.local_store.transaction import Transaction
from connectors.local_store.truth import Truth, truth
from connectors.local_store.window_check import Check, check, corrected, rows_between
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.spans import Bools

__all__ = ["check_windows"]


def check_windows(job: Job, span: tuple[int, int]) -> None:
    """Computes the windows anew that begin in a span, and corrects those that differ.

    Args:
        job: the reconciliation.
        span: starts of windows in microseconds, the second not included.

    Raises:
        StoreError: a file is damaged or cannot be written, or others hold the store's lock.
    """
    with job.store.transaction() as change:
        look = _Look(job, change, span)
        right, found = look.compare(whole_index=job.everything)
        if found.differs.any() and not job.everything:
            # Before a reading is taken away, all of the index is asked for it.
            right, found = look.compare(whole_index=True)
        job.windows += len(found.windows)
        rows = look.correct(right, found)
        if rows is not None:
            file = write_means(change.folder, rows)
            change.add([file], job.run_id)
            job.counts[MEANS] += file.rows
        if right.unknown:
            look.add_entries(right.unknown)
        if rows is not None or right.unknown:
            change.record(job.record(look.revision))
            job.wrote = True


class _Look:
    """The windows of one span, in one transaction."""

    def __init__(self, job: Job, change: Transaction, span: tuple[int, int]) -> None:
        self._job, self._change, self._span = job, change, span
        self._index = Index(change.folder, change.before.index)
        self._numbering = Numbering()
        means = [file for file in change.before.files.get(MEANS, ()) if not file.history]
        self._stored = rows_between(change.folder, means, span, FILE_SCHEMA.names)
        greatest = pc.max(self._stored.column("revision")).as_py() or 0
        # Of rows that a fault has put there, too.
        self.revision = max(change.revision, greatest + 1)

    def compare(self, *, whole_index: bool) -> tuple[Truth, Check]:
        """The windows as they should be, beside what the store has."""
        right = truth(
            self._change.folder,
            self._change.before.files.get(TABLE, ()),
            self._index,
            self._job.families,
            self._span,
            self._job.arrived,
            self._job.group_by,
            whole_index=whole_index,
            streams=self._change.alive,
        )
        return right, check(_begin_in(right.windows, self._span), self._stored, self._numbering)

    def correct(self, right: Truth, found: Check) -> pa.Table | None:
        """Rows for the windows that differ, but for those that a live stream is about to change."""
        chosen = found.differs.copy()
        if not chosen.any():
            return None
        streams = [
            share_of_stream(run, found, right.claims[run.run_id], self._stored, self._numbering)
            for run in self._change.before.runs
            if run.run_id in right.claims
        ]
        for stream in streams:
            if stream.run.run_id in self._job.arrived.live:
                busy = chosen & stream.differs
                chosen &= ~busy
                keys = window_columns(self._numbering, found.windows, np.flatnonzero(busy))
                self._job.left_alone += [(key, stream.run.run_id) for key in keys]
        places = np.flatnonzero(chosen)
        if len(places) == 0:
            return None
        keys = window_columns(self._numbering, found.windows, places)
        self._job.differences.add(keys, found.before, found.after, places)
        windows = Windows(found.windows.series[places], found.windows.starts[places])
        drop_owed(self._change, windows, self._numbering)
        return self._rows(found, streams, chosen)

    def _rows(self, found: Check, streams: list[StreamShare], chosen: Bools) -> pa.Table:
        right = corrected(found, np.flatnonzero(chosen))
        written = [(right, self._job.record(self.revision))]
        for stream in streams:
            behind = np.flatnonzero(stream.differs[right.places])
            if len(behind):
                written.append((stream.rows(right, behind), stream.run))
        return pa.concat_tables(
            totals_table(found.windows, rows, rows, self._numbering, self.revision, run)
            for rows, run in written
        )

    def add_entries(self, unknown: list[pa.RecordBatch]) -> None:
        """Adds entries to the index that it has lost."""
        change = self._change
        number = next_segment(change.before.index)
        files = [
            dataclasses.replace(file, segment=number)
            for entries in unknown
            for file in self._job.store.write_entries([entries], self._job.run_id)
        ]
        merged, _ = merge_segments(change.folder, [*change.before.index, *files], change.alive)
        change.set_index(merged)


def _begin_in(windows: pa.RecordBatch | None, span: tuple[int, int]) -> pa.RecordBatch | None:
    """Those of the windows that begin in a span."""
    if windows is None:
        return None
    starts = windows.column("window_start").view(pa.int64())
    inside = pc.and_(pc.greater_equal(starts, span[0]), pc.less(starts, span[1]))
    return windows.filter(inside)
