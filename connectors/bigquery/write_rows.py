"""WriteRows: batches of a bundle to tables of BigQuery, by either way to stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from connectors.bigquery.checks import check_rows
from connectors.bigquery.client import open_client
from connectors.bigquery.failures import FAILED_ROWS, FailedRow, failed_batch
from connectors.bigquery.options import APPENDS, INSERTS, NAMESPACE
from connectors.bigquery.rows import TableRows
from connectors.bigquery.sending import Patience, Sender, send_rows
from connectors.bigquery.uri import Dataset
from connectors.local_rows import Run
from connectors.output_error import OutputError
from connectors.streams.written_positions import note_writing, note_written
from transforms.balance import count
from transforms.payload import Reached
from transforms.reached import reached_of

__all__ = ["SENDERS", "WriteRows", "joined"]

HELD_BYTES = 32 << 20
"""Bytes of rows that are held before they are written."""

REQUEST_SECONDS = 60.0


def _insert_all(dataset: Dataset, timeout: float) -> Sender:
    from connectors.bigquery.insert import InsertAll  # noqa: PLC0415 - each has a client library

    return InsertAll(open_client(dataset.project), dataset, timeout)


def _append_rows(dataset: Dataset, timeout: float) -> Sender:
    from connectors.bigquery.append import AppendRows, open_write_client  # noqa: PLC0415

    return AppendRows(open_write_client(), dataset, timeout)


SENDERS: dict[str, Callable[[Dataset, float], Sender]] = {
    INSERTS: _insert_all,
    APPENDS: _append_rows,
}
"""What opens each way to stream."""


class WriteRows(beam.DoFn):
    """Writes batches to their tables: at the end of the bundle each row is written or has failed.

    Elements in are batches in the global window; elements out are the names of the tables that have
    got rows. Rows that do not fit into their table, and those that BigQuery refuses for good,
    are written to `failed_rows`. A bundle that is repeated writes its rows again. How far a stream
    has been read with what is written, `connectors.streams.written_positions` hears.

    Args:
        dataset: where the tables are.
        run: the run.
        to_rows: how a batch becomes rows of tables.
        method: one of `SENDERS`.
        retry_for: seconds for which BigQuery may take no rows.

    Raises:
        OutputError: from the pipeline, when BigQuery takes no rows for that long, a table is not
            there, or `failed_rows` cannot be written.
    """

    def __init__(
        self,
        dataset: Dataset,
        run: Run,
        to_rows: Callable[[pa.RecordBatch, Run], Iterator[TableRows]],
        method: str,
        retry_for: float,
    ) -> None:
        self._dataset, self._run, self._to_rows = dataset, run, to_rows
        self._method, self._retry_for = method, retry_for

    def setup(self) -> None:
        """Opens the client, which takes no connection yet."""
        timeout = min(REQUEST_SECONDS, self._retry_for or REQUEST_SECONDS)
        sender = SENDERS[self._method](self._dataset, timeout)
        self._send = partial(send_rows, sender, self._dataset)
        self._ended: Callable[[], None] = lambda: None

    def teardown(self) -> None:
        """After a bundle that failed."""
        self._ended()

    def start_bundle(self) -> None:
        self._ended = note_writing(self._dataset.uri)
        self._reached: list[Reached] = []
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._bytes = 0

    def process(self, element: Any) -> Iterator[str]:
        reached = reached_of(element) if isinstance(element, pa.RecordBatch) else None
        if reached is not None:
            self._reached.append(reached)
        for table, rows in self._to_rows(element, self._run):
            self._held.setdefault(table, []).append(rows)
            self._bytes += rows.nbytes
        if self._bytes >= HELD_BYTES:
            yield from self._write()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for table in self._write():
            yield WindowedValue(table, GlobalWindow().max_timestamp(), (GlobalWindow(),))
        note_written(self._dataset.uri, self._reached)
        self._ended()

    def _write(self) -> Iterator[str]:
        held, self._held, self._bytes = self._held, {}, 0
        for table, batches in held.items():
            rows = joined(batches)
            fitting, unfit = check_rows(table, rows)
            sent = self._send(table, fitting, Patience(self._retry_for))
            count("retried", sent.retried, NAMESPACE)
            failed = [*unfit, *sent.failed]
            if failed:
                self._write_failed(failed)
            count("written", sent.written, NAMESPACE)
            if sent.written:
                yield table

    def _write_failed(self, failed: list[FailedRow]) -> None:
        batch = failed_batch(failed, self._run.run_id)
        sent = self._send(FAILED_ROWS, batch, Patience(self._retry_for))
        count("retried", sent.retried, NAMESPACE)
        if sent.failed:
            msg = (
                f"{self._dataset.table(FAILED_ROWS)} refuses rows, too: {sent.failed[0].detail}; "
                f"run python -m deploy.bigquery {self._dataset.uri}"
            )
            raise OutputError(msg)
        count("failed", len(failed), NAMESPACE)


def joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one schema as one."""
    if len(batches) == 1:
        return batches[0]
    return pa.concat_batches(batches)
