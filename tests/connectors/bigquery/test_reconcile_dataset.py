"""`sql/reconcile.sql` on an emulator against the local store's reconciliation."""

from __future__ import annotations

import datetime
import json
import math
import random

import pytest

import sql
from connectors.bigquery.reconcile import grouping_of, reconcile_dataset
from connectors.bigquery.uri import parse
from connectors.local_store import LocalStore
from connectors.local_store.reconcile import reconcile
from pipelines.reconcile import main
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_tables import fill_from_store, new_tables, rows
from tests.support.placed_rows import NOON, reading
from tests.support.stores import archive_only, run
from transforms.windows import HOURLY, SLIDING, SlidingWindow

pytestmark = pytest.mark.slow
MINUTE = 60_000_000
HOUR = 60 * MINUTE
REGIONS = ["11", "76"]
VALUES = "count, mean, min, max, stddev"
SHOWN = {
    "hourly_means": f"region_code, region, quantity, hour, {VALUES}, mean_3h_before",
    "sliding_means": "region_code, region, quantity, window_size, window_period, window_start, "
    f"window_end, {VALUES}",
    "sensor_means": "sensor_id, quantity, window_size, window_period, window_start, window_end, "
    f"{VALUES}",
}


def shown(connection_or_client, dataset=None):
    """What the views of the means show, without who wrote it and when."""
    found = {}
    for view, columns in SHOWN.items():
        query = f"SELECT {columns} FROM {view}"
        if dataset is None:
            listed = connection_or_client.sql(query).fetchall()
        else:
            listed = rows(connection_or_client, dataset, query)
        found[view] = sorted(map(tuple, listed), key=repr)
    return found


def in_store(folder):
    with LocalStore(folder).connect() as connection:
        return shown(connection)


def assert_same(remote, local):
    for view, expected in local.items():
        assert len(remote[view]) == len(expected), view
        for one, other in zip(remote[view], expected, strict=True):
            assert all(map(same, one, other)), (view, one, other)


def same(one, other):
    """A standard deviation may differ in its last digit."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=2e-15)
    return one == other


def scattered(seed, count=60, **changes):
    """Readings here and there, over nine hours."""
    chance = random.Random(seed)
    return [
        reading(
            number,
            event_time=NOON + chance.randrange(9 * 60) * MINUTE,
            value_micros=chance.randrange(-5_000_000, 35_000_000),
            region_code=chance.choice(REGIONS),
            sensor_id=chance.choice(["s1", "s2", None]),
            quantity=chance.choice(["temperature", "humidity"]),
        )
        | changes
        for number in range(count)
    ]


def corrected(seed, rows_before):
    """Newer versions, deletions, readings that moved in time and place."""
    chance = random.Random(seed)
    found = []
    for row in rows_before[::3]:
        changes = {"version": 2, "version_kind": 3}
        kind = chance.randrange(4)
        if kind == 0:
            found.append(
                reading(0, id=row["id"], quantity=row["quantity"], deleted=True, **changes)
            )
            continue
        moved = {**row, **changes}
        moved["event_time"] += chance.randrange(-200, 200) * MINUTE
        if kind == 1:
            moved |= {"region_code": None, "region": None, "longitude": 2.0, "latitude": 40.0}
        found.append(moved)
    return found


@pytest.mark.parametrize(
    ("group_by", "windows"),
    [
        ("region", (HOURLY, SLIDING)),
        ("sensor", (SlidingWindow(900, 300), SlidingWindow(10, 10))),
        ("both", (HOURLY, SlidingWindow(7200, 1800))),
    ],
)
def test_late_readings_corrections_and_lost_rows_end_as_in_a_store(
    group_by,
    windows,
    tmp_path,
    bigquery_emulator,  # noqa: F811
):
    store, client = tmp_path / "store", bigquery_emulator.client
    before = scattered(1)
    nowhere = {"region_code": None, "region": None, "longitude": None, "latitude": None}
    before += scattered(2, 12, sensor_id="s3", format="device", **nowhere)
    run(store, "first", before, windows, group_by=group_by)
    archive_only(store, "late", corrected(3, before), windows, group_by)
    dataset = new_tables(bigquery_emulator)
    fill_from_store(client, dataset, store)
    reconcile(LocalStore(store))
    # Rows that are lost, and rows that are wrong.
    for table, owner in (
        ("regional_means_revisions", "region_code"),
        ("sensor_means_revisions", "sensor_id"),
    ):
        client.query(
            f"DELETE FROM `{dataset.table(table)}` "
            "WHERE MOD(EXTRACT(HOUR FROM window_start), 4) = 0"
        ).result()
        client.query(
            f"UPDATE `{dataset.table(table)}` SET mean = 1.5 WHERE {owner} IN ('11', 's2')"
        ).result()
    done = reconcile_dataset(client, dataset, group_by=group_by)
    assert done.run_id is not None
    assert done.differences.num_rows > 10
    local = in_store(store)
    assert any(local.values())
    assert_same(shown(client, dataset), local)
    again = reconcile_dataset(client, dataset, group_by=group_by)
    assert (again.run_id, again.differences.num_rows) == (None, 0)
    assert again.windows >= sum(map(len, local.values()))
    if group_by != "region":
        assert grouping_of(client, dataset) == group_by


def test_two_runs_that_know_nothing_of_each_other_end_as_one_over_both(
    tmp_path,
    bigquery_emulator,  # noqa: F811
):
    client, dataset = bigquery_emulator.client, new_tables(bigquery_emulator)
    first = scattered(4)
    second = [*first[20:40], *corrected(5, first), *scattered(6, 100)[60:]]
    for name, part in (("one", first), ("two", second)):
        run(tmp_path / name, name, part, (HOURLY, SLIDING))
        fill_from_store(client, dataset, tmp_path / name)
    run(tmp_path / "both", "both", [*first, *second], (HOURLY, SLIDING))
    assert grouping_of(client, dataset) == "region"
    reconcile_dataset(client, dataset)
    assert_same(shown(client, dataset), in_store(tmp_path / "both"))


def test_readings_alone_get_hourly_and_sliding_windows(tmp_path, bigquery_emulator):  # noqa: F811
    client, dataset = bigquery_emulator.client, new_tables(bigquery_emulator)
    run(tmp_path / "store", "run", scattered(7), (HOURLY, SLIDING))
    fill_from_store(client, dataset, tmp_path / "store", ("readings",))
    done = reconcile_dataset(client, dataset, report=False)
    assert done.run_id is not None
    assert_same(shown(client, dataset), in_store(tmp_path / "store"))
    emitted = rows(
        client,
        dataset,
        "SELECT DISTINCT pane, run_id, revision = UNIX_MICROS(emitted_at) "
        "FROM regional_means_revisions",
    )
    assert emitted == [("reconciled", done.run_id, True)]


def test_a_window_that_lost_all_its_readings_is_hidden_and_a_span_is_kept(
    tmp_path,
    bigquery_emulator,  # noqa: F811
):
    client, dataset = bigquery_emulator.client, new_tables(bigquery_emulator)
    readings = [reading(number, event_time=NOON + number * HOUR) for number in range(3)]
    run(tmp_path / "store", "run", readings)
    gone = [reading(number, version=1, version_kind=3, deleted=True) for number in (0, 2)]
    archive_only(tmp_path / "store", "late", gone)
    fill_from_store(client, dataset, tmp_path / "store")
    noon = datetime.datetime.fromtimestamp(NOON / 1e6, datetime.UTC)
    hour = datetime.timedelta(hours=1)
    assert len(shown(client, dataset)["hourly_means"]) == 3
    done = reconcile_dataset(client, dataset, noon, noon + hour)
    (row,) = done.differences.to_pylist()
    assert (row["window_start"], row["count_before"], row["count_after"]) == (noon, 1, 0)
    assert (row["mean_before"], row["mean_after"]) == (0.0, None)
    assert [row[3] for row in shown(client, dataset)["hourly_means"]] == [
        noon + hour,
        noon + 2 * hour,
    ]
    reconcile_dataset(client, dataset, noon + hour)
    assert [row[3] for row in shown(client, dataset)["hourly_means"]] == [noon + hour]


def test_the_row_that_is_replaced_may_have_any_revision(tmp_path, bigquery_emulator):  # noqa: F811
    client, dataset = bigquery_emulator.client, new_tables(bigquery_emulator)
    run(tmp_path / "store", "run", [reading(1)])
    fill_from_store(client, dataset, tmp_path / "store")
    ahead = 1 << 60
    client.query(
        f"UPDATE `{dataset.table('regional_means_revisions')}` SET revision = {ahead}, mean = 0 "
        "WHERE TRUE"
    ).result()
    reconcile_dataset(client, dataset)
    found = rows(client, dataset, "SELECT revision, mean FROM hourly_means")
    assert found == [(ahead + 1, 1.5)]


def test_the_command_says_what_differed(tmp_path, bigquery_emulator, capsys):  # noqa: F811
    client, dataset = bigquery_emulator.client, new_tables(bigquery_emulator)
    run(tmp_path / "store", "run", [reading(1), reading(2, event_time=NOON + HOUR)])
    fill_from_store(client, dataset, tmp_path / "store")
    client.query(
        f"DELETE FROM `{dataset.table('regional_means_revisions')}` "
        "WHERE window_start = TIMESTAMP_MICROS({NOON})".replace("{NOON}", str(NOON))
    ).result()
    command = ["--output", dataset.uri]
    assert main([*command, "--format", "json", "--from", "2000-01-01"]) == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["differences"]
    assert one["before"]["count"] == 0
    assert one["after"] == {"count": 1, "mean": 1.5, "min": 1.5, "max": 1.5, "stddev": None}
    assert main(command) == 0
    assert capsys.readouterr().out == "2 windows checked; nothing differed\n"
    assert main([*command, "--quiet", "--group_by", "both"]) == 0
    assert capsys.readouterr().out == ""


def test_errors_are_sentences(bigquery_emulator, capsys, tmp_path):  # noqa: F811
    empty = parse(bigquery_emulator.new_dataset())
    assert main(["--output", empty.uri]) == 1
    assert empty.uri in capsys.readouterr().err
    assert main(["--output", "bigquery://nonsense"]) == 1
    assert "write bigquery://PROJECT.DATASET" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--output", str(tmp_path), "--group_by", "both"])


def test_the_two_statements_differ_only_in_whose_windows_they_are():
    regions, sensors = (statement.splitlines() for statement in sql.reconcile())
    begin = next(n for n, line in enumerate(regions) if line.startswith("-- Windows of"))
    mine = {line.strip() for line in regions[begin:]} ^ {line.strip() for line in sensors}
    assert all(
        "region" in line or "sensor" in line or "owner" in line or "longitude" in line
        for line in mine
    ), mine
