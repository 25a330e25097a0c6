"""The sink of the main job, as its output names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apache_beam as beam

if TYPE_CHECKING:
    from connectors.local_sink import Run
    from pipelines.job import Job

__all__ = ["open_sink"]


def open_sink(job: Job, run: Run) -> beam.PTransform:
    """What takes the rows of a run, a dictionary from a table's name to a PCollection of batches.

    Args:
        job: whose output is the folder of a local store, or a dataset of BigQuery.
        run: the run.
    """
    # A run into a folder does without Google's client libraries.
    if job.bigquery is not None:
        from connectors.bigquery_sink import WriteToDataset  # noqa: PLC0415

        return WriteToDataset(job.output, run, job.bigquery)
    from connectors.local_sink import WriteToStore  # noqa: PLC0415

    return WriteToStore(job.output, run)
