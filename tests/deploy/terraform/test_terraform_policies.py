"""What must hold for the Terraform files, and that each rule sees what breaks it."""

import re
import shutil
from pathlib import Path

import hcl2
import pytest

from tests.support.terraform_files import read_configuration
from tests.support.terraform_job_policies import POLICIES

FOLDER = Path(__file__).parents[3] / "deploy" / "terraform"

BUCKET = 'public_access_prevention    = "enforced"'
MUTATIONS = {
    "every_reference_resolves": [
        ("dataflow.tf", "google_storage_bucket.temp.name}/temp", "google_storage_bucket.tmp.name}"),
        ("alerts.tf", "var.alerts.dead_letters", "var.alarms.dead_letters"),
        ("outputs.tf", "local.subnetwork", "local.subnet"),
        ("services.tf", 'data "google_project" "this"', 'data "google_project" "that"'),
    ],
    "everything_declared_is_used": [
        ("dataflow.tf", "= var.machine_type", '= "n2-standard-2"'),
        ("bigquery.tf", "contains(local.short_lived, each.key) && ", ""),
        ("identities.tf", "{ sender = google_service_account.sender.member }", "{}"),
        ("storage.tf", "age            = var.temp_days", "age = 14"),
    ],
    "variables_are_typed_described_and_checked": [
        ("variables.tf", "  type        = number\n", ""),
        ("variables.tf", '  description = "Machine type of the workers."\n', ""),
        ("outputs.tf", '  description = "Subnetwork of the workers."\n', ""),
        ("variables.tf", "  validation {\n    condition     = var.temp_days >= 7", "  check {\n"),
    ],
    "versions_are_pinned": [
        ("versions.tf", '"~> 8.7"', '">= 8.7"'),
        ("versions.tf", ", < 2.0.0", ""),
    ],
    "nothing_is_public": [
        ("storage.tf", BUCKET, 'public_access_prevention = "inherited"'),
        ("storage.tf", "uniform_bucket_level_access = true", "uniform_bucket_level_access = false"),
        ("storage.tf", "uniform_bucket_level_access = true", ""),
        (
            "identities.tf",
            "member  = google_service_account.pipeline.member",
            'member = "allUsers"',
        ),
        ("dataflow.tf", "WORKER_IP_PRIVATE", "WORKER_IP_PUBLIC"),
        ("network.tf", 'source_tags = ["dataflow"]', 'source_ranges = ["0.0.0.0/0"]'),
        ("network.tf", 'source_tags = ["dataflow"]', ""),
    ],
    "roles_are_narrow": [
        ("identities.tf", "roles/dataflow.worker", "roles/editor"),
        ("identities.tf", "roles/dataflow.worker", "roles/dataflow.admin"),
        ("identities.tf", "roles/storage.objectUser", "roles/storage.admin"),
        ("identities.tf", "roles/bigquery.jobUser", "roles/bigquery.dataEditor"),
        (
            "identities.tf",
            '"google_project_iam_member" "worker"',
            '"google_project_iam_binding" "w"',
        ),
    ],
    "members_exist": [
        ("identities.tf", "member  = google_service_account.pipeline.member", 'member = "x"'),
        (
            "identities.tf",
            "member  = google_service_account.pipeline.member",
            'member = "serviceAccount:old@acme.iam.gserviceaccount.com"',
        ),
    ],
    "what_is_stored_is_encrypted": [
        ("storage.tf", "default_kms_key_name = encryption.value", ""),
        ("pubsub.tf", "kms_key_name               = var.encryption_key", ""),
        ("bigquery.tf", 'dynamic "encryption_configuration"', 'dynamic "configuration"'),
        ("bigquery.tf", "kms_key_name = default_encryption_configuration.value", ""),
        ("identities.tf", "kms_key_name = customer_managed_encryption.value", ""),
        ("dataflow.tf", "kms_key_name            = var.encryption_key", ""),
        ("reconcile.tf", "encryption_key  = var.encryption_key", ""),
    ],
    "connections_are_encrypted": [("reconcile.tf", "https://run.google", "http://run.google")],
    "data_is_protected": [
        ("bigquery.tf", "deletion_protection = var.protect_data", "deletion_protection = false"),
        ("bigquery.tf", "delete_contents_on_destroy = !var.protect_data", ""),
        ("storage.tf", "= !var.protect_data", "= true"),
        ("identities.tf", "deletion_protection = var.protect_data", ""),
    ],
    "retention_is_said": [
        ("pubsub.tf", "message_retention_duration = local.retention", ""),
        ("pubsub.tf", 'ttl = ""', 'ttl = "2678400s"'),
        ("pubsub.tf", "retain_acked_messages      = true", ""),
        ("pubsub.tf", 'dynamic "dead_letter_policy"', 'dynamic "other_policy"'),
        ("storage.tf", "lifecycle_rule {", "other_rule {"),
    ],
    "labels_are_set": [
        ("storage.tf", "labels                      = local.labels", ""),
        ("alerts.tf", "user_labels           = local.labels", ""),
        ("dataflow.tf", "labels                  = local.labels", ""),
    ],
    "no_secret_is_in_the_state": [
        ("variables.tf", 'variable "name"', 'variable "kafka_password"'),
        (
            "identities.tf",
            '"google_secret_manager_secret"',
            '"google_secret_manager_secret_version"',
        ),
    ],
    "metrics_exist": [
        ("alerts.tf", "job/system_lag", "job/lag"),
        ("alerts.tf", "job/is_failed", "job/system_lag"),
        ("alerts.tf", '\\"rejected\\"', '\\"refused\\"'),
        ("alerts.tf", '\\"failed\\"}', '\\"rejected\\"}'),
    ],
    "the_job_is_run_as_agreed": [
        ("dataflow.tf", '"drain"', '"cancel"'),
        ("dataflow.tf", "enable_streaming_engine = true", ""),
        ("dataflow.tf", '"use_runner_v2"', '"enable_prime"'),
        ("dataflow.tf", "max_workers             = var.workers.max", ""),
    ],
    "parameters_are_options": [
        ("dataflow.tf", "dead_letters = ", "dead_letter = "),
        ("dataflow.tf", "output       = join", "outputs = join"),
    ],
}
CASES = [(name, *mutation) for name, several in MUTATIONS.items() for mutation in several]


@pytest.mark.parametrize("name", POLICIES)
def test_rule_holds(name: str) -> None:
    assert list(POLICIES[name](read_configuration(FOLDER))) == []


@pytest.mark.parametrize(("name", "file", "old", "new"), CASES)
def test_rule_sees_what_breaks_it(tmp_path: Path, name: str, file: str, old: str, new: str) -> None:
    for path in FOLDER.glob("*.tf"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / file).read_text("utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new), "utf-8")
    assert list(POLICIES[name](read_configuration(tmp_path)))


def test_every_rule_is_seen_to_fail() -> None:
    assert set(MUTATIONS) == set(POLICIES)


@pytest.mark.parametrize(
    "example", sorted((FOLDER / "examples").iterdir()), ids=lambda path: path.stem
)
def test_example_sets_variables_that_are_there(example: Path) -> None:
    names = {name for name in hcl2.loads(example.read_text("utf-8")) if name[0] != "_"}
    assert "project" in names
    assert names <= set(read_configuration(FOLDER).variables)


def test_readme_names_what_is_there() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    given = read_configuration(FOLDER)
    outputs = set(re.findall(r"terraform output (\w+)", text))
    assert outputs
    assert outputs <= set(given.outputs)
    set_to = set(re.findall(r"`(\w+) = ", text))
    assert set_to
    assert set_to <= set(given.variables)
