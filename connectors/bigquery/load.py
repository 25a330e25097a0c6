"""Load jobs: the files of a run into their tables, each table by one job that runs once."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery

from connectors.bigquery.client import TIMEOUT, retry
from connectors.bigquery.failures import FAILED_ROWS
from connectors.bigquery.options import NAMESPACE
from connectors.bigquery.parquet import LoadFile
from connectors.bigquery.sending import Patience
from connectors.bigquery.tables_there import check_tables
from connectors.bigquery.transient import is_passing, one_line
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError
from schemas.groupings import REGION, SENSOR
from schemas.series import TABLE_OF
from transforms.balance import count

__all__ = ["TABLE_ORDER", "LoadJobs"]

TABLE_ORDER = (
    "rejected_readings",
    FAILED_ROWS,
    "readings",
    TABLE_OF[SENSOR],
    TABLE_OF[REGION],
)
"""The archive comes before the means: whoever sees a mean can find the readings behind it."""

MOST_FILES = 10_000
"""Files of one load job, at most."""

JOB_SECONDS = 6 * 3600.0
"""How long BigQuery may take for a job: as long as it lets one run."""

GROUP_ROWS = 1 << 20


class LoadJobs:
    """Loads files into the tables of a dataset.

    A job's identifier is made of the run and the table. Whoever does the same again, because a
    worker was lost or an answer, finds the job that exists and loads nothing twice.

    Args:
        client: Google's client.
        dataset: where the tables are.
        location: where the dataset lies.
        run_id: the run.
        retry_for: seconds for which BigQuery may not take a job.
    """

    def __init__(
        self,
        client: bigquery.Client,
        dataset: Dataset,
        location: str,
        run_id: str,
        retry_for: float,
    ) -> None:
        self._client, self._dataset, self._location = client, dataset, location
        self._run_id, self._retry_for = run_id, retry_for

    def load(self, files: Iterable[LoadFile]) -> None:
        """Loads files, table by table in the order of `TABLE_ORDER`.

        Raises:
            OutputError: a table cannot be loaded; those before it are.
        """
        by_table: dict[str, list[LoadFile]] = {}
        # The order in which a runner gives them is another each time.
        for file in sorted(set(files)):
            by_table.setdefault(file.table, []).append(file)
        for table in TABLE_ORDER:
            for number, part in enumerate(_jobs_of(by_table.get(table, []))):
                self._load(table, number, part)
                count("written", sum(file.rows for file in part), NAMESPACE)

    def _load(self, table: str, number: int, files: Sequence[LoadFile]) -> None:
        """One job: asked about, begun, waited for; begun anew where BigQuery has failed."""
        where = self._dataset.table(table)
        patience = Patience(self._retry_for)
        attempts = itertools.count()
        job_id = self._job_id(table, number, next(attempts))
        while True:
            job = None
            try:
                job = self._found(job_id) or self._begun(job_id, table, files)
                job.result(retry=retry(), timeout=JOB_SECONDS)
                return
            except Exception as error:
                if not is_passing(error):
                    check_tables(self._client, self._dataset, [table])
                # An upload whose end was not heard of is not there any more, and its job is.
                if not is_passing(error) and not isinstance(error, exceptions.NotFound):
                    msg = f"{where} cannot be loaded: {one_line(error)}"
                    raise OutputError(msg) from error
                if job is not None and job.error_result:
                    # A job that has failed stays so: the next attempt is another one.
                    job_id = self._job_id(table, number, next(attempts))
                count("retried", sum(file.rows for file in files), NAMESPACE)
                patience.wait(f"{where} cannot be loaded", error)

    def _job_id(self, table: str, number: int, attempt: int) -> str:
        return f"regional-means-{self._run_id}-{table}-{number}-{attempt}"

    def _found(self, job_id: str) -> bigquery.LoadJob | None:
        try:
            job: Any = self._client.get_job(
                job_id, location=self._location, retry=retry(), timeout=TIMEOUT
            )
        except exceptions.NotFound:
            return None
        found: bigquery.LoadJob = job
        return found

    def _begun(self, job_id: str, table: str, files: Sequence[LoadFile]) -> bigquery.LoadJob:
        where, config = self._dataset.table(table), _config()
        paths = [file.path for file in files]
        try:
            if all(path.startswith("gs://") for path in paths):
                return self._client.load_table_from_uri(
                    paths,
                    where,
                    job_id=job_id,
                    location=self._location,
                    job_config=config,
                    retry=None,  # type: ignore[arg-type]  # ours counts, and has an end
                    timeout=TIMEOUT,
                )
            with one_file(paths) as file:
                return self._client.load_table_from_file(
                    file,
                    where,
                    rewind=True,
                    job_id=job_id,
                    location=self._location,
                    job_config=config,
                    timeout=TIMEOUT,
                )
        except exceptions.Conflict:
            # It was begun, and the answer was lost.
            job = self._found(job_id)
            if job is None:
                raise
            return job


@contextlib.contextmanager
def one_file(paths: Sequence[str]) -> Iterator[BinaryIO]:
    """All rows of Parquet files of one schema in one file, open for reading."""
    if len(paths) == 1:
        with Path(paths[0]).open("rb") as only:
            yield only
        return
    with tempfile.TemporaryFile(prefix="regional-means-") as file:
        schema = pq.read_schema(paths[0])
        with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
            for path in paths:
                with pq.ParquetFile(path) as opened:
                    for batch in opened.iter_batches(GROUP_ROWS):
                        writer.write_batch(batch)
        file.seek(0)
        yield file


def _config() -> bigquery.LoadJobConfig:
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
    )


def _jobs_of(files: Sequence[LoadFile]) -> Iterator[Sequence[LoadFile]]:
    for begin in range(0, len(files), MOST_FILES):
        yield files[begin : begin + MOST_FILES]
