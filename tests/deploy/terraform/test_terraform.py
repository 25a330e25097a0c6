"""What Terraform itself says of the files, by the provider's schema."""

import re
from pathlib import Path

import pytest

from tests.support.terraform_workspace import Workspace

DIGEST = f"europe-docker.pkg.dev/acme/r/p@sha256:{'0' * 64}"


def test_files_are_formatted(workspace: Workspace) -> None:
    done = workspace.run("fmt", "-check", "-diff", "-recursive")
    assert done.returncode == 0, done.stdout


def test_files_are_valid(workspace: Workspace) -> None:
    done = workspace.run("validate", "-no-color")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "error"),
    [
        ("dataflow.tf", "machine_type            =", "machine_kind =", "Unsupported argument"),
        ("storage.tf", "  versioning {", "  versions {", "Unsupported block type"),
        ("bigquery.tf", "  table_id            = each.key\n", "", "Missing required argument"),
        ("pubsub.tf", "ack_deadline_seconds       = 60", 'ack_deadline_seconds = "a"', "number"),
        ("outputs.tf", "sender.email", "sender.mail", "Unsupported attribute"),
        ("pubsub.tf", "    maximum_backoff", "    most", "Unsupported argument"),
    ],
)
def test_what_the_provider_does_not_take_is_seen(
    provider: dict[str, str], tmp_path: Path, file: str, old: str, new: str, error: str
) -> None:
    copy = Workspace(tmp_path, provider)
    text = (copy.folder / file).read_text("utf-8")
    assert old in text
    (copy.folder / file).write_text(text.replace(old, new, 1), "utf-8")
    done = copy.run("validate", "-no-color")
    assert done.returncode == 1
    assert error in done.stderr


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("project=Acme", "A project's ID has"),
        ("image=europe-docker.pkg.dev/acme/r/p:latest", "named with its digest"),
        ('pipeline_options={"input"="x"}', "are set from what is created here"),
        ("workers={initial=9,max=3}", "1 <= initial <= max"),
        ("delivery_attempts=3", "5 to 100"),
        ('readers=["allUsers"]', "all the world may not read"),
        ('senders=["allAuthenticatedUsers"]', "all the world may not send"),
        ("encryption_key=key", "A key is named"),
        ("temp_days=1", "7 days at least"),
        ('alerts={"no_data"=1}', "no_data is 120"),
        ("message_schema=avro", "regional, device or none"),
        ("reconcile_schedule=daily", "five fields"),
    ],
)
def test_a_wrong_variable_is_refused_with_a_sentence(
    workspace: Workspace, given: str, error: str
) -> None:
    done = workspace.run("test", "-no-color", "-var-file=examples/small.tfvars", f"-var={given}")
    assert done.returncode == 1
    assert error in re.sub(r"\s+", " ", done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ('{"latness"="1d"}', "The job on Dataflow has no option latness"),
        ('{"quiet"="true"}', "The job on Dataflow has no option quiet"),
        ('{"allowed_lateness"="long"}', "these options are given: allowed_lateness"),
    ],
)
def test_an_option_that_the_job_does_not_take_is_refused(
    workspace: Workspace, options: str, error: str
) -> None:
    given = ["-var-file=examples/small.tfvars", f"-var=image={DIGEST}"]
    done = workspace.run("test", "-no-color", *given, f"-var=pipeline_options={options}")
    assert done.returncode == 1
    assert error in re.sub(r"[\s│]+", " ", done.stdout + done.stderr)
