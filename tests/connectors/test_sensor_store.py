"""Means of sensors in the store: which rows its tables show, and that it keeps to one grouping."""

from __future__ import annotations

import pytest

from connectors.local_store import LocalStore, StoreError
from connectors.local_store.compaction import compact
from connectors.local_store.manifest import read_document
from connectors.local_store.reconcile import reconcile
from tests.support.placed_rows import reading
from tests.support.stores import archive_only, run
from transforms.windows import HOURLY, SlidingWindow

TEN_SECONDS = SlidingWindow(10, 10)
ROWS = [
    reading(1, sensor_id="a", value_micros=1_000_000),
    reading(2, sensor_id="a", value_micros=2_000_000, region_code="76"),
    reading(3, sensor_id="b", value_micros=3_000_000, region_code=None),
    reading(4, value_micros=4_000_000),
]


def ask(store, query):
    with store.connect() as connection:
        return connection.execute(query).fetchall()


SENSORS = "SELECT sensor_id, count, mean FROM sensor_means ORDER BY 1"
REGIONS = "SELECT region_code, count, mean FROM sliding_means ORDER BY 1"


def test_each_table_shows_its_rows(tmp_path):
    run(tmp_path, "one", ROWS, (TEN_SECONDS,), group_by="both")
    store = LocalStore(tmp_path)
    assert ask(store, SENSORS) == [("a", 2, 1.5), ("b", 1, 3.0)]
    assert ask(store, REGIONS) == [("11", 2, 2.5), ("76", 1, 2.0)]
    columns = "DESCRIBE regional_means_revisions"
    assert "sensor_id" not in {row[0] for row in ask(store, columns)}
    run(tmp_path, "again", ROWS, (TEN_SECONDS,), group_by="both")
    compact(tmp_path, 10)
    assert ask(store, SENSORS) == [("a", 2, 1.5), ("b", 1, 3.0)]
    assert ask(store, "SELECT count(*) FROM sensor_means_revisions") == [(2,)]
    assert reconcile(store).differences.num_rows == 0


@pytest.mark.parametrize(("first", "second"), [("region", "sensor"), ("sensor", "region")])
def test_another_grouping_is_refused_in_one_sentence(tmp_path, first, second):
    store = LocalStore(tmp_path)
    for group_by in (first, second):
        store.check_grouping(group_by)
    run(tmp_path, "one", ROWS, group_by=first)
    message = f"are grouped by {first}, not by {second}: name another output folder$"
    with pytest.raises(StoreError, match=message):
        store.check_grouping(second)
    with pytest.raises(StoreError, match=message):
        run(tmp_path, "two", ROWS, group_by=second)
    assert ("group_by" in read_document(tmp_path)) == (first != "region")
    run(tmp_path, "three", ROWS[:1], group_by=first)
    assert store.manifest().group_by == first


def test_reconciliation_groups_as_the_store_does(tmp_path):
    run(tmp_path, "one", ROWS[:2], (HOURLY, TEN_SECONDS), group_by="sensor")
    moved = ROWS[0] | {"sensor_id": "b", "version": 2, "version_kind": 3}
    archive_only(tmp_path, "late", [moved, ROWS[2]], (HOURLY, TEN_SECONDS), "sensor")
    store = LocalStore(tmp_path)
    done = reconcile(store)
    query = SENSORS.replace("ORDER", "WHERE window_size = 10 ORDER")
    assert ask(store, query) == [("a", 1, 2.0), ("b", 2, 2.0)]
    assert ask(store, "SELECT count(*) FROM regional_means_revisions") == [(0,)]
    rows = done.differences.to_pylist()
    assert [(row["region"], row["sensor_id"], row["count_after"]) for row in rows] == [
        (None, "a", 1), (None, "b", 2), (None, "a", 1), (None, "b", 2),
    ]  # fmt: skip
    again = reconcile(store)
    assert (again.run_id, again.differences.num_rows) == (None, 0)


def test_twenty_thousand_sensors_in_batches(tmp_path):
    count = 20_000
    rows = [reading(n, sensor_id=f"s{n}", event_time=n % 7) for n in range(count)]
    run(tmp_path, "one", rows, (TEN_SECONDS,), group_by="both")
    moved = [row | {"sensor_id": "s0", "version": 2, "version_kind": 3} for row in rows[1:100]]
    run(tmp_path, "two", [*moved, *rows[100:200]], (TEN_SECONDS,), group_by="both")
    store = LocalStore(tmp_path)
    assert ask(store, "SELECT count(*), sum(count) FROM sensor_means") == [(count - 99, count)]
    assert ask(store, SENSORS)[0] == ("s0", 100, 74.25)
    assert ask(store, "SELECT count FROM sliding_means") == [(count,)]
    assert reconcile(store).differences.num_rows == 0
