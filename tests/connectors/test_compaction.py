"""Compaction: fewer files, the same answers, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.local_store import (
    LocalStore,
    StoreError,
    archive_merging,
    cleaning,
    compaction,
    merging,
    rows_by_date,
    store_changes,
)
from connectors.local_store.archive_state import ArchiveState, read_state, write_state
from connectors.local_store.compaction import compact
from connectors.local_store.dates import DELETIONS, SEVERAL
from connectors.local_store.manifest import read_document, write_document
from tests.support.placed_rows import DAY, NOON, reading, readings
from tests.support.stores import (
    all_rows,
    archived,
    commit,
    rejected,
    run,
    small_store,
)

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def files_of(store, table):
    return store.manifest().files.get(table, ())


def compacted(store, timeout=10):
    return compact(store.folder, timeout)


def test_small_files_become_few_and_say_the_same(tmp_path):
    store = small_store(tmp_path, runs=6)
    before = all_rows(store)
    done = compacted(store)
    assert all_rows(store) == before
    assert {table: len(files) for table, files in store.manifest().files.items()} == {
        "readings": 2,
        # The current rows, and those that newer ones have replaced.
        "regional_means_revisions": 2,
        "rejected_readings": 1,
    }
    assert done.tables["rejected_readings"].replaced == 6
    assert done.tables["readings"].removed == 5
    store.verify()


def test_the_merged_files_know_the_times_in_them(tmp_path):
    store = small_store(tmp_path)
    compacted(store)
    current, history = files_of(store, "regional_means_revisions")
    assert {(file.first, file.last) for file in (current, history)} == {(NOON, NOON)}
    assert (current.history, current.rows, history.history, history.rows) == (False, 1, True, 4)
    times = {
        file.path.split("/")[1]: (file.first, file.last) for file in files_of(store, "readings")
    }
    assert times == {
        "event_date=2019-02-19": (NOON, NOON + 5),
        "event_date=none": (None, None),
    }


def test_nothing_is_done_twice(tmp_path):
    store = small_store(tmp_path)
    assert compacted(store).run_id
    text = (tmp_path / "manifest.json").read_text()
    again = compacted(store)
    assert (again.run_id, again.tables) == (None, {})
    assert (tmp_path / "manifest.json").read_text() == text


def test_compaction_is_a_run_of_its_own(tmp_path):
    store = small_store(tmp_path)
    done = compacted(store)
    record = store.manifest().runs[-1]
    assert (record.run_id, record.kind, record.revision) == (done.run_id, "compaction", 5)
    assert store.next_revision() == 6
    document = read_document(tmp_path)
    owners = {file["run_id"] for file in document["tables"]["regional_means_revisions"]}
    assert owners == {done.run_id}


def test_old_compactions_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(store_changes, "MOST_RECORDS", 2)
    store = small_store(tmp_path, runs=2)
    for number in range(5):
        compacted(store)
        commit(tmp_path, f"more-{number}", [rejected(tmp_path, "x", f"more-{number}")])
    kinds = [run.kind for run in store.manifest().runs]
    assert kinds.count("compaction") <= 4
    assert kinds.count("batch") == 7


def test_of_repeated_rows_the_earliest_stays_and_the_views_know_it(tmp_path):
    for number in range(3):
        commit(tmp_path, f"run-{number}", archived(tmp_path, [reading(1)], f"run-{number}"))
    store = LocalStore(tmp_path)
    assert read_state(read_document(tmp_path)).repeated
    compacted(store)
    assert not read_state(read_document(tmp_path)).repeated
    (file,) = files_of(store, "readings")
    (row,) = pq.read_table(tmp_path / file.path).to_pylist()
    assert row["run_id"] == "run-0"


def test_of_readings_with_one_version_no_newest_is_looked_for(tmp_path):
    store = LocalStore(tmp_path)
    run(tmp_path, "a", [reading(0), reading(1)])
    run(tmp_path, "b", [reading(1), reading(2, deleted=True)])
    assert read_state(read_document(tmp_path)).versions
    before = all_rows(store)
    compacted(store)
    assert read_state(read_document(tmp_path)) == ArchiveState()
    assert all_rows(store) == before
    run(tmp_path, "c", [reading(1, version=2, version_kind=3)])
    compacted(store)
    assert read_state(read_document(tmp_path)) == ArchiveState(versions=True)


def test_a_day_without_repeats_is_no_longer_suspected(tmp_path):
    store = LocalStore(tmp_path)
    commit(tmp_path, "run", archived(tmp_path, [reading(1)], "run"))
    document = read_document(tmp_path)
    write_state(document, ArchiveState(frozenset({SEVERAL, DELETIONS}), versions=True))
    write_document(tmp_path, document)
    done = compacted(store)
    assert (done.run_id, done.tables) == (None, {})
    assert read_state(read_document(tmp_path)) == ArchiveState(versions=True)


def test_a_file_of_nothing_but_repeats_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_merging, "LARGE_BYTES", 1)
    commit(tmp_path, "a", archived(tmp_path, [reading(1), reading(2)], "a"))
    commit(tmp_path, "b", archived(tmp_path, [reading(2)], "b"))
    store = LocalStore(tmp_path)
    done = compacted(store)
    assert [file.rows for file in files_of(store, "readings")] == [2]
    assert (done.tables["readings"].replaced, done.tables["readings"].files) == (1, 0)


RUNS = st.lists(st.lists(readings(), min_size=1, max_size=12), min_size=1, max_size=5)


@settings(max_examples=40)
@given(
    runs=RUNS,
    large=st.sampled_from([1, 20_000, 64 << 20]),
    most_dates=st.integers(1, 3),
    batch_rows=st.integers(1, 5),
)
def test_the_archive_shows_the_same_and_holds_each_row_once(
    tmp_path_factory, runs, large, most_dates, batch_rows
):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_merging, "LARGE_BYTES", large)
        patch.setattr(merging, "BATCH_ROWS", batch_rows)
        patch.setattr(rows_by_date, "MOST_DATES", most_dates)
        for number, rows in enumerate(runs):
            commit(folder, f"run-{number}", archived(folder, rows, f"run-{number}"))
        store = LocalStore(folder)
        before = all_rows(store)
        compacted(store)
        patch.setattr(rows_by_date, "MOST_DATES", 64)
        assert all_rows(store) == before
        held = [
            repr(row)
            for file in files_of(store, "readings")
            for row in pq.ParquetFile(folder / file.path).read().to_pylist()
        ]
        assert len(held) == len(before["readings"])
        again = compacted(store)
        assert again.run_id is None or large == 64 << 20
        assert all_rows(store) == before
        store.verify()


def test_rows_of_several_dates_get_their_own_files_when_there_are_enough(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    for number in range(2):
        days = [reading(number * 100 + day, event_time=NOON + day * DAY) for day in range(70)]
        commit(tmp_path, f"run-{number}", archived(tmp_path, days, f"run-{number}"))
    assert [file.rows for file in files_of(store, "readings")] == [70, 70]
    compacted(store)
    (one,) = files_of(store, "readings")
    assert one.path.startswith("readings/event_date=several/")
    many = [reading(day, event_time=NOON + day * DAY) for day in range(300, 370)]
    monkeypatch.setattr(rows_by_date, "FEW_BYTES", 4 << 20)
    commit(tmp_path, "more", archived(tmp_path, many, "more"))
    assert len(files_of(store, "readings")) == 2
    monkeypatch.setattr(rows_by_date, "FEW_BYTES", 1)
    compacted(store)
    assert len(files_of(store, "readings")) == 140
    assert len(all_rows(store)["latest_readings"]) == 210


def test_large_files_are_left_alone(tmp_path, monkeypatch):
    store = small_store(tmp_path, runs=3)
    sizes = [file.bytes for file in files_of(store, "rejected_readings")]
    monkeypatch.setattr(merging, "LARGE_BYTES", 2 * min(sizes) - 1)
    assert "rejected_readings" not in compacted(store).tables
    monkeypatch.setattr(merging, "LARGE_BYTES", 2 * max(sizes))
    change = compacted(store).tables["rejected_readings"]
    assert (change.replaced, change.files) == (2, 1)
    assert max(file.bytes for file in files_of(store, "rejected_readings")) <= 2 * max(sizes)


def test_files_of_other_columns_are_merged_apart(tmp_path):
    store = small_store(tmp_path, runs=4)
    for file in files_of(store, "rejected_readings")[:2]:
        path = tmp_path / file.path
        rows = pq.read_table(path)
        pq.write_table(rows.append_column("more", rows.column("raw")), path)
    document = read_document(tmp_path)
    for entry in document["tables"]["rejected_readings"]:
        entry["bytes"] = (tmp_path / entry["path"]).stat().st_size
    write_document(tmp_path, document)
    before = all_rows(store)
    compacted(store)
    assert len(files_of(store, "rejected_readings")) == 2
    assert all_rows(store) == before


# others at work


def test_who_began_to_read_before_can_go_on(tmp_path):
    store = small_store(tmp_path)
    with store.connect() as connection:
        count = "SELECT count(*) FROM readings"
        before = connection.execute(count).fetchall()
        compacted(store)
        assert connection.execute(count).fetchall() == before
        assert connection.execute("SELECT count(*) FROM latest_readings").fetchall()


def test_replaced_files_go_after_an_hour(tmp_path):
    store = small_store(tmp_path)
    old = {file.path for files in store.manifest().files.values() for file in files}
    compacted(store)
    new = {file.path for files in store.manifest().files.values() for file in files}
    assert all((tmp_path / path).exists() for path in old | new)
    document = read_document(tmp_path)
    index = {path for path in document["replaced"] if path.startswith("index/")}
    assert set(document["replaced"]) == (old - new) | index
    for told in document["replaced"].values():
        told[0] -= 3700
    write_document(tmp_path, document)
    commit(tmp_path, "next", [rejected(tmp_path, "z", "next")])
    assert not any((tmp_path / path).exists() for path in old - new)
    assert all((tmp_path / path).exists() for path in new)
    assert len(list((tmp_path / "index").iterdir())) == 1
    store.verify()


def test_a_run_that_commits_meanwhile_loses_nothing(tmp_path, monkeypatch):
    store = small_store(tmp_path)
    merge = compaction.merge_archive

    def merge_and_commit(*arguments):
        found = list(merge(*arguments))
        run(tmp_path, "later", [reading(0), reading(77)])
        return found

    monkeypatch.setattr(compaction, "merge_archive", merge_and_commit)
    compacted(store)
    assert read_state(read_document(tmp_path)).repeated
    with store.connect() as connection:
        ids = connection.execute("SELECT id FROM readings WHERE NOT deleted ORDER BY id").fetchall()
        assert connection.execute("SELECT count FROM hourly_means").fetchall() == [(7,)]
    assert ids == [(f"reading-{number}",) for number in (0, 1, 2, 3, 4, 5, 77)]
    monkeypatch.undo()
    compacted(store)
    assert not read_state(read_document(tmp_path)).repeated


def test_two_compactions_at_once_leave_one_result(tmp_path, monkeypatch):
    store = small_store(tmp_path)
    before = all_rows(store)
    merge = compaction.merge_archive

    def merge_twice(*arguments):
        found = list(merge(*arguments))
        monkeypatch.undo()
        compacted(store)
        return found

    monkeypatch.setattr(compaction, "merge_archive", merge_twice)
    done = compacted(store)
    assert done.tables["readings"].busy == 10
    assert all_rows(store) == before
    store.verify()


QUERY = """
import sys, time
from connectors.local_store import LocalStore
store, seen = LocalStore(sys.argv[1]), set()
print("ready", flush=True)
while time.monotonic() < float(sys.argv[2]) or not seen:
    with store.connect() as connection:
        for name in ("latest_readings", "rejected_readings", "hourly_means"):
            seen.add((name, *connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0]))
print(sorted(seen))
"""


def python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        **options,
    )


def test_queries_of_another_process_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "LARGE_BYTES", 8_000)
    store = small_store(tmp_path)
    reader = python("-c", QUERY, tmp_path, time.monotonic() + 3)
    assert reader.stdout.readline() == "ready\n"
    deadline, number = time.monotonic() + 3, 0
    while time.monotonic() < deadline:
        compacted(store)
        # The same files once more, of a run of another name.
        commit(tmp_path, f"again-{number}", archived(tmp_path, [reading(0)], f"again-{number}"))
        number += 1
    out, err = reader.communicate(timeout=30)
    assert reader.returncode == 0, err
    seen = eval(out)  # noqa: S307
    assert seen == [("hourly_means", 1), ("latest_readings", 6), ("rejected_readings", 5)]
    assert number > 3


def test_several_processes_compact_and_commit_at_once(tmp_path):
    store = small_store(tmp_path)
    errors = []

    def work(number):
        try:
            for turn in range(3):
                name = f"worker-{number}-{turn}"
                rows = [reading(0), reading(1000 + number * 10 + turn)]
                commit(tmp_path, name, archived(tmp_path, rows, name))
                compact(tmp_path, 30)
        except StoreError as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    with store.connect() as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM latest_readings").fetchall()
    assert count == 6 + 9
    store.verify()


@pytest.mark.slow
def test_a_compaction_that_is_killed_at_any_step_leaves_the_store_whole(tmp_path):
    process = python(HERE / "compaction_killed_at_each_step.py", tmp_path)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    assert int(out.split()[-1]) > 50


# what crashed runs leave behind


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def leave(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 10)
        age(path, 4000)


SHA = "ab" * 32
LEFT = (
    f"readings/event_date=2019-02-19/{SHA}.parquet",
    f"rejected_readings/{SHA}.parquet",
    "rejected_readings/.tmp-1234.parquet",
    f"index/{SHA}.arrow",
    ".tmp-5678.json",
)
NOT_OURS = ("notes.txt", "readings/notes.parquet", "other/.tmp-1", f"other/{SHA}.parquet")


@pytest.fixture
def alone(monkeypatch):
    """No process is writing: this one does not say that it is."""
    monkeypatch.setattr(compaction, "announce_writer", lambda _: None)


@pytest.mark.usefixtures("alone")
def test_files_that_nobody_named_are_removed_after_an_hour(tmp_path):
    store = small_store(tmp_path)
    leave(tmp_path, *LEFT, *NOT_OURS)
    spill = tmp_path / ".tmp-spilled"
    spill.mkdir()
    (spill / "part").write_bytes(b"x")
    age(spill, 4000)
    young = rejected(tmp_path, "written a moment ago", "young")
    done = compacted(store)
    assert done.leftovers.files == len(LEFT) + 1
    assert not any((tmp_path / name).exists() for name in (*LEFT, spill.name))
    assert all((tmp_path / name).exists() for name in (*NOT_OURS, young.path))
    store.verify()


@pytest.mark.usefixtures("alone")
def test_replaced_files_are_no_leftovers(tmp_path):
    store = small_store(tmp_path)
    for path in tmp_path.rglob("*.parquet"):
        age(path, 10_000)
    assert compacted(store).leftovers.files == 0
    assert compacted(store).leftovers.files == 0


WRITER = """
import sys, time
from connectors.local_store.writers import announce_writer
announce_writer(sys.argv[1])
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.usefixtures("alone")
def test_files_of_a_run_that_is_still_writing_are_left_alone(tmp_path):
    store = small_store(tmp_path)
    writer = python("-c", WRITER, tmp_path)
    try:
        assert writer.stdout.readline() == "ready\n"
        leave(tmp_path, LEFT[0])
        (marker,) = (tmp_path / ".writing").iterdir()
        age(marker, 5000)
        assert compacted(store).leftovers.files == 0
        age(marker, 3900)
        assert compacted(store).leftovers.files == 1
        leave(tmp_path, LEFT[0])
        age(marker, 5000)
    finally:
        writer.kill()
        writer.communicate()
    assert compacted(store).leftovers.files == 1
    assert list((tmp_path / ".writing").iterdir()) == []


@pytest.mark.usefixtures("alone")
def test_files_of_a_stream_are_kept_for_a_week(tmp_path):
    store = small_store(tmp_path)
    document = read_document(tmp_path)
    document["runs"][0] |= {"kind": "stream", "status": "running"}
    write_document(tmp_path, document)
    leave(tmp_path, *LEFT[:2])
    age(tmp_path / LEFT[1], 8 * 86_400)
    assert compacted(store).leftovers.files == 1
    assert (tmp_path / LEFT[0]).exists()


@pytest.mark.usefixtures("alone")
def test_a_file_that_is_committed_while_the_leftovers_are_looked_for_stays(tmp_path, monkeypatch):
    small_store(tmp_path)
    file = rejected(tmp_path, "late", "late")
    age(tmp_path / file.path, 4000)
    lock = cleaning.exclusive_lock

    def commit_first(folder, timeout):
        monkeypatch.undo()
        commit(tmp_path, "late", [file])
        return lock(folder, timeout)

    monkeypatch.setattr(cleaning, "exclusive_lock", commit_first)
    assert cleaning.remove_leftovers(tmp_path, 10).files == 0
    assert (tmp_path / file.path).exists()


# what can go wrong


def test_a_damaged_file_is_named_and_nothing_is_replaced(tmp_path):
    store = small_store(tmp_path)
    file = files_of(store, "rejected_readings")[0]
    path = tmp_path / file.path
    path.write_bytes(b"x" * file.bytes)
    text = (tmp_path / "manifest.json").read_text()
    with pytest.raises(StoreError, match=f"{file.sha256}.* of the store is damaged"):
        compacted(store)
    after = json.loads((tmp_path / "manifest.json").read_text())
    assert after["tables"]["rejected_readings"] == json.loads(text)["tables"]["rejected_readings"]


def test_a_damaged_file_of_the_archive_is_told(tmp_path):
    store = small_store(tmp_path)
    file = files_of(store, "readings")[0]
    (tmp_path / file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(StoreError, match=r"cannot read the archive in .*, a file may be damaged"):
        compacted(store)


def test_an_odd_folder_name_is_no_pattern(tmp_path):
    store = small_store(tmp_path / "a [b]* 'c'?")
    before = all_rows(store)
    assert compacted(store).tables["readings"].removed == 4
    assert all_rows(store) == before


def test_a_relative_folder_can_be_compacted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = small_store(Path("results"))
    before = all_rows(store)
    assert compacted(store).tables["readings"].removed == 4
    assert all_rows(store) == before
