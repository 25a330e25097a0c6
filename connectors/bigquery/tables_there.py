"""Whether a dataset has the tables that a run writes, with their columns."""

from __future__ import annotations

from collections.abc import Iterable

from google.api_core import exceptions
from google.cloud import bigquery

from connectors.bigquery.client import TIMEOUT, explained, retry
from connectors.bigquery.tables import LAYOUTS
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError
from schemas.tables import bigquery_schema

__all__ = ["check_tables", "location_of", "no_table"]


def check_tables(client: bigquery.Client, dataset: Dataset, tables: Iterable[str]) -> None:
    """Makes sure that tables are there and have all columns that a run writes.

    Args:
        client: Google's client.
        dataset: where they should be.
        tables: their names.

    Raises:
        OutputError: one is missing, or lacks a column, or BigQuery does not answer.
    """
    for table in tables:
        try:
            with explained(f"{dataset.table(table)} cannot be looked at"):
                found = client.get_table(dataset.table(table), retry=retry(), timeout=TIMEOUT)
        except OutputError as error:
            if isinstance(error.__cause__, exceptions.NotFound):
                raise no_table(dataset, table) from error
            raise
        has = {field.name for field in found.schema}
        missing = [column["name"] for column in _columns(table) if column["name"] not in has]
        if missing:
            raise no_table(dataset, table, f"the column {missing[0]}")


def location_of(client: bigquery.Client, dataset: Dataset) -> str:
    """Where a dataset lies, as BigQuery calls it, for example `EU`: jobs run there.

    Args:
        client: Google's client.
        dataset: the dataset.

    Raises:
        OutputError: BigQuery does not answer.
    """
    with explained(f"{dataset.uri} cannot be looked at"):
        found = client.get_dataset(dataset.path, retry=retry(), timeout=TIMEOUT)
    return str(found.location or "US")


def no_table(dataset: Dataset, table: str, lacks: str = "") -> OutputError:
    """The error for a table that is not there, or not as it should be.

    Args:
        dataset: where it should be.
        table: its name.
        lacks: what it has not, such as `the column x`.
    """
    wrong = f"lacks {lacks}" if lacks else "is not there"
    command = f"python -m deploy.bigquery {dataset.uri}"
    return OutputError(f"{dataset.table(table)} {wrong}: run {command} first")


def _columns(table: str) -> list[dict[str, str]]:
    return bigquery_schema(LAYOUTS[table].schema)
