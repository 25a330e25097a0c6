"""A stream into BigQuery's emulator, on Prism: its views are those of one batch run."""

from __future__ import annotations

import json
import os
import re
import signal
import time

import pytest

from connectors.bigquery.client import open_client
from connectors.bigquery.options import BigQueryOptions
from connectors.bigquery.reconcile import reconcile_dataset
from connectors.output_error import OutputError
from tests.support import faulty_proxy as faults
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_rows import asked, new_dataset, views_of
from tests.support.jobs import rows_of, run_job
from tests.support.prism import prism  # noqa: F401 - a fixture
from tests.support.stream_job import append, messages, stream_job, wait_for
from transforms.balance import CLASSES

MEANS = ("hourly_means", "sliding_means")
QUICK = ("--early_every=1s", "--late_every=1s", "--idle_after=1s")
END = ("--stop_when_idle=3s", "--format=json")
COUNTED = "SELECT IFNULL(SUM(count), 0) FROM `{d}.hourly_means`"
ARCHIVED = "SELECT COUNT(DISTINCT id) FROM `{d}.readings`"


@pytest.fixture
def dataset(bigquery_emulator, prism):  # noqa: F811, ARG001
    return new_dataset(bigquery_emulator)


@pytest.fixture
def proxy(bigquery_emulator, monkeypatch):  # noqa: F811
    with faults.proxying(bigquery_emulator.rest, bigquery_emulator.grpc) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.rest)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.grpc)
        yield proxy


def whole_seconds(lines):
    """The emulator's UNIX_SECONDS rounds to the nearest second, and BigQuery's down."""
    return [re.sub(r"\.\d{6}", "", line) for line in lines]


def corrected(lines, step):
    """New versions of some of the readings, and what is no reading."""
    found = []
    for line in lines[::step]:
        fields = json.loads(line)
        found.append(json.dumps({**fields, "temperature": 30, "version": 2}))
    return [*found, "{", lines[0]]


def without_extremes(views):
    return {
        name: [re.sub(r"'(min|max)': [^,]+, ", "", row) for row in rows]
        for name, rows in views.items()
    }


def without_last_digit(views):
    return {
        name: [re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.12g}", row) for row in rows]
        for name, rows in views.items()
    }


def of_one_batch(folder, tmp_path):
    store = tmp_path / "batch"
    done = run_job("--input", f"{folder}/*.jsonl", "--output", store, "--quiet")
    assert done.code == 0, done.err
    return rows_of(store, *MEANS)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["auto", "storage_write_api"])
def test_a_stream_gives_the_views_of_one_batch_run(dataset, proxy, tmp_path, method):
    folder, lines = tmp_path / "in", whole_seconds(messages(range(600), step=9))
    append(folder / "a.jsonl", lines)
    proxy.fails("insertAll", faults.status(503, "backendError"), times=2)
    proxy.fails("insertAll", faults.dropped)
    way = ("--bigquery_method", method)
    with stream_job(folder, dataset.uri, *QUICK, *END, *way) as job:
        wait_for(lambda: asked(dataset, COUNTED)[0][0] == 600, job, 120)
        # Late panes of windows that were given out.
        append(folder / "a.jsonl", corrected(lines, 7))
        out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    summary = json.loads(out)
    balance = summary["balance"]
    assert balance["read"] == sum(balance[name] for name in CLASSES) == 600 + 88
    assert summary["failed_rows"] == 0
    wanted = of_one_batch(folder, tmp_path)
    # A minimum that was taken back is NULL until the windows are reconciled.
    found = views_of(dataset, *MEANS)
    assert without_extremes(found) == without_extremes(wanted)
    reconcile_dataset(open_client(dataset.project), dataset)
    assert without_last_digit(views_of(dataset, *MEANS)) == without_last_digit(wanted)
    assert asked(dataset, "SELECT COUNT(*) FROM `{d}.rejected_readings`") == [(1,)]
    used = {path for _, path in proxy.requests}
    assert any("AppendRows" in path for path in used) == (method == "storage_write_api")


@pytest.mark.slow
def test_nothing_is_acknowledged_before_bigquery_has_it(dataset, proxy, tmp_path):
    folder = tmp_path / "in"
    append(folder / "a.jsonl", messages(range(50)))
    told = folder / "a.stored"
    refused = faults.status(503, "backendError")
    proxy.fails("/readings/insertAll", refused, times=10**6)
    with stream_job(folder, dataset.uri, *QUICK, *END, "--bigquery_retry_for=2m") as job:
        asked_for = "tables/readings/insertAll"
        wait_for(lambda: sum(asked_for in path for _, path in proxy.requests) > 3, job, 120)
        assert not told.exists()
        proxy.rules.clear()
        wait_for(told.exists, job, 60)
        assert asked(dataset, ARCHIVED) == [(50,)]
        out, err = job.communicate(timeout=120)
    assert job.returncode == 0, err
    assert json.loads(out)["balance"]["counted"] == 50


@pytest.mark.slow
def test_a_stream_that_was_killed_is_right_after_reconciliation(dataset, tmp_path):
    folder, lines = tmp_path / "in", whole_seconds(messages(range(300), step=9))
    append(folder / "a.jsonl", lines)
    with stream_job(folder, dataset.uri, *QUICK) as job:
        wait_for(lambda: asked(dataset, COUNTED)[0][0], job, 120)
        os.kill(job.pid, signal.SIGKILL)
        job.wait(30)
    append(folder / "a.jsonl", corrected(lines, 5))
    with stream_job(folder, dataset.uri, *QUICK, *END) as job:
        _, err = job.communicate(timeout=180)
    assert job.returncode == 0, err
    reconcile_dataset(open_client(dataset.project), dataset, group_by="region")
    # A standard deviation of the query may differ in its last digit.
    found, wanted = views_of(dataset, *MEANS), of_one_batch(folder, tmp_path)
    assert without_last_digit(found) == without_last_digit(wanted)


@pytest.mark.slow
def test_a_stream_that_cannot_be_written_ends_with_its_sentence(dataset, proxy, tmp_path):
    folder = tmp_path / "in"
    append(folder / "a.jsonl", messages(range(5)))
    proxy.fails("insertAll", faults.status(403, "quotaExceeded", "Quota exceeded"), times=10**6)
    began = time.monotonic()
    with stream_job(folder, dataset.uri, *QUICK, *END, "--bigquery_retry_for=1s") as job:
        _, err = job.communicate(timeout=180)
    assert job.returncode == 1
    assert "takes no rows for 1 s: Quota exceeded (--bigquery_retry_for waits longer)" in err
    assert time.monotonic() - began < 120


def test_load_jobs_are_not_for_streams(dataset, tmp_path):
    folder = tmp_path / "in"
    append(folder / "a.jsonl", messages(range(5)))
    with stream_job(folder, dataset.uri, "--bigquery_method=file_loads") as job:
        _, err = job.communicate(timeout=120)
    assert job.returncode == 1
    assert "--bigquery_method file_loads is for files; for streams it is" in err


def test_the_method_follows_the_runner_and_the_input():
    auto = BigQueryOptions()
    assert auto.method_for(bounded=True, runner="DataflowRunner") == "file_loads"
    assert auto.method_for(bounded=False, runner="DataflowRunner") == "storage_write_api"
    assert auto.method_for(bounded=False, runner=None) == "streaming_inserts"
    chosen = BigQueryOptions("storage_write_api_cdc")
    assert chosen.method_for(bounded=False, runner="FlinkRunner") == "storage_write_api_cdc"
    with pytest.raises(OutputError, match="is for files"):
        BigQueryOptions("file_loads").method_for(bounded=False, runner=None)
