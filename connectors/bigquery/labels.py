"""What a dataset remembers of its runs: labels of its table `readings`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from connectors.bigquery.client import TIMEOUT, explained, retry
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["ARCHIVE", "GROUPING", "NO_ARCHIVE", "labels_of", "remember_runs"]

TABLE = "readings"
GROUPING = "group_by"
"""What the means of the dataset are grouped by."""

ARCHIVE, NO_ARCHIVE = "archive", "none"
"""Whether runs keep their readings; those of a run that kept none can never be recomputed."""


def labels_of(client: bigquery.Client, dataset: Dataset) -> dict[str, str]:
    """What is remembered.

    Raises:
        OutputError: BigQuery does not answer.
    """
    with explained(f"{dataset.uri} cannot be looked at"):
        table = client.get_table(dataset.table(TABLE), retry=retry(), timeout=TIMEOUT)
    return dict(table.labels)


def remember_runs(
    client: bigquery.Client, dataset: Dataset, wanted: Mapping[str, str], *, is_new: bool
) -> None:
    """Notes how the runs of a dataset are made, and makes sure that all are made so.

    Args:
        client: Google's client.
        dataset: the dataset.
        wanted: the labels `GROUPING` and `ARCHIVE` of this run.
        is_new: the dataset holds no means yet.

    Raises:
        OutputError: other runs were made otherwise, or the labels cannot be written.
    """
    with explained(f"{dataset.uri} cannot be labelled"):
        table = client.get_table(dataset.table(TABLE), retry=retry(), timeout=TIMEOUT)
        before = dict(table.labels)
        if wanted.items() <= before.items():
            return
        if not is_new:
            _check(dataset, before, wanted)
        table.labels = {**before, **wanted}
        client.update_table(table, ["labels"], retry=retry(), timeout=TIMEOUT)


def _check(dataset: Dataset, before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    grouping = before.get(GROUPING, wanted[GROUPING])
    if grouping != wanted[GROUPING]:
        msg = (
            f"the means in {dataset.uri} are grouped by {grouping}, not by {wanted[GROUPING]}: "
            "name another dataset"
        )
        raise OutputError(msg)
    if before.get(ARCHIVE) == NO_ARCHIVE:
        msg = (
            f"{dataset.uri} holds means of a run with --archive none: nothing could add this run's "
            "readings to them; name another dataset"
        )
        raise OutputError(msg)
