"""Batches as rows of BigQuery's tables, and which of them fit."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bigquery import checks
from connectors.bigquery.checks import check_rows
from connectors.bigquery.failures import FailedRow, failed_batch, json_rows
from connectors.bigquery.insert import InsertAll
from connectors.bigquery.rows import means_rows, readings_rows, rejected_rows
from connectors.bigquery.sending import Answer, Patience, halves, send_rows
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError
from schemas.reading import REJECTED
from schemas.tables import arrow_schema
from tests.support.bigquery_rows import RUN, mean, means, rejected, rows_of
from tests.support.placed_rows import placed_rows, reading
from transforms.check_arrival import mark_too_late

DATASET = Dataset("test-project", "d")


def test_means_go_to_the_table_of_their_series():
    batch = means(mean(), mean(sensor_id="s", region_code=None, region=None), mean(mean=2.0))
    tables = dict(means_rows(batch, RUN))
    assert {table: rows.num_rows for table, rows in tables.items()} == {
        "regional_means_revisions": 2,
        "sensor_means_revisions": 1,
    }
    for table, rows in tables.items():
        assert rows.schema.names == arrow_schema(table).names
        assert rows.schema.types == arrow_schema(table).types
        moments = rows.column("emitted_at").cast(pa.int64())
        assert rows.column("revision").equals(moments)
        assert set(rows.column("run_id").to_pylist()) == {RUN.run_id}


def test_of_two_panes_of_a_window_the_later_one_has_the_greater_revision():
    batch = means(mean(mean=1.0), mean(mean=2.0), mean(mean=3.0))
    ((_, rows),) = means_rows(batch, RUN)
    ((_, later),) = means_rows(means(mean(mean=4.0)), RUN)
    columns = [rows.column(name).to_pylist() for name in ("mean", "revision")]
    by_mean = dict(zip(*columns, strict=True))
    assert by_mean[1.0] < by_mean[2.0] < by_mean[3.0] < later.column("revision")[0].as_py()


def test_a_batch_without_rows_gives_none():
    assert not list(means_rows(means(), RUN))
    assert not list(readings_rows(placed_rows([]), RUN))
    assert not list(rejected_rows(pa.RecordBatch.from_pylist([], schema=REJECTED), RUN))


def test_readings_have_plain_columns_of_the_table():
    batch = placed_rows(
        [reading(value_micros=1_250_000), reading(id=None, value_micros=-3_000_000)]
    )
    ((table, rows),) = readings_rows(batch, RUN)
    assert table == "readings"
    assert rows.schema.types == arrow_schema("readings").types
    assert rows.column("value").to_pylist() == [1.25, -3.0]
    assert rows.column("too_late").to_pylist() == [False, False]
    ((_, late),) = readings_rows(mark_too_late(batch), RUN)
    assert late.column("too_late").to_pylist() == [True, True]


def test_rows_that_fit_are_left_as_they_are():
    rows = rejected(range(3))
    fitting, failed = check_rows("rejected_readings", rows)
    assert fitting is rows
    assert failed == []


def test_each_row_that_does_not_fit_says_why_once(monkeypatch):
    monkeypatch.setattr(checks, "LARGEST_ROW", 1000)
    rows = pa.concat_batches(
        [
            rejected(range(1)),
            rejected(range(1, 2), reason=None, rejected_at=None),
            rejected(range(2, 3), raw="x" * 1001),
            rejected(range(3, 4)),
        ]
    )
    fitting, failed = check_rows("rejected_readings", rows)
    assert fitting.column("source").to_pylist() == ["file#byte=0", "file#byte=3"]
    assert [(each.reason, each.detail) for each in failed] == [
        ("null_value", "reason is NULL, and the table requires it"),
        ("too_large", "the row is larger than 0 MiB"),
    ]
    assert json.loads(failed[0].row)["source"] == "file#byte=1"


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_moment_fits_where_bigquery_has_it(micros):
    rows = rejected(range(2))
    place = rows.schema.get_field_index("rejected_at")
    times = pa.array([0, micros]).view(pa.timestamp("us", tz="UTC"))
    rows = rows.set_column(place, rows.schema.field(place), times)
    fitting, failed = check_rows("rejected_readings", rows)
    has_it = -62_135_596_800_000_000 <= micros <= 253_402_300_799_999_999
    assert fitting.num_rows == 1 + has_it
    assert [each.reason for each in failed] == [] if has_it else ["out_of_range"]


def test_the_last_windows_of_the_calendar_do_not_fit():
    end = pa.array([253_402_300_800_000_000]).view(pa.timestamp("us", tz="UTC"))
    ((table, rows),) = means_rows(means(mean()), RUN)
    place = rows.schema.get_field_index("window_end")
    rows = rows.set_column(place, rows.schema.field(place), end)
    fitting, failed = check_rows(table, rows)
    assert fitting.num_rows == 0
    # The row is told though Python has no such year.
    assert json.loads(failed[0].row)["window_end"] == "10000-01-01 00:00:00.000000Z"


def test_a_failed_row_is_a_row_of_its_table_and_long_texts_are_cut():
    rows = rejected(range(1), raw="x" * 2_000_000, reason=None)
    _, failed = check_rows("rejected_readings", rows)
    batch = failed_batch(failed, "r")
    assert batch.schema.names == arrow_schema("failed_rows").names
    (row,) = batch.to_pylist()
    assert row["table_name"] == "rejected_readings"
    assert row["run_id"] == "r"
    assert len(json.loads(row["row"])["raw"]) == 65_536
    assert check_rows("failed_rows", batch) == (batch, [])


def test_json_has_names_for_what_is_not_finite_and_texts_for_whole_numbers():
    rows = pa.record_batch(
        {
            "a": pa.array([2**63 - 1, None]),
            "b": [float("inf"), float("nan")],
            "c": [float("-inf"), None],
            "d": pa.array([b"\x00\xff", None]),
            "e": [True, None],
        }
    )
    assert json_rows(rows) == [
        {"a": "9223372036854775807", "b": "Infinity", "c": "-Infinity", "d": "AP8=", "e": True},
        {"b": "NaN"},
    ]


def test_requests_hold_all_rows_in_their_order():
    sender = InsertAll(None, DATASET, 1.0)
    rows = rejected(range(1234))
    parts = sender.parts(rows)
    assert [part.num_rows for part in parts] == [500, 500, 234]
    assert pa.Table.from_batches(parts).combine_chunks().to_batches()[0].equals(rows)
    # Characters that JSON writes in six bytes count for six.
    assert len(sender.parts(rejected(range(3), raw="\u0001" * 1_000_000))) == 3


class Moody:
    """A BigQuery that fails at random, and never takes rows whose number is divisible by 7."""

    def __init__(self, choose):
        self.choose, self.table = choose, []

    def parts(self, rows):
        return [rows.slice(0, rows.num_rows // 2), rows.slice(rows.num_rows // 2)]

    def send(self, table, parts):
        assert table == "rejected_readings"
        return [self._take(part) for part in parts]

    def _take(self, part):
        if part.num_rows == 0:
            return Answer()
        numbers = [int(each.split("=")[1]) for each in part.column("source").to_pylist()]
        bad = {place: ("bad", "7") for place, each in enumerate(numbers) if each % 7 == 0}
        mood = self.choose()
        if mood == "trouble":
            return Answer(left=[part], trouble=ConnectionError("cut"))
        if bad and mood == "whole":
            return halves(part, ("bad", "7"))
        good = [place for place in range(len(numbers)) if place not in bad]
        if bad and mood == "named":
            return Answer(bad, [part.take(pa.array(good))] if good else [])
        self.table += [numbers[place] for place in good]
        return Answer(bad)


@given(st.integers(0, 40), st.lists(st.sampled_from(["trouble", "whole", "named", "good"])))
def test_whatever_fails_each_row_is_written_or_failed_once(count, moods):
    def choose():
        return moods.pop() if moods else "good"

    sender = Moody(choose)
    waits = []
    patience = Patience(3600, sleep=waits.append)
    sent = send_rows(sender, DATASET, "rejected_readings", rejected(range(count)), patience)
    assert sorted(sender.table) == [each for each in range(count) if each % 7]
    failed = [json.loads(each.row)["source"] for each in sent.failed]
    assert sorted(failed) == sorted(f"file#byte={each}" for each in range(0, count, 7))
    assert sent.written + len(sent.failed) == count


def test_waits_grow_and_are_never_the_same():
    waits = []
    patience = Patience(1e9, sleep=waits.append)
    for _ in range(30):
        patience.wait("x", ConnectionError())
    assert all(0 < wait <= 40 for wait in waits)
    assert np.mean(waits[-10:]) > 5 * np.mean(waits[:3])
    assert len(set(waits)) == len(waits)
    with pytest.raises(OutputError, match="x for 0 s: gone"):
        Patience(0).wait("x", ConnectionError("gone"))


def test_failed_rows_say_what_is_missing():
    row = FailedRow("t", "r", "d", "{}")
    assert failed_batch([row, row], "x").num_rows == 2
    assert rows_of("failed_rows", []).schema.equals(failed_batch([], "x").schema)
