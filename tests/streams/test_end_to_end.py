"""Sent is accounted for: the simulator, a real queue or server, the main command, the balance.

Everything is a command of its own, as somebody would start it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.local_store import LocalStore
from schemas.classes import CLASSES
from tests.serving.service_process import running
from tests.support.jobs import ROOT, ask, rows_of, run_job
from tests.support.kafka_server import free_port

pytest_plugins = ["tests.support.kafka_server", "tests.support.prism"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prism")]

FAULTS = {
    "late": 0.1,
    "duplicates": 0.05,
    "corrections": 0.05,
    "deletions": 0.02,
    "bad": 0.05,
    "too_late": 0.01,
    "future": 0.01,
}
STREAM = ("--stop_when_idle", "3s", "--early_every", "1s", "--late_every", "1s")


def command(module, *arguments, **faults):
    words = [sys.executable, "-m", module, *arguments]
    for name, share in faults.items():
        words += [f"--{name}", share]
    return [str(word) for word in words]


def run(module, *arguments, **faults):
    done = subprocess.run(
        command(module, *arguments, **faults),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done


@contextlib.contextmanager
def started(module, *arguments, **faults):
    """A command that runs while the block does, and is interrupted after it."""
    process = subprocess.Popen(
        command(module, *arguments, **faults),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()


def balance_of(*arguments):
    """The balance of a run of the main command."""
    done = run("pipelines.regional_means", *arguments, "--format", "json")
    return json.loads(done.stdout)["balance"]


def expected(counts):
    sent = json.loads(counts.read_text())
    assert sent["balance"]["read"] > 0
    return {name: sent["balance"].get(name, 0) for name in ("read", *CLASSES)}, sent


@pytest.mark.parametrize("kind", ["regional", "air_quality", "mixed"])
def test_messages_through_kafka(kafka_server, tmp_path, kind):
    uri = kafka_server.uri(kafka_server.topic(3))
    counts, file = tmp_path / "sent.json", tmp_path / "sent.jsonl"
    what = ("--format", kind, "--rate", 0, "--messages", 6000, "--duration", "2h", "--sensors", 300)
    run("pipelines.simulate", *what, "--output", uri, "--counts", counts, **FAULTS)
    # In a stream of so much history versions are to be remembered as long as they may come.
    how = ("--remember_versions", "3d", *STREAM, "--group_by", "both", "--window", "15m/5m", "1h")
    found = balance_of("--input", uri, "--output", tmp_path / "stream", *how)
    wanted, _ = expected(counts)
    assert found == wanted
    # The same messages as a file have no arrival, so none is too late.
    run("pipelines.simulate", *what, "--output", file, **FAULTS)
    if kind == "regional":
        assert found["too_late"] > 0
    means = ask(tmp_path / "stream", "SELECT count(*) FROM sensor_means")[0][0]
    assert (means > 0) == (kind != "regional")
    # What is not late is the same by hour whichever way it came.
    plain = {name: share for name, share in FAULTS.items() if name not in {"too_late", "future"}}
    second = kafka_server.uri(kafka_server.topic(2))
    run("pipelines.simulate", *what, "--output", second, **plain)
    run("pipelines.simulate", *what, "--output", file, **plain)
    how = ("--remember_versions", "3d", *STREAM)
    balance_of("--input", second, "--output", tmp_path / "queue", *how)
    run_job("--input", file, "--output", tmp_path / "file", "--quiet")
    # A minimum that was corrected is NULL until somebody has looked it up.
    run("pipelines.reconcile", "--output", tmp_path / "queue")
    views = ("hourly_means", "sliding_means")
    assert rows_of(tmp_path / "queue", *views) == rows_of(tmp_path / "file", *views)


def test_devices_through_the_receiving_service(kafka_server, tmp_path):
    topic = kafka_server.uri(kafka_server.topic(2))
    counts, register = tmp_path / "sent.json", tmp_path / "devices.csv"
    with running("--output", topic) as service:
        url = f"http://{service.host}:{service.port}"
        run(
            "pipelines.simulate",
            *("--format", "device", "--output", url, "--counts", counts, "--devices", register),
            *("--rate", 500, "--messages", 2000, "--sensors", 100, "--delay", "1s"),
            bad=0.05,
            duplicates=0.05,
        )
    how = ("--devices", register, "--group_by", "both", "--window", "10s/10s", "1h", *STREAM)
    found = balance_of("--input", topic, "--output", tmp_path / "out", *how)
    wanted, sent = expected(counts)
    # What the service has refused was never on the queue.
    refused = sum(sent["refused"].values()) if isinstance(sent["refused"], dict) else 0
    assert refused > 0
    assert found["read"] == wanted["read"] - (0 if found["read"] == wanted["read"] else refused)
    for name in ("counted", "duplicate", "no_place", "outside"):
        assert found[name] == wanted[name], (found, wanted, sent["refused"])
    windows = ask(
        tmp_path / "out",
        "SELECT sum(count)::BIGINT FROM sensor_means WHERE window_size = 10",
    )
    assert windows == [(found["counted"] + found["no_place"] + found["outside"],)]
    assert ask(tmp_path / "out", "SELECT count(*) > 0 FROM hourly_means") == [(True,)]


def test_a_polled_interface(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMULATED_KEY", "not-to-be-shown")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    counts, port = tmp_path / "sent.json", free_port()
    serve = ("--serve", port, "--api_key_env", "SIMULATED_KEY", "--interval", "1s")
    what = ("--sensors", 200, "--rate", 200, "--counts", counts, "--quiet")
    how = ("--http_interval", "1s", "--http_key_env", "SIMULATED_KEY", "--format", "json")
    how = (*how, "--early_every", "1s")
    with started("pipelines.simulate", *serve, *what, bad=0.05) as simulator:
        job = started(
            "pipelines.regional_means",
            *("--input", f"http://127.0.0.1:{port}/", "--output", tmp_path / "out", *how),
        )
        with job as process:
            positions = LocalStore(tmp_path / "out").positions
            until = time.monotonic() + 90
            while not positions() and time.monotonic() < until:
                time.sleep(0.2)
            time.sleep(5)
            # First whoever asks, so that nothing is served that nobody reads.
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=90)
        simulator.send_signal(signal.SIGINT)
        simulator.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)["balance"]
    wanted, _ = expected(counts)
    assert found["read"] > 0
    assert found == wanted
    assert "not-to-be-shown" not in out + err


def test_air_quality_through_pubsub(emulator, tmp_path):
    del emulator
    from tests.support.pubsub_emulator import Queue  # noqa: PLC0415 - needs the emulator

    queue = Queue()
    counts = tmp_path / "sent.json"
    try:
        run(
            "pipelines.simulate",
            *("--format", "air_quality", "--output", queue.topic_uri, "--counts", counts),
            *("--rate", 2000, "--messages", 1500, "--sensors", 100, "--delay", "1s"),
            bad=0.1,
            duplicates=0.1,
            corrections=0.1,
        )
        how = ("--group_by", "sensor", "--window", "15m/5m", *STREAM)
        found = balance_of("--input", queue.uri, "--output", tmp_path / "out", *how)
        left = queue.left()
    finally:
        queue.close()
    wanted, _ = expected(counts)
    # A repeat that overtakes the version after it is a duplicate, else superseded: Pub/Sub keeps no
    # order.
    assert found.pop("duplicate") + found.pop("superseded") == wanted.pop("duplicate") + wanted.pop(
        "superseded"
    )
    assert found == wanted
    assert left == []
    sensors = ask(tmp_path / "out", "SELECT count(DISTINCT sensor_id) FROM sensor_means")
    assert sensors[0][0] > 10


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    from tests.support.pubsub_emulator import running_emulator  # noqa: PLC0415

    with running_emulator(tmp_path_factory.mktemp("pubsub")) as running_one:
        yield running_one


def test_results_and_dead_letters_become_messages(kafka_server, tmp_path):
    means, letters = kafka_server.topic(), kafka_server.topic()
    source = kafka_server.uri(kafka_server.topic(2))
    run(
        "pipelines.simulate",
        *("--rate", 0, "--messages", 3000, "--duration", "2h", "--output", source),
        bad=0.05,
        corrections=0.05,
    )
    how = ("--remember_versions", "3d", *STREAM, "--window", "hourly")
    outputs = ("--output", tmp_path / "out", kafka_server.uri(means))
    found = balance_of(
        "--input", source, *outputs, "--dead_letters", kafka_server.uri(letters), *how
    )
    rejected = [json.loads(value) for value in values_of(kafka_server, letters)]
    assert len(rejected) == found["rejected"]
    newest = {}
    for value in values_of(kafka_server, means):
        message = json.loads(value)
        newest[message["region_code"], message["window"]["start"]] = message
    rows = ask(
        tmp_path / "out",
        "SELECT region_code, strftime(hour, '%Y-%m-%dT%H:%M:%SZ'), count, mean FROM hourly_means",
    )
    assert len(rows) > 10
    for code, hour, count, mean in rows:
        assert (newest[code, hour]["count"], newest[code, hour]["mean"]) == (count, mean)


def values_of(server, topic):
    """All messages of a topic's only partition."""
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": "test"})
    try:
        partition = TopicPartition(topic, 0, 0)
        _, high = consumer.get_watermark_offsets(partition, timeout=20)
        consumer.assign([partition])
        found = []
        while len(found) < high:
            found += [message.value() for message in consumer.consume(1000, 5)]
    finally:
        consumer.close()
    return found


def test_a_batch_sends_its_results_too(kafka_server, tmp_path):
    topic = kafka_server.topic()
    file = tmp_path / "sent.jsonl"
    run("pipelines.simulate", "--messages", 1000, "--output", file)
    outputs = ("--output", tmp_path / "out", kafka_server.uri(topic))
    balance_of("--input", file, *outputs, "--window", "hourly")
    rows = ask(tmp_path / "out", "SELECT count(*) FROM regional_means_revisions")[0][0]
    assert len(values_of(kafka_server, topic)) == rows
    wrong = subprocess.run(
        command(
            "pipelines.regional_means",
            *("--input", file, "--output", tmp_path / "other"),
            kafka_server.uri("nowhere"),
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert wrong.returncode == 1
    assert wrong.stderr.count("\n") == 1
    assert "nowhere" in wrong.stderr
