"""The views of `sql/views` as BigQuery takes them: every table named with its dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sql
from connectors.bigquery.tables import LAYOUTS
from connectors.bigquery.uri import Dataset
from schemas.tables import bigquery_schema

__all__ = ["column_descriptions", "description", "in_order", "qualified"]

NAMED = re.compile(r"\b(FROM|JOIN)\s+(\w+)\b")

ONLY_IN_VIEWS = {
    "hour": "Start of the hour, UTC.",
    "mean_3h_before": "Mean of the hour that began three hours earlier; NULL where it has none.",
}


def qualified(name: str, dataset: Dataset) -> str:
    """The query of a view, its tables and views named with the dataset.

    Args:
        name: one of `sql.VIEWS`.
        dataset: where the tables are.
    """
    known = {*LAYOUTS, *sql.VIEWS}

    def full(found: re.Match[str]) -> str:
        word, table = found.groups()
        return f"{word} `{dataset.table(table)}`" if table in known else found[0]

    return NAMED.sub(full, sql.view(name))


def in_order() -> list[str]:
    """The names of all views, those first that others read."""
    needs = {
        name: {found[2] for found in NAMED.finditer(sql.view(name))} & {*sql.VIEWS}
        for name in sql.VIEWS
    }
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ordered += [name for name in sql.VIEWS if name not in ordered and needs[name] <= {*ordered}]
    return ordered


def description(name: str) -> str:
    """What the view's file says first."""
    lines = []
    for line in sql.view(name).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


def column_descriptions() -> Mapping[str, str]:
    """A sentence for each column that a view may have, by name.

    A name means the same in all views. Where tables differ the last of `LAYOUTS` does not count.
    """
    found = dict(ONLY_IN_VIEWS)
    for layout in LAYOUTS.values():
        for column in bigquery_schema(layout.schema):
            found.setdefault(column["name"], column["description"])
    return found
