"""How tables lie in BigQuery, and its views."""

from __future__ import annotations

import datetime

import pytest
import sqlglot
from sqlglot import exp

import sql
from connectors.bigquery.tables import CURRENT, LAYOUTS, schema_fields
from connectors.bigquery.uri import Dataset
from connectors.bigquery.views import column_descriptions, description, in_order, qualified
from schemas.tables import BIGQUERY_ONLY, TABLES

PARTITIONS_OF_A_JOB = 4_000
"""As many may one load job touch; a table may have 10,000."""

DATASET = Dataset("my-project", "weather")


def test_every_schema_has_a_layout_and_every_layout_a_schema():
    assert {layout.schema for layout in LAYOUTS.values()} == {*TABLES, *BIGQUERY_ONLY}
    assert set(LAYOUTS) == {*TABLES, *BIGQUERY_ONLY, CURRENT}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_names_columns_that_there_are(name):
    layout, columns = LAYOUTS[name], {field.name: field for field in schema_fields(name)}
    assert {*layout.clustered_by, *layout.primary_key} <= set(columns)
    assert len(layout.clustered_by) <= 4
    assert layout.description.endswith(".")
    if layout.partitioned_by:
        assert columns[layout.partitioned_by].field_type == "TIMESTAMP"
    assert all(columns[key].mode == "REQUIRED" for key in layout.primary_key)


def test_ten_years_fit_into_one_load_job_and_one_table():
    days = (datetime.date(2034, 1, 1) - datetime.date(2024, 1, 1)).days
    assert days < PARTITIONS_OF_A_JOB


@pytest.mark.parametrize("name", sql.VIEWS)
def test_views_name_their_dataset_and_nothing_else_changes(name):
    query = qualified(name, DATASET)
    parsed = sqlglot.parse_one(query, read="bigquery")
    inner = {table.alias for table in parsed.find_all(exp.CTE)}
    for table in parsed.find_all(exp.Table):
        assert table.name in inner or (table.catalog, table.db) == ("my-project", "weather")
    assert query.replace(f"`{DATASET.path}.", "").replace("`", "") == sql.view(name)
    assert description(name).endswith(".")


def test_a_view_comes_after_those_it_reads():
    order = in_order()
    assert sorted(order) == sorted(sql.VIEWS)
    assert order.index("outside_readings") > order.index("latest_readings")


@pytest.mark.parametrize("path", sorted(sql.FOLDER.rglob("*.sql")), ids=lambda path: path.stem)
def test_no_window_is_partitioned_by_floats(path):
    """BigQuery refuses that; neither the emulator nor the local store does."""
    if path.parent.name == "duckdb":
        return
    floats = {"longitude", "latitude", "value", "mean", "min", "max", "stddev"}
    for statement in sqlglot.parse(path.read_text("utf-8"), read="bigquery"):
        for window in statement.find_all(exp.Window) if statement else ():
            for key in window.args.get("partition_by") or ():
                bare = [
                    column.name
                    for column in key.find_all(exp.Column)
                    if column.name in floats
                    and not column.find_ancestor(exp.Cast)
                    and not column.find_ancestor(exp.Is)
                ]
                assert not bare, (path.name, key.sql("bigquery"))


def test_columns_of_views_have_sentences():
    assert {"hour", "mean_3h_before", "stddev", "reason"} <= set(column_descriptions())
