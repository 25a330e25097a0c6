"""The views over the archive, against the rules of `transforms.versions`."""

from __future__ import annotations

import datetime
import json
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.local_store import LocalStore, RunRecord, StoredFile
from connectors.local_store.archive import ArchiveWriter
from connectors.local_store.archive_state import (
    ArchiveState,
    note_commit,
    read_state,
    write_state,
)
from connectors.local_store.dates import DELETIONS, SEVERAL
from connectors.local_store.manifest import read_document, write_document
from tests.support.placed_rows import DAY, NOON, placed_rows, reading, readings
from transforms.versions import comparable, entries_of, newest

RUNS = st.lists(st.lists(readings(), min_size=1, max_size=10), min_size=1, max_size=4)


def archived(folder, *runs):
    """A store whose runs archived these rows, one run after another."""
    store = LocalStore(folder)
    for number, rows in enumerate(runs):
        writer = ArchiveWriter(folder, f"run-{number}")
        files = [*writer.add(placed_rows(rows, too_late=True)), *writer.flush()]
        store.commit(RunRecord(f"run-{number}", number + 1, "", ""), files)
    return store


def shown(store, name):
    with store.connect() as connection:
        return connection.table(name).to_arrow_table().to_pylist()


CONTENT = (
    *("format", "id", "quantity", "event_time", "longitude", "latitude", "value"),
    *("version", "version_kind", "deleted"),
)
KINDS = ("none", "arrival", "updated_at", "version")


def content(row):
    """What a row of the archive says, as text."""
    values = [row[name] for name in CONTENT]
    # There is one zero among the degrees.
    values = [value + 0.0 if isinstance(value, float) else value for value in values]
    return repr((values, row["region_code"]))


def plain(row):
    """The same of a row that was given to the archive."""
    micros, time, kind = row["value_micros"], row["event_time"], row["version_kind"]
    return content(
        row
        | {
            "value": None if micros is None else micros / 10**6,
            "version_kind": KINDS[kind],
            "version": row["version"] if kind else None,
            "event_time": time if time is None else instant(time),
        }
    )


def instant(micros):
    zone = zoneinfo.ZoneInfo("UTC")
    return datetime.datetime(1970, 1, 1, tzinfo=zone) + datetime.timedelta(microseconds=micros)


@settings(max_examples=80)
@given(runs=RUNS)
def test_the_latest_readings_are_those_that_the_means_count(tmp_path_factory, runs):
    store = archived(tmp_path_factory.mktemp("store"), *runs)
    rows = [row for run in runs for row in run]
    entries = entries_of(placed_rows(rows))
    kept = newest(entries).entries
    numbers = {key: number for number, key in enumerate(keys(entries))}
    expected = [rows[numbers[key]] for key in keys(kept)]
    found = shown(store, "latest_readings")
    assert sorted(map(content, found)) == sorted(
        plain(row) for row in expected if not row["deleted"]
    )


def keys(entries):
    return list(zip(*[column.tolist() for column in comparable(entries)], strict=True))


@settings(max_examples=50)
@given(runs=RUNS)
def test_the_archive_shows_each_version_once(tmp_path_factory, runs):
    store = archived(tmp_path_factory.mktemp("store"), *runs)
    first = {}
    for number, run in enumerate(runs):
        for row in run:
            first.setdefault(plain(row), f"run-{number}")
    found = shown(store, "readings")
    assert sorted(map(content, found)) == sorted(first)
    for row in found:
        assert row["run_id"] == first[content(row)]


def set_state(store, state):
    document = read_document(store.folder)
    write_state(document, state)
    write_document(store.folder, document)


def test_only_files_that_may_repeat_rows_are_read_with_care(tmp_path):
    again = [reading(0), reading(1, event_time=NOON + DAY), reading(2, deleted=True, version=1)]
    store = archived(tmp_path, again, again)

    def days(state):
        set_state(store, state)
        rows = shown(store, "readings")
        return sorted(str(row["event_time"])[:10] for row in rows)

    first, second = NOON // DAY, NOON // DAY + 1
    both = ["2019-02-19", "2019-02-20", "None"]
    assert days(ArchiveState(frozenset({SEVERAL}))) == both
    assert days(ArchiveState(frozenset({first, second, DELETIONS}))) == both
    assert days(ArchiveState(frozenset({first}))) == sorted([*both, "2019-02-20", "None"])
    assert days(ArchiveState()) == sorted(both * 2)


def test_a_file_of_several_days_is_compared_with_that_of_each(tmp_path):
    store = archived(tmp_path, [reading(0)])
    many = [reading(day, event_time=NOON + day * DAY) for day in range(100)]
    writer = ArchiveWriter(tmp_path, "many")
    files = [*writer.add(placed_rows(many)), *writer.flush()]
    assert "several" in files[0].path
    store.commit(RunRecord("many", 2, "", ""), files)
    for repeated in ({NOON // DAY}, {SEVERAL}):
        set_state(store, ArchiveState(frozenset(repeated)))
        assert len(shown(store, "readings")) == 100


def test_without_versions_the_latest_readings_are_all_but_the_deleted(tmp_path):
    store = archived(tmp_path, [reading(0), reading(1, deleted=True), reading(2, region_code=None)])
    for state in (ArchiveState(versions=True), ArchiveState()):
        set_state(store, state)
        rows = shown(store, "latest_readings")
        assert sorted(row["id"] for row in rows) == ["reading-0", "reading-2"]


def test_latest_readings_have_the_columns_of_the_archive(tmp_path):
    store = archived(tmp_path, [reading(0)])
    for state in (ArchiveState(), ArchiveState(versions=True)):
        set_state(store, state)
        (row,) = shown(store, "latest_readings")
        assert [row] == shown(store, "readings")


# what a commit leaves in the manifest


def noted(manifest, *days, entries=None, known=0, **record):
    files = [
        StoredFile("readings", f"readings/event_date={day}/{number}.parquet", 1, 1, "")
        for number, day in enumerate(days)
    ]
    run = RunRecord(
        **({"run_id": "run", "revision": 1, "started_at": "", "finished_at": ""} | record)
    )
    note_commit(manifest, run, files, len(days) if entries is None else entries, known)
    return read_state(manifest)


def test_plain_runs_leave_the_archive_plain():
    manifest = {"tables": {}}
    assert noted(manifest, "2019-02-19") == ArchiveState()
    assert noted(manifest, "2019-02-19", "none") == ArchiveState()
    assert json.loads(json.dumps(manifest)) == manifest


@pytest.mark.parametrize("more", [{"known": 1}, {"entries": 1}, {"entries": 3}])
def test_a_run_that_shares_or_repeats_readings_is_remembered_by_its_days(more):
    manifest = {"tables": {}}
    noted(manifest, "2019-02-19")
    state = noted(manifest, "2019-02-20", "none", **more)
    assert state == ArchiveState(frozenset({NOON // DAY + 1, DELETIONS}), versions=True)
    assert noted(manifest, "2019-02-21") == state


def test_a_commit_without_readings_leaves_the_state():
    manifest = {"tables": {}, "runs": []}
    noted(manifest, known=5)
    assert read_state(manifest) == ArchiveState()


@pytest.mark.parametrize("record", [{"kind": "stream"}, {"duplicates": "keep"}])
def test_what_a_stream_archives_may_wait_to_be_counted(record):
    manifest = {"tables": {}}
    assert noted(manifest, "2019-02-19").waiting == frozenset()
    state = noted(manifest, "2019-02-20", **record)
    assert state.waiting == {"readings/event_date=2019-02-20/0.parquet"}
    assert noted(manifest, "2019-02-21").waiting == state.waiting


def test_runs_that_archive_nothing_are_remembered_until_they_do():
    manifest = {"tables": {}, "runs": []}
    assert noted(manifest, entries=3).without == {"run"}
    assert noted(manifest, "2019-02-20", run_id="other").without == {"run"}
    assert noted(manifest, "2019-02-20").without == frozenset()
    # A stream that archived something in an earlier commit.
    manifest["runs"] = [{"run_id": "run", "counts": {"readings": 5}}]
    assert noted(manifest, entries=3).without == frozenset()


def test_a_manifest_without_a_state_takes_nothing_for_granted():
    assert read_state({"tables": {}}) == ArchiveState()
    filled = {"tables": {"readings": [{"path": "x"}]}}
    assert read_state(filled) == ArchiveState(
        frozenset({SEVERAL}), versions=True, waiting=frozenset({"x"})
    )
