"""Writes the results of a run into a dataset of BigQuery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import GoogleCloudOptions, StandardOptions

import transforms.batches  # noqa: F401 - registers the coder of batches
from connectors.bigquery.after_run import reconcile_run
from connectors.bigquery.client import open_client
from connectors.bigquery.load import LoadJobs
from connectors.bigquery.options import APPENDS, FILE_LOADS, UPSERTS, BigQueryOptions
from connectors.bigquery.parquet import LoadFile, WriteParquet
from connectors.bigquery.rows import INPUTS
from connectors.bigquery.tables_there import location_of
from connectors.bigquery.uri import Dataset, parse
from connectors.bigquery.write_rows import WriteRows
from connectors.local_rows import Run
from connectors.output_error import OutputError
from transforms.triggers import all_at_once

__all__ = ["WriteToDataset"]

MEANS, ARCHIVE = "regional_means_revisions", "readings"


class WriteToDataset(beam.PTransform):
    """Writes batches to the tables of a dataset.

    The input is a dictionary from a table's name to a PCollection of batches, as `WriteToStore` of
    `connectors.local_sink` takes it: `readings`, `rejected_readings`, and as
    `regional_means_revisions` the means of regions and of sensors. Others are left out.

    Of bounded inputs, by `file_loads`, each table is loaded by one job when all is computed. By the
    other ways each bundle is written when it ends, at least once. At the end of bounded inputs the
    windows of all that was written to the archive are reconciled: the means are then those of
    all readings of the dataset. A stream's are once `python -m pipelines.reconcile` has run.

    Late panes come as they are: rows are written out of any window.

    Counters of the namespace `bigquery`: `written`, `failed` (rows in `failed_rows`) and `retried`.

    Args:
        uri: `bigquery://PROJECT.DATASET`, with all its tables.
        run: the run.
        options: how rows get there.
        expansion_service: of Beam's Java transforms, for `storage_write_api_cdc`.

    Raises:
        OutputError: the address is none, or the method does not fit the pipeline; from the
            pipeline, when the dataset cannot be written.
    """

    def __init__(
        self,
        uri: str,
        run: Run,
        options: BigQueryOptions | None = None,
        expansion_service: Any = None,
    ) -> None:
        super().__init__()
        self._dataset, self._run = parse(uri), run
        self._options = options or BigQueryOptions()
        self._service = expansion_service

    def expand(self, pcolls: dict[str, beam.PCollection[pa.RecordBatch]]) -> beam.PCollection[Any]:
        given = {
            name: pcolls[name] | f"AllTime_{name}" >> all_at_once()
            for name in INPUTS
            if name in pcolls
        }
        bounded = all(batches.is_bounded for batches in given.values())
        beam_options = next(iter(given.values())).pipeline.options
        runner = beam_options.view_as(StandardOptions).runner
        method = self._options.method_for(bounded=bounded, runner=runner)
        if method == FILE_LOADS:
            temporary = beam_options.view_as(GoogleCloudOptions).temp_location
            return self._load(given, self._folder(temporary))
        written_by = [
            batches | f"Write_{name}" >> self._writer(INPUTS[name], method)
            for name, batches in given.items()
        ]
        if method == UPSERTS and MEANS in given:
            written_by.append(self._upsert(given[MEANS]))
        written = written_by | "Written" >> beam.Flatten()
        if not bounded:
            return written
        begin = written.pipeline | "Begin" >> beam.Create([None])
        return begin | "Reconcile" >> beam.Map(
            _reconcile, self._dataset, self._run, beam.pvalue.AsList(written)
        ).with_output_types(str)

    def _load(
        self, given: Mapping[str, beam.PCollection[pa.RecordBatch]], folder: str
    ) -> beam.PCollection[str]:
        files = [
            batches
            | f"Write_{name}"
            >> beam.ParDo(WriteParquet(folder, self._run, INPUTS[name])).with_output_types(LoadFile)
            for name, batches in given.items()
        ]
        written = files | "Written" >> beam.Flatten()
        begin = written.pipeline | "Begin" >> beam.Create([None])
        return begin | "Load" >> beam.Map(
            _load, self._dataset, self._run, self._options.retry_for, beam.pvalue.AsList(written)
        ).with_output_types(str)

    def _folder(self, temporary: str | None) -> str:
        """Where the run's files go.

        Raises:
            OutputError: nowhere.
        """
        name = f"regional-means-{self._run.run_id}"
        if temporary and temporary.startswith("gs://"):
            return FileSystems.join(temporary, name)
        if self._options.folder is None:
            msg = (
                "load jobs read files that the workers write: name a folder in Cloud Storage, "
                "--temp_location gs://BUCKET/FOLDER, or another --bigquery_method"
            )
            raise OutputError(msg)
        return FileSystems.join(self._options.folder, name)

    def _writer(self, to_rows: Any, method: str) -> beam.ParDo:
        sender = APPENDS if method == UPSERTS else method
        write = WriteRows(self._dataset, self._run, to_rows, sender, self._options.retry_for)
        return beam.ParDo(write).with_output_types(str)

    def _upsert(self, means: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[str]:
        # Beam's Java transforms are not for everybody.
        from connectors.bigquery.upserts import UpsertMeans, failed_as_rows  # noqa: PLC0415

        refused = means | "Upsert" >> UpsertMeans(self._dataset, self._run, self._service)
        return refused | "Write_refused" >> self._writer(failed_as_rows, UPSERTS)


def _load(_: None, dataset: Dataset, run: Run, retry_for: float, files: list[LoadFile]) -> str:
    client = open_client(dataset.project)
    LoadJobs(client, dataset, location_of(client, dataset), run.run_id, retry_for).load(files)
    _reconcile(None, dataset, run, [file.table for file in files])
    for path in {file.path for file in files}:
        FileSystems.delete([path])
    return run.run_id


def _reconcile(_: None, dataset: Dataset, run: Run, written: list[str]) -> str:
    if ARCHIVE in written:
        reconcile_run(open_client(dataset.project), dataset, run)
    return run.run_id
