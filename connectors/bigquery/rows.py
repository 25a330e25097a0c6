"""Batches of the pipeline as rows of BigQuery's tables: the columns of `schemas/bigquery`, no more.

The local store keeps columns beside them from which it adds windows up; BigQuery gets none of them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_rows import Run, columns_of, with_times
from connectors.local_store.archive import archive_rows
from schemas.groupings import REGION, SENSOR
from schemas.series import TABLE_OF
from schemas.tables import unchecked_schema

__all__ = ["INPUTS", "TableRows", "means_rows", "readings_rows", "rejected_rows"]

TableRows = tuple[str, pa.RecordBatch]
"""The name of a table, and rows of its schema."""


def means_rows(batch: pa.RecordBatch, run: Run) -> Iterator[TableRows]:
    """A batch of means as rows of the tables of regions and of sensors.

    Args:
        batch: of schema `schemas.reading.MEANS`, with or without partial statistics. Of several
            panes of a window the last one is the newest.
        run: the run.

    Yields:
        Rows whose revision is the time at which they are written, in microseconds since the epoch:
        each is later than the one before in this process, so of all rows of a window, whichever run
        has written them, the newest counts.
    """
    timed = with_times(batch)
    of_sensors = pc.is_valid(timed.column("sensor_id"))
    for kind, wanted in ((REGION, pc.invert(of_sensors)), (SENSOR, of_sensors)):
        rows = timed.filter(wanted)
        if rows.num_rows:
            revisions = rows.column("emitted_at").cast(pa.int64())
            more = {"revision": revisions, "run_id": run.run_id}
            yield TABLE_OF[kind], _rows_of(TABLE_OF[kind], rows, more)


def readings_rows(batch: pa.RecordBatch, run: Run) -> Iterator[TableRows]:
    """A batch of placed readings, with or without a column `too_late`, as rows of `readings`."""
    if batch.num_rows:
        now = datetime.datetime.now(datetime.UTC)
        yield "readings", _rows_of("readings", archive_rows(batch, run.run_id, now), {})


def rejected_rows(batch: pa.RecordBatch, run: Run) -> Iterator[TableRows]:
    """A batch of rejected records as rows of `rejected_readings`."""
    if batch.num_rows:
        yield "rejected_readings", _rows_of("rejected_readings", batch, {"run_id": run.run_id})


INPUTS: dict[str, Callable[[pa.RecordBatch, Run], Iterator[TableRows]]] = {
    "rejected_readings": rejected_rows,
    "readings": readings_rows,
    "regional_means_revisions": means_rows,
}
"""How what comes under each name becomes rows, in the order in which they should be there: a mean
is never seen before the readings behind it."""


def _rows_of(
    table: str, batch: pa.RecordBatch, more: Mapping[str, pa.Array | str]
) -> pa.RecordBatch:
    """The batch with the table's columns; `more` holds arrays, or texts that fill a column."""
    # A row that lacks what its table requires is found by `checks`, not by Arrow.
    columns = columns_of(table, batch, more)
    return pa.RecordBatch.from_arrays(columns, schema=unchecked_schema(table))
