"""`--metrics_port`: what it serves, where, and what it refuses in one sentence."""

from __future__ import annotations

import signal
import socket

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from connectors.input_error import InputError
from pipelines.metrics_server import metrics_address, serving_metrics
from pipelines.options import UsageError
from schemas.metrics import BOUNDS
from tests.support.jobs import run_job
from tests.support.kafka_server import free_port
from tests.support.stream_job import append, messages, stream_job, wait_for
from transforms.balance import Tallies, count
from transforms.measures import EVENT_TO_ARRIVAL, observe, set_gauge

pytest_plugins = ["tests.support.prism"]


def page(port):
    """What is served, by name: labels without the job's, and value."""
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30)
    assert answer.ok
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = {name: text for name, text in sample.labels.items() if name != "job_name"}
            found.setdefault(sample.name, []).append((labels, sample.value))
    return found


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("9400", ("127.0.0.1", 9400)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),  # noqa: S104 - as a user may want it
        (":65535", ("127.0.0.1", 65535)),
    ],
)
def test_a_port_is_of_this_machine_unless_a_host_is_named(given, address):
    assert metrics_address(given) == address


@pytest.mark.parametrize("given", ["", "0", "65536", "-1", "http", "host:", "1.5", "９４００x"])
def test_what_is_no_port_is_refused(given):
    with pytest.raises(UsageError, match="not a port such as 9400"):
        metrics_address(given)


def test_nothing_is_served_unless_it_is_wanted():
    with serving_metrics(None, Tallies(), here=False):
        pass


def test_metrics_are_served_while_the_run_goes_on_and_not_after_it():
    port, tallies = free_port(), Tallies()
    with serving_metrics(str(port), tallies, here=True):
        assert "regional_means_readings" not in page(port)
        count("read", 7)
        count("counted", 5)
        count("counted", -1)
        count("not_json", 2, "rejected")
        count("early", 3, "panes")
        count("messages", 9, "source")
        set_gauge("lag", "readings_0", 40)
        set_gauge("store", "last_commit", 1_795_000_000)
        observe(EVENT_TO_ARRIVAL, np.array([100, 3_000]))
        found = page(port)
    assert found["regional_means_readings_read_total"] == [({}, 7)]
    assert found["regional_means_readings"] == [({"class": "counted"}, 4)]
    assert found["regional_means_rejected_total"] == [({"reason": "not_json"}, 2)]
    assert found["regional_means_panes_total"] == [({"timing": "early"}, 3)]
    assert found["regional_means_source_messages_total"] == [({}, 9)]
    assert ({"part": "readings_0"}, 40) in found["regional_means_lag_messages"]
    last = found["regional_means_store_last_commit_timestamp_seconds"]
    assert last == [({}, 1_795_000_000)]
    buckets = found["regional_means_event_to_arrival_milliseconds_bucket"]
    assert [value for _, value in buckets] == [1, 1, 1, 1, *[2] * (len(BOUNDS) - 3)]
    assert buckets[-1] == ({"le": "+Inf"}, 2)
    assert found["regional_means_event_to_arrival_milliseconds_sum"] == [({}, 3100)]
    assert found["process_resident_memory_bytes"][0][1] > 1_000_000
    with pytest.raises(requests.ConnectionError):
        page(port)


def test_a_port_that_somebody_has_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"--metrics_port {port}: nobody can listen there"),
            serving_metrics(str(port), Tallies(), here=True),
        ):
            pass


def test_a_host_that_is_not_here_is_refused():
    with (
        pytest.raises(InputError, match="nobody can listen there"),
        serving_metrics("no-such-host.invalid:9400", Tallies(), here=True),
    ):
        pass


def test_a_runner_that_counts_elsewhere_is_refused():
    with (
        pytest.raises(InputError, match="a Flink cluster serves its metrics itself"),
        serving_metrics("9400", Tallies(), here=False),
    ):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("prism")
def test_a_stream_on_prism_serves_what_it_counts(tmp_path):
    append(tmp_path / "in" / "a.jsonl", [*messages(range(500)), "no JSON"])
    port = free_port()
    words = ("--metrics_port", port, "--early_every", "1s", "--late_every", "1s")
    with stream_job(tmp_path / "in", tmp_path / "out", *words) as process:

        def all_there():
            try:
                found = page(port)
            except requests.ConnectionError:
                return None
            wanted = ("panes_total", "store_commits_total", "state_versions", "readings")
            there = all(f"regional_means_{name}" in found for name in wanted)
            return found if there else None

        found = wait_for(all_there, process, 240)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert found["regional_means_source_messages_total"] == [({}, 501)]
    assert found["regional_means_readings_read_total"] == [({}, 501)]
    assert ({"class": "counted"}, 500) in found["regional_means_readings"]
    assert ({"reason": "not_json"}, 1) in found["regional_means_rejected_total"]
    assert found["regional_means_event_to_arrival_milliseconds_count"] == [({}, 500)]


@pytest.mark.slow
@pytest.mark.usefixtures("prism")
def test_the_command_says_in_one_sentence_that_the_port_is_taken(tmp_path):
    append(tmp_path / "in" / "a.jsonl", messages(range(5)))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with stream_job(tmp_path / "in", tmp_path / "out", "--metrics_port", port) as process:
            _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    assert err.splitlines()[-1].startswith(f"error: --metrics_port {port}: nobody can listen there")


def test_a_port_that_is_none_is_a_mistake_of_the_command_line(tmp_path):
    done = run_job(
        *("--input", "kafka://127.0.0.1:9/t", "--output", tmp_path / "out"),
        *("--metrics_port", "many"),
    )
    assert done.code == 2, done.err
    assert "not a port such as 9400" in done.err
