"""Sources beside Kafka on each runner that reads them; and runs that are killed and go on."""

from __future__ import annotations

import contextlib
import json
import subprocess

import pytest

from pipelines import reconcile
from pipelines.flink_cluster import ENDED, request
from tests.runners.outcomes import common_folder, once
from tests.runners.runners import CLUSTER
from tests.runners.sources import BY_JAVA, POLLED
from tests.support import http_server
from tests.support.flink import flink_cluster, job_server_jar  # noqa: F401 - fixtures
from tests.support.jobs import ROOT, ask, command, rows_of, run_command, run_job
from tests.support.kafka_server import expansion_service, kafka_server  # noqa: F401 - fixtures
from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, message
from tests.support.prism import prism  # noqa: F401 - a fixture
from tests.support.pubsub_emulator import emulator_fixture, queue_fixture  # noqa: F401 - fixtures
from tests.support.stream_job import wait_for

pytestmark = pytest.mark.slow

SECONDS = 240.0
MEANS = ("hourly_means", "sliding_means")
PLACES = (PARIS, TOULOUSE, CAYENNE, AT_SEA)
ANY_TIME = ("--allowed_lateness", "30000d")
LEASED = "40s"
"""Longer than a killed reader can still hold messages that it never acknowledged."""
QUICK = ("--http_interval", "1s", "--early_every", "1s", "--late_every", "1s")


def readings(numbers):
    """Messages of some hours; their arrival is another matter."""
    return [
        message(
            id=f"r{number}",
            version=1,
            timestamp=f"2024-03-05 {10 + number % 4}:{number % 60:02}:00",
            temperature=number % 37 / 4,
            **PLACES[number % len(PLACES)],
        )
        for number in numbers
    ]


@pytest.fixture
def expected(tmp_path_factory):
    """What a run over files of the same messages gives."""

    def make(folder):
        lines = "".join(json.dumps(each) + "\n" for each in readings(range(400)))
        (folder / "all.jsonl").write_text(lines)
        done = run_job("--input", folder / "all.jsonl", "--output", folder / "store", "--quiet")
        assert done.code == 0, done.err
        return rows_of(folder / "store", *MEANS)

    return once(common_folder(tmp_path_factory) / "sources", make)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def arguments(request):
    """Gives the options that name a runner, which is there then."""

    def of(runner):
        for fixture in runner.needs:
            request.getfixturevalue(fixture)
        words = [f"--runner={runner.option}"]
        if runner is CLUSTER:
            words.append(f"--flink_master={request.getfixturevalue('flink_cluster').address}")
        return words

    return of


@pytest.mark.parametrize("runner", POLLED, ids=lambda runner: runner.name)
def test_polled_and_pulled_and_killed_in_between(runner, arguments, queue, expected, tmp_path):
    """Pub/Sub and an address in one run; what comes after it was killed is the next run's."""
    options, store = arguments(runner), tmp_path / "store"
    answers = [json.dumps(readings(range(100))).encode()]

    def newest(handler):
        http_server.tagged(answers[-1])(handler)

    with http_server.serving(newest) as script:
        words = ["--input", queue.uri, script.url, "--output", store, *ANY_TIME, *QUICK, *options]
        queue.publish(readings(range(100, 200)))
        with started(words, options) as process:
            wait_for(lambda: stored(store) == 200, process, SECONDS)
        answers.append(json.dumps(readings(range(200, 300))).encode())
        queue.publish(readings(range(300, 400)))
        done = run_command(*words, "--stop_when_idle", LEASED, timeout=SECONDS)
    assert done.code == 0, done.err
    assert stored(store) == 400
    assert reconcile.main(["--output", str(store), "--quiet"]) == 0
    assert rows_of(store, *MEANS) == expected


@pytest.mark.parametrize("runner", BY_JAVA, ids=lambda runner: runner.name)
def test_kafka_read_by_java(
    runner,
    arguments,
    kafka_server,  # noqa: F811
    expansion_service,  # noqa: F811
    expected,
    tmp_path,
):
    options, store, topic = arguments(runner), tmp_path / "store", kafka_server.topic(2)
    for partition in range(2):
        sent = readings(range(partition, 400, 2))
        kafka_server.send(topic, [json.dumps(each).encode() for each in sent], partition)
    words = ["--input", kafka_server.uri(topic), "--output", store, *ANY_TIME, *QUICK, *options]
    words += ["--kafka_reader", "java", "--kafka_expansion", expansion_service]
    with started(words, options) as process:
        wait_for(lambda: stored(store) == 400, process, SECONDS)
    assert reconcile.main(["--output", str(store), "--quiet"]) == 0
    assert rows_of(store, *MEANS) == expected


@contextlib.contextmanager
def started(words, options):
    """The command while the block runs; then it is killed, and its job on a cluster is, too."""
    process = subprocess.Popen(
        command(*words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        for word in options:
            if word.startswith("--flink_master="):
                cancel_all(f"http://{word.partition('=')[2]}")


def cancel_all(master):
    for job in request(master, "/jobs/overview")["jobs"]:
        if job["state"] not in ENDED:
            request(master, f"/jobs/{job['jid']}?mode=cancel", {}, "PATCH")


def stored(store):
    """How many readings the archive has."""
    if not (store / "manifest.json").exists():
        return 0
    return ask(store, "SELECT count(*) FROM readings")[0][0]
