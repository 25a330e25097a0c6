"""From a Pub/Sub subscription to the store, on Prism: all that was sent is in the balance."""

from __future__ import annotations

import signal
import time

import pytest

from connectors.local_store import LocalStore
from connectors.streams.pubsub import PubSubSource
from pipelines.reconcile import main as reconcile
from tests.support.jobs import ask, rows_of, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, line
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    Queue,
    emulator_fixture,
    prism_fixture,
    queue_fixture,
    running_emulator,
)
from tests.support.pubsub_job import balance_of, started

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prism")]

MEANS = ("hourly_means", "sliding_means")


def messages(count, first=0):
    """Good readings over some hours, two of three in France."""
    return [
        line(
            id=f"reading {number}",
            timestamp=f"2019-02-19 {10 + number % 5}:{number % 60:02}:00",
            temperature=number % 40,
            country=None,
            version=1,
            **(PARIS, TOULOUSE, AT_SEA)[number % 3],
        )
        for number in range(first, first + count)
    ]


def assert_same_means(store, sent, folder):
    """The store holds what one run over a file of the same messages gives."""
    file, batch = folder / "all.jsonl", folder / "batch"
    file.write_bytes(b"\n".join(sent) + b"\n")
    done = run_job("--input", file, "--output", batch, "--quiet")
    assert done.code == 0, done.err
    assert rows_of(store, *MEANS) == rows_of(batch, *MEANS)


def test_what_is_sent_is_the_balance(queue, tmp_path):
    good = messages(900)
    [bad] = queue.publish([b"bad"])
    queue.publish([*good, *good[:100]])
    store = tmp_path / "store"
    balance = balance_of(started(queue.uri, store))
    assert {name: amount for name, amount in balance.items() if amount} == {
        "read": 1001,
        "counted": 600,
        "outside": 300,
        "duplicate": 100,
        "rejected": 1,
    }
    assert ask(store, "SELECT source FROM rejected_readings") == [(f"{queue.uri}#message={bad}",)]
    assert_same_means(store, good, tmp_path)
    assert queue.left(1) == [], "all of it is acknowledged"


def test_a_topic_goes_on_where_the_last_run_stopped(queue, tmp_path):
    store = tmp_path / "store"
    assert "made now" in PubSubSource(queue.topic_uri, output=str(store)).prepare()
    queue.publish(messages(300))
    assert balance_of(started(queue.topic_uri, store))["read"] == 300
    queue.publish(messages(200, first=300))
    assert balance_of(started(queue.topic_uri, store))["read"] == 200
    assert_same_means(store, messages(500), tmp_path)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_its_commit_all_comes_again_and_counts_once(queue, tmp_path, moment):
    store, sent = tmp_path / "store", messages(600)
    queue.publish(sent)
    killed = started(queue.uri, store, "--die", moment)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert LocalStore(store).positions() == {}
    # Longer than the deadline of what the killed process had pulled.
    balance = balance_of(started(queue.uri, store, "--idle", 25))
    assert balance["read"] == 600
    # What the killed run had committed and not given out is known from the archive.
    assert reconcile(["--output", str(store)]) == 0
    assert_same_means(store, sent, tmp_path)
    assert queue.left(1) == []


def test_an_emulator_that_lost_everything_ends_the_run_with_a_sentence(tmp_path):
    with running_emulator(tmp_path) as emulator:
        queue, store = Queue(), tmp_path / "store"
        queue.publish(messages(100))
        process = started(queue.uri, store, "--idle", 600)
        try:
            until = time.monotonic() + 60
            while not LocalStore(store).positions():
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
            emulator.stop()
            emulator.start()
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
            queue.close()
    assert process.returncode == 1
    assert f"InputError: {queue.uri} does not exist; create it, or correct its name" in err
    assert len(ask(store, "SELECT id FROM readings")) == 100
