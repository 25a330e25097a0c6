"""`python -m deploy.bigquery` against an emulator."""

from __future__ import annotations

import pytest
from google.cloud import bigquery

import sql
from connectors.bigquery.client import open_client
from connectors.bigquery.migrate import migrate, steps
from connectors.bigquery.tables import LAYOUTS, schema_fields
from connectors.bigquery.uri import parse
from connectors.output_error import OutputError
from deploy.bigquery.__main__ import main
from geo import RegionIndex
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_tables import new_tables, rows
from tests.support.jobs import ROOT


def test_a_new_dataset_has_all_tables_and_views_and_then_nothing_is_left_to_do(
    bigquery_emulator,  # noqa: F811
    capsys,
):
    uri = bigquery_emulator.new_dataset(create=False)
    assert main([uri, "--location", "EU", "--dry_run"]) == 0
    planned = capsys.readouterr().out.splitlines()
    client = bigquery_emulator.client
    assert parse(uri).name not in {found.dataset_id for found in client.list_datasets()}
    assert main([uri, "--location", "EU"]) == 0
    done = capsys.readouterr().out.splitlines()
    assert planned == [f"would {line}" for line in done]
    assert done[0] == f"create the dataset {parse(uri).path} in EU"
    found = {table.table_id: table.table_type for table in client.list_tables(parse(uri).path)}
    assert found == {**dict.fromkeys(LAYOUTS, "TABLE"), **dict.fromkeys(sql.VIEWS, "VIEW")}
    assert main([uri]) == 0
    assert capsys.readouterr().out == f"{uri} is as it should be\n"
    assert main([uri, "--location", "US"]) == 1
    assert "cannot be moved" in capsys.readouterr().err


def test_tables_lie_and_are_described_as_the_schemas_say(bigquery_emulator):  # noqa: F811
    dataset, client = new_tables(bigquery_emulator), bigquery_emulator.client
    for name, layout in LAYOUTS.items():
        found = client.get_table(dataset.table(name))
        assert found.description == layout.description
        partitions = found.time_partitioning
        assert (partitions.field if partitions else None) == layout.partitioned_by
        assert partitions is None or partitions.type_ == "DAY"
        assert tuple(found.clustering_fields or ()) == layout.clustered_by
        assert [field.description for field in found.schema] == [
            field.description for field in schema_fields(name)
        ]
    for name in sql.VIEWS:
        found = client.get_table(dataset.table(name))
        assert found.schema
        assert all(field.description for field in found.schema)


def test_an_older_dataset_gets_what_it_lacks_and_keeps_what_it_has(
    bigquery_emulator,  # noqa: F811
    capsys,
):
    dataset, client = parse(bigquery_emulator.new_dataset()), bigquery_emulator.client
    older = [field for field in schema_fields("readings") if field.name != "sensor_id"]
    older[0] = bigquery.SchemaField(older[0].name, older[0].field_type, "REQUIRED", description="?")
    older.append(bigquery.SchemaField("our_own", "STRING"))
    client.create_table(bigquery.Table(dataset.table("readings"), older))
    text = ", ".join(
        {"STRING": "'x'", "FLOAT64": "1.5", "BOOL": "FALSE", "INT64": "1"}.get(
            field.field_type, "TIMESTAMP '2024-12-01'"
        )
        for field in older
    )
    client.query(f"INSERT INTO `{dataset.table('readings')}` VALUES ({text})").result()
    view = bigquery.Table(dataset.table("hourly_means"))
    view.view_query = "SELECT 1 AS one"
    client.create_table(view)
    assert main([dataset.uri, "--no-regions"]) == 0
    said = capsys.readouterr().out
    assert "add the column readings.sensor_id" in said
    assert "describe the column readings.format" in said
    assert "update the view hourly_means" in said
    found = {field.name: field for field in client.get_table(dataset.table("readings")).schema}
    assert {field.name for field in schema_fields("readings")} | {"our_own"} == set(found)
    assert found["sensor_id"].mode == "NULLABLE"
    assert found["format"].description != "?"
    assert rows(client, dataset, "SELECT our_own, sensor_id FROM latest_readings") == [("x", None)]
    assert rows(client, dataset, "SELECT * FROM hourly_means") == []
    assert migrate(client, dataset) == []


def test_a_required_column_becomes_optional_and_never_the_reverse(bigquery_emulator):  # noqa: F811
    dataset, client = parse(bigquery_emulator.new_dataset()), bigquery_emulator.client
    turned = [
        bigquery.SchemaField(
            field.name,
            field.field_type,
            "NULLABLE" if field.mode == "REQUIRED" else "REQUIRED",
            field.default_value_expression,
            field.description,
        )
        for field in schema_fields("rejected_readings")
    ]
    client.create_table(bigquery.Table(dataset.table("rejected_readings"), turned))
    (step,) = [
        step for step in steps(client, dataset) if "let the column rejected_readings" in step.text
    ]
    assert "raw_sha256 be NULL" in step.text
    step.apply()
    found = client.get_table(dataset.table("rejected_readings")).schema
    assert {field.mode for field in found} == {"NULLABLE"}


@pytest.mark.parametrize("kind", ["column", "view for a table", "table for a view"])
def test_what_cannot_be_migrated_is_told_before_anything_is_changed(
    kind,
    bigquery_emulator,  # noqa: F811
    capsys,
):
    dataset, client = parse(bigquery_emulator.new_dataset()), bigquery_emulator.client
    if kind == "column":
        wrong = [bigquery.SchemaField("region_code", "INT64")]
        client.create_table(bigquery.Table(dataset.table("regions"), wrong))
        expected = "regions.region_code is INT64 and should be STRING"
    elif kind == "view for a table":
        view = bigquery.Table(dataset.table("regions"))
        view.view_query = "SELECT 1 AS one"
        client.create_table(view)
        expected = "is a VIEW, not a table"
    else:
        wrong = [bigquery.SchemaField("region_code", "STRING")]
        client.create_table(bigquery.Table(dataset.table("hourly_means"), wrong))
        expected = "is a TABLE, not a view"
    assert main([dataset.uri]) == 1
    said = capsys.readouterr()
    assert expected in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert len(list(client.list_tables(dataset.path))) == 1


def test_without_credentials_the_command_says_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert main(["bigquery://my-project.weather"]) == 1
    assert "gcloud auth application-default login" in capsys.readouterr().err
    with pytest.raises(OutputError):
        open_client("my-project")
    assert main(["bigquery://weather"]) == 1
    assert "names no project" in capsys.readouterr().err


def test_the_geofence_finds_what_is_assigned_wrongly_and_nothing_else(
    bigquery_emulator,  # noqa: F811
):
    dataset, client = new_tables(bigquery_emulator), bigquery_emulator.client
    places = {
        "Paris": (2.35, 48.86),
        "Toulouse": (1.44, 43.6),
        "Ajaccio": (8.74, 41.92),
        "Saint-Denis": (55.45, -20.89),
        "off Brest": (-4.9, 48.33),
        "at sea": (-12.0, 45.0),
        "Basel": (7.59, 47.55),
    }
    codes = RegionIndex.default().assign(*zip(*places.values(), strict=True))
    assert main([dataset.uri]) == 0
    check = (ROOT / "sql" / "examples" / "check_geofence.sql").read_text("utf-8")
    load_readings(client, dataset, places, codes)
    assert rows(client, dataset, check) == []
    wrong = {"Paris": None, "Toulouse": "11", "Ajaccio": "94", "at sea": "53"}
    load_readings(client, dataset, {name: places[name] for name in wrong}, wrong.values(), "w")
    found = {(row[2], row[3]) for row in rows(client, dataset, check)}
    assert found == {(None, "11"), ("11", "76"), ("53", None)}


def load_readings(client, dataset, places, codes, prefix="r"):
    """Readings at places, each with the region that it is said to be in."""
    listed = [
        f"('regional', '{prefix}{number}', 'temperature', TIMESTAMP '2024-12-01 12:00:00+00', "
        f"{longitude}, {latitude}, 10.0, FALSE, {'NULL' if code is None else repr(code)}, "
        "'none', FALSE, FALSE, 'test', CURRENT_TIMESTAMP(), 'run')"
        for number, ((longitude, latitude), code) in enumerate(
            zip(places.values(), codes, strict=True)
        )
    ]
    client.query(
        f"INSERT INTO `{dataset.table('readings')}` (format, id, quantity, event_time, longitude, "
        "latitude, value, in_france, region_code, version_kind, deleted, too_late, source, "
        f"ingested_at, run_id) VALUES {', '.join(listed)}"
    ).result()
