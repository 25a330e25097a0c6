"""From Kafka to the store on Prism: killed in the middle, nothing is missing and nothing twice."""

from __future__ import annotations

import datetime
import json
import os
import random
import subprocess
import threading
import time

import pytest

from connectors.local_store import LocalStore
from pipelines import reconcile
from tests.support.jobs import ROOT, ask, rows_of, run_job
from tests.support.kafka_job import command, need_prism
from tests.support.kafka_server import (
    KafkaServer,
    expansion_service,  # noqa: F401 - a fixture
    kafka_server,  # noqa: F401 - a fixture
)
from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, line

START = datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC)
PLACES = (PARIS, TOULOUSE, CAYENNE, AT_SEA)
NUMBER, AHEAD = 200_000, 40_000
HOURS = 6
WAIT = 120.0
VIEWS = ("hourly_means", "sliding_means")


@pytest.fixture
def server(kafka_server) -> KafkaServer:  # noqa: F811
    need_prism()
    return kafka_server


def text(number, total, chance):
    """Message and time stamp of the reading of that number: event times go on, out of order."""
    seconds = number * HOURS * 3600 / total + chance.uniform(-120, 0)
    moment = START + datetime.timedelta(seconds=round(seconds))
    place = PLACES[number % len(PLACES)]
    value = round(chance.gauss(15, 5), 2)
    message = line(id=f"r{number}", timestamp=moment.isoformat(), temperature=value, **place)
    return message, round((moment.timestamp() + 120) * 1000)


class Sender(threading.Thread):
    """Sends messages to both partitions, so many ahead of what is stored; once free, all."""

    def __init__(self, server, topic, messages, store):
        super().__init__(daemon=True)
        self._server, self._topic, self._messages, self._store = server, topic, messages, store
        self.free = threading.Event()

    def run(self):
        producer = self._server.producer()
        for number, (message, stamp) in enumerate(self._messages):
            self._server.put(producer, self._topic, message, number % 2, timestamp=stamp)
            if number % 1000 == 0:
                producer.poll(0)
                while number >= stored_in(self._store) + AHEAD and not self.free.wait(0.02):
                    pass
        assert producer.flush(60) == 0


def stored_in(store):
    """How many messages of both partitions are stored."""
    return sum(store.positions().values())


def start(server, topic, folder, *more):
    """Starts the job as a process."""
    return subprocess.Popen(
        command(server.uri(topic), folder, *more),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


def end(process):
    """Waits for the job's end; gives what it printed."""
    try:
        out, err = process.communicate(timeout=WAIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again(server, tmp_path, capsys):
    chance = random.Random(5)
    messages = [text(number, NUMBER, chance) for number in range(NUMBER)]
    topic, folder = server.topic(2), tmp_path / "stream"
    store = LocalStore(folder)
    store.prepare()
    sender = Sender(server, topic, messages, store)
    process = start(server, topic, folder)
    try:
        sender.start()
        until = time.monotonic() + WAIT
        while stored_in(store) < NUMBER // 4 and time.monotonic() < until:
            assert process.poll() is None, process.stderr.read()[-3000:]
            time.sleep(0.01)
    finally:
        process.kill()
        process.communicate()
    stored = stored_in(store)
    assert NUMBER // 4 <= stored < NUMBER
    sender.free.set()
    sender.join(WAIT)
    again = end(start(server, topic, folder))
    # It went on from where the store was, not from the beginning.
    assert again["source"]["messages"] == NUMBER - stored
    assert stored_in(store) == NUMBER
    query = "SELECT count(*), count(DISTINCT id) FROM readings"
    assert ask(folder, query) == [(NUMBER, NUMBER)]
    group = _group(server, topic, folder)
    assert [server.committed(group, topic, partition) for partition in (0, 1)] == [NUMBER // 2] * 2

    assert reconciled(folder, capsys) == batch(messages, tmp_path)


def reconciled(folder, capsys):
    """The views of a store that has been reconciled."""
    assert reconcile.main(["--output", str(folder), "--format", "json"]) == 0
    capsys.readouterr()
    return rows_of(folder, *VIEWS)


def batch(messages, folder):
    """The views of a store to which a file of the same messages was brought."""
    file, store = folder / "all.jsonl", folder / "batch"
    file.write_bytes(b"\n".join(message for message, _ in messages) + b"\n")
    done = run_job("--input", file, "--output", store, "--quiet")
    assert done.code == 0, done.err
    return rows_of(store, *VIEWS)


@pytest.mark.slow
def test_read_by_java(server, expansion_service, tmp_path, capsys):  # noqa: F811
    number, chance = 20_000, random.Random(6)
    messages = [text(each, number, chance) for each in range(number)]
    messages[7] = (b"no reading", messages[7][1])
    topic, folder = server.topic(2), tmp_path / "stream"
    sender = Sender(server, topic, messages, LocalStore(folder))
    sender.free.set()
    sender.run()
    LocalStore(folder).prepare()
    process = start(server, topic, folder, "--java", expansion_service)
    try:
        stored = wait_for(folder, "SELECT count(*), count(DISTINCT id) FROM readings", process)
        assert stored((number - 1, number - 1))
        rejected = wait_for(folder, "SELECT reason, source FROM rejected_readings", process)
        assert rejected(("not_json", f"{server.uri(topic)}/1#offset=3"))
    finally:
        process.kill()
        process.communicate()
    del messages[7]
    assert reconciled(folder, capsys) == batch(messages, tmp_path)


@pytest.mark.slow
def test_a_silent_partition_holds_nothing_back(server, tmp_path):
    number, chance = 5000, random.Random(7)
    messages = [text(each, number, chance) for each in range(number + 1)]
    topic, folder = server.topic(2), tmp_path / "stream"
    store = LocalStore(folder)
    store.prepare()
    producer = server.producer()
    for message, stamp in messages[:-1]:
        server.put(producer, topic, message, timestamp=stamp)
    assert producer.flush(60) == 0
    process = start(
        server,
        topic,
        folder,
        # A window that an early pane has given out whole gets no row from the watermark.
        *("--stop_when_idle", 1000, "--idle", "clock", "--idle_after", 1, "--early_every", "1h"),
    )
    try:
        query = "SELECT count(*) > 0 FROM regional_means_revisions WHERE pane = 'on_time'"
        assert wait_for(folder, query, process)((True,))
        # It goes on being stored as it comes, not at the end of the stream.
        server.put(producer, topic, messages[-1][0], timestamp=messages[-1][1])
        assert producer.flush(60) == 0
        assert wait_for(folder, "SELECT count(*) FROM readings", process)((number + 1,))
    finally:
        process.kill()
        process.communicate()


def wait_for(folder, query, process):
    """Asks until the only row is as wanted, while the job runs; gives whether it came to that."""

    def came(row):
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            assert process.poll() is None, process.stderr.read()[-3000:]
            if ask(folder, query) == [row]:
                return True
            time.sleep(0.2)
        return False

    return came


def _group(server, topic, folder):
    from connectors.streams.kafka import KafkaSource  # noqa: PLC0415

    return KafkaSource.parse(server.uri(topic), output=str(folder)).group
