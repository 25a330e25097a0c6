"""Launches the Flex Template's entry as Google's launcher does, without a network.

`python -m tests.support.launches` records the graphs of the launches anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2 as api

from connectors.bigquery.migrate import migrate
from connectors.bigquery.uri import parse
from tests.support.bigquery_emulator import BigQueryEmulator, running_emulator
from tests.support.fake_storage import NOWHERE, fake_storage
from tests.support.job_graph import graph_of, request_of

__all__ = ["GOLDEN", "LAUNCHES", "Launch", "launch", "launch_recorded", "recorded"]

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "deploy" / "golden"
JOB_OBJECT = "example-temp/staging/template_launches/2026-01-01_00_00_00-1/job_object"
IMAGE = "europe-west1-docker.pkg.dev/example-project/pipelines/regional-means@sha256:" + "0" * 64
SECONDS = 300
READINGS = b'{"id": "1", "timestamp": "2019-02-19 14:02:10", "lat": 45.6, "lon": 0.06}\n' * 100

FROM_LAUNCHER = (
    "--runner=DataflowRunner",
    "--project=example-project",
    "--region=europe-west1",
    "--job_name=regional-means",
    "--temp_location=gs://example-temp/temp",
    "--staging_location=gs://example-temp/staging",
    f"--template_location=gs://{JOB_OBJECT}",
    f"--sdk_container_image={IMAGE}",
    "--service_account_email=worker@example-project.iam.gserviceaccount.com",
    "--max_num_workers=8",
    "--experiments=use_network_tags=readings",
    "--labels={'goog-dataflow-provided-template-type': 'flex'}",
)
"""What the launcher gives beside the template's parameters."""

LAUNCHES = {
    "streaming": (
        "--input=pubsub://projects/example-project/subscriptions/readings",
        "--output={dataset} pubsub://projects/example-project/topics/reports",
        "--dead_letters=pubsub://projects/example-project/topics/rejected",
        "--window=hourly sliding",
        "--allowed_lateness=2d",
        "--devices=",
    ),
    "batch": (
        "--input=gs://example-readings/2019/*.jsonl gs://example-readings/2020/*.jsonl",
        "--output={dataset}",
        "--window=hourly 15m/5m",
        "--group_by=both",
    ),
}
"""The template's parameters, by what the recorded graph is called; `{dataset}` is the output."""


@dataclass(frozen=True)
class Launch:
    """How a launch ended.

    Attributes:
        code: the exit code.
        log: what was printed.
        unknown: requests to Cloud Storage that the fake did not understand.
        job: the job request; None where none was written.
        pipeline: the staged graph; None where none was.
    """

    code: int
    log: str
    unknown: tuple[str, ...]
    job: dict[str, Any] | None
    pipeline: api.Pipeline | None

    def description(self) -> dict[str, Any]:
        """What is recorded of it."""
        assert self.job is not None, self.log
        assert self.pipeline is not None, self.log
        return {"request": request_of(self.job), "steps": graph_of(self.pipeline)}


def launch(
    parameters: Sequence[str],
    emulator: BigQueryEmulator | None = None,
    launcher: Sequence[str] = FROM_LAUNCHER,
    python: str = sys.executable,
    more: Mapping[str, str] | None = None,
) -> Launch:
    """Runs the entry in a process of its own.

    Args:
        parameters: the template's, as `--name=value`.
        emulator: where BigQuery is; nowhere by default.
        launcher: what the launcher adds.
        python: the interpreter.
        more: environment variables beside those that lead to the fake.
    """
    with fake_storage() as storage, tempfile.TemporaryDirectory() as folder:
        storage.objects["example-readings/2019/a.jsonl"] = READINGS
        storage.objects["example-readings/2020/b.jsonl"] = READINGS
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **storage.environment(Path(folder)),
            # Nobody listens there: whoever asks Pub/Sub fails at once.
            "PUBSUB_EMULATOR_HOST": NOWHERE.removeprefix("http://"),
            "BIGQUERY_EMULATOR_HOST": NOWHERE if emulator is None else emulator.rest,
            **(more or {}),
        }
        entry = ROOT / "deploy" / "dataflow" / "main.py"
        done = subprocess.run(
            [python, str(entry), *launcher, *parameters],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    staged = [name for name in storage.objects if name.endswith("/pipeline.pb")]
    job = storage.objects.get(JOB_OBJECT)
    return Launch(
        done.returncode,
        done.stdout + done.stderr,
        tuple(storage.unknown),
        None if job is None else json.loads(job),
        api.Pipeline.FromString(storage.objects[staged[0]]) if staged else None,
    )


def launch_recorded(name: str, emulator: BigQueryEmulator) -> Launch:
    """Launches what is recorded by a name, into a dataset of its own.

    Args:
        name: one of `LAUNCHES`.
        emulator: where BigQuery is.
    """
    dataset = emulator.new_dataset(create=False)
    migrate(emulator.client, parse(dataset))
    return launch([each.format(dataset=dataset) for each in LAUNCHES[name]], emulator)


def recorded(name: str) -> dict[str, Any]:
    """The recorded graph of a launch."""
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return found


def record() -> None:
    """Writes what is recorded anew."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        emulator = running_emulator(stack)
        os.environ.update(emulator.environment)
        for name in LAUNCHES:
            found = launch_recorded(name, emulator).description()
            text = json.dumps(found, indent=1, sort_keys=True)
            (GOLDEN / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    record()
