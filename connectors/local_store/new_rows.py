"""The rows that a commit writes: the totals of all windows that it touches."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from connectors.local_store.index import Index
from connectors.local_store.lost_extremes import find_extremes, with_extremes
from connectors.local_store.manifest import Manifest
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
from connectors.local_store.partials import EXTREMES, without_extremes
from connectors.local_store.records import RECONCILE, STREAM, RunRecord, StoredFile
from connectors.local_store.totals import NEVER, Shares, Totals, WindowPartials, former, totals
from connectors.local_store.window_numbers import WINDOW, Numbering, Windows
from transforms.spans import Bools
from transforms.window_means import PARTIAL

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
        folder: the store's folder.
        before: the store's state before the commit.
        run: the run that commits.
        means: the files of means that its workers wrote.

    Raises:
        StoreError: a file is missing or damaged.
    """

    def __init__(
        self, folder: Path, before: Manifest, run: RunRecord, means: Sequence[StoredFile]
    ) -> None:
        self._folder, self._before, self._run = folder, before, run
        self._stream = run.kind == STREAM
        self._numbering = Numbering()
        rows = [read_file(folder, file) for file in means]
        shares = pa.concat_tables([FILE_SCHEMA.empty_table(), *rows])
        self._shares = Shares.of(shares, self._numbering)
        self._changes: list[WindowPartials] = []

    def add(self, rows: pa.RecordBatch | None, *, copies: bool = False) -> None:
        """Adds what the windows gain beside the run's rows.

        Args:
            rows: as of `window_rows(…, partials=True)`; None for nothing.
            copies: they stand for copies of readings that stay: no extreme changes.
        """
        if rows is None:
            return
        change = WindowPartials.of(rows, self._numbering)
        if copies:
            change = WindowPartials(change.series, change.starts, without_extremes(change.partials))
        self._changes.append(change)

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
        touched = [self._shares, *self._changes]
        windows = Windows.of((piece.series, piece.starts) for piece in touched)
        if not len(windows):
            return None
        stored = read_windows(
            self._folder,
            [file for file in self._before.files.get(MEANS, ()) if not file.history],
            np.unique(windows.starts),
            [name for name in NEEDED if self._stream or not name.startswith(OWN)],
        )
        before = former(windows, stored, numbering, self._run.run_id)
        rows = totals(
            windows,
            before,
            self._shares,
            self._changes,
            stream=self._stream,
            settled=settled,
            repair=index is not None,
        )
        shown = rows
        if index is not None:
            shown = with_extremes(rows, find_extremes(index, windows, rows, numbering))
            # What a stream has yet to give out may bring back what has left.
            rows = shown if settled else rows
        if not len(rows):
            return None
        table = totals_table(windows, rows, shown, numbering, revision, self._run)
        return write_means(self._folder, table)


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
    columns["pane"] = pa.array(np.where(corrected, correction, rows.panes), pa.string())
    columns["emitted_at"] = pa.array(np.where(corrected, now, rows.emitted)).view(MOMENT)
    columns["revision"] = pa.array(np.full(count, revision))
    columns["run_id"] = pa.repeat(run.run_id, count)
    columns |= hidden_columns(PARTIAL, rows.partials)
    none = rows.own_emitted == NEVER
    columns[OWN + "emitted_at"] = _null_where(pa.array(rows.own_emitted).view(MOMENT), none)
    columns |= hidden_columns(OWN, rows.own, none)
    return pa.Table.from_arrays([columns[name] for name in FILE_SCHEMA.names], schema=FILE_SCHEMA)


def _null_where(column: pa.Array, absent: Bools) -> pa.Array:
    if not absent.any():
        return column
    kept = np.where(absent, -1, np.arange(len(column)))
    return column.take(pa.array(kept, mask=absent))
