"""Batches of a pipeline as rows of the tables of the local store."""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pyarrow as pa

from connectors.local_store import RunRecord, StoredFile
from connectors.local_store.means_files import means_rows
from connectors.local_store.records import BATCH, FINISHED
from connectors.local_store.window_numbers import Numbering
from schemas.groupings import REGION
from schemas.tables import arrow_schema
from transforms.spans import Ints

__all__ = [
    "TABLES",
    "Run",
    "ToTable",
    "columns_of",
    "means_table",
    "rejected_table",
    "with_times",
]


@dataclasses.dataclass(frozen=True)
class Run:
    """The run whose results are written.

    Attributes:
        run_id: its unique name.
        revision: the revision of its rows, as `LocalStore.next_revision` gave it.
        started_at: when it began, UTC.
        inputs: the inputs as the user named them.
        windows: size and period, in seconds, of the windows that it computes. A stream must name
            them, for it may commit before it has rows of all of them.
        group_by: what means are grouped by, one of `schemas.groupings.GROUPINGS`.
        state: of a stream, a word for the layout of its state: one of another layout cannot go on
            with it.
    """

    run_id: str
    revision: int
    started_at: datetime.datetime
    inputs: tuple[str, ...]
    windows: tuple[tuple[int, int], ...] = ()
    group_by: str = REGION
    state: str = ""

    def record(
        self,
        files: Iterable[StoredFile],
        kind: str = BATCH,
        status: str = FINISHED,
        duplicates: str = "latest",
    ) -> RunRecord:
        """The run as the manifest remembers it."""
        rows: dict[str, int] = {}
        for file in files:
            rows[file.table] = rows.get(file.table, 0) + file.rows
        return RunRecord(
            run_id=self.run_id,
            revision=self.revision,
            started_at=self.started_at.isoformat(),
            finished_at=datetime.datetime.now(datetime.UTC).isoformat(),
            inputs=list(self.inputs),
            counts=rows,
            kind=kind,
            status=status,
            windows=[list(window) for window in self.windows],
            duplicates=duplicates,
            group_by=self.group_by,
            state=self.state,
        )


ToTable = Callable[[pa.RecordBatch, Run], pa.RecordBatch]


def means_table(batch: pa.RecordBatch, run: Run) -> pa.RecordBatch:
    """A batch of means as rows of files of means, with their partial statistics.

    Args:
        batch: of schema `transforms.window_means.means_schema(…, partials=True)`. Of several panes
            of a window the last one is the newest. If there is a column `emitted_at`, it says when
            they were computed; else they are stamped now.
        run: the run.
    """
    return means_rows(with_times(batch), run.revision, run.run_id)


def with_times(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of means with a column `emitted_at`: if it has none, it is stamped now.

    Args:
        batch: as for `means_table`.
    """
    if "emitted_at" in batch.schema.names:
        return batch
    repeats = _repeats(batch)
    stamps = _clock.stamp(int(repeats.max(initial=0))) + repeats
    return batch.append_column("emitted_at", pa.array(stamps).view(pa.timestamp("us", tz="UTC")))


def rejected_table(batch: pa.RecordBatch, run: Run) -> pa.RecordBatch:
    """A batch of rejected records as rows of `rejected_readings`."""
    table = "rejected_readings"
    columns = columns_of(table, batch, {"run_id": run.run_id})
    return pa.RecordBatch.from_arrays(columns, schema=arrow_schema(table))


TABLES: dict[str, ToTable] = {
    "regional_means_revisions": means_table,
    "rejected_readings": rejected_table,
}
"""How a batch becomes rows of each table."""


class _Clock:
    """Gives each batch of this process a later time than the one before."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def stamp(self, more: int) -> int:
        """Microseconds since the epoch; the next `more` are given to nobody else."""
        with self._lock:
            now = max(time.time_ns() // 1000, self._last + 1)
            self._last = now + more
        return now


_clock = _Clock()


def _repeats(batch: pa.RecordBatch) -> Ints:
    """How many rows before each row are of the same window."""
    series = Numbering().series(batch)
    starts = batch.column("window_start").cast(pa.int64()).to_numpy()
    order = np.lexsort((starts, series))
    new = np.ones(len(order), bool)
    new[1:] = (series[order][1:] != series[order][:-1]) | (starts[order][1:] != starts[order][:-1])
    firsts = np.flatnonzero(new)
    repeats = np.empty(len(order), np.int64)
    repeats[order] = np.arange(len(order)) - np.repeat(firsts, np.diff(firsts, append=len(order)))
    return repeats


def columns_of(table: str, batch: pa.RecordBatch, more: Mapping[str, object]) -> list[pa.Array]:
    """The columns of a table, of a batch's; `more` holds arrays, or values that fill a column."""
    columns = []
    for field in arrow_schema(table):
        column = more[field.name] if field.name in more else batch.column(field.name)
        if not isinstance(column, pa.Array):
            column = pa.repeat(column, batch.num_rows)
        columns.append(column.cast(field.type))
    return columns
