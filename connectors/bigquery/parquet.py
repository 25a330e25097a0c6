"""WriteParquet: batches as Parquet files that a load job can read."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from connectors.bigquery.checks import check_rows
from connectors.bigquery.failures import FAILED_ROWS, failed_batch
from connectors.bigquery.options import NAMESPACE
from connectors.bigquery.rows import TableRows
from connectors.bigquery.write_rows import joined
from connectors.local_rows import Run
from connectors.output_error import OutputError
from transforms.balance import count

__all__ = ["LoadFile", "WriteParquet", "write_file"]

FILE_BYTES = 128 << 20
"""Bytes of rows that are held before they become a file."""


@dataclass(frozen=True, order=True)
class LoadFile:
    """A file of rows of one table.

    Attributes:
        table: the table.
        path: where it is, as Beam's file systems call it.
        rows: how many rows it has.
    """

    table: str
    path: str
    rows: int


class WriteParquet(beam.DoFn):
    """Writes batches of a bundle to files, by table.

    Elements in are batches in the global window; elements out are the files. Rows that do not fit
    into their table become rows of `failed_rows`.

    Args:
        folder: where the files go: of this machine, or `gs://…`.
        run: the run.
        to_rows: how a batch becomes rows of tables.

    Raises:
        OutputError: from the pipeline, when a file cannot be written.
    """

    def __init__(
        self,
        folder: str,
        run: Run,
        to_rows: Callable[[pa.RecordBatch, Run], Iterator[TableRows]],
    ) -> None:
        self._folder, self._run, self._to_rows = folder, run, to_rows

    def start_bundle(self) -> None:
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._bytes: dict[str, int] = {}

    def process(self, element: pa.RecordBatch) -> Iterator[LoadFile]:
        for table, rows in self._to_rows(element, self._run):
            fitting, unfit = check_rows(table, rows)
            self._hold(table, fitting)
            if unfit:
                self._hold(FAILED_ROWS, failed_batch(unfit, self._run.run_id))
                count("failed", len(unfit), NAMESPACE)
        for table in [name for name, size in self._bytes.items() if size >= FILE_BYTES]:
            yield self._file(table)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for table in list(self._held):
            file = self._file(table)
            yield WindowedValue(file, GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _hold(self, table: str, rows: pa.RecordBatch) -> None:
        if rows.num_rows:
            self._held.setdefault(table, []).append(rows)
            self._bytes[table] = self._bytes.get(table, 0) + rows.nbytes

    def _file(self, table: str) -> LoadFile:
        batches = self._held.pop(table)
        del self._bytes[table]
        path = FileSystems.join(self._folder, table, f"{uuid.uuid4().hex}.parquet")
        return LoadFile(table, path, write_file(path, batches))


def write_file(path: str, batches: list[pa.RecordBatch]) -> int:
    """Writes batches of one schema to a file; gives the number of rows.

    Raises:
        OutputError: it cannot be written.
    """
    whole = joined(batches)
    try:
        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            pq.write_table(
                pa.Table.from_batches([whole]), file, compression="zstd", store_schema=False
            )
    except Exception as error:
        # Each file system has errors of its own.
        msg = f"{path} cannot be written: {error}"
        raise OutputError(msg) from error
    return int(whole.num_rows)
