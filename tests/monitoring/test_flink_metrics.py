"""A stream on a real Flink: what the dashboard and the alerts ask for is there, and plausible."""

from __future__ import annotations

import datetime
import re
import subprocess
import time
from collections import defaultdict

import pytest
import requests

from deploy.monitoring.dashboard import expressions
from deploy.monitoring.scraping import relabelings
from pipelines.flink_cluster import request
from tests.monitoring.test_dashboard_and_alerts import named
from tests.support.flink import flink_cluster, job_server_jar  # noqa: F401 - fixtures
from tests.support.jobs import ROOT, command
from tests.support.kafka_server import kafka_server  # noqa: F401 - a fixture
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, line
from tests.support.prometheus import installed, relabelled, running_prometheus, samples
from tests.support.stream_job import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("job_server_jar")]

PORT = re.compile(r"Started PrometheusReporter HTTP server on port (\d+)")
ELSEWHERE = re.compile(
    # Of other sources and outputs, and of what goes wrong.
    r"regional_means_(bigquery_.*|sink_.*|source_responses_.*|source_messages_gone_total)|up"
)
SECONDS = 400.0
ROUND = 26
"""Messages of a round."""


def messages(number):
    """A round: twenty good ones, one of them twice; late, too late, outside and bad ones."""
    now = datetime.datetime.now(datetime.UTC)

    def ago(seconds):
        return (now - datetime.timedelta(seconds=seconds)).isoformat()

    good = [
        line(id=f"r{number}-{each}", timestamp=ago(0.5), temperature=each, **PARIS)
        for each in range(20)
    ]
    return [
        *good,
        good[0],
        line(id=f"late{number}", timestamp=ago(30), temperature=3, **TOULOUSE),
        line(id=f"too-late{number}", timestamp=ago(7200), temperature=3, **TOULOUSE),
        line(id=f"sea{number}", timestamp=ago(1), temperature=3, **AT_SEA),
        b"no JSON",
        b'{"id": "x"}',
    ]


def scraped(ports):
    """The series of both processes as the rules leave them: by name, labels and value."""
    found = defaultdict(list)
    for port in ports:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
        for series in samples(text):
            kept = relabelled(series, relabelings())
            if kept is not None and kept[0].get("job_name") == "measured":
                found[kept[0]["__name__"]].append(kept)
    return found


def total(found, name, **labels):
    return sum(
        value for given, value in found[name] if all(given[key] == labels[key] for key in labels)
    )


def test_what_is_asked_for_is_there_and_plausible(flink_cluster, kafka_server, tmp_path):  # noqa: F811
    topic, sent, master = kafka_server.topic(2), 0, f"http://{flink_cluster.address}"
    logs = [flink_cluster.data / f"{name}.log" for name in ("jobmanager", "taskmanager")]
    ports = [int(PORT.findall(log.read_text("utf-8"))[-1]) for log in logs]
    wanted = {name for name, _ in named() if not ELSEWHERE.fullmatch(name)}
    words = command(
        *("--input", kafka_server.uri(topic), "--output", tmp_path / "store", "--quiet"),
        *("--runner=FlinkRunner", f"--flink_master={flink_cluster.address}"),
        *("--job_name=measured", "--checkpointing_interval=1000", "--window", "10s", "hourly"),
        *("--early_every", "1s", "--late_every", "1s", "--out_of_orderness", "2s"),
        *("--idle_after", "2s", "--allowed_lateness", "10m"),
    )

    def send():
        nonlocal sent
        kafka_server.send(topic, messages(sent), partition=sent % 2)
        sent += 1

    def all_there():
        send()
        found = scraped(ports)
        missing = wanted - set(found)
        timings = {labels["timing"] for labels, _ in found["regional_means_panes_total"]}
        return found if not missing and timings == {"early", "on_time", "late"} else None

    def all_read():
        found = scraped(ports)
        counts = found["regional_means_readings"]
        enough = sum(value for _, value in counts) == total(
            found, "regional_means_readings_read_total"
        )
        return (
            found
            if enough and total(found, "regional_means_source_messages_total") == sent * ROUND
            else None
        )

    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as job:
        try:
            wait_for(all_there, job, SECONDS)
            found = wait_for(all_read, job, SECONDS)
            _check_values(found, sent, topic)
            _check_rest(master, job)
            if installed("prometheus"):
                _check_prometheus(ports, tmp_path / "prometheus", send, job)
        finally:
            # Nobody needs its results.
            for each in request(master, "/jobs/overview")["jobs"]:
                if each["name"] == "measured":
                    requests.patch(f"{master}/jobs/{each['jid']}?mode=cancel", timeout=60)
            job.kill()


def _check_values(found, sent, topic):
    now = time.time()
    classes = {labels["class"]: 0 for labels, _ in found["regional_means_readings"]}
    for labels, value in found["regional_means_readings"]:
        classes[labels["class"]] += value
    assert classes == {
        "counted": 21 * sent,
        "duplicate": sent,
        "outside": sent,
        "rejected": 2 * sent,
        "too_late": sent,
    }
    for reason in ("not_json", "missing_field"):
        assert total(found, "regional_means_rejected_total", reason=reason) == sent
    assert 0 < total(found, "regional_means_late_readings_total") <= sent
    parts = {f"{topic}_{number}".replace("-", "_") for number in range(2)}
    for name in ("lag_messages", "watermark_timestamp_seconds"):
        assert {labels["part"] for labels, _ in found[f"regional_means_{name}"]} == parts
    assert all(value == 0 for _, value in found["regional_means_lag_messages"])
    for _, value in found["regional_means_watermark_timestamp_seconds"]:
        assert now - SECONDS < value <= now
    bucket = "regional_means_event_to_arrival_milliseconds_bucket"
    # The rejected and the repeated ones: the former have no event time.
    assert total(found, bucket, le="+Inf") == 24 * sent
    assert total(found, bucket, le="60000") >= 23 * sent
    assert total(found, bucket, le="3600000") == 23 * sent
    rows = total(found, "regional_means_arrival_to_result_milliseconds_bucket", le="+Inf")
    assert 0 < rows <= total(found, "regional_means_panes_total")
    assert 0 < total(found, "regional_means_arrival_to_result_milliseconds_sum") / rows < 400_000
    # Each version in memory; a worker that serves several tasks tells each of them.
    assert max(value for _, value in found["regional_means_state_versions"]) == 22 * sent
    assert max(value for _, value in found["regional_means_state_bytes"]) > 37 * 22 * sent
    assert total(found, "regional_means_store_commits_total") > 0
    assert now - SECONDS < total(found, "regional_means_store_last_commit_timestamp_seconds") <= now
    assert total(found, "flink_jobmanager_job_numberOfCompletedCheckpoints") > 0
    assert total(found, "flink_jobmanager_job_lastCheckpointFullSize") > 0


def _check_rest(master, job):
    """Flink's web page shows the metrics at the steps, those that Prometheus cannot have too."""
    jobs = request(master, "/jobs/overview")["jobs"]
    (running,) = [each["jid"] for each in jobs if each["name"] == "measured"]
    vertices = [each["id"] for each in request(master, f"/jobs/{running}")["vertices"]]
    wanted = ("source_messages", "source_lag", "balance_counted", "panes_early")

    def shown():
        # The JobManager fetches them now and then, once somebody has asked.
        pages = [request(master, f"/jobs/{running}/vertices/{each}/metrics") for each in vertices]
        names = {one["id"] for page in pages for one in page}
        return all(any(name.endswith(f".{each}") for name in names) for each in wanted)

    wait_for(shown, job, SECONDS)


def _check_prometheus(ports, folder, send, job):
    """Every line of the dashboard has values in a real Prometheus, where one is installed."""

    def change(config):
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"] = config["scrape_configs"][:1]
        targets = [f"127.0.0.1:{port}" for port in ports]
        config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]

    lines = [
        line.replace("$job_name", "measured").replace("$__rate_interval", "30s")
        for line in expressions()
    ]
    with running_prometheus(folder, change) as ask:

        def all_answered():
            send()
            open_lines = [line for line in lines if not ELSEWHERE.search(line) and not ask(line)]
            return not open_lines

        wait_for(all_answered, job, SECONDS)
        assert all(one["value"][1] == "1" for one in ask("up"))
        answer = ask('regional_means_readings_read_total{job_name="measured"}')
        assert all("operator_name" not in one["metric"] for one in answer)
