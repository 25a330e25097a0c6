"""A BigQuery and a Cloud Storage for tests: one emulator of each, on free ports."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from google.cloud import bigquery

from connectors.bigquery.client import open_client
from pipelines.children import free_port, start_child, stop_child

__all__ = ["PROJECT", "BigQueryEmulator", "bigquery_emulator", "running_emulator"]

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "bigquery" / "emulator.sh"
PROJECT = "test-project"
START_SECONDS = 90


@dataclass(frozen=True)
class BigQueryEmulator:
    """Where the emulators listen.

    Attributes:
        rest: the address of BigQuery's REST interface.
        grpc: host and port of the Storage Write API, without TLS.
        storage: the address of Cloud Storage.
        folder: where the objects of Cloud Storage lie, a folder a bucket.
        bucket: a bucket that exists.
    """

    rest: str
    grpc: str
    storage: str
    folder: Path
    bucket: str = "test-bucket"
    project: str = PROJECT

    @property
    def environment(self) -> Mapping[str, str]:
        """What Google's clients and ours read from the environment."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.rest,
            "BIGQUERY_STORAGE_EMULATOR_HOST": self.grpc,
            "STORAGE_EMULATOR_HOST": self.storage,
            "GOOGLE_CLOUD_PROJECT": self.project,
        }

    @functools.cached_property
    def client(self) -> bigquery.Client:
        """A client of BigQuery."""
        return open_client(self.project)

    def new_dataset(self, *, create: bool = True) -> str:
        """The URI of a dataset of a test's own; without `create` only its name is taken."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        if create:
            self.client.create_dataset(f"{self.project}.{name}", timeout=60)
        return f"bigquery://{self.project}.{name}"


def _answers(address: str) -> bool:
    try:
        requests.get(address, timeout=5)
    except requests.RequestException:
        return False
    return True


def running_emulator(stack: ExitStack) -> BigQueryEmulator:
    """Starts both and waits until they answer; they end with the stack.

    The test is skipped where they are not installed.
    """
    folder = Path(tempfile.mkdtemp(prefix="bigquery-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    objects = folder / "objects"
    objects.mkdir()
    rest, grpc, storage = (free_port() for _ in range(3))
    environment = {
        **os.environ,
        "BIGQUERY_PORT": str(rest),
        "BIGQUERY_GRPC_PORT": str(grpc),
        "STORAGE_PORT": str(storage),
        "STORAGE_FOLDER": str(objects),
        "BIGQUERY_PROJECT": PROJECT,
    }
    started: dict[str, tuple[subprocess.Popen[bytes], str]] = {}
    for part, address in (
        ("bigquery", f"http://127.0.0.1:{rest}/healthz"),
        ("storage", f"http://127.0.0.1:{storage}/"),
    ):
        process = start_child([SCRIPT, part], folder / f"{part}.log", environment)
        stack.callback(stop_child, process, 10)
        started[part] = process, address
    until = time.monotonic() + START_SECONDS
    for part, (process, address) in started.items():
        while not _answers(address):
            if process.poll() is not None:
                said = (folder / f"{part}.log").read_text(errors="replace")
                if process.returncode == 1 and "is not installed" in said:
                    pytest.skip(said.strip().splitlines()[-1])
                pytest.fail(f"the emulator of {part} ended: {said[-2000:]}")
            assert time.monotonic() < until, f"the emulator of {part} does not answer"
            time.sleep(0.05)
    emulator = BigQueryEmulator(
        f"http://127.0.0.1:{rest}",
        f"127.0.0.1:{grpc}",
        f"http://127.0.0.1:{storage}",
        objects,
    )
    made = requests.post(
        f"{emulator.storage}/storage/v1/b",
        params={"project": PROJECT},
        json={"name": emulator.bucket},
        timeout=30,
    )
    made.raise_for_status()
    return emulator


@functools.cache
def _shared() -> tuple[BigQueryEmulator, ExitStack]:
    stack = ExitStack()
    try:
        return running_emulator(stack), stack
    except BaseException:
        stack.close()
        raise


@pytest.fixture
def bigquery_emulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> BigQueryEmulator:
    """One emulator for all tests of this process; its environment points to it meanwhile."""
    first = _shared.cache_info().currsize == 0
    emulator, stack = _shared()
    if first:
        request.config.add_cleanup(stack.close)
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    return emulator
