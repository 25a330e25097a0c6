"""The tables, the schemas made of them, and the words that they use."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from schemas.reading import MEANS, PLACED_READINGS, READINGS, REJECTED
from schemas.reasons import REASONS, Cause, Causes
from schemas.tables import BIGQUERY_ONLY, FOLDER, TABLES, arrow_schema, bigquery_schema


def test_tables_are_those_of_the_folder():
    assert {"regional_means_revisions", "rejected_readings", "readings"} <= set(TABLES)
    assert not {*TABLES} & {*BIGQUERY_ONLY}
    assert sorted(f"{table}.json" for table in (*TABLES, *BIGQUERY_ONLY)) == sorted(
        path.name for path in FOLDER.iterdir()
    )


@pytest.mark.parametrize("table", [*TABLES, *BIGQUERY_ONLY])
def test_every_column_has_a_type_a_mode_and_a_sentence(table):
    columns = bigquery_schema(table)
    schema = arrow_schema(table)
    assert columns == json.loads((FOLDER / f"{table}.json").read_text("utf-8"))
    assert schema.names == [column["name"] for column in columns]
    assert len(set(schema.names)) == len(columns)
    for column, field in zip(columns, schema, strict=True):
        assert set(column) == {"name", "type", "mode", "description"}
        assert column["mode"] in {"REQUIRED", "NULLABLE"}
        assert field.nullable == (column["mode"] == "NULLABLE")
        assert column["description"].endswith(".")
        assert field.metadata[b"description"].decode() == column["description"]


def test_an_unknown_table_is_told_beside_the_known_ones():
    with pytest.raises(KeyError, match=r"no table 'reading'; there are .*rejected_readings"):
        arrow_schema("reading")


def test_columns_have_the_names_of_the_interface():
    means = [
        "region_code",
        "region",
        "quantity",
        "window_start",
        "window_end",
        "window_size",
        "window_period",
    ]
    means += ["count", "mean", "min", "max", "stddev"]
    assert arrow_schema("regional_means_revisions").names == [
        *means, "revision", "pane", "emitted_at", "run_id",
    ]  # fmt: skip
    assert [*means[:2], "sensor_id", *means[2:], "pane"] == MEANS.names
    sensors = ["sensor_id", "quantity", "window_size", "window_period", "window_start"]
    sensors += ["window_end", "count", "mean", "min", "max", "stddev"]
    assert arrow_schema("sensor_means_revisions").names == [
        *sensors, "revision", "pane", "emitted_at", "run_id",
    ]  # fmt: skip
    rejected = ["reason", "detail", "raw", "raw_size", "raw_sha256", "source", "rejected_at"]
    assert arrow_schema("rejected_readings").names == [*rejected, "run_id"]
    assert rejected == REJECTED.names


def test_a_placed_reading_is_a_reading_with_its_region():
    assert [*READINGS.names, "region_code", "region"] == PLACED_READINGS.names
    assert READINGS.names[-5:] == ["version", "version_kind", "deleted", "arrived_at", "format"]
    assert READINGS.field("event_time").type == pa.timestamp("us", tz="UTC")
    for field in PLACED_READINGS:
        assert field.metadata[b"description"].endswith(b".")


def test_causes_are_numbered_from_one_in_the_order_they_are_met():
    causes = Causes()
    first = causes.number("not_json", "a")
    second = causes.number("not_json", "b")
    assert (first, second, causes.number("not_json", "a")) == (1, 2, 1)
    assert causes[2] == Cause("not_json", "b")
    assert len(causes) == 2
    assert (causes.reasons, causes.details) == (["not_json", "not_json"], ["a", "b"])


def test_reasons_are_words_of_their_own():
    assert len(set(REASONS)) == len(REASONS) == 13
