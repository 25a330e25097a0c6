"""Change data capture: the newest row of each region and window, replaced in place.

The rows are Beam's own `WriteToBigQuery` with upserts, which runs in Java: BigQuery keeps of each
primary key the row with the greatest sequence number, in whatever order they come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery
from apache_beam.utils.timestamp import Timestamp

from connectors.bigquery.checks import check_rows
from connectors.bigquery.failures import FAILED_ROWS, FailedRow, failed_batch
from connectors.bigquery.rows import TableRows, means_rows
from connectors.bigquery.tables import CURRENT, LAYOUTS
from connectors.bigquery.uri import Dataset
from connectors.local_rows import Run
from schemas.tables import bigquery_schema

__all__ = ["UpsertMeans", "failed_as_rows", "upsert_rows"]

Upsert = dict[str, Any]
MUTATION = {
    "name": "row_mutation_info",
    "type": "RECORD",
    "mode": "REQUIRED",
    "fields": [
        {"name": "mutation_type", "type": "STRING", "mode": "REQUIRED"},
        {"name": "change_sequence_number", "type": "STRING", "mode": "REQUIRED"},
    ],
}


def upsert_rows(rows: pa.RecordBatch) -> list[Upsert]:
    """Rows of regional means as Beam's upserts.

    Args:
        rows: of the schema of `regional_means_current`.

    Returns:
        For each row its `record`, and what it does: its sequence number is the revision as a
        hexadecimal number, so the newest revision stays.
    """
    columns = {}
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            micros = column.cast(pa.int64()).to_pylist()
            columns[field.name] = [None if at is None else Timestamp(micros=at) for at in micros]
        else:
            columns[field.name] = column.to_pylist()
    names = list(columns)
    return [
        {
            "row_mutation_info": {
                "mutation_type": "UPSERT",
                "change_sequence_number": f"{revision:x}",
            },
            "record": dict(zip(names, values, strict=True)),
        }
        for revision, values in zip(
            columns["revision"], zip(*columns.values(), strict=True), strict=True
        )
    ]


class UpsertMeans(beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[Any]]):
    """Writes means of regions to `regional_means_current`; elements out are what BigQuery refused.

    Elements in are batches of means. Rows are upserts in BigQuery's at-least-once mode: of a window
    the row with the greatest revision stays, however often and in whatever order rows come.

    Args:
        dataset: where the table is, which must exist, with its primary key.
        run: the run.
        expansion_service: of Beam's Java transforms; None for the one that Beam starts.
    """

    def __init__(self, dataset: Dataset, run: Run, expansion_service: Any = None) -> None:
        super().__init__()
        self._dataset, self._run, self._service = dataset, run, expansion_service

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Any]:
        upserts: Any = beam.ParDo(_ToUpserts(self._run)).with_output_types(Any)
        written = (
            pcoll
            | "Upserts" >> upserts
            | "Current"
            >> WriteToBigQuery(
                table=f"{self._dataset.project}:{self._dataset.name}.{CURRENT}",
                schema=_upsert_schema(),
                method=WriteToBigQuery.Method.STORAGE_WRITE_API,
                use_at_least_once=True,
                use_cdc_writes=True,
                primary_key=list(LAYOUTS[CURRENT].primary_key),
                create_disposition=BigQueryDisposition.CREATE_NEVER,
                write_disposition=BigQueryDisposition.WRITE_APPEND,
                expansion_service=self._service,
            )
        )
        refused: beam.PCollection[Any] = written.failed_rows_with_errors
        return refused


class _ToUpserts(beam.DoFn):
    def __init__(self, run: Run) -> None:
        self._run = run

    def process(self, element: pa.RecordBatch) -> Iterator[Upsert]:
        for table, rows in means_rows(element, self._run):
            if table == LAYOUTS[CURRENT].schema:
                # What does not fit goes to `failed_rows` with the row of the revisions.
                yield from upsert_rows(check_rows(table, rows)[0])


def failed_as_rows(refused: Mapping[str, Any], run: Run) -> Iterator[TableRows]:
    """What BigQuery refused of upserts, as a row of `failed_rows`."""
    row = json.dumps(refused["failed_row"], default=str, ensure_ascii=False)
    failed = FailedRow(CURRENT, "invalid", str(refused["error_message"]), row)
    yield FAILED_ROWS, failed_batch([failed], run.run_id)


def _upsert_schema() -> dict[str, Any]:
    record = {
        "name": "record",
        "type": "RECORD",
        "mode": "REQUIRED",
        "fields": [dict(column) for column in bigquery_schema(LAYOUTS[CURRENT].schema)],
    }
    return {"fields": [MUTATION, record]}
