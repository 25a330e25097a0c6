"""What a run shows of sensors when it is done."""

from __future__ import annotations

import datetime
import json

from connectors.local_store import LocalStore
from connectors.local_store.reconcile import reconcile
from pipelines.reconcile import as_json as reconciled_json
from pipelines.reconcile import as_text as reconciled_text
from pipelines.sensor_summary import newest_window
from pipelines.summary import as_json, as_text, summarise
from tests.support.placed_rows import reading
from tests.support.stores import archive_only, run
from transforms.windows import SlidingWindow

WINDOWS = (SlidingWindow(30, 10), SlidingWindow(10, 10))
SECOND = 1_000_000
NOON = 1_550_577_600 * SECOND
BALANCE = {"read": 1, "counted": 1, "rejected": 0}


def filled(folder, sensors, group_by="sensor"):
    rows = [
        reading(n, sensor_id=name, event_time=NOON + 10 * SECOND * turn, value_micros=n * SECOND)
        for turn in range(2)
        for n, name in enumerate(sensors, start=100 * turn)
    ]
    run(folder, "one", rows, WINDOWS, group_by=group_by)
    return folder


def newest(folder):
    with LocalStore(folder).connect() as connection:
        return newest_window(connection)


def test_the_newest_window_of_the_shortest_kind_is_shown(tmp_path):
    window = newest(filled(tmp_path, ["b", "a"]))
    assert window.start == datetime.datetime(2019, 2, 19, 12, 0, 10, tzinfo=datetime.UTC)
    assert (window.size, window.total) == (10, 2)
    assert window.lines() == [
        "10 s from 2019-02-19 12:00:10 UTC",
        "sensor  quantity     count    mean     min     max",
        "a       temperature      1  101.00  101.00  101.00",
        "b       temperature      1  100.00  100.00  100.00",
    ]


def test_of_many_sensors_the_first_are_shown_and_the_others_counted(tmp_path):
    window = newest(filled(tmp_path, [f"{n:03}" for n in range(25)]))
    assert [row["sensor_id"] for row in window.rows] == [f"{n:03}" for n in range(20)]
    assert window.lines()[-1] == "and 5 more"


def test_what_sensors_are_called_cannot_steer_a_terminal(tmp_path):
    lines = newest(filled(tmp_path, ["\x1b[31mred"])).lines()
    assert lines[2].startswith("\\x1b[31mred")


def test_the_summary_has_the_sensors_and_how_to_ask_for_them(tmp_path):
    folder = filled(tmp_path, ["a"])
    summary = summarise(str(folder), "one", BALANCE, {}, (), 1.0, 10)
    text = as_text(summary)
    assert "10 s from 2019-02-19 12:00:10 UTC" in text
    assert "FROM sensor_means" in text
    found = json.loads(as_json(summary))
    assert found["sensors"]["start"] == "2019-02-19T12:00:10Z"
    assert found["sensors"]["rows"][0]["mean"] == 100.0


def test_a_store_of_regions_has_no_sensors(tmp_path):
    assert newest(filled(tmp_path, ["a"], "region")) is None


def test_reconciliation_names_the_sensors_that_it_corrects(tmp_path):
    archive_only(filled(tmp_path, ["a"]), "late", [reading(9, sensor_id="z")], WINDOWS, "sensor")
    done = reconcile(LocalStore(tmp_path))
    assert "sensor z, temperature, 10 s every 10 s from 2019-02-19T12:00:00Z: count" in (
        reconciled_text(done)
    )
    assert json.loads(reconciled_json(done))["differences"][0]["sensor_id"] == "z"
