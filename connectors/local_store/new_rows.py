"""The rows that a commit writes: the totals of all windows that it touches."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from connectors.local_store.horizon import kept_from
from connectors.local_store.index import Index
from connectors.local_store.lost_extremes import find_extremes, with_extremes
from connectors.local_store.means_files import (
    ALL_STATISTICS,
    FILE_SCHEMA,
    MEANS,
    OWN,
    hidden_columns,
    read_file,
    read_windows,
    write_means,
)
from connectors.local_store.means_memory import MeansMemory
from connectors.local_store.owed import HOLD_SECONDS, Owed, owed_file, read_owed, write_owed
from connectors.local_store.partials import EXTREMES, taken, without_extremes
from connectors.local_store.records import FINISHED, RECONCILE, STREAM, RunRecord, StoredFile
from connectors.local_store.totals import (
    NEVER,
    Former,
    Shares,
    Totals,
    WindowPartials,
    former,
    newer_panes,
    totals,
)
from connectors.local_store.transaction import Transaction
from connectors.local_store.window_numbers import WINDOW, Numbering, Windows
from transforms.spans import Bools, Ints
from transforms.window_means import PARTIAL
from transforms.window_totals import RETOLD

__all__ = ["RECONCILED", "NewRows", "totals_table"]

MOMENT = FILE_SCHEMA.field("window_start").type
CORRECTION = "late"
"""The timing of a row that no pane of the run made: it corrects a window that was given out."""

RECONCILED = "reconciled"
"""The timing of a row that a reconciliation made."""

NEEDED = [
    *(*WINDOW, "region", "revision", "emitted_at", "run_id", *EXTREMES),
    *(name for name in FILE_SCHEMA.names if name.startswith((PARTIAL, OWN))),
]
"""The columns of stored rows that new totals are made from."""


class NewRows:
    """Gathers what changes in windows, and writes their new totals.

    Args:
        change: the transaction of the commit.
        run: the run that commits.
        means: the files of means that its workers wrote.
        memory: what the store holds of windows that former commits of the run have changed.

    Attributes:
        owed: the file of what the run, a stream, owes; None for nothing.

    Raises:
        StoreError: a file is missing or damaged.
    """

    def __init__(
        self,
        change: Transaction,
        run: RunRecord,
        means: Sequence[StoredFile],
        memory: MeansMemory,
    ) -> None:
        self._folder, self._before, self._run = change.folder, change.before, run
        self._stream = run.kind == STREAM
        self._memory, self._numbering = memory, memory.numbering
        self._kept_from = kept_from(change.document)
        rows = [read_file(change.folder, file) for file in means]
        shares = pa.concat_tables([FILE_SCHEMA.empty_table(), *rows])
        self._shares = Shares.of(shares, self._numbering)
        self._changes: list[WindowPartials] = []
        self._owed: list[Owed] = []
        self._owed_before = owed_file(change.document, run.run_id)
        if self._owed_before is not None:
            self._owed.append(read_owed(change.folder, self._owed_before, self._numbering))
        self._now = time.time_ns() // 1000
        self.owed = self._owed_before

    def add(self, rows: pa.RecordBatch | None) -> None:
        """Adds what the windows gain at once.

        Args:
            rows: as of `window_rows(…, partials=True)`; None for nothing.
        """
        if rows is not None:
            self._changes.append(WindowPartials.of(rows, self._numbering))

    def settle(self, rows: pa.RecordBatch | None, *, copies: bool = False) -> None:
        """Adds what the windows gain beside the run's rows: of a stream, with its next pane.

        Args:
            rows: as of `window_rows(…, partials=True)`; None for nothing.
            copies: they stand for copies of readings that stay: no extreme changes.
        """
        if rows is None:
            return
        change = WindowPartials.of(rows, self._numbering)
        partials = without_extremes(change.partials) if copies else change.partials
        self._owe(WindowPartials(change.series, change.starts, partials))

    def displace(self, rows: pa.RecordBatch | None, counted: pa.RecordBatch | None) -> None:
        """Takes away what versions of the run have displaced.

        A stream's next pane of a window is waited for only where there is one to come: a version
        may have displaced one that lay in other windows.

        Args:
            rows: what has left, as of `window_rows(…, partials=True)`; None for nothing.
            counted: the windows of which the stream will give out a pane, as rows.
        """
        if rows is None:
            return
        change = WindowPartials.of(rows, self._numbering)
        expected = [(piece.series, piece.starts) for piece in self._owed]
        if counted is not None:
            expected.append(_windows_of(counted, self._numbering))
        waits = Windows.of(expected).places(change.series, change.starts) >= 0
        for chosen, take in ((waits, self._owe), (~waits, self._changes.append)):
            take(
                WindowPartials(
                    change.series[chosen], change.starts[chosen], taken(change.partials, chosen)
                )
            )

    def _owe(self, rows: WindowPartials) -> None:
        since = np.full(len(rows.starts), self._now)
        self._owed.append(Owed(rows.series, rows.starts, rows.partials, since))

    def write(self, revision: int, index: Index | None, *, settled: bool) -> StoredFile | None:
        """Writes the new totals.

        Args:
            revision: the revision of the rows.
            index: the index with the commit's entries, to look up extremes in that are lost; None
                to leave them.
            settled: no stream may commit again.

        Returns:
            The file; None where nothing has changed.

        Raises:
            StoreError: a file cannot be read or written.
        """
        numbering = self._numbering
        touched = [self._shares, *self._changes, *self._owed]
        windows = Windows.of((piece.series, piece.starts) for piece in touched)
        if not len(windows):
            return None
        before = self._memory.former(windows, self._former)
        rows = totals(
            windows,
            before,
            self._shares,
            [*self._changes, *self._due(windows, before)],
            stream=self._stream,
            settled=settled,
            repair=index is not None,
        )
        shown = rows
        if index is not None:
            shown = with_extremes(rows, find_extremes(index, windows, rows, numbering))
            # What a stream has yet to give out may bring back what has left.
            rows = shown if settled else rows
        kept = windows.starts[rows.places] >= self._kept_from
        if not kept.all():
            rows, shown = rows.only(kept), shown.only(kept)
        if not len(rows):
            return None
        table = totals_table(windows, rows, shown, numbering, revision, self._run)
        file = write_means(self._folder, table)
        if index is None:
            self._memory.keep(windows, before, rows)
        return file

    def _former(self, windows: Windows) -> Former:
        """What the files of the store hold of windows."""
        stored = read_windows(
            self._folder,
            [file for file in self._before.files.get(MEANS, ()) if not file.history],
            np.unique(windows.starts),
            [name for name in NEEDED if self._stream or not name.startswith(OWN)],
        )
        return former(windows, stored, self._numbering, self._run.run_id)

    def _due(self, windows: Windows, before: Former) -> list[Owed]:
        """What is owed and is added now; the rest is written for later."""
        if not self._owed:
            return []
        owed = Owed.together(self._owed)
        due = np.ones(len(owed.starts), bool)
        if self._stream and self._run.status != FINISHED:
            has_pane = np.zeros(len(windows), bool)
            has_pane[newer_panes(windows, self._shares, before)[0]] = True
            due = has_pane[windows.places(owed.series, owed.starts)]
            due |= owed.since < self._now - HOLD_SECONDS * 1e6
        self.owed = write_owed(self._folder, owed.only(~due), self._numbering)
        return [owed.only(due)]


def totals_table(
    windows: Windows,
    rows: Totals,
    shown: Totals,
    numbering: Numbering,
    revision: int,
    run: RunRecord,
) -> pa.Table:
    """Totals as rows of a file of means.

    Args:
        windows: the windows that the totals are of.
        rows: the totals that later commits add to.
        shown: the same, with extremes that were looked up but may not be kept.
        numbering: numbers of series.
        revision: the revision of the rows.
        run: the run that writes them.
    """
    count = len(rows)
    columns = numbering.columns(windows.series[rows.places], windows.starts[rows.places])
    held = shown.partials["count"] > 0
    for statistic in ALL_STATISTICS:
        result = statistic.extract(shown.partials)
        if statistic.name != "count":
            result = _null_where(result, ~held)
        columns[statistic.name] = result
    now = int(datetime.datetime.now(datetime.UTC).timestamp() * 1e6)
    corrected = rows.emitted == NEVER
    correction = RECONCILED if run.kind == RECONCILE else CORRECTION
    panes = np.where(corrected | (rows.panes == RETOLD), correction, rows.panes)
    columns["pane"] = pa.array(panes, pa.string())
    columns["emitted_at"] = pa.array(np.where(corrected, now, rows.emitted)).view(MOMENT)
    columns["revision"] = pa.array(np.full(count, revision))
    columns["run_id"] = pa.repeat(run.run_id, count)
    columns |= hidden_columns(PARTIAL, rows.partials)
    none = rows.own_emitted == NEVER
    columns[OWN + "emitted_at"] = _null_where(pa.array(rows.own_emitted).view(MOMENT), none)
    columns |= hidden_columns(OWN, rows.own, none)
    return pa.Table.from_arrays([columns[name] for name in FILE_SCHEMA.names], schema=FILE_SCHEMA)


def _windows_of(rows: pa.RecordBatch, numbering: Numbering) -> tuple[Ints, Ints]:
    return numbering.series(rows), rows.column("window_start").cast(pa.int64()).to_numpy()


def _null_where(column: pa.Array, absent: Bools) -> pa.Array:
    if not absent.any():
        return column
    kept = np.where(absent, -1, np.arange(len(column)))
    return column.take(pa.array(kept, mask=absent))
