"""Flink, for tests that need it: Beam's job server, and a cluster of two processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.input_error import InputError
from pipelines.flink import find_job_server
from tests.support.kafka_server import free_port

__all__ = ["FlinkCluster", "flink_cluster", "job_server_jar"]

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "flink"
LIBS = Path(os.environ.get("FLINK_LIBS", ROOT / ".cache" / "flink" / "libs"))


class FlinkCluster:
    """A JobManager and a TaskManager of this machine, and a ZooKeeper where wanted.

    Attributes:
        address: where jobs are submitted.
        data: checkpoints, logs and process ids.
    """

    def __init__(self, folder: Path, *, survives: bool = False, **settings: str) -> None:
        """Starts it.

        Args:
            folder: for its data.
            survives: with high availability: jobs survive their JobManager.
            settings: added to its configuration, with underscores for dots.
        """
        port = free_port()
        self.address, self.data = f"127.0.0.1:{port}", folder
        folder.mkdir(parents=True, exist_ok=True)
        more = folder / "more.yaml"
        lines = [f"{name.replace('_', '.')}: {value}\n" for name, value in settings.items()]
        more.write_text("".join(lines), "utf-8")
        self._environment = {
            **os.environ,
            "FLINK_LIBS": str(LIBS),
            "FLINK_DATA": str(folder),
            "FLINK_PORT": str(port),
            "FLINK_RPC_PORT": str(free_port()),
            "FLINK_CONF": str(more),
        }
        if survives:
            self._environment |= {"FLINK_HA": "zookeeper", "FLINK_ZOOKEEPER_PORT": str(free_port())}
        self.start()

    def start(self) -> None:
        """Starts what does not run, and waits until it can take jobs."""
        done = subprocess.run(
            [SCRIPTS / "start.sh"],
            env=self._environment,
            # What it starts would hold a pipe open.
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (self.data / "jobmanager.log").read_text("utf-8")[-2000:]

    def stop(self) -> None:
        """Stops it."""
        subprocess.run(
            [SCRIPTS / "stop.sh"],
            env=self._environment,
            capture_output=True,
            check=True,
            timeout=60,
        )

    def process(self, name: str) -> int:
        """The number of the process `jobmanager`, `taskmanager` or `zookeeper`."""
        return int((self.data / f"{name}.pid").read_text("utf-8"))

    def kill(self, name: str) -> None:
        """Ends one of its processes at once; `start` starts it again."""
        os.kill(self.process(name), signal.SIGKILL)


@pytest.fixture(scope="session")
def job_server_jar() -> str:
    """The jar of Beam's job server; a test is skipped where there is none."""
    try:
        return find_job_server()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def flink_cluster() -> Iterator[FlinkCluster]:
    """One cluster for all tests of this process."""
    if shutil.which("java") is None or not list(LIBS.glob("flink-runtime-1*.jar")):
        pytest.skip("no Flink cluster: it needs java, and its jars: run make flink")
    folder = Path(tempfile.mkdtemp(prefix="flink-cluster-"))
    cluster = FlinkCluster(folder)
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)
