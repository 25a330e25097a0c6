"""Recomputes means from the archive and corrects those that differ.

First the readings of the archive that no window holds are counted, as a batch run would count
them: so the windows and the index agree, wherever a reading has moved to or from. Then the windows
themselves are computed anew, and those that differ get a row with the right totals.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from connectors.local_store.archive_entries import Arrived
from connectors.local_store.archive_files import TABLE
from connectors.local_store.archive_state import read_state, write_state
from connectors.local_store.commit import commit_run
from connectors.local_store.differences import Differences, Key, window_columns
from connectors.local_store.from_index import windows_of_slices
from connectors.local_store.index import Index
from connectors.local_store.index_merge import merge_segments, next_segment
from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.means_files import (
    ALL_STATISTICS,
    FILE_SCHEMA,
    MEANS,
    means_rows,
    read_file,
    read_windows,
    write_means,
)
from connectors.local_store.new_rows import RECONCILED, totals_table
from connectors.local_store.reconcilable import archive_spans, check_archive
from connectors.local_store.records import RECONCILE, RUNNING, STREAM, RunRecord, StoredFile
from connectors.local_store.store import LocalStore
from connectors.local_store.stream_shares import StreamShare, share_of_stream
from connectors.local_store.totals import WindowPartials
from connectors.local_store.transaction import Transaction
from connectors.local_store.truth import Truth, truth
from connectors.local_store.waiting import Waiting, find_waiting
from connectors.local_store.window_check import Check, check, corrected, rows_between, seen
from connectors.local_store.window_numbers import Numbering, Windows
from connectors.local_store.writers import announce_writer
from transforms.slices import SliceAccumulator
from transforms.spans import Bools
from transforms.windows import SlidingWindow, slice_seconds

__all__ = ["LIVE_SECONDS", "Reconciled", "reconcile"]

LIVE_SECONDS = 600
"""A running stream that committed within this time is live."""

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Reconciled:
    """What a reconciliation found and did.

    Attributes:
        run_id: its name among the runs; None where it wrote nothing.
        differences: rows that differed, and what they are now; see `Differences.table`.
        left_alone: windows that differ, and that a live stream is about to change; with the
            stream's `run_id`.
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

    Without a span all windows are recomputed, and all of the archive is compared with the index.
    With one, the index is asked for readings that have moved in or out.

    Args:
        store: the store.
        first: start of the first window in microseconds since the epoch; None for the earliest.
        last: where the span ends: windows that begin then are left out; None for the latest.

    Raises:
        StoreError: the store has no archive of all its readings, or cannot be read or written.
    """
    began = time.monotonic()
    announce_writer(store.folder)
    work = _Reconciliation(store, first, last)
    if work.families:
        work.count_waiting()
        for span in work.spans():
            work.check_windows(span)
    return Reconciled(
        work.run_id if work.wrote else None,
        work.differences.table(),
        work.left_alone,
        work.windows,
        work.readings,
        time.monotonic() - began,
    )


class _Reconciliation:
    """One reconciliation, step by step."""

    def __init__(self, store: LocalStore, first: int | None, last: int | None) -> None:
        self._store, self._folder = store, store.folder
        document = read_document(store.folder)
        self._manifest, self._state = Manifest.from_document(document), read_state(document)
        check_archive(store.folder, self._manifest, self._state)
        self._first, self._last = first, last
        self._started = datetime.datetime.now(datetime.UTC)
        since = int(self._started.timestamp() - LIVE_SECONDS) * 1_000_000
        live = {run.run_id for run in self._manifest.runs if _is_live(run, since)}
        self._arrived = Arrived(frozenset(live), since)
        self._counts: Counter[str] = Counter()
        self.families = [SlidingWindow(*family) for family in sorted(self._manifest.families)]
        self.differences = Differences()
        self.left_alone: list[tuple[Key, str]] = []
        self.run_id = uuid.uuid4().hex
        self.wrote = False
        self.windows = self.readings = 0

    @property
    def _everything(self) -> bool:
        return self._first is None and self._last is None

    def spans(self) -> Iterator[Span]:
        """The span in parts, each with so many readings as can be looked at in some seconds."""
        longest = max(family.size for family in self.families) * 1_000_000
        return archive_spans(self._folder, self._manifest, (self._first, self._last), longest)

    # readings that no window holds

    def count_waiting(self) -> None:
        """Counts the readings that came too late, or whose former version was forgotten."""
        archive = self._manifest.files.get(TABLE, ())
        waiting = self._state.waiting
        files = [file for file in archive if self._everything or file.path in waiting]
        found = find_waiting(
            self._folder,
            files,
            Index(self._folder, self._manifest.index),
            self._times(),
            self._arrived,
        )
        cleared = {file.path for file in found.cleared} & waiting
        if not found.entries and not cleared:
            return
        written = self._files_of(found)
        with self._store.transaction() as change:
            if written:
                self._commit(change, written)
            state = read_state(change.document)
            write_state(
                change.document, dataclasses.replace(state, waiting=state.waiting - cleared)
            )
            change.changed = True

    def _times(self) -> Span | None:
        """Event times of the readings that the windows may hold; None for all."""
        if self._everything:
            return None
        longest = max(family.size for family in self.families) * 1_000_000
        first = -(2**63) if self._first is None else self._first
        return first, 2**63 - 1 if self._last is None else self._last + longest

    def _files_of(self, found: Waiting) -> list[StoredFile]:
        """The files that a batch run over these readings would write."""
        if not found.entries:
            return []
        seconds = slice_seconds(self.families)
        slices = SliceAccumulator(seconds, ALL_STATISTICS)
        files: list[StoredFile] = []
        for entries in found.entries:
            slices.add(entries)
            self.readings += entries.num_rows
            files += self._store.write_entries([entries], self.run_id)
        rows = windows_of_slices(slices, self.families, seconds)
        if rows is not None:
            place = rows.schema.get_field_index("pane")
            panes = pa.repeat(RECONCILED, rows.num_rows)
            rows = rows.set_column(place, rows.schema.field(place), panes)
            revision = self._store.next_revision()
            shown = means_rows(rows, revision, self.run_id, self._started)
            files.append(self._store.write(MEANS, shown))
        return files

    def _commit(self, change: Transaction, files: list[StoredFile]) -> None:
        """Commits files as those of a batch run, and notes which windows it changed."""
        before = change.before.files.get(MEANS, ())
        committed = commit_run(change, self._record(change, change.revision), files)
        self.wrote = True
        known = {file.path for file in before}
        new = [file for file in committed.manifest.files.get(MEANS, ()) if file.path not in known]
        rows = pa.concat_tables(
            [FILE_SCHEMA.empty_table(), *(read_file(self._folder, file) for file in new)]
        )
        # A new file may hold rows of others, with which these were merged.
        ours = np.array(rows.column("run_id").to_pylist(), object) == self.run_id
        rows = rows.filter(pa.array(ours, pa.bool_()))
        numbering = Numbering()
        starts = rows.column("window_start").cast(pa.int64()).to_numpy()
        windows = Windows.of([(numbering.series(rows), starts)])
        former = read_windows(
            self._folder,
            [file for file in before if not file.history],
            np.unique(starts),
            FILE_SCHEMA.names,
        )
        everywhere = np.arange(len(windows))
        self.differences.add(
            window_columns(numbering, windows, everywhere),
            seen(windows, former, numbering),
            seen(windows, rows, numbering),
            everywhere,
        )

    # windows

    def check_windows(self, span: Span) -> None:
        """Computes the windows anew that begin in a span, and corrects those that differ."""
        with self._store.transaction() as change:
            index = Index(self._folder, change.before.index)
            look = _Look(self, change, index, span)
            right, found = look.compare(whole_index=self._everything)
            if found.differs.any() and not self._everything:
                # Before a reading is taken away, all of the index is asked for it.
                right, found = look.compare(whole_index=True)
            self.windows += len(found.windows)
            rows = look.correct(right, found) if found.differs.any() else None
            if rows is not None:
                file = write_means(self._folder, rows)
                change.add([file], self.run_id)
                self._counts[MEANS] += file.rows
            if right.unknown:
                self._add_entries(change, right.unknown)
            if rows is not None or right.unknown:
                self.wrote = True
                change.record(self._record(change, change.revision))

    def _add_entries(self, change: Transaction, unknown: list[pa.RecordBatch]) -> None:
        """Adds entries to the index that it has lost."""
        files = [
            dataclasses.replace(file, segment=next_segment(change.before.index))
            for entries in unknown
            for file in self._store.write_entries([entries], self.run_id)
        ]
        merged, _ = merge_segments(
            self._folder, [*change.before.index, *files], change.alive
        )
        change.set_index(merged)

    def _record(self, change: Transaction, revision: int) -> RunRecord:
        counts = dict(self._counts)
        for run in change.before.runs:
            if run.run_id == self.run_id:
                counts = dict(Counter(run.counts) + self._counts)
        return RunRecord(
            run_id=self.run_id,
            revision=revision,
            started_at=self._started.isoformat(),
            finished_at=datetime.datetime.now(datetime.UTC).isoformat(),
            counts=counts,
            kind=RECONCILE,
            windows=[[family.size, family.period] for family in self.families],
        )

    def look_up(
        self, change: Transaction, index: Index, span: Span, *, whole_index: bool
    ) -> Truth:
        """What the readings say of the windows that begin in a span."""
        return truth(
            self._folder,
            change.before.files.get(TABLE, ()),
            index,
            self.families,
            span,
            self._arrived,
            whole_index=whole_index,
            streams=sorted(change.alive),
        )

    def is_live(self, run_id: str) -> bool:
        """Whether a stream is about to change its windows itself."""
        return run_id in self._arrived.live


class _Look:
    """The windows of one span in one transaction."""

    def __init__(
        self, work: _Reconciliation, change: Transaction, index: Index, span: Span
    ) -> None:
        self._work, self._change, self._index, self._span = work, change, index, span
        self._numbering = Numbering()
        files = change.before.files.get(MEANS, ())
        self._stored = rows_between(
            change.folder, [file for file in files if not file.history], span, FILE_SCHEMA.names
        )

    def compare(self, *, whole_index: bool) -> tuple[Truth, Check]:
        """The windows as they should be, beside what the store has."""
        right = self._work.look_up(
            self._change, self._index, self._span, whole_index=whole_index
        )
        windows = _begin_in(right.windows, self._span)
        return right, check(
            WindowPartials.of(windows, self._numbering), self._stored, self._numbering
        )

    def correct(self, right: Truth, found: Check) -> pa.Table | None:
        """Rows for the windows that differ, but for those that a live stream is about to change."""
        streams = [
            share_of_stream(run, found, right.claims[run.run_id], self._stored, self._numbering)
            for run in self._change.before.runs
            if run.run_id in right.claims
        ]
        chosen = found.differs.copy()
        for stream in streams:
            if self._work.is_live(stream.run.run_id):
                busy = found.differs & stream.differs
                chosen &= ~busy
                keys = window_columns(self._numbering, found.windows, np.flatnonzero(busy))
                self._work.left_alone += [(key, stream.run.run_id) for key in keys]
        places = np.flatnonzero(chosen)
        if len(places) == 0:
            return None
        keys = window_columns(self._numbering, found.windows, places)
        self._work.differences.add(keys, found.before, found.after, places)
        return self._rows(found, streams, chosen)

    def _rows(self, found: Check, streams: list[StreamShare], chosen: Bools) -> pa.Table:
        right = corrected(found, np.flatnonzero(chosen))
        record = self._work.record(self._change)
        tables = [self._table(found, right, record)]
        for stream in streams:
            behind = np.flatnonzero(stream.differs[right.places])
            if len(behind):
                tables.append(self._table(found, stream.rows(right, behind), stream.run))
        return pa.concat_tables(tables)
