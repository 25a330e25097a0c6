"""Retention: what is old is gone, what is kept stays right, and nothing is counted twice."""

from __future__ import annotations

import dataclasses
import datetime
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_stream import RowsStream
from store_runs import shown

from connectors.local_store import (
    LocalStore,
    StoreError,
    archive,
    drop_old,
    old_entries,
    retention,
)
from connectors.local_store.archive_state import read_state
from connectors.local_store.compaction import compact
from connectors.local_store.dates import DELETIONS
from connectors.local_store.horizon import horizon_of
from connectors.local_store.index import Index
from connectors.local_store.manifest import read_document
from connectors.local_store.mapped import Mapped
from connectors.local_store.reconcile import reconcile
from tests.support.placed_rows import DAY, NOON, placed_rows, reading, readings
from tests.support.stores import all_rows, archive_only, archived, commit, rejected, run
from transforms.versions import entries_of
from transforms.windows import HOURLY, SlidingWindow

WINDOWS = (HOURLY, SlidingWindow(5400, 1800))
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FIRST = NOON // DAY * DAY
"""The midnight before the first day of the readings; the next one is a day later."""

KEEP = datetime.timedelta(days=10)


def instant(micros):
    return EPOCH + datetime.timedelta(microseconds=micros)


def keep_from(store, horizon):
    """Compacts the store so that it keeps what came since a midnight."""
    return compact(store.folder, 10, KEEP, instant(horizon) + KEEP)


def ingest_at(patch, micros):
    """Has the archive believe that it is another time."""
    clock = SimpleNamespace(now=lambda _: instant(micros))
    patch.setattr(archive, "datetime", SimpleNamespace(datetime=clock, UTC=datetime.UTC))


def since(rows, horizon):
    return [row for row in rows if row["window_start"] >= instant(horizon)]


def in_the_archive(store):
    return [
        row
        for file in store.manifest().files.get("readings", ())
        for row in pq.ParquetFile(store.folder / file.path).read().to_pylist()
    ]


RUNS = st.lists(st.lists(readings(), min_size=1, max_size=10), min_size=1, max_size=4)


@settings(max_examples=25)
@given(
    runs=RUNS,
    horizon=st.sampled_from([FIRST, FIRST + DAY]),
    again=st.randoms(use_true_random=False),
    ingested=st.sampled_from([FIRST - DAY, FIRST + 5 * DAY]),
)
def test_what_is_kept_stays_right_whatever_is_read_again(
    tmp_path_factory, runs, horizon, again, ingested
):
    folder = tmp_path_factory.mktemp("store")
    store = LocalStore(folder)
    with pytest.MonkeyPatch.context() as patch:
        ingest_at(patch, ingested)
        for number, rows in enumerate(runs):
            run(folder, f"run-{number}", rows, WINDOWS)
    expected = since(shown(store), horizon)
    keep_from(store, horizon)
    assert shown(store) == expected
    times = [row["event_time"] for row in in_the_archive(store) if row["event_time"]]
    assert all(time >= instant(horizon) for time in times)
    everything = [row for rows in runs for row in rows]
    for turn in range(3):
        some = again.sample(everything, again.randint(1, len(everything)))
        run(folder, f"again-{turn}", some, WINDOWS)
        assert shown(store) == expected
        if turn == 1:
            keep_from(store, horizon)
            assert shown(store) == expected
    done = reconcile(store)
    assert done.differences.num_rows == 0
    assert shown(store) == expected
    store.verify()


def test_readings_windows_and_rejected_records_go_by_their_own_times(tmp_path):
    rows = [reading(0), reading(1, event_time=NOON + DAY), reading(2, event_time=NOON - DAY)]
    old = rejected(tmp_path, "old", "old", instant(FIRST - 1))
    young = rejected(tmp_path, "young", "young", instant(FIRST))
    run(tmp_path, "a", rows, WINDOWS, more=[old, young])
    store = LocalStore(tmp_path)
    done = keep_from(store, FIRST)
    assert done.kept_from == FIRST
    assert {name: change.removed for name, change in done.tables.items()} == {
        "regional_means_revisions": 4,
        "rejected_readings": 1,
        "readings": 1,
        "index": 1,
    }
    with store.connect() as connection:
        ask = lambda query: connection.execute(query).fetchall()  # noqa: E731
        assert ask("SELECT id FROM readings ORDER BY id") == [("reading-0",), ("reading-1",)]
        assert ask("SELECT raw FROM rejected_readings") == [("young",)]
        assert ask("SELECT min(window_start) FROM sliding_means")[0][0] == instant(
            NOON - 1800 * 10**6 * 2
        )
    assert keep_from(store, FIRST).tables == {}


def test_what_was_dropped_is_never_written_again(tmp_path):
    rows = [reading(0), reading(1, event_time=NOON + DAY)]
    run(tmp_path, "a", rows, WINDOWS)
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    expected = shown(store)
    # A newer version in the old hour, one more reading there, and all of it once more.
    later = [reading(0, version=2, version_kind=3), reading(5)]
    run(tmp_path, "b", later, WINDOWS)
    run(tmp_path, "c", rows, WINDOWS)
    assert shown(store) == expected
    # Three old readings, and one that was archived twice.
    assert keep_from(store, FIRST + DAY).tables["readings"].removed == 4


def test_a_new_version_that_lies_in_what_is_kept_counts(tmp_path):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    run(tmp_path, "b", [reading(0, version=2, version_kind=3, event_time=NOON + DAY)])
    assert [row["count"] for row in shown(store)] == [1]


def test_a_version_that_moved_away_into_the_past_is_not_forgotten(tmp_path):
    first = reading(0, event_time=NOON + DAY, version=1, version_kind=3)
    run(tmp_path, "a", [first])
    run(tmp_path, "b", [reading(0, version=2, version_kind=3)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    assert [row["event_time"] for row in in_the_archive(store)] == [instant(NOON + DAY)]
    run(tmp_path, "again", [first])
    assert shown(store) == []
    assert reconcile(store).differences.num_rows == 0


def test_a_deletion_is_kept_as_long_as_what_it_deletes(tmp_path, monkeypatch):
    ingest_at(monkeypatch, FIRST - DAY)
    rows = [reading(0, version=1, version_kind=3), reading(1, version=1, version_kind=3)]
    rows[1]["event_time"] += DAY
    gone = [row | reading(deleted=True, version=2, version_kind=3, id=row["id"]) for row in rows]
    run(tmp_path, "a", rows)
    run(tmp_path, "b", gone)
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    kept = [(row["id"], row["deleted"]) for row in in_the_archive(store)]
    assert sorted(kept) == [("reading-1", False), ("reading-1", True)]
    assert Index(tmp_path, store.manifest().index).rows == 1
    run(tmp_path, "again", rows)
    assert shown(store) == []


def test_a_young_deletion_is_kept_though_nothing_is_known_of_its_reading(tmp_path):
    run(tmp_path, "a", [reading(0, deleted=True, version=2, version_kind=3)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST)
    run(tmp_path, "b", [reading(0, version=1, version_kind=3)])
    assert shown(store) == []


def test_more_doubtful_readings_than_can_be_asked_about_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(old_entries, "MOST_ASKED", 0)
    rows = [reading(number, version=1, version_kind=3) for number in range(3)]
    run(tmp_path, "a", [*rows, reading(9)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    # That without a version can be forgotten without asking.
    assert Index(tmp_path, store.manifest().index).rows == 3
    monkeypatch.undo()
    keep_from(store, FIRST + DAY)
    assert Index(tmp_path, store.manifest().index).rows == 0


def test_hashes_that_share_their_upper_half_are_told_apart(tmp_path, monkeypatch):
    entries = entries_of(placed_rows([reading(0), reading(1)]))
    high = entries.column("identity_high").to_numpy() * 0 + 7
    low = entries.column("identity_low").to_numpy()
    versions = old_entries._Versions([(high[:1], low[:1]), (high[1:], low[1:])])
    monkeypatch.setattr(old_entries, "identities", lambda _: (high[1:], low[1:]))
    versions.note(placed_rows([reading(1)]))
    assert versions.has(high, low).tolist() == [False, True]
    assert versions.has(high[:1], low[:1] + 1).tolist() == [True]
    assert tmp_path.exists()


def test_without_an_archive_the_index_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.stores.archived", lambda *_: [])
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    done = keep_from(store, FIRST + DAY)
    assert "index" not in done.tables
    assert Index(tmp_path, store.manifest().index).rows == 1


def test_the_time_from_which_things_are_kept_does_not_go_back(tmp_path):
    run(tmp_path, "a", [reading(0), reading(1, event_time=NOON + DAY)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    keep_from(store, FIRST - 30 * DAY)
    run(tmp_path, "b", [reading(0)])
    assert [row["count"] for row in shown(store)] == [1]
    compact(tmp_path, 10)
    assert read_document(tmp_path)["kept_from"] == FIRST + DAY


def test_everything_can_be_dropped_and_runs_go_on(tmp_path):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    keep_from(store, FIRST + DAY)
    assert all(not rows for rows in all_rows(store).values())
    run(tmp_path, "b", [reading(0), reading(1, event_time=NOON + DAY)])
    assert [row["count"] for row in shown(store)] == [1]


def test_files_of_several_dates_lose_their_old_rows(tmp_path):
    rows = [reading(day, event_time=NOON + day * DAY) for day in range(-40, 40)]
    run(tmp_path, "a", rows)
    store = LocalStore(tmp_path)
    assert "several" in store.manifest().files["readings"][0].path
    done = keep_from(store, FIRST)
    assert done.tables["readings"].removed == 40
    assert len(in_the_archive(store)) == 40
    assert len(shown(store)) == 40


def test_dropped_days_are_no_longer_suspected_nor_waiting(tmp_path):
    run(tmp_path, "a", [reading(0)])
    run(tmp_path, "b", [reading(0), reading(1, deleted=True), reading(2, event_time=NOON + DAY)])
    archive_only(tmp_path, "late", [reading(3, too_late=True)])
    store = LocalStore(tmp_path)
    state = read_state(read_document(tmp_path))
    assert state.repeated >= {FIRST // DAY, DELETIONS}
    assert state.waiting
    keep_from(store, FIRST + DAY)
    state = read_state(read_document(tmp_path))
    assert (state.repeated, state.waiting) == (frozenset(), frozenset())


def test_a_stream_goes_on_after_its_old_windows_are_dropped(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    stream = RowsStream(store, WINDOWS)
    rows = [reading(0), reading(1, event_time=NOON + DAY)]
    stream.commit([*stream.archive(rows), *stream.read(rows), *stream.pane()])
    expected = since(shown(store), FIRST + DAY)
    keep_from(store, FIRST + DAY)
    assert shown(store) == expected
    # Another reading in the old hour, and a new version of the one there that moves to the new.
    more = [reading(2), reading(0, event_time=NOON + DAY, version=1, version_kind=3)]
    stream.commit([*stream.archive(more), *stream.read(more), *stream.pane()])
    hours = [row for row in shown(store) if row["window_size"] == 3600]
    assert [(row["window_start"], row["count"]) for row in hours] == [(instant(NOON + DAY), 2)]
    assert reconcile(store).differences.num_rows == 0


def test_an_index_that_changes_meanwhile_is_left_alone(tmp_path, monkeypatch):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    forget = drop_old.forget

    def forget_and_commit(*arguments):
        found = forget(*arguments)
        run(tmp_path, "b", [reading(7)])
        return found

    monkeypatch.setattr(drop_old, "forget", forget_and_commit)
    done = keep_from(store, FIRST + DAY)
    assert done.tables["index"].busy == 1
    rows = sum(Mapped(tmp_path, file).rows.num_rows for file in store.manifest().index)
    assert rows == 2
    monkeypatch.undo()
    keep_from(store, FIRST + DAY)
    assert store.manifest().index == ()


def test_the_horizon_is_a_midnight():
    now = datetime.datetime(2026, 3, 11, 15, 30, tzinfo=datetime.UTC)
    horizon = horizon_of(datetime.timedelta(days=10), now)
    assert instant(horizon) == datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def test_a_file_of_old_and_young_rows_keeps_the_young(tmp_path):
    times = [FIRST - 1, FIRST, FIRST + 5]
    files = [rejected(tmp_path, str(time), str(time), instant(time)) for time in times]
    run(tmp_path, "a", [reading(0), reading(1, event_time=NOON - DAY)], more=files)
    store = LocalStore(tmp_path)
    compact(tmp_path, 10)
    assert len(store.manifest().files["rejected_readings"]) == 1
    done = keep_from(store, FIRST)
    assert done.tables["rejected_readings"].removed == 1
    with store.connect() as connection:
        raws = connection.execute("SELECT raw FROM rejected_readings ORDER BY raw").fetchall()
    assert raws == [(str(time),) for time in times[1:]]


def test_files_whose_times_are_not_known_are_looked_into(tmp_path):
    run(tmp_path, "a", [reading(0), reading(1, event_time=NOON + DAY)])
    store = LocalStore(tmp_path)
    for table, drop in (
        ("readings", retention.old_readings),
        ("regional_means_revisions", retention.old_means),
    ):
        files = [
            dataclasses.replace(file, first=None, last=None)
            for file in store.manifest().files[table]
        ]
        assert list(drop(tmp_path, files, FIRST)) == []
        removed = [replacement.removed for replacement in drop(tmp_path, files, FIRST + DAY)]
        assert removed == [1]


def test_a_damaged_file_of_rejected_records_is_named(tmp_path):
    file = rejected(tmp_path, "x", "x")
    commit(tmp_path, "a", [file])
    (tmp_path / file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(StoreError, match=f"{file.sha256}.* of the store is damaged"):
        keep_from(LocalStore(tmp_path), FIRST)


def test_rejected_files_without_rows_are_dropped(tmp_path):
    store = LocalStore(tmp_path)
    commit(tmp_path, "a", [store.write("rejected_readings", [])])
    keep_from(store, FIRST)
    assert store.manifest().files["rejected_readings"] == ()
    assert archived(tmp_path, [], "x") == []
