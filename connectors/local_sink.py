"""Writes the results of a run into the local store."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import MAX_TIMESTAMP
from apache_beam.utils.windowed_value import WindowedValue

from connectors.local_store import LocalStore, RunRecord, StoredFile
from schemas.tables import arrow_schema
from transforms.numbers import MICROS

__all__ = ["TABLES", "Run", "WriteToStore", "means_table", "outside_table", "rejected_table"]

FILE_BYTES = 64 << 20
"""Bytes of rows that are held in memory before they become a file."""


@dataclasses.dataclass(frozen=True)
class Run:
    """The run whose results are written.

    Attributes:
        run_id: its unique name.
        revision: the revision of its rows.
        started_at: when it began, UTC.
        inputs: the inputs as the user named them.
    """

    run_id: str
    revision: int
    started_at: datetime.datetime
    inputs: tuple[str, ...]

    def record(self, files: Iterable[StoredFile]) -> RunRecord:
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
        )


ToTable = Callable[[pa.RecordBatch, Run], pa.RecordBatch]


def means_table(batch: pa.RecordBatch, run: Run) -> pa.RecordBatch:
    """A batch of means as rows of `regional_means_revisions`."""
    now = pa.scalar(datetime.datetime.now(datetime.UTC), pa.timestamp("us", tz="UTC"))
    more = {"revision": run.revision, "emitted_at": now, "run_id": run.run_id}
    return _with_columns("regional_means_revisions", batch, more)


def rejected_table(batch: pa.RecordBatch, run: Run) -> pa.RecordBatch:
    """A batch of rejected records as rows of `rejected_readings`."""
    return _with_columns("rejected_readings", batch, {"run_id": run.run_id})


def outside_table(batch: pa.RecordBatch, run: Run) -> pa.RecordBatch:
    """The readings of a batch that lie in no region, as rows of `outside_readings`."""
    outside = batch.filter(batch.column("region_code").is_null())
    value = pa.array(outside.column("value_micros").to_numpy() / MICROS)
    return _with_columns("outside_readings", outside, {"value": value, "run_id": run.run_id})


TABLES: dict[str, ToTable] = {
    "regional_means_revisions": means_table,
    "rejected_readings": rejected_table,
    "outside_readings": outside_table,
}
"""How a batch becomes rows of each table."""


class WriteToStore(beam.PTransform):
    """Writes batches to files of the store, and commits them all at once when all are written.

    The input is a dictionary from a table's name to a PCollection of batches. Until the commit,
    which is the last step, the store is as it was.

    Args:
        folder: the store's folder, which all workers must see.
        run: the run.
        tables: how a batch becomes rows of each table.

    Raises:
        StoreError: from the pipeline, when the store cannot be written.
    """

    def __init__(self, folder: str, run: Run, tables: dict[str, ToTable]) -> None:
        super().__init__()
        self._folder, self._run, self._tables = folder, run, tables

    def expand(self, pcolls: dict[str, beam.PCollection[pa.RecordBatch]]) -> beam.PCollection[str]:
        files = [
            batches
            | f"AllTime_{table}" >> beam.WindowInto(GlobalWindows())
            | f"Write_{table}" >> beam.ParDo(_Write(self._folder, self._run, table, to_table))
            for table, to_table in self._tables.items()
            if (batches := pcolls.get(table)) is not None
        ]
        written = files | "Written" >> beam.Flatten()
        begin = files[0].pipeline | "Begin" >> beam.Create([None])
        return begin | "Commit" >> beam.Map(
            _commit, self._folder, self._run, beam.pvalue.AsList(written)
        ).with_output_types(str)


class _Write(beam.DoFn):
    def __init__(self, folder: str, run: Run, table: str, to_table: ToTable) -> None:
        self._folder, self._run = folder, run
        self._table, self._to_table = table, to_table

    def start_bundle(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0

    def process(self, element: pa.RecordBatch) -> Iterator[StoredFile]:
        rows = self._to_table(element, self._run)
        if rows.num_rows:
            self._batches.append(rows)
            self._bytes += rows.nbytes
        if self._bytes >= FILE_BYTES:
            yield self._file()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._batches:
            yield WindowedValue(self._file(), MAX_TIMESTAMP, (GlobalWindow(),))

    def _file(self) -> StoredFile:
        batches, self._batches, self._bytes = self._batches, [], 0
        return LocalStore(self._folder).write(self._table, batches)


def _commit(_: None, folder: str, run: Run, files: list[StoredFile]) -> str:
    # A run that found nothing leaves no trace.
    if files:
        LocalStore(folder).commit(run.record(files), files)
    return run.run_id


def _with_columns(table: str, batch: pa.RecordBatch, more: dict[str, object]) -> pa.RecordBatch:
    """The batch with the table's columns; `more` holds arrays, or values that fill a column."""
    schema = arrow_schema(table)
    columns = []
    for field in schema:
        if field.name in more:
            value = more[field.name]
            filled = value if isinstance(value, pa.Array) else pa.repeat(value, batch.num_rows)
            columns.append(filled)
        else:
            columns.append(batch.column(field.name))
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema,
    )
