"""The steps that write to BigQuery: what they do with rows that fail, and jobs that fail."""

from __future__ import annotations

import itertools

import pytest
from google.api_core import exceptions

from connectors.bigquery import parquet, write_rows
from connectors.bigquery.after_run import _moved, touched
from connectors.bigquery.append import AppendRows, open_write_client
from connectors.bigquery.client import open_client
from connectors.bigquery.load import LoadJobs
from connectors.bigquery.parquet import LoadFile, WriteParquet, write_file
from connectors.bigquery.rows import INPUTS
from connectors.bigquery.sending import Patience, send_rows
from connectors.bigquery.transient import is_passing, one_line
from connectors.bigquery.upserts import _ToUpserts
from connectors.bigquery.write_rows import WriteRows
from connectors.output_error import OutputError
from schemas.reading import REJECTED
from tests.support import faulty_proxy as faults
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_rows import (
    NOW,
    RUN,
    asked,
    mean,
    means,
    new_dataset,
    rejected,
    sources,
)
from transforms.balance import tally

REJECTED_ROWS = INPUTS["rejected_readings"]


@pytest.fixture
def dataset(bigquery_emulator):  # noqa: F811
    return new_dataset(bigquery_emulator, "rejected_readings", "readings", "failed_rows")


@pytest.fixture
def proxy(bigquery_emulator, monkeypatch):  # noqa: F811
    with faults.proxying(bigquery_emulator.rest, bigquery_emulator.grpc) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.rest)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.grpc)
        yield proxy


def records(numbers, **more):
    """A batch of rejected records as the pipeline gives it."""
    rows = rejected(numbers, **more)
    return rows.select(REJECTED.names)


def bundle(step, *batches):
    """What a step gives for one bundle."""
    step.start_bundle()
    found = list(itertools.chain.from_iterable(step.process(each) or () for each in batches))
    return [*found, *(each.value for each in step.finish_bundle())]


@pytest.mark.parametrize("method", ["streaming_inserts", "storage_write_api"])
def test_rows_that_fail_are_in_failed_rows_and_the_others_in_their_table(dataset, proxy, method):
    step = WriteRows(dataset, RUN, REJECTED_ROWS, method, 20.0)
    step.setup()
    proxy.fails("rejected_readings/insertAll", faults.row_refused(0, "invalid", "no such field"))
    proxy.fails("AppendRows", faults.answers_error(0, 3, {0: "no such field"}))
    before = {name: tally("bigquery", name) for name in ("written", "failed")}
    given = bundle(step, records(range(3)), records(range(3, 5), detail=None))
    step.teardown()
    assert given == ["rejected_readings"]
    assert sources(dataset) == ["file#byte=1", "file#byte=2"]
    query = "SELECT table_name, reason, detail, run_id FROM `{d}.failed_rows` ORDER BY detail"
    reason = "invalid" if method == "streaming_inserts" else "fields_error"
    detail = "source: no such field" if method == "streaming_inserts" else "no such field"
    null = ("null_value", "detail is NULL, and the table requires it")
    assert asked(dataset, query) == sorted(
        [
            ("rejected_readings", *null, RUN.run_id),
            ("rejected_readings", *null, RUN.run_id),
            ("rejected_readings", reason, detail, RUN.run_id),
        ],
        key=lambda row: row[2],
    )
    counted = {name: tally("bigquery", name) - number for name, number in before.items()}
    assert counted == {"written": 2, "failed": 3}


def test_where_failed_rows_cannot_be_written_either_the_bundle_fails(dataset, proxy):
    step = WriteRows(dataset, RUN, REJECTED_ROWS, "streaming_inserts", 20.0)
    step.setup()
    proxy.fails("failed_rows/insertAll", faults.row_refused(0, "invalid", "no such field"))
    with pytest.raises(OutputError, match=r"failed_rows refuses rows, too: .*deploy\.bigquery"):
        bundle(step, records(range(2), detail=None))


def test_a_bundle_that_is_large_is_written_in_parts(dataset, proxy, monkeypatch):
    monkeypatch.setattr(write_rows, "HELD_BYTES", 100)
    step = WriteRows(dataset, RUN, REJECTED_ROWS, "streaming_inserts", 20.0)
    step.setup()
    assert bundle(step, records(range(2)), records(range(2, 4))) == ["rejected_readings"] * 2
    assert len(proxy.requests) == 2
    assert len(sources(dataset)) == 4


def test_files_are_written_by_table_and_what_does_not_fit_is_a_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "FILE_BYTES", 300)
    step = WriteParquet(str(tmp_path), RUN, REJECTED_ROWS)
    given = bundle(step, records(range(9)), records(range(9, 10), detail=None), records(range(1)))
    assert [(file.table, file.rows) for file in given] == [
        ("rejected_readings", 9),
        ("failed_rows", 1),
        ("rejected_readings", 1),
    ]
    assert all(file.path.startswith(str(tmp_path / file.table)) for file in given)
    with pytest.raises(OutputError, match=r"/proc/.* cannot be written"):
        write_file("/proc/none/x.parquet", [rejected(range(1))])


def loaded(dataset, tmp_path, *, seconds=20.0, run_id="a-run"):
    path = str(tmp_path / "a.parquet")
    file = LoadFile("rejected_readings", path, write_file(path, [rejected(range(4))]))
    jobs = LoadJobs(open_client(dataset.project), dataset, "US", run_id, seconds)
    jobs.load([file, file])


def test_the_same_load_again_loads_nothing(dataset, proxy, tmp_path):
    assert proxy.rest
    loaded(dataset, tmp_path)
    loaded(dataset, tmp_path)
    assert len(sources(dataset)) == 4
    loaded(dataset, tmp_path, run_id="another")
    assert len(sources(dataset)) == 8


def test_a_job_that_bigquery_broke_is_begun_under_another_name(dataset, proxy, tmp_path):
    """The first job fails when it runs; the second one is its own."""
    names = []

    def breaks(exchange):
        code, headers, content = exchange.forward()
        names.append(exchange.handler.path)
        broken = b'"state": "DONE", "errorResult": {"reason": "backendError", "message": "broken"}'
        exchange.answer(code, headers, content.replace(b'"state": "DONE"', broken))

    # The first look finds no job, the second asks how the first job ended.
    proxy.fails(
        r"jobs/regional-means-a-run-rejected_readings-0-0",
        lambda each: each.answer(*each.forward()),
    )
    proxy.fails(r"upload_id", breaks)
    loaded(dataset, tmp_path)
    begun = {path for _, path in proxy.requests if "rejected_readings-0-1" in path}
    assert names
    assert begun


def test_a_load_that_is_refused_says_why(dataset, proxy, tmp_path):
    proxy.fails("/upload/", faults.status(400, "invalid", "Provided Schema does not match"), 5)
    with pytest.raises(OutputError, match="cannot be loaded: Provided Schema does not match"):
        loaded(dataset, tmp_path)


def test_a_load_is_not_tried_for_ever(dataset, proxy, tmp_path):
    proxy.fails("/upload/", faults.status(403, "quotaExceeded", "Quota exceeded"), 10**6)
    with pytest.raises(OutputError, match=r"cannot be loaded for 1 s: Quota exceeded"):
        loaded(dataset, tmp_path, seconds=1.0)


def test_a_load_into_a_table_that_is_gone_names_the_remedy(dataset, tmp_path):
    open_client(dataset.project).delete_table(dataset.table("rejected_readings"))
    with pytest.raises(OutputError, match=r"is not there: run python -m deploy\.bigquery"):
        loaded(dataset, tmp_path)


def test_a_run_without_readings_touches_no_window(dataset):
    assert touched(open_client(dataset.project), dataset, RUN) is None


def test_a_span_ends_where_the_calendar_does():
    assert _moved(NOW.replace(year=1, day=1, hour=0), -(NOW - NOW.replace(hour=1))) is None


def test_columns_that_a_table_lacks_are_no_fault_of_rows(dataset, proxy):
    def lacks(requests, context, forward):  # noqa: ARG001
        error = faults.types.AppendRowsResponse()
        error.error.code, error.error.message = 3, "SCHEMA_MISMATCH_EXTRA_FIELDS: x"
        yield faults.types.AppendRowsResponse.serialize(error)

    proxy.fails("AppendRows", lacks)
    sender = AppendRows(open_write_client(), dataset, 20.0)
    with pytest.raises(OutputError, match=r"lacks columns .*run python -m deploy\.bigquery"):
        send_rows(sender, dataset, "rejected_readings", rejected(range(2)), Patience(1.0))


def test_without_credentials_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv("BIGQUERY_STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(OutputError, match="there are no credentials for BigQuery"):
        open_write_client()


def test_errors_that_pass_are_told_from_those_that_stay():
    assert is_passing(exceptions.ServiceUnavailable("x"))
    assert is_passing(exceptions.Forbidden("x", errors=[{"reason": "rateLimitExceeded"}]))
    assert not is_passing(exceptions.Forbidden("x", errors=[{"reason": "accessDenied"}]))
    assert not is_passing(exceptions.MethodNotImplemented("x"))
    assert not is_passing(ValueError("x"))
    assert one_line(exceptions.BadRequest("POST http://a/b: no\nsuch field.")) == "no such field"
    assert one_line(ValueError()) == "ValueError"


def test_what_does_not_fit_is_no_upsert():
    upserts = list(_ToUpserts(RUN).process(means(mean(), mean(region=None), mean(sensor_id="s"))))
    assert [each["record"]["region"] for each in upserts] == ["Île-de-France"]
