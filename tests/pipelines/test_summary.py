"""What a run says when it is done."""

from __future__ import annotations

import datetime
import json

import pytest

from pipelines.summary import Summary, as_json, as_text
from tests.support.jobs import run_job
from tests.support.messages import PARIS, TOULOUSE, lines
from transforms.balance import CLASSES

HOUR = datetime.datetime(2019, 2, 19, 14, tzinfo=datetime.UTC)
ROW = {
    "region": "Occitanie", "count": 1234, "mean": 12.345, "min": -0.5, "max": 30.0,
    "mean_3h_before": None,
}  # fmt: skip


def summary(**changes):
    balance = dict.fromkeys(("read", *CLASSES), 0) | changes.pop("balance", {})
    values = {
        "run_id": "run-1",
        "output": "results",
        "rejected": {},
        "damaged": (),
        "hour": HOUR,
        "regions": (ROW,),
        "seconds": 2.0,
        "bytes": 1_540_000,
        **changes,
    }
    return Summary(balance=balance, **values)


def test_the_balance_names_what_there_is():
    text = as_text(
        summary(
            balance={"read": 6_500_000, "counted": 6_000_000, "outside": 1, "too_late": 499_999}
        )
    )
    assert text.splitlines()[:2] == [
        "read 6,500,000 readings = 6,000,000 counted + 1 outside + 499,999 too late",
        "1.5 MB in 2.0 s, 3,250,000 readings/s",
    ]


def test_no_reading_at_all_is_said_too():
    assert as_text(summary()).startswith("read 0 readings = 0 counted\n")


def test_the_table_lines_its_columns_up():
    small = {**ROW, "region": "Provence-Alpes-Côte d'Azur", "count": 1, "mean_3h_before": 7.0}
    text = as_text(summary(regions=(ROW, small))).splitlines()
    begin = text.index("hour from 2019-02-19 14:00 UTC, °C")
    assert text[begin + 1 : begin + 4] == [
        "region                      count   mean    min    max  3 h before",
        "Occitanie                   1,234  12.35  -0.50  30.00           –",
        "Provence-Alpes-Côte d'Azur      1  12.35  -0.50  30.00        7.00",
    ]


def test_an_hour_that_is_not_over_is_called_so():
    now = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    assert "(not over yet)" in as_text(summary(hour=now))
    assert "(not over yet)" not in as_text(summary(hour=now - datetime.timedelta(hours=1)))


@pytest.mark.parametrize("year", [1, 9999])
def test_any_hour_can_be_written(year):
    hour = datetime.datetime(year, 12, 31, 23, tzinfo=datetime.UTC)
    assert f"hour from {year:04d}-12-31 23:00 UTC" in as_text(summary(hour=hour))
    assert json.loads(as_json(summary(hour=hour)))["hour"] == f"{year:04d}-12-31T23:00:00Z"


def test_reasons_are_shown_from_the_most_frequent_on_and_at_most_five():
    reasons = {f"reason_{number}": 1000 - number for number in range(7)}
    text = as_text(summary(balance={"read": 1_000_000, "rejected": 12_345}, rejected=reasons))
    assert (
        "rejected 1.23 % of the records: reason_0 1,000, reason_1 999, reason_2 998, "
        "reason_3 997, reason_4 996"
    ) in text.splitlines()


def test_damage_is_a_warning():
    text = as_text(summary(damaged=("a.gz ends in the middle",)))
    assert "warning: a.gz ends in the middle; what was read of it counts" in text.splitlines()


def test_a_folder_with_a_blank_in_its_name_is_quoted_for_the_shell():
    text = as_text(summary(output="my results"))
    assert "results in my results; ask them in SQL:" in text
    assert "python -m pipelines.query --output 'my results' \"SELECT" in text


def test_without_hourly_means_there_is_no_table():
    text = as_text(summary(hour=None, regions=()))
    assert "hour from" not in text
    assert json.loads(as_json(summary(hour=None, regions=())))["hour"] is None


def test_json_holds_everything():
    found = json.loads(as_json(summary(balance={"read": 1, "counted": 1})))
    assert found["balance"] == {"read": 1, "counted": 1} | dict.fromkeys(CLASSES[1:], 0)
    assert found["regions"] == [ROW]
    assert (found["hour"], found["seconds"], found["bytes"]) == (
        "2019-02-19T14:00:00Z",
        2.0,
        1_540_000,
    )
    assert set(found) == {
        "run_id", "output", "balance", "rejected", "damaged", "hour", "regions", "seconds", "bytes",
        "sensors",
    }  # fmt: skip


def test_the_newest_hour_is_the_newest_that_is_over(tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    earlier = (now - datetime.timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    later = now + datetime.timedelta(days=40)
    (tmp_path / "a.jsonl").write_bytes(
        lines(
            {"timestamp": earlier.isoformat(), **TOULOUSE},
            {"timestamp": later.isoformat(), **PARIS},
        )
    )
    words = ["--input", tmp_path / "a.jsonl", "--format", "json"]
    found = json.loads(run_job(*words, "--output", tmp_path / "out").out)
    assert found["hour"] == f"{earlier:%Y-%m-%dT%H:%M:%SZ}"
    assert [row["region"] for row in found["regions"]] == ["Occitanie"]
    (tmp_path / "a.jsonl").write_bytes(lines({"timestamp": later.isoformat(), **PARIS}))
    found = json.loads(run_job(*words, "--output", tmp_path / "other").out)
    assert found["hour"] == f"{later:%Y-%m-%dT%H}:00:00Z"
