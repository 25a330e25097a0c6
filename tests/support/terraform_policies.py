"""What must hold for Terraform's files, each as a function that gives what breaks it.

Those about the job and its alerts are in terraform_job_policies.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.support.provider_schema import PATH
from tests.support.terraform_files import Configuration, blocks, literal, texts

__all__ = ["POLICIES", "Found", "policy"]

Found = Iterator[str]

POLICIES: dict[str, Callable[[Configuration], Found]] = {}

PROJECT_ROLES = {"roles/dataflow.worker", "roles/bigquery.jobUser"}
"""What only a project can give."""

WORLD = re.compile(r"allUsers|allAuthenticatedUsers|0\.0\.0\.0/0|::/0")
BROAD = re.compile(r"roles/(owner|editor|viewer|iam\..*|.*[aA]dmin)$")

ENCRYPTED = {
    "google_artifact_registry_repository": ("kms_key_name",),
    "google_bigquery_dataset": ("default_encryption_configuration", "kms_key_name"),
    "google_bigquery_table": ("encryption_configuration", "kms_key_name"),
    "google_dataflow_flex_template_job": ("kms_key_name",),
    "google_pubsub_topic": ("kms_key_name",),
    "google_storage_bucket": ("encryption", "default_kms_key_name"),
    "google_storage_bucket_object": ("kms_key_name",),
    "google_cloud_run_v2_job": ("template", "template", "encryption_key"),
    "google_secret_manager_secret": (
        *("replication", "user_managed", "replicas"),
        *("customer_managed_encryption", "kms_key_name"),
    ),
}
"""Where each kind of thing that stores something names its key."""

PROTECTED = {
    "google_bigquery_dataset": ("delete_contents_on_destroy", "${!var.protect_data}"),
    "google_bigquery_table": ("deletion_protection", "${var.protect_data}"),
    "google_secret_manager_secret": ("deletion_protection", "${var.protect_data}"),
    "google_storage_bucket": ("force_destroy", "${!var.protect_data}"),
}
PASSING = {"google_storage_bucket.temp"}
"""What holds nothing that is missed."""


def policy(check: Callable[[Configuration], Found]) -> Callable[[Configuration], Found]:
    POLICIES[check.__name__] = check
    return check


@policy
def every_reference_resolves(given: Configuration) -> Found:
    there = {f"var.{name}" for name in given.variables}
    there |= {f"local.{name}" for name in given.local_values} | set(given.resources)
    for address, reference in given.references():
        if reference not in there:
            yield f"{address} refers to {reference}, which is not there"


@policy
def everything_declared_is_used(given: Configuration) -> Found:
    used = {reference for address, reference in given.references() if address != reference}
    at_work = {each for address, each in given.references() if address not in given.outputs}
    declared = [f"var.{name}" for name in given.variables]
    declared += [f"local.{name}" for name in given.local_values]
    declared += [name for name in given.resources if name.startswith("data.")]
    for address, _ in given.of_type("google_service_account", "google_project_service_identity"):
        if address not in at_work:
            yield f"{address} has nothing to do"
    yield from (f"{name} is not used" for name in declared if name not in used)


@policy
def variables_are_typed_described_and_checked(given: Configuration) -> Found:
    for name, body in given.variables.items():
        yield from (
            f"var.{name} has no {part}"
            for part in ("type", "description")
            if not literal(body.get(part, ""))
        )
        if literal(body.get("type")) != "bool" and not body.get("validation"):
            yield f"var.{name} is not checked"
    for name, body in given.outputs.items():
        if not literal(body.get("description", "")):
            yield f"the output {name} has no description"


@policy
def versions_are_pinned(given: Configuration) -> Found:
    if "<" not in literal(given.settings.get("required_version", "")):
        yield "the version of Terraform has no upper bound"
    for required in given.settings.get("required_providers", []):
        for name, wanted in required.items():
            if not name.startswith("__") and "~>" not in str(wanted):
                yield f"the version of the provider {name} has no upper bound"


@policy
def nothing_is_public(given: Configuration) -> Found:
    for address, body in given.everything():
        for text in texts(body):
            if WORLD.search(text):
                yield f"{address} is open to the world: {text}"
    for address, body in given.of_type("google_storage_bucket"):
        if body.get("uniform_bucket_level_access") is not True:
            yield f"{address} may have access lists of single objects"
        if literal(body.get("public_access_prevention")) != "enforced":
            yield f"{address} may be made public"
    for address, body in given.of_type("google_dataflow_flex_template_job"):
        if literal(body.get("ip_configuration")) != "WORKER_IP_PRIVATE":
            yield f"{address} has workers with public addresses"
    for address, body in given.of_type("google_compute_firewall"):
        if not body.get("source_tags") and not body.get("source_ranges"):
            yield f"{address} lets in who knows whom"


@policy
def roles_are_narrow(given: Configuration) -> Found:
    for address, body in given.everything():
        for text in map(literal, texts(body)):
            if BROAD.match(text):
                yield f"{address} gives the broad role {text}"
    for address, body in given.of_type("google_project_iam_member"):
        if literal(body.get("role")) not in PROJECT_ROLES:
            yield f"{address} gives {body.get('role')} on the whole project"
    for address in given.resources:
        if re.search(r"_iam_(binding|policy)\.|_acl\.|_access_control\.", address):
            yield f"{address} takes rights from others, or is an access list"


@policy
def members_exist(given: Configuration) -> Found:
    for address, body in given.resources.items():
        if not re.search(r"_iam_member\.", address):
            continue
        for text in texts([body.get("member"), body.get("for_each")]):
            named = re.search(r"(user|group|serviceAccount|domain):[^$]*@(?!compute-system)", text)
            if named:
                yield f"{address} names {named[0]}, which is not made here"
        if not re.search(r"\.member\b|each\.|^\$\{var\.", str(body.get("member"))):
            yield f"{address} has the member {body.get('member')}, which is no account"


@policy
def what_is_stored_is_encrypted(given: Configuration) -> Found:
    for address, body in given.of_type(*ENCRYPTED):
        if address.startswith("google_bigquery_table") and blocks(body, "view"):
            continue
        places: list[dict[str, Any]] = [body]
        *way, name = ENCRYPTED[address.split(".")[0]]
        for part in way:
            places = [inner for place in places for inner in blocks(place, part)]
        keyed = [place for place in places if literal(place.get(name))]
        text = json.dumps(body)
        if not keyed or "var.encryption_key" not in text:
            yield f"{address} does not take the encryption key"


@policy
def connections_are_encrypted(given: Configuration) -> Found:
    for address, body in given.everything():
        for text in texts(body):
            if re.search(r"http://", text):
                yield f"{address} speaks without TLS: {text}"


@policy
def data_is_protected(given: Configuration) -> Found:
    for address, body in given.of_type(*PROTECTED):
        name, wanted = PROTECTED[address.split(".")[0]]
        if address in PASSING or blocks(body, "view"):
            continue
        if body.get(name) != wanted:
            yield f"{address} may be destroyed with its data: {name} is {body.get(name)}"


@policy
def retention_is_said(given: Configuration) -> Found:
    for address, body in given.of_type("google_pubsub_topic", "google_pubsub_subscription"):
        if body.get("message_retention_duration") != "${local.retention}":
            yield f"{address} does not say how long messages are kept"
    for address, body in given.of_type("google_pubsub_subscription"):
        if [literal(each.get("ttl")) for each in blocks(body, "expiration_policy")] != [""]:
            yield f"{address} is deleted when nobody reads it for a month"
        if not blocks(body, "dead_letter_policy"):
            yield f"{address} has no place for what cannot be delivered"
    readings = given.resources["google_pubsub_subscription.readings"]
    if readings.get("retain_acked_messages") is not True:
        yield "the readings cannot be read again by a seek"
    for address, body in given.of_type("google_storage_bucket"):
        if not blocks(body, "lifecycle_rule"):
            yield f"{address} keeps everything for ever"


@policy
def labels_are_set(given: Configuration) -> Found:
    known = json.loads(PATH.read_text("utf-8"))["resources"]
    for address, body in given.resources.items():
        attributes = known.get(address.split(".")[0], {"attributes": {}})["attributes"]
        name = "user_labels" if "user_labels" in attributes else "labels"
        if name in attributes and body.get(name) != "${local.labels}":
            yield f"{address} does not bear the labels"


@policy
def no_secret_is_in_the_state(given: Configuration) -> Found:
    for address, _ in given.of_type(
        "google_secret_manager_secret_version", "google_service_account_key"
    ):
        yield f"{address} would stand in the state"
    for name in given.variables:
        if re.search(r"password|token|api_key|credential", name):
            yield f"var.{name} would stand in the state"
