"""The main job into BigQuery's emulator: its views hold what the local store's hold."""

from __future__ import annotations

import json

import pytest

from connectors.bigquery.client import open_client
from connectors.bigquery.reconcile import reconcile_dataset
from connectors.output_error import OutputError
from tests.support import faulty_proxy as faults
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_rows import asked, new_dataset, views_of
from tests.support.jobs import rows_of, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, lines
from transforms.balance import CLASSES

MEANS = ("hourly_means", "sliding_means", "sensor_means")
LOCATION = ("--temp_location", "gs://test-bucket/temporary")


@pytest.fixture(autouse=True)
def no_cloud_machine(monkeypatch):
    """Nobody asks the network whether this is a machine of Google's, which takes long."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def dataset(bigquery_emulator):  # noqa: F811
    return new_dataset(bigquery_emulator)


@pytest.fixture
def proxy(bigquery_emulator, monkeypatch):  # noqa: F811
    with faults.proxying(bigquery_emulator.rest, bigquery_emulator.grpc) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.rest)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.grpc)
        yield proxy


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The packaged sample in a local store: its balance, and its views."""
    folder = tmp_path_factory.mktemp("sample")
    return job(folder), rows_of(folder, *MEANS)


def job(output, *words):
    done = run_job("--output", getattr(output, "uri", output), "--format", "json", *words)
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    balance = summary["balance"]
    assert balance["read"] == sum(balance[name] for name in CLASSES)
    return summary


def means_of(dataset):
    found = views_of(dataset, *MEANS)
    assert found["hourly_means"]
    return found


def without_run(summary):
    return {name: summary[name] for name in ("balance", "rejected", "hour", "regions", "sensors")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (),
        LOCATION,
        ("--bigquery_method", "storage_write_api"),
        ("--bigquery_method", "streaming_inserts"),
    ],
    ids=["folder", "bucket", "storage_write_api", "streaming_inserts"],
)
def test_the_sample_gives_the_views_of_the_local_store(
    dataset,
    sample,
    words,
    bigquery_emulator,  # noqa: F811
):
    summary, means = sample
    told = job(dataset, *words)
    assert without_run(told) == without_run(summary)
    assert told["failed_rows"] == 0
    assert means_of(dataset) == means
    balance = told["balance"]
    # The archive has each reading that was accepted, and the means are not reconciled: they were
    # right.
    counts = "SELECT (SELECT COUNT(*) FROM `{d}.readings`), (SELECT COUNT(*) FROM "
    counts += "`{d}.rejected_readings`), (SELECT COUNTIF(pane = 'reconciled') FROM "
    counts += "`{d}.regional_means_revisions`)"
    accepted = balance["read"] - balance["rejected"]
    assert asked(dataset, counts) == [(accepted, balance["rejected"], 0)]
    left = [path for path in bigquery_emulator.folder.rglob("*") if path.suffix == ".parquet"]
    assert left == []


def files_of(folder, *parts):
    folder.mkdir(exist_ok=True)
    found = []
    for number, messages in enumerate(parts):
        found.append(folder / f"{number}.jsonl")
        found[-1].write_bytes(lines(*messages))
    return found


def reading(number, hour, value, place=PARIS, **more):
    moment = f"2019-02-19 {hour:02d}:02:10"
    return {"id": f"r{number}", "timestamp": moment, "temperature": value, **place, **more}


MOVED = (
    [
        reading(1, 8, 1.0),
        reading(2, 8, 2.0),
        reading(3, 20, 3.0, TOULOUSE),
        reading(4, 5, 4.0),
        reading(5, 11, 8.0),
        {"temperature": "warm"},
    ],
    [
        reading(2, 8, 2.0),
        # Its newest version lies in another hour, a day of windows away, and in another region.
        reading(1, 14, 10.0, TOULOUSE, version=2),
        reading(3, 20, 3.5, AT_SEA, version=2),
        reading(4, 5, 4.0, deleted=True, version=2),
        reading(6, 11, 6.0),
    ],
)


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("--bigquery_method", "storage_write_api")])
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0)], ids=["old", "new", "again"])
def test_runs_over_files_that_share_readings_equal_one_run(dataset, tmp_path, order, words):
    if words and len(order) == 2:
        pytest.skip("one order is enough for the other way")
    files = files_of(tmp_path / "files", *MOVED)
    for number in order:
        told = job(dataset, "--input", files[number], *words)
    summary = job(tmp_path / "store", "--input", *files)
    assert means_of(dataset) == rows_of(tmp_path / "store", *MEANS)
    assert told["regions"] == summary["regions"]
    corrected = asked(
        dataset,
        "SELECT COUNT(DISTINCT run_id) FROM `{d}.regional_means_revisions` "
        "WHERE pane = 'reconciled'",
    )
    assert corrected[0][0] >= 1


@pytest.mark.slow
def test_a_later_run_computes_the_windows_that_are_there(dataset, tmp_path):
    files = files_of(tmp_path / "files", *MOVED)
    job(dataset, "--input", files[0], "--window", "2h/1h")
    job(dataset, "--input", files[1], "--window", "hourly")
    job(tmp_path / "store", "--input", files[0], "--window", "2h/1h")
    job(tmp_path / "store", "--input", files[1], "--window", "hourly")
    assert means_of(dataset) == rows_of(tmp_path / "store", *MEANS)


@pytest.mark.slow
@pytest.mark.parametrize("group_by", ["sensor", "both"])
def test_means_by_sensor_are_those_of_the_local_store(dataset, tmp_path, group_by):
    file = tmp_path / "devices.jsonl"
    rows = [
        {
            "device_id": str(number % 3),
            "timestamp": f"2023-03-28T20:0{number}:22Z",
            "temperature": 20 + number,
            "tag": "Thermostat",
        }
        for number in range(9)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--input", file, "--group_by", group_by, "--window", "10m/5m"]
    told = job(dataset, *words)
    summary = job(tmp_path / "store", *words)
    assert told["sensors"] == summary["sensors"]
    found = views_of(dataset, *MEANS)
    assert found == rows_of(tmp_path / "store", *MEANS)
    assert found["sensor_means"]
    refused = run_job("--input", file, "--output", dataset.uri, "--group_by", "region")
    assert refused.code == 1
    assert f"are grouped by {group_by}, not by region: name another dataset" in refused.err


@pytest.mark.slow
def test_windows_of_a_kind_that_is_new_are_computed_for_the_readings_of_former_runs(
    dataset, tmp_path
):
    one = files_of(tmp_path / "one", [reading(1, 8, 1.0)])
    two = files_of(tmp_path / "two", [reading(2, 15, 2.0)])
    job(dataset, "--input", *one, "--window", "hourly")
    job(dataset, "--input", *two, "--window", "1d")
    job(tmp_path / "out", "--input", *one, *two, "--window", "hourly", "1d")
    assert means_of(dataset) == rows_of(tmp_path / "out", *MEANS)


FAULTS = {
    "500": (r"/(upload|jobs)", faults.status(500, "internalError"), 3),
    "quota": (r"/upload", faults.status(403, "quotaExceeded"), 2),
    "rate": (r"/upload", faults.status(403, "jobRateLimitExceeded"), 2),
    "dropped": (r"/(upload|jobs)", faults.dropped, 3),
    "upload cut": (r"upload_id", faults.dropped, 2),
    "answer lost": (r"upload_id", faults.answer_lost, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_load_jobs_that_fail_for_now_load_all_rows_once(dataset, sample, proxy, name):
    proxy.fails(*FAULTS[name])
    told = job(dataset, "--bigquery_retry_for", "60s")
    assert proxy.pending == 0
    assert told["balance"] == sample[0]["balance"]
    assert means_of(dataset) == sample[1]
    accepted = told["balance"]["read"] - told["balance"]["rejected"]
    assert asked(dataset, "SELECT COUNT(*) FROM `{d}.readings`") == [(accepted,)]


@pytest.mark.slow
def test_a_row_that_does_not_fit_is_kept_with_its_reason_and_the_balance_closes(dataset, tmp_path):
    files = files_of(
        tmp_path / "files", [reading(1, 8, 1.0), {"timestamp": "9999-12-31 23:30:00", **PARIS}]
    )
    told = job(dataset, "--input", *files)
    # The windows of the last hour end when BigQuery has no time any more.
    assert told["failed_rows"] > 0
    assert told["balance"]["counted"] == 2
    failed = asked(dataset, "SELECT DISTINCT table_name, reason, detail FROM `{d}.failed_rows`")
    assert failed == [
        (
            "regional_means_revisions",
            "out_of_range",
            "window_end is not in the years 1 to 9999, and TIMESTAMP has no others",
        )
    ]
    done = run_job("--input", *files, "--output", dataset.uri)
    assert "rows do not fit: see the table failed_rows" in done.out


def test_a_dataset_without_tables_is_refused_with_the_command_that_makes_them(
    bigquery_emulator,  # noqa: F811
):
    uri = bigquery_emulator.new_dataset()
    done = run_job("--output", uri)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert f"is not there: run python -m deploy.bigquery {uri} first" in done.err


def test_a_table_that_lacks_a_column_is_refused(bigquery_emulator):  # noqa: F811
    dataset = new_dataset(bigquery_emulator, "readings")
    client = open_client(dataset.project)
    table = client.get_table(dataset.table("readings"))
    client.delete_table(table)
    table.schema = [field for field in table.schema if field.name != "too_late"]
    client.create_table(table)
    done = run_job("--output", dataset.uri)
    assert done.code == 1
    assert "readings lacks the column too_late: run python -m deploy.bigquery" in done.err


def test_what_could_not_be_put_right_is_refused(dataset):
    done = run_job("--output", dataset.uri, "--duplicates", "keep")
    assert done.code == 2
    assert "--duplicates keep is not for BigQuery" in done.err
    told = job(dataset, "--archive", "none", "--window", "hourly")
    assert told["balance"]["counted"]
    again = run_job("--output", dataset.uri, "--archive", "none")
    assert again.code == 1
    assert "holds means already: with --archive none" in again.err
    # Nor can what kept no archive be recomputed, by a run that keeps one or by reconciliation.
    before = means_of(dataset)
    again = run_job("--output", dataset.uri)
    assert again.code == 1
    assert "holds means of a run with --archive none" in again.err
    with pytest.raises(OutputError, match="cannot be recomputed"):
        reconcile_dataset(open_client(dataset.project), dataset)
    assert means_of(dataset) == before


@pytest.mark.parametrize("uri", ["bigquery://p", "bigquery:x", "bigquery://Project.d"])
def test_an_address_that_is_none_is_refused_at_once(uri):
    done = run_job("--output", uri)
    assert done.code == 2
    assert "bigquery://PROJECT.DATASET" in done.err


def test_one_store_takes_the_results(tmp_path):
    done = run_job("--output", tmp_path, "bigquery://test-project.d")
    assert done.code == 2
    assert "one store holds the results, not" in done.err


def test_a_dataset_that_does_not_answer_is_told_in_one_sentence(monkeypatch):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("connectors.bigquery.client.RETRY_SECONDS", 0.5)
    done = run_job("--output", "bigquery://test-project.d")
    assert done.code == 1
    assert done.err.startswith("error: test-project.d.readings cannot be looked at")


def test_load_files_need_a_place_that_workers_share(dataset, tmp_path):
    from connectors.bigquery_sink import WriteToDataset  # noqa: PLC0415
    from tests.support.bigquery_rows import RUN  # noqa: PLC0415

    with pytest.raises(OutputError, match=r"--temp_location gs://"):
        WriteToDataset(dataset.uri, RUN)._folder(str(tmp_path))
