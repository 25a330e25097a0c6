"""What an apply of the examples makes, with mocked resources."""

import json
import re
import subprocess
from typing import Any

import sqlglot
from sqlglot import expressions as sql

from pipelines.dataflow_rules import check_job
from pipelines.options import parse_options
from pipelines.template_arguments import job_arguments
from schemas.tables import bigquery_schema
from tests.support.counter_names import counter_names
from tests.support.terraform_job_policies import PLATFORM_METRICS, counters_of, metrics_of
from tests.support.terraform_workspace import ROOT, Workspace, resources, the_one


def test_without_an_image_nothing_runs(workspace: Workspace) -> None:
    state = workspace.apply("-var-file=examples/small.tfvars")
    assert not resources(state, "google_dataflow_flex_template_job")
    assert not resources(state, "google_cloud_scheduler_job")
    assert resources(state, "google_artifact_registry_repository")


def test_parameters_of_the_job_are_accepted_by_the_template(production: dict[str, Any]) -> None:
    job = the_one(production, "google_dataflow_flex_template_job")
    words = job_arguments([f"--{name}={value}" for name, value in job["parameters"].items()])
    options, rest = parse_options(words)
    outputs = [word.removeprefix("--output=") for word in words if word.startswith("--output=")]
    check_job(options, outputs)
    assert not rest
    assert outputs[0] == "bigquery://acme-sensors.regional_means"
    assert outputs[1].startswith("pubsub://projects/")
    assert options.input[0].startswith("pubsub://projects/acme-sensors/subscriptions/")


def test_templates_name_the_image_and_the_options(production: dict[str, Any]) -> None:
    written = resources(production, "google_storage_bucket_object")
    job = the_one(production, "google_dataflow_flex_template_job")
    for kind, file in (("stream", "metadata.json"), ("batch", "metadata_batch.json")):
        template = json.loads(
            written[f'google_storage_bucket_object.template["{kind}"]']["content"]
        )
        assert template["image"] == job["sdk_container_image"]
        assert template["sdkInfo"] == {"language": "PYTHON"}
        said = json.loads((ROOT / "deploy" / "dataflow" / file).read_text("utf-8"))
        assert template["metadata"] == said
    name = written['google_storage_bucket_object.template["stream"]']["name"]
    assert job["container_spec_gcs_path"].endswith(f"/{name}")


def test_every_table_has_its_columns_and_its_layout(applied: dict[str, Any]) -> None:
    tables = json.loads((ROOT / "deploy" / "terraform" / "tables.json").read_text("utf-8"))
    made = {
        each["table_id"]: each
        for address, each in resources(applied, "google_bigquery_table").items()
        if address.startswith("google_bigquery_table.table[")
    }
    assert set(made) == set(tables)
    for name, table in made.items():
        columns = json.loads(table["schema"])
        assert columns == bigquery_schema(tables[name]["schema"])
        types = {column["name"]: column["type"] for column in columns}
        layout = tables[name]
        fields = [each["field"] for each in table["time_partitioning"] or []]
        assert fields == [each for each in [layout["partitioned_by"]] if each]
        assert all(types[field] == "TIMESTAMP" for field in fields)
        assert (table["clustering"] or []) == layout["clustered_by"]
        assert set(layout["clustered_by"]) <= set(types)
        assert len(layout["clustered_by"]) <= 4
        keys = [each["primary_key"][0]["columns"] for each in table["table_constraints"] or []]
        assert keys == [each for each in [layout["primary_key"]] if each]


def test_views_name_their_tables_in_full_and_are_made_in_order(applied: dict[str, Any]) -> None:
    made = resources(applied, "google_bigquery_table")
    views = {
        each["table_id"]: (address.split("[")[0], each["view"][0]["query"])
        for address, each in made.items()
        if each["view"]
    }
    assert set(views) == {path.stem for path in (ROOT / "sql" / "views").glob("*.sql")}
    order = ["google_bigquery_table.table", "google_bigquery_table.view"]
    order.append("google_bigquery_table.upper_view")
    place = {each["table_id"]: order.index(address.split("[")[0]) for address, each in made.items()}
    for name, (_, query) in views.items():
        parsed = sqlglot.parse_one(query, read="bigquery")
        within = {each.alias for each in parsed.find_all(sql.CTE)}
        read = [each for each in parsed.find_all(sql.Table) if each.name not in within or each.db]
        assert read
        for table in read:
            assert table.db == "regional_means"
            assert table.catalog.startswith("acme-sensors")
            assert place[table.name] < place[name]


def test_everything_is_encrypted_with_the_key(production: dict[str, Any]) -> None:
    key = "projects/acme-keys/locations/europe-west9/keyRings/sensors/cryptoKeys/data"
    kept = ("artifact_registry_repository", "bigquery_dataset", "cloud_run_v2_job")
    kept += ("dataflow_flex_template_job", "pubsub_topic", "secret_manager_secret")
    for label in (*kept, "storage_bucket"):
        found = resources(production, f"google_{label}")
        assert found
        for address, values in found.items():
            assert key in json.dumps(values), address
    users = resources(production, "google_kms_crypto_key_iam_member")
    assert len(users) == 8


def test_nobody_uses_a_key_that_is_not_given(workspace: Workspace) -> None:
    state = workspace.apply("-var-file=examples/small.tfvars")
    assert not resources(state, "google_kms_crypto_key_iam_member")
    assert "cryptoKeys" not in json.dumps(state)


def test_alerts_and_dashboard_show_what_is_counted(applied: dict[str, Any]) -> None:
    policies = resources(applied, "google_monitoring_alert_policy").values()
    assert len(policies) == 11
    dashboard = json.loads(the_one(applied, "google_monitoring_dashboard")["dashboard_json"])
    tiles = dashboard["mosaicLayout"]["tiles"]
    assert all(tile["xPos"] + tile["width"] <= 48 for tile in tiles)
    queries = [*all_texts([each["conditions"] for each in policies]), *all_texts(tiles)]
    filters = [text for text in queries if "metric.type" in text]
    assert len(filters) >= 8 + 6
    for text in filters:
        (metric,) = metrics_of(text)
        assert f'resource.type = "{PLATFORM_METRICS[metric]}"' in text
    counted = {name for text in queries for name in counters_of(text)}
    assert {"read", "rejected", "failed"} <= counted <= counter_names()


def all_texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in all_texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in all_texts(each)]
    return [value] if isinstance(value, str) else []


def test_alerts_are_about_the_job_that_runs(production: dict[str, Any]) -> None:
    job = the_one(production, "google_dataflow_flex_template_job")["name"]
    queries = all_texts(
        [
            each["conditions"]
            for each in resources(production, "google_monitoring_alert_policy").values()
        ]
    )
    named = {name for text in queries for name in re.findall(r'job_name ?= ?"([^"]+)"', text)}
    run = the_one(production, "google_cloud_run_v2_job")["name"]
    assert named == {job, run}


def test_reconciliation_runs_the_command_over_the_last_days(production: dict[str, Any]) -> None:
    run = the_one(production, "google_cloud_run_v2_job")
    container = run["template"][0]["template"][0]["containers"][0]
    (flag, line) = container["args"]
    assert (container["command"], flag) == (["/bin/sh"], "-c")
    said = line.replace("exec python", "echo")
    words = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True)
    assert re.fullmatch(
        r"-m pipelines\.reconcile --output bigquery://acme-sensors\.regional_means "
        r"--from \d{4}-\d\d-\d\dT00:00:00Z",
        words.stdout.strip(),
    )
    uri = the_one(production, "google_cloud_scheduler_job")["http_target"][0]["uri"]
    assert re.fullmatch(r"https://run\.googleapis\.com/v2/projects/.+/jobs/.+:run", uri)


def test_names_are_not_too_long(workspace: Workspace) -> None:
    longest = "a" * 18
    given = (f"-var=name={longest}", f"-var=project={'p' * 30}")
    state = workspace.apply("-var-file=examples/small.tfvars", *given)
    for bucket in resources(state, "google_storage_bucket").values():
        assert len(bucket["name"]) <= 63
    for account in resources(state, "google_service_account").values():
        assert 6 <= len(account["account_id"]) <= 30


def test_a_schema_holds_publishers_to_it(workspace: Workspace) -> None:
    state = workspace.apply("-var-file=examples/small.tfvars", "-var=message_schema=regional")
    schema = the_one(state, "google_pubsub_schema")
    assert "message RegionalReading" in schema["definition"]
    topics = resources(state, "google_pubsub_topic")
    assert topics["google_pubsub_topic.readings"]["schema_settings"][0]["encoding"] == "JSON"


def test_protection_is_on_unless_it_is_switched_off(production: dict[str, Any]) -> None:
    tables = resources(production, "google_bigquery_table")
    assert all(each["deletion_protection"] for each in tables.values() if not each["view"])
    buckets = resources(production, "google_storage_bucket")
    assert [address for address, each in buckets.items() if each["force_destroy"]] == [
        "google_storage_bucket.temp"
    ]
