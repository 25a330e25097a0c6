"""Makes a dataset what the schemas say: creates what is missing, and changes what may be changed.

Columns are added, never dropped or narrowed. A column that is added to a table that exists may be
NULL there, for older rows have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.bigquery.client import TIMEOUT, explained, retry
from connectors.bigquery.tables import LAYOUTS, schema_fields, table_of
from connectors.bigquery.uri import Dataset
from connectors.bigquery.views import column_descriptions, description, in_order, qualified
from connectors.output_error import OutputError

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["Step", "migrate", "steps"]

SAME_TYPE = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""BigQuery's older names of types, which its interface still answers with."""

LABEL = "sql"
"""The label that says what query a view has."""

DESCRIPTION = "Readings of sensors, and their means by region and by sensor."


@dataclass(frozen=True)
class Step:
    """One change of a dataset.

    Attributes:
        text: what it does, such as `add the column readings.sensor_id`.
        apply: does it.
    """

    text: str
    apply: Callable[[], object]


def migrate(client: bigquery.Client, dataset: Dataset, location: str | None = None) -> list[str]:
    """Creates what is missing in a dataset, and brings up to date what is old.

    Args:
        client: of the dataset's project.
        dataset: the dataset.
        location: where a new dataset lies, such as `EU`; BigQuery's default without.

    Returns:
        What was done, a line each; nothing where all was as it should be.

    Raises:
        OutputError: a column has another type, or BigQuery refuses. Nothing is changed then in
            the first case.
    """
    done = []
    for step in steps(client, dataset, location):
        with explained(f"cannot {step.text}"):
            step.apply()
        done.append(step.text)
    return done


def steps(client: bigquery.Client, dataset: Dataset, location: str | None = None) -> list[Step]:
    """What has to be changed; nothing is changed yet.

    Raises:
        OutputError: a column has another type, or BigQuery cannot be asked.
    """
    with explained(f"cannot look at {dataset.uri}"):
        return [
            *_dataset_steps(client, dataset, location),
            *(step for name in LAYOUTS for step in _table_steps(client, dataset, name)),
            *(step for name in in_order() for step in _view_steps(client, dataset, name)),
        ]


def _dataset_steps(
    client: bigquery.Client, dataset: Dataset, location: str | None
) -> Iterator[Step]:
    from google.api_core.exceptions import NotFound  # noqa: PLC0415
    from google.cloud import bigquery  # noqa: PLC0415

    try:
        found = client.get_dataset(dataset.path, retry=retry(), timeout=TIMEOUT)
    except NotFound:
        wanted = bigquery.Dataset(dataset.path)
        wanted.description = DESCRIPTION
        if location:
            wanted.location = location
        yield Step(
            f"create the dataset {dataset.path}" + (f" in {location}" if location else ""),
            lambda: client.create_dataset(wanted, exists_ok=True, retry=retry(), timeout=TIMEOUT),
        )
        return
    if location and found.location and found.location.lower() != location.lower():
        msg = (
            f"the dataset {dataset.path} lies in {found.location}, not in {location}; a dataset "
            "cannot be moved, so leave --location out or name another dataset"
        )
        raise OutputError(msg)


def _table_steps(client: bigquery.Client, dataset: Dataset, name: str) -> Iterator[Step]:
    from google.cloud import bigquery  # noqa: PLC0415

    wanted = table_of(dataset.table(name))
    found = _get(client, dataset.table(name))
    if found is None:
        yield Step(
            f"create the table {name}",
            lambda: client.create_table(wanted, exists_ok=True, retry=retry(), timeout=TIMEOUT),
        )
        return
    if found.table_type != "TABLE":
        msg = f"{dataset.table(name)} is a {found.table_type}, not a table; drop or rename it"
        raise OutputError(msg)
    changes: list[str] = []
    merged = _merged(dataset.table(name), found.schema, schema_fields(name), changes)
    # Without the former's mark of its state: the columns that are added change it.
    changed = bigquery.Table(dataset.table(name), merged)
    fields = ["schema"] if changes else []
    if found.description != wanted.description:
        changed.description = wanted.description
        fields.append("description")
        changes.append(f"describe the table {name}")
    if list(found.clustering_fields or ()) != list(wanted.clustering_fields or ()):
        changed.clustering_fields = wanted.clustering_fields
        fields.append("clustering_fields")
        changes.append(f"cluster the table {name} by {', '.join(wanted.clustering_fields or ())}")
    if fields:

        def update() -> None:
            _add_columns(client, changed, merged[len(found.schema) :])
            client.update_table(changed, fields, retry=retry(), timeout=TIMEOUT)

        yield Step("; ".join(changes), update)


def _add_columns(
    client: bigquery.Client, table: bigquery.Table, columns: list[bigquery.SchemaField]
) -> None:
    """Adds columns by SQL: an emulator takes new columns of a schema for words."""
    for field in columns:
        path = f"{table.project}.{table.dataset_id}.{table.table_id}"
        statement = f"ALTER TABLE `{path}` ADD COLUMN IF NOT EXISTS {field.name} {_type(field)}"
        job = client.query(statement, retry=retry(), job_retry=None, timeout=TIMEOUT)
        job.result(timeout=TIMEOUT, retry=retry())


def _merged(
    table: str,
    found: list[bigquery.SchemaField],
    wanted: list[bigquery.SchemaField],
    changes: list[str],
) -> list[bigquery.SchemaField]:
    """The columns that the table has and those that it lacks; says in `changes` what is new."""
    name = table.rpartition(".")[2]
    by_name = {field.name.lower(): field for field in wanted}
    merged = []
    for field in found:
        new = by_name.pop(field.name.lower(), None)
        if new is None:
            merged.append(field)  # Somebody else's; it stays.
            continue
        if _type(field) != _type(new):
            msg = (
                f"the column {table}.{field.name} is {_type(field)} and should be {_type(new)}; "
                "no column's type is changed, so copy the table and drop it, or name another "
                "dataset"
            )
            raise OutputError(msg)
        changed: dict[str, Any] = {}
        if field.description != new.description:
            changed["description"] = new.description
            changes.append(f"describe the column {name}.{field.name}")
        if field.mode == "REQUIRED" and new.mode != "REQUIRED":
            changed["mode"] = "NULLABLE"
            changes.append(f"let the column {name}.{field.name} be NULL")
        merged.append(_changed(field, changed) if changed else field)
    for new in by_name.values():
        merged.append(_changed(new, {"mode": "NULLABLE"}))
        changes.append(f"add the column {name}.{new.name}")
    return merged


def _view_steps(client: bigquery.Client, dataset: Dataset, name: str) -> Iterator[Step]:
    from google.cloud import bigquery  # noqa: PLC0415

    wanted = bigquery.Table(dataset.table(name))
    wanted.view_query, wanted.description = qualified(name, dataset), description(name)
    wanted.labels = {LABEL: _digest(wanted)}
    found = _get(client, dataset.table(name))
    if found is None:

        def create() -> None:
            client.create_table(wanted, exists_ok=True, retry=retry(), timeout=TIMEOUT)
            _describe_columns(client, wanted)

        yield Step(f"create the view {name}", create)
        return
    if found.table_type != "VIEW":
        msg = f"{dataset.table(name)} is a {found.table_type}, not a view; drop or rename it"
        raise OutputError(msg)
    # An emulator does not tell the query: hence the label.
    if found.labels.get(LABEL) == wanted.labels[LABEL] and found.view_query in {
        None,
        wanted.view_query,
    }:
        return

    def update() -> None:
        fields = ["view_query", "description", "labels"]
        client.update_table(wanted, fields, retry=retry(), timeout=TIMEOUT)
        _describe_columns(client, wanted)

    yield Step(f"update the view {name}", update)


def _digest(view: bigquery.Table) -> str:
    """Says whether a view is the one that is wanted."""
    return hashlib.sha256(f"{view.view_query}\0{view.description}".encode()).hexdigest()[:16]


def _describe_columns(client: bigquery.Client, view: bigquery.Table) -> None:
    """Gives each column of a view the sentence that its table has for it."""
    from google.cloud import bigquery  # noqa: PLC0415

    sentences = column_descriptions()
    path = f"{view.project}.{view.dataset_id}.{view.table_id}"
    dry = bigquery.QueryJobConfig(dry_run=True)
    query = f"SELECT * FROM `{path}`"  # noqa: S608
    job = client.query(query, dry, retry=retry(), job_retry=None, timeout=TIMEOUT)
    view.schema = [
        _changed(field, {"description": sentences.get(field.name, field.description)})
        for field in job.schema or ()
    ]
    client.update_table(view, ["schema"], retry=retry(), timeout=TIMEOUT)


def _get(client: bigquery.Client, path: str) -> bigquery.Table | None:
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    try:
        return client.get_table(path, retry=retry(), timeout=TIMEOUT)
    except NotFound:
        return None


def _type(field: bigquery.SchemaField) -> str:
    return SAME_TYPE.get(field.field_type, field.field_type)


def _changed(field: bigquery.SchemaField, changed: dict[str, Any]) -> bigquery.SchemaField:
    from google.cloud import bigquery  # noqa: PLC0415

    return bigquery.SchemaField.from_api_repr({**field.to_api_repr(), **changed})
