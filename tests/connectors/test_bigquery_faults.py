"""Each fault of BigQuery: what passes is tried again, what does not is told; no row is lost."""

from __future__ import annotations

import grpc
import pytest

from connectors.bigquery.append import AppendRows, open_write_client
from connectors.bigquery.client import open_client
from connectors.bigquery.insert import InsertAll
from connectors.bigquery.sending import Patience, send_rows
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError
from tests.support import faulty_proxy as faults
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_rows import NOW, asked, new_dataset, rejected, rows_of, sources

INSERTS, CALLS = "insertAll", "AppendRows"
INVALID, NOT_FOUND, UNAVAILABLE, EXHAUSTED = 3, 5, 14, 8


@pytest.fixture
def dataset(bigquery_emulator):  # noqa: F811
    return new_dataset(bigquery_emulator, "rejected_readings", "readings")


@pytest.fixture
def proxy(bigquery_emulator, monkeypatch):  # noqa: F811
    with faults.proxying(bigquery_emulator.rest, bigquery_emulator.grpc) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.rest)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.grpc)
        yield proxy


def insert(dataset, rows, *, table="rejected_readings", seconds=20.0, timeout=20.0):
    sender = InsertAll(open_client(dataset.project), dataset, timeout)
    return send_rows(sender, dataset, table, rows, Patience(seconds))


def append(dataset, rows, *, table="rejected_readings", seconds=20.0, timeout=20.0):
    sender = AppendRows(open_write_client(), dataset, timeout)
    return send_rows(sender, dataset, table, rows, Patience(seconds))


def expected(numbers, without=()):
    return sorted(f"file#byte={number}" for number in numbers if number not in without)


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(500, "internalError"),
        faults.status(503, "backendError"),
        faults.status(429, "rateLimitExceeded"),
        faults.status(403, "rateLimitExceeded"),
        faults.status(403, "quotaExceeded"),
        faults.dropped,
    ],
    ids=["500", "503", "429", "rate", "quota", "dropped"],
)
def test_a_streaming_insert_that_fails_for_now_is_tried_again(dataset, proxy, fault):
    proxy.fails(INSERTS, fault, times=2)
    sent = insert(dataset, rejected(range(30)))
    assert proxy.pending == 0
    assert (sent.written, sent.failed) == (30, [])
    assert sent.retried == 60
    assert sources(dataset) == expected(range(30))


def test_a_slow_answer_is_not_waited_for(dataset, proxy):
    proxy.fails(INSERTS, faults.slow(3.0))
    sent = insert(dataset, rejected(range(3)), timeout=0.5)
    assert (sent.written, sent.retried) == (3, 3)
    # BigQuery may leave out what it has had; the emulator does not, and the views do.
    assert set(sources(dataset)) == set(expected(range(3)))


def test_an_attempt_that_is_repeated_has_the_identifiers_of_the_first(dataset, proxy):
    seen = []

    def noted(exchange):
        seen.append(exchange.body)
        exchange.handler.drop()

    proxy.fails(INSERTS, noted, times=2)
    insert(dataset, rejected(range(2)))
    assert seen[0] == seen[1]
    assert b'"insertId"' in seen[0]


def test_a_lost_answer_loses_no_row(dataset, proxy):
    proxy.fails(INSERTS, faults.answer_lost)
    sent = insert(dataset, rejected(range(5)))
    assert sent.written == 5
    assert set(sources(dataset)) == set(expected(range(5)))


def test_one_row_that_is_refused_does_not_keep_the_others(dataset, proxy):
    proxy.fails(INSERTS, faults.row_refused(3, "invalid", "no such field: x"))
    sent = insert(dataset, rejected(range(8)))
    assert sources(dataset) == expected(range(8), without=[3])
    (failed,) = sent.failed
    assert (failed.table, failed.reason) == ("rejected_readings", "invalid")
    assert failed.detail == "source: no such field: x"
    assert '"file#byte=3"' in failed.row
    assert sent.written == 7


@pytest.mark.parametrize("reason", ["backendError", "timeout", "stopped"])
def test_a_row_that_was_not_written_for_no_fault_of_its_own_is_sent_again(dataset, proxy, reason):
    proxy.fails(INSERTS, faults.row_refused(2, reason))
    sent = insert(dataset, rejected(range(6)))
    assert (sent.written, sent.retried, sent.failed) == (6, 1, [])
    assert sources(dataset) == expected(range(6))


def test_a_request_that_is_refused_as_a_whole_is_halved(dataset, proxy):
    proxy.fails(INSERTS, faults.status(400, "invalid", "no such field: x"))
    sent = insert(dataset, rejected(range(9)))
    assert (sent.written, sent.failed) == (9, [])
    assert sources(dataset) == expected(range(9))


def test_rows_that_are_refused_each_by_itself_fail_and_nothing_hangs(dataset, proxy):
    proxy.fails(INSERTS, faults.status(400, "invalid", "no such field: x"), times=1000)
    sent = insert(dataset, rejected(range(9)))
    assert sent.written == 0
    assert [each.detail for each in sent.failed] == ["no such field: x"] * 9
    assert len(proxy.requests) == 17


@pytest.mark.parametrize("way", [insert, append])
def test_patience_has_an_end(dataset, proxy, way):
    proxy.fails(INSERTS, faults.status(403, "quotaExceeded", "Quota exceeded"), times=1000)
    proxy.fails(CALLS, faults.ends_with(grpc.StatusCode.RESOURCE_EXHAUSTED), times=1000)
    with pytest.raises(OutputError, match=r"takes no rows for 1\.5 s: .*--bigquery_retry_for"):
        way(dataset, rejected(range(3)), seconds=1.5)
    assert sources(dataset) == []


@pytest.mark.parametrize("way", [insert, append])
def test_a_table_that_is_not_there_is_named_with_the_remedy(dataset, way):
    missing = Dataset(dataset.project, "nowhere")
    with pytest.raises(OutputError, match=r"is not there: run python -m deploy\.bigquery big"):
        way(missing, rejected(range(1)))


def test_what_may_not_be_written_is_not_tried_for_long(dataset, proxy):
    proxy.fails(INSERTS, faults.status(403, "accessDenied", "Access Denied: Table"), times=9)
    with pytest.raises(OutputError, match="cannot be written: Access Denied: Table"):
        insert(dataset, rejected(range(1)))
    assert proxy.pending == 8
    proxy.fails(CALLS, faults.ends_with(grpc.StatusCode.PERMISSION_DENIED), times=9)
    with pytest.raises(OutputError, match=r"cannot be written: .*injected"):
        append(dataset, rejected(range(1)))


def test_rows_go_in_requests_that_are_small_enough(dataset, proxy):
    sent = insert(dataset, rejected(range(1201)))
    assert sent.written == 1201
    assert len(proxy.requests) == 3
    long = rejected(range(7), raw="x" * (4 << 20))
    assert insert(dataset, long).written == 7
    assert len(proxy.requests) == 7
    before = len(proxy.requests)
    assert append(dataset, long).written == 7
    assert len(proxy.requests) == before + 1
    assert len(sources(dataset)) == 1215


@pytest.mark.parametrize(
    "fault",
    [
        faults.ends_with(grpc.StatusCode.UNAVAILABLE),
        faults.ends_with(grpc.StatusCode.INTERNAL),
        faults.ends_with(grpc.StatusCode.RESOURCE_EXHAUSTED),
        faults.ends_with(grpc.StatusCode.ABORTED),
        faults.ends_with(grpc.StatusCode.UNAVAILABLE, after=1),
        faults.answers_error(0, UNAVAILABLE),
        faults.answers_error(1, EXHAUSTED),
    ],
    ids=["unavailable", "internal", "exhausted", "aborted", "cut", "first", "second"],
)
def test_an_append_that_fails_for_now_is_tried_again(dataset, proxy, fault):
    proxy.fails(CALLS, fault)
    # Three requests of one call.
    rows = rejected(range(5), raw="x" * (2 << 20))
    sent = append(dataset, rows)
    assert proxy.pending == 0
    assert (sent.written, sent.failed) == (5, [])
    # What was written before the connection was cut may be written again.
    assert sorted(set(sources(dataset))) == expected(range(5))
    assert sent.retried


def test_an_append_that_is_not_answered_is_not_waited_for(dataset, proxy):
    proxy.fails(CALLS, faults.silent(30.0))
    sent = append(dataset, rejected(range(2)), timeout=1.0)
    assert (sent.written, sent.retried) == (2, 2)
    assert set(sources(dataset)) == set(expected(range(2)))


def test_rows_that_an_append_names_are_taken_out_of_their_request(dataset, proxy):
    proxy.fails(CALLS, faults.answers_error(0, INVALID, {1: "bad value", 4: "worse"}))
    sent = append(dataset, rejected(range(6)))
    assert sources(dataset) == expected(range(6), without=[1, 4])
    assert [(each.reason, each.detail) for each in sent.failed] == [
        ("fields_error", "bad value"),
        ("fields_error", "worse"),
    ]
    assert sent.written == 4


def test_an_append_that_is_refused_as_a_whole_is_halved(dataset, proxy):
    proxy.fails(CALLS, faults.answers_error(0, INVALID))
    sent = append(dataset, rejected(range(6)))
    assert (sent.written, sent.failed) == (6, [])
    assert sources(dataset) == expected(range(6))


def test_both_ways_write_the_same_values(dataset):
    row = {
        "format": "f",
        "id": None,
        "sensor_id": "é\u0001\\",
        "quantity": "temperature",
        "event_time": NOW.replace(year=1, microsecond=1),
        "longitude": 0.1 + 0.2,
        "latitude": -0.0,
        "value": float("nan"),
        "in_france": True,
        "region_code": "01",
        "region": None,
        "version": 2**62 + 1,
        "version_kind": "version",
        "deleted": False,
        "too_late": False,
        "source": "s",
        "arrived_at": None,
        "ingested_at": NOW.replace(year=9999, microsecond=999_999),
        "run_id": "r",
    }
    rows = rows_of("readings", [row, {**row, "value": float("-inf")}])
    insert(dataset, rows, table="readings")
    query = "SELECT * EXCEPT (value), CAST(value AS STRING) FROM `{d}.readings` ORDER BY value"
    first = asked(dataset, query)
    append(dataset, rows, table="readings")
    assert len(first) == 2
    assert sorted(map(repr, asked(dataset, query))) == sorted(map(repr, first * 2))
    assert first[0][0:6] == ("f", None, "é\u0001\\", "temperature", row["event_time"], 0.1 + 0.2)
    assert row["version"] in first[0]
