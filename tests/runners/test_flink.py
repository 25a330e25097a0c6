"""The command on Flink, embedded and on a cluster: it comes to what a batch run comes to."""

from __future__ import annotations

import contextlib
import datetime
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from connectors.local_store import LocalStore
from pipelines.children import free_port, start_child, stop_child
from pipelines.flink_cluster import ENDED, request
from tests.support.flink import flink_cluster, job_server_jar  # noqa: F401 - fixtures
from tests.support.jobs import ROOT, command, rows_of, run_command
from tests.support.kafka_server import kafka_server  # noqa: F401 - a fixture
from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, line
from tests.support.stream_job import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("job_server_jar")]

PLACES = (PARIS, TOULOUSE, CAYENNE, AT_SEA)
START = datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC)
VIEWS = ("hourly_means", "sliding_means")
NUMBER = 20_000
FLINK = "--runner=FlinkRunner"
SECONDS = 240.0


def readings():
    """Messages and their time stamps over six hours, out of order, each third one corrected."""
    chance = random.Random(3)
    for number in range(NUMBER):
        moment = START + datetime.timedelta(seconds=number * 6 * 3600 / NUMBER)
        moment -= datetime.timedelta(seconds=chance.uniform(0, 120))
        for version in range(1 + (number % 3 == 0)):
            message = line(
                id=f"r{number}",
                timestamp=moment.isoformat(),
                temperature=round(chance.gauss(15, 5), 2) + version,
                **PLACES[number % len(PLACES)],
            )
            yield message, round((moment.timestamp() + 120) * 1000), number % 2


@pytest.fixture
def topic(kafka_server):  # noqa: F811
    name = kafka_server.topic(2)
    producer = kafka_server.producer()
    for message, stamp, partition in readings():
        kafka_server.put(producer, name, message, partition, timestamp=stamp)
    assert producer.flush(60) == 0
    return kafka_server.uri(name)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """What the runner of this process makes of the same readings in a file."""
    folder = tmp_path_factory.mktemp("batch")
    text = b"".join(message.rstrip(b"\n") + b"\n" for message, _, _ in readings())
    (folder / "readings.jsonl").write_bytes(text)
    done = run_command("--input", folder / "readings.jsonl", "--output", folder / "store")
    assert done.code == 0, done.err
    return rows_of(folder / "store", *VIEWS)


def test_files_on_an_embedded_flink(tmp_path):
    done = run_command("--output", tmp_path / "flink", FLINK, timeout=SECONDS)
    assert done.code == 0, done.err
    assert run_command("--output", tmp_path / "here").code == 0
    assert rows_of(tmp_path / "flink", *VIEWS) == rows_of(tmp_path / "here", *VIEWS)


def test_a_topic_on_an_embedded_flink(topic, batch, tmp_path):
    done = run_command(
        *("--input", topic, "--output", tmp_path / "store", FLINK, "--stop_when_idle", "3s"),
        timeout=SECONDS,
    )
    assert done.code == 0, done.err
    assert rows_of(tmp_path / "store", *VIEWS) == batch


def test_a_topic_on_a_cluster(flink_cluster, topic, batch, tmp_path):  # noqa: F811
    done = run_command(
        *("--input", topic, "--output", tmp_path / "store", FLINK, "--stop_when_idle", "3s"),
        f"--flink_master={flink_cluster.address}",
        timeout=SECONDS,
    )
    assert done.code == 0, done.err
    assert rows_of(tmp_path / "store", *VIEWS) == batch


@pytest.mark.parametrize("killed", [False, True], ids=["alone", "taskmanager_killed"])
def test_an_interrupt_drains_a_stream_on_a_cluster(
    killed,
    flink_cluster,  # noqa: F811
    topic,
    batch,
    tmp_path,
):
    master = f"http://{flink_cluster.address}"
    words = command(
        *("--input", topic, "--output", tmp_path / "store", FLINK, "--job_name=endless"),
        *(f"--flink_master={flink_cluster.address}", "--checkpointing_interval=1000"),
        *("--early_every", "1s"),
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as job:
        try:
            if killed:
                wait_for(lambda: checkpoints(master) >= 1, job, SECONDS)
                os.kill(flink_cluster.process("taskmanager"), signal.SIGKILL)
                flink_cluster.start()
                wait_for(lambda: checkpoints(master, "restored"), job, SECONDS)
            before = checkpoints(master)
            wait_for(lambda: checkpoints(master) >= before + 3, job, SECONDS)
            wait_for(lambda: all_stored(tmp_path), job, SECONDS)
            job.send_signal(signal.SIGINT)
            out, err = job.communicate(timeout=SECONDS)
        finally:
            job.kill()
    assert job.returncode == 0, err
    assert "counted" in out
    assert rows_of(tmp_path / "store", *VIEWS) == batch


def test_a_job_in_a_jar_on_a_cluster_with_workers_of_its_own(
    flink_cluster,  # noqa: F811
    topic,
    batch,
    tmp_path,
):
    jar, master, port = tmp_path / "job.jar", f"http://{flink_cluster.address}", free_port()
    done = run_command(
        *("--input", topic, "--output", tmp_path / "store", FLINK, "--stop_when_idle", "3s"),
        *("--quiet", f"--output_executable_path={jar}", "--job_name=packed"),
        *("--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"),
        timeout=SECONDS,
    )
    assert done.code == 0, done.err
    with workers(port), jar.open("rb") as file:
        sent = requests.post(
            f"{master}/jars/upload",
            files={"jarfile": ("job.jar", file, "application/x-java-archive")},
            timeout=SECONDS,
        )
        name = sent.json()["filename"].rpartition("/")[2]
        entry = "entry-class=org.apache.beam.runners.flink.FlinkPipelineRunner"
        started = requests.post(f"{master}/jars/{name}/run?{entry}", json={}, timeout=SECONDS)
        job = started.json()["jobid"]
        until = time.monotonic() + SECONDS
        while (state := request(master, f"/jobs/{job}")["state"]) not in ENDED:
            assert time.monotonic() < until
            time.sleep(0.2)
    assert state == "FINISHED"
    assert rows_of(tmp_path / "store", *VIEWS) == batch


@contextlib.contextmanager
def workers(port):
    """A pool of workers, as a container of it runs beside each TaskManager."""
    module = "apache_beam.runners.worker.worker_pool_main"
    process = start_child(
        [sys.executable, "-m", module, "--service_port", str(port)],
        environment={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
    )
    try:
        yield
    finally:
        stop_child(process, 10)


def all_stored(folder):
    """Whether the archive has every message."""
    if not (folder / "store" / "manifest.json").exists():
        return False
    return sum(LocalStore(folder / "store").positions().values()) == len(list(readings()))


def checkpoints(master, what="completed"):
    """How many checkpoints the job that runs has completed, or has gone on from."""
    jobs = request(master, "/jobs/overview")["jobs"]
    running = [job["jid"] for job in jobs if job["name"] == "endless" and job["state"] == "RUNNING"]
    if not running:
        return 0
    counts = request(master, f"/jobs/{running[0]}/checkpoints").get("counts", {})
    return counts.get(what, 0)
