"""How every run begins: the store is made ready, and the run gets its name and its windows."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from pipelines.job import Job

__all__ = ["begin_run"]


def begin_run(job: Job, inputs: Sequence[str]) -> tuple[LocalStore | None, Job, Run]:
    """Makes the store ready for a run.

    Args:
        job: what is to be done.
        inputs: what is read, as the user named it.

    Returns:
        The store, None where it is a dataset of BigQuery; the job, which computes the windows that
        the store holds already for the new readings, too; and the run.

    Raises:
        OutputError: the dataset cannot be used, or groups otherwise.
        StoreError: the store cannot be used, or groups otherwise.
    """
    if job.bigquery is not None:
        from pipelines.begin_dataset import begin_dataset_run  # noqa: PLC0415 - Google's clients

        return None, *begin_dataset_run(job, inputs)
    store = LocalStore(job.output)
    store.prepare()
    store.check_grouping(job.group_by)
    job = job.with_windows(store.families())
    run = Run(
        run_id=uuid.uuid4().hex,
        revision=store.next_revision(),
        started_at=datetime.datetime.now(datetime.UTC),
        inputs=tuple(inputs),
        windows=tuple((window.size, window.period) for window in job.windows),
        group_by=job.group_by,
    )
    return store, job, run
