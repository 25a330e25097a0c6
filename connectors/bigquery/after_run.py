"""What is left to do when a run that ends has written its rows: the windows that it touches."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from connectors.bigquery.query import run as run_query
from connectors.bigquery.reconcile import reconcile_dataset
from connectors.bigquery.uri import Dataset
from connectors.local_rows import Run

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["reconcile_run", "touched"]

TOUCHED = """
SELECT MIN(known.event_time) AS first, MAX(known.event_time) AS last
FROM readings AS known
LEFT JOIN (
  SELECT DISTINCT format, id, quantity
  FROM readings
  WHERE run_id = @run_id AND id IS NOT NULL
) AS mine
  ON mine.id = known.id AND mine.quantity = known.quantity AND mine.format = known.format
WHERE known.run_id = @run_id OR mine.id IS NOT NULL
"""
"""Without an identifier a reading is told apart by its event time, among others: no version of it
lies elsewhere."""

KINDS = """
SELECT window_size, window_period FROM regional_means_revisions WHERE run_id != @run_id
UNION DISTINCT
SELECT window_size, window_period FROM sensor_means_revisions WHERE run_id != @run_id
"""

Moment = datetime.datetime
SECOND = datetime.timedelta(seconds=1)


def reconcile_run(client: bigquery.Client, dataset: Dataset, run: Run) -> None:
    """Puts the windows right that a run's readings lie in, and those of readings they replaced.

    Args:
        client: of the dataset's project.
        dataset: where the run has written its readings.
        run: the run.

    Raises:
        OutputError: BigQuery refuses.
    """
    span = touched(client, dataset, run)
    if span is not None:
        reconcile_dataset(client, dataset, *span, run.group_by, report=False)


def touched(
    client: bigquery.Client, dataset: Dataset, run: Run
) -> tuple[Moment | None, Moment | None] | None:
    """The span in which the windows begin that a run may have changed.

    Returns:
        Its start and its end, None for as early or late as BigQuery goes; None where it changed
        none.

    Raises:
        OutputError: BigQuery cannot be asked.
    """
    parameters = {"run_id": ("STRING", run.run_id)}
    job = run_query(client, dataset, TOUCHED, parameters, f"{dataset.uri} cannot be asked")
    ((first, last),) = (tuple(row.values()) for row in job.result())
    if first is None:
        return None
    kinds = run_query(client, dataset, KINDS, parameters, f"{dataset.uri} cannot be asked")
    others = {(row["window_size"], row["window_period"]) for row in kinds.result()}
    if others and not others.issuperset(run.windows):
        # Readings of former runs have no windows of the kinds that are new.
        return None, None
    longest = max((size for size, _ in {*run.windows, *others}), default=0)
    return _moved(first, -longest * SECOND), _moved(last, SECOND)


def _moved(moment: Any, by: datetime.timedelta) -> Moment | None:
    try:
        moved: Moment = moment + by
    except OverflowError:
        return None
    return moved
