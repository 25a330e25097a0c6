"""The local store: what is written, what is committed, what survives."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from means_rows import TABLE, means_row, means_table, rejected_table

from connectors.local_store import LocalStore, RunRecord, StoreError, parquet
from connectors.local_store.manifest import exclusive_lock
from connectors.local_store.means_files import FILE_SCHEMA
from schemas.series import ALL_MEANS
from schemas.tables import TABLES, arrow_schema

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture
def store(tmp_path):
    store = LocalStore(tmp_path / "results")
    store.prepare()
    return store


def run(run_id="run-1", revision=1):
    return RunRecord(run_id, revision, "2019-02-19T00:00:00Z", "2019-02-19T00:00:01Z", ["a"], {})


def python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
        **options,
    )


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# prepare


def test_prepare_leaves_nothing_but_the_folder(tmp_path):
    LocalStore(tmp_path / "a" / "b").prepare()
    assert names(tmp_path) == ["a", "a/b"]


def test_prepare_keeps_what_is_in_the_folder(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    LocalStore(tmp_path).prepare()
    assert names(tmp_path) == ["mine.txt"]


@pytest.mark.parametrize("below", ["file", "file/results", "file/a/b"])
def test_prepare_says_that_a_file_is_in_the_way(tmp_path, below):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match=r"cannot write to .*file.*; name another output folder"):
        LocalStore(tmp_path / below).prepare()
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_prepare_says_that_a_folder_cannot_be_written():
    with pytest.raises(StoreError, match="cannot write to /proc/results"):
        LocalStore("/proc/results").prepare()


FULL_DISK = """
import resource, sys
from connectors.local_store import LocalStore, StoreError
from means_rows import TABLE, means_row, means_table
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = LocalStore(sys.argv[1])
for action in (store.prepare, lambda: store.write(TABLE, means_table(means_row()))):
    try:
        action()
    except StoreError as error:
        print(error)
"""


def test_no_room_for_a_file_is_a_sentence_and_leaves_no_file(store):
    result = python("-c", FULL_DISK, str(store.folder))
    sentence = f"cannot write to {store.folder} (file too large); name another output folder"
    assert result.stdout.count(sentence) == 2, result.stderr
    assert names(store.folder) == [TABLE]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "\x00\xff", '{"tables": {}}'),
        '{"format_version": "1", "tables": {}, "runs": []}',
        '{"format_version": 3, "tables": [], "runs": []}',
        '{"format_version": 3, "tables": {}, "runs": []}',
        '{"format_version": 3, "runs": []}',
        '{"format_version": 3, "tables": {"t": [{"path": "x"}]}, "runs": []}',
    ],
)
def test_a_broken_manifest_is_named_and_left_as_it_was(store, text):
    path = store.folder / "manifest.json"
    path.write_text(text)
    for action in (store.prepare, store.manifest, store.next_revision, store.connect):
        with pytest.raises(StoreError, match=r"manifest\.json is not a readable manifest; put"):
            action()
    with pytest.raises(StoreError, match="not a readable manifest"):
        store.commit(run(), [])
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (0, "has format 0, which came before means by sensor"),
        (2, r"has format 2, which .* \(format 3\); run the job again into a new folder"),
        (4, "has format 4 and this program knows only format 3; use a newer version"),
        (99, "has format 99 and this program knows only format 3; use a newer version"),
    ],
)
def test_another_format_is_refused_before_anything_is_written(store, version, message):
    document = {"format_version": version, "tables": {}, "runs": []}
    (store.folder / "manifest.json").write_text(json.dumps(document))
    for action in (store.prepare, store.manifest, store.connect, lambda: store.commit(run(), [])):
        with pytest.raises(StoreError, match=message):
            action()
    assert json.loads((store.folder / "manifest.json").read_text()) == document


# write


def test_a_file_is_named_by_its_content_and_says_what_it_holds(store):
    file = store.write(TABLE, means_table(means_row(0), means_row(1)))
    path = store.folder / file.path
    assert file.path == f"{TABLE}/{file.sha256}.parquet"
    assert (file.table, file.rows, file.bytes) == (TABLE, 2, path.stat().st_size)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert names(store.folder) == [TABLE, file.path]


def test_the_same_rows_written_twice_are_one_file(store):
    rows = means_table(means_row(0), means_row(1))
    assert store.write(TABLE, rows) == store.write(TABLE, rows)
    assert len(list((store.folder / TABLE).iterdir())) == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_bytes_depend_on_the_rows_and_not_on_their_batches(tmp_path_factory, data):
    texts = st.text(max_size=12)
    raws = data.draw(st.lists(texts, max_size=40))
    table = rejected_table(*[("not_json", raw, "r") for raw in raws])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raws)), max_size=6)))
    batches = [
        batch
        for start, end in zip([0, *cuts], [*cuts, len(raws)], strict=True)
        for batch in table.slice(start, end - start).to_batches() or [table.schema.empty_table()]
        if isinstance(batch, pa.RecordBatch)
    ]
    store = LocalStore(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "MAX_GROUP_ROWS", 7)
        patch.setattr(parquet, "MAX_GROUP_TEXT", 900)
        file = store.write("rejected_readings", table)
        assert store.write("rejected_readings", iter(batches)) == file
    groups = pq.ParquetFile(store.folder / file.path)
    assert all(groups.metadata.row_group(i).num_rows <= 7 for i in range(groups.num_row_groups))
    assert pq.read_table(store.folder / file.path).to_pylist() == table.to_pylist()


def test_the_file_has_the_columns_of_the_table_with_their_types(store):
    for table in TABLES:
        schema = file_schema(table)
        file = store.write(table, schema.empty_table())
        found = pq.read_schema(store.folder / file.path)
        assert found.equals(schema, check_metadata=False), table


def file_schema(table):
    return FILE_SCHEMA if table == TABLE else arrow_schema(table)


def test_large_texts_end_a_row_group(store, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_GROUP_TEXT", 1000)
    rows = rejected_table(*[("not_json", "x" * 900, "run") for _ in range(6)])
    file = store.write("rejected_readings", rows)
    assert pq.ParquetFile(store.folder / file.path).num_row_groups == 6


def test_wrong_columns_are_named_on_both_sides(store):
    rows = means_table(means_row()).set_column(8, "count", pa.array([1], pa.int32()))
    message = r"not those of table regional_means_revisions: the rows have count int32 where it "
    with pytest.raises(StoreError, match=message + "has count int64"):
        store.write(TABLE, rows)
    with pytest.raises(StoreError, match=r"the rows have none where it has pane string"):
        store.write(TABLE, means_table(means_row()).drop_columns(["pane"]))
    columns = ["region", "region_code", *FILE_SCHEMA.names[2:]]
    with pytest.raises(StoreError, match="the rows have the order region string"):
        store.write(TABLE, means_table(means_row()).select(columns))
    with pytest.raises(StoreError, match="the rows have none where it has partial_count int64"):
        store.write(TABLE, means_table(means_row()).select(ALL_MEANS.names))
    assert names(store.folder) == []


def test_a_required_column_without_a_value_is_refused(store):
    rows = means_table(means_row(), means_row(1))
    place = rows.schema.get_field_index("pane")
    rows = rows.set_column(place, "pane", pa.array([None, "late"]))
    with pytest.raises(StoreError, match="column pane of table regional_means_revisions must not"):
        store.write(TABLE, rows)
    assert names(store.folder) == []


def test_columns_that_may_be_null_need_not_say_so(store):
    schema = pa.schema([field.with_nullable(True) for field in FILE_SCHEMA])
    assert store.write(TABLE, means_table(means_row()).cast(schema)).rows == 1


def test_an_unknown_table_is_named(store):
    with pytest.raises(KeyError, match="no table 'means'; there are"):
        store.write("means", means_table())


def test_a_failing_source_of_rows_leaves_no_file(store):
    def rows():
        yield from rejected_table(("not_json", "x", "run")).to_batches()
        message = "the source broke"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="the source broke"):
        store.write("rejected_readings", rows())
    assert names(store.folder) == ["rejected_readings"]


# commit


def test_what_is_written_counts_only_once_committed(store):
    file = store.write(TABLE, means_table(means_row()))
    assert store.manifest().files == {}
    assert rows_of(store, "hourly_means") == 0
    committed = store.commit(run(), [file])
    manifest = committed.manifest
    assert manifest == store.manifest() == LocalStore(store.folder).manifest()
    assert manifest.files == {TABLE: (file,)}
    assert [past.run_id for past in manifest.runs] == ["run-1"]
    assert (committed.changes, committed.revision) == ({}, 1)
    assert rows_of(store, "hourly_means") == 1


def rows_of(store, name):
    with store.connect() as connection:
        ((number,),) = connection.table(name).count("*").fetchall()
    return number


def test_a_run_committed_twice_adds_nothing(store):
    file = store.write(TABLE, means_table(means_row()))
    first = store.commit(run(), [file])
    before = (store.folder / "manifest.json").stat()
    assert store.commit(run(), [file, file]) == first
    assert (store.folder / "manifest.json").stat().st_ino == before.st_ino


def test_a_run_cannot_be_committed_again_with_other_files(store):
    store.commit(run(), [store.write(TABLE, means_table(means_row()))])
    other = store.write(TABLE, means_table(means_row(5)))
    with pytest.raises(StoreError, match=r"run run-1 is committed to .* already, with other files"):
        store.commit(run(), [other])
    assert rows_of(store, TABLE) == 1


def test_the_same_file_of_two_runs_is_read_once(store):
    file = store.write("rejected_readings", rejected_table(("not_json", "x", "a")))
    store.commit(run("a"), [file])
    assert len(store.commit(run("b"), [file]).manifest.runs) == 2
    assert rows_of(store, "rejected_readings") == 1


def test_a_run_without_files_is_remembered(store):
    (past,) = store.commit(run(), []).manifest.runs
    assert (past.run_id, past.kind, past.status) == ("run-1", "batch", "finished")
    assert store.next_revision() == 1


def test_revisions_grow_from_one(store):
    assert store.next_revision() == 1
    for number, found in enumerate("abc"):
        file = store.write(TABLE, means_table(means_row(number, revision=1, run_id=found)))
        # All were prepared at once.
        assert store.commit(run(found, 1), [file]).revision == number + 1
    assert store.next_revision() == 4
    with store.connect() as connection:
        shown = connection.execute("SELECT hour, revision FROM hourly_means ORDER BY hour")
        assert [revision for _, revision in shown.fetchall()] == [1, 2, 3]


def test_a_file_that_is_not_there_is_not_committed(store):
    file = store.write(TABLE, means_table(means_row()))
    (store.folder / file.path).unlink()
    with pytest.raises(StoreError, match=r"is gone or unreadable \(No such file"):
        store.commit(run(), [file])
    assert store.manifest().runs == ()


def test_keys_of_other_versions_survive_a_commit(store):
    store.commit(run("a"), [store.write(TABLE, means_table(means_row()))])
    path = store.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["retired"] = [{"path": "x"}]
    document["tables"][TABLE][0]["smallest"] = 3
    document["tables"]["readings"] = []
    document["runs"][0]["host"] = "h"
    path.write_text(json.dumps(document))
    store.commit(run("b"), [])
    after = json.loads(path.read_text())
    assert after["retired"] == [{"path": "x"}]
    assert after["tables"]["readings"] == []
    assert after["tables"][TABLE][0]["smallest"] == 3
    assert after["runs"][0]["host"] == "h"


def test_the_manifest_has_a_line_for_each_file_and_run(store):
    files = [store.write(TABLE, means_table(means_row(hour))) for hour in range(3)]
    store.commit(run("a"), files)
    store.commit(run("b"), [])
    lines = (store.folder / "manifest.json").read_text().splitlines()
    assert len([line for line in lines if '"sha256"' in line]) == 3
    assert len([line for line in lines if '"run_id"' in line and '"revision"' in line]) == 2


def test_a_commit_waits_for_another_and_says_when_it_gave_up(store):
    impatient = LocalStore(store.folder, lock_timeout=0.05)
    with (
        exclusive_lock(store.folder, 1),
        pytest.raises(StoreError, match="another run has been committing"),
    ):
        impatient.commit(run(), [])
    assert len(impatient.commit(run(), []).manifest.runs) == 1


def test_threads_that_commit_at_once_lose_nothing(store):
    rows = [means_row(hour, run_id=f"run-{hour}") for hour in range(8)]
    files = [store.write(TABLE, means_table(row)) for row in rows]
    threads = [
        threading.Thread(target=store.commit, args=(run(f"run-{i}"), [file]))
        for i, file in enumerate(files)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(past.run_id for past in store.manifest().runs) == [f"run-{i}" for i in range(8)]
    assert rows_of(store, TABLE) == 8


COMMIT_TEN = """
import sys
from connectors.local_store import LocalStore, RunRecord
from means_rows import TABLE, means_row, means_table
store, name = LocalStore(sys.argv[1]), sys.argv[2]
for i in range(10):
    run_id = f"{name}-{i}"
    row = means_row(i, run_id=run_id, revision=store.next_revision())
    file = store.write(TABLE, means_table(row))
    store.commit(RunRecord(run_id, row["revision"], "", ""), [file])
"""


def test_processes_that_commit_at_once_lose_nothing(store):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMIT_TEN, str(store.folder), name], env=environment
        )
        for name in "abc"
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    expected = {f"{name}-{i}" for name in "abc" for i in range(10)}
    assert {past.run_id for past in store.manifest().runs} == expected
    assert rows_of(store, TABLE) == 30
    with store.connect() as connection:
        shown = connection.execute("SELECT count, mean FROM hourly_means").fetchall()
    assert shown == [(6, 12.5)] * 10
    store.verify()


WRITE_AND_DIE = """
import os, signal, sys
from connectors.local_store import LocalStore
from means_rows import TABLE, means_row, means_table
LocalStore(sys.argv[1]).write(TABLE, means_table(means_row(7)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_killed_before_its_commit_leaves_the_old_state(store):
    store.commit(run("a"), [store.write(TABLE, means_table(means_row()))])
    killed = python("-c", WRITE_AND_DIE, str(store.folder))
    assert killed.returncode == -signal.SIGKILL
    assert len(list((store.folder / TABLE).iterdir())) == 2
    assert rows_of(store, TABLE) == 1
    store.commit(run("b"), [store.write(TABLE, means_table(means_row(7)))])
    assert rows_of(store, TABLE) == 2


@pytest.mark.parametrize("kind", ["batch", "stream"])
def test_a_commit_killed_at_any_step_leaves_the_old_state_or_the_new(tmp_path, kind):
    result = python(str(HERE / "crash_at_each_step.py"), str(tmp_path), kind)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout) >= 20


# connect


def test_a_new_store_has_every_table_and_view_with_the_right_types(store):
    with store.connect() as connection:
        for table in TABLES:
            described = connection.execute(f"DESCRIBE {table}").fetchall()
            assert [row[0] for row in described] == arrow_schema(table).names
        types = {row[0]: row[1] for row in connection.execute("DESCRIBE hourly_means").fetchall()}
        empty = connection.execute("SELECT * FROM sliding_means").fetchall()
    assert list(types) == [
        "region_code",
        "region",
        "quantity",
        "hour",
        "count",
        "mean",
        "min",
        "max",
        "stddev",
        "mean_3h_before",
        "revision",
        "pane",
        "emitted_at",
    ]
    assert types["hour"] == types["emitted_at"] == "TIMESTAMP WITH TIME ZONE"
    assert (types["count"], types["mean"], types["region"]) == ("BIGINT", "DOUBLE", "VARCHAR")
    assert empty == []


def test_types_are_the_same_with_and_without_files(store):
    def described():
        with store.connect() as connection:
            return [connection.execute(f"DESCRIBE {table}").fetchall() for table in TABLES]

    empty = described()
    files = [store.write(table, file_schema(table).empty_table()) for table in TABLES]
    store.commit(run(), [*files, store.write(TABLE, means_table(means_row()))])
    assert described() == empty


def test_a_connection_keeps_showing_the_state_of_its_moment(store):
    store.commit(run("a"), [store.write(TABLE, means_table(means_row(0)))])
    with store.connect() as connection:
        store.commit(run("b"), [store.write(TABLE, means_table(means_row(1)))])
        assert connection.table(TABLE).count("*").fetchall() == [(1,)]
    assert rows_of(store, TABLE) == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "SELECT * FROM glob('/*')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_a_connection_reads_the_files_of_the_store_and_nothing_else(store, query):
    store.commit(run(), [store.write(TABLE, means_table(means_row()))])
    with store.connect() as connection:
        with pytest.raises(duckdb.Error):
            connection.execute(query.format(folder=store.folder)).fetchall()
        assert connection.table(TABLE).count("*").fetchall() == [(1,)]
    assert not (store.folder / "out.csv").exists()


@pytest.mark.parametrize("name", ["it's", "a*b", "a?b", "r[ab]", "{a,b}", "hive=1/é è"])
def test_any_name_of_the_folder_is_taken_as_it_is(tmp_path, name):
    for other in (name, "axb", "ra", "rb"):
        store = LocalStore(tmp_path / other)
        store.commit(run(), [store.write(TABLE, means_table(means_row()))])
    assert rows_of(LocalStore(tmp_path / name), TABLE) == 1
    with LocalStore(tmp_path / name).connect() as connection:
        columns = connection.execute(f"DESCRIBE {TABLE}").fetchall()
    assert len(columns) == len(arrow_schema(TABLE).names)


def test_a_relative_folder_works(store, monkeypatch):
    store.commit(run(), [store.write(TABLE, means_table(means_row()))])
    monkeypatch.chdir(store.folder.parent)
    assert rows_of(LocalStore("results"), TABLE) == 1


def test_a_file_that_vanished_or_shrank_is_named(store):
    file = store.write(TABLE, means_table(means_row()))
    store.commit(run(), [file])
    path = store.folder / file.path
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StoreError, match=rf"{file.sha256}.* of the store is damaged: it has"):
        store.connect()
    path.write_bytes(bytes(file.bytes))
    with pytest.raises(StoreError, match=r"cannot read the store in .*, a file may be damaged"):
        store.connect()
    path.unlink()
    with pytest.raises(StoreError, match=rf"{file.sha256}.* of the store is gone or unreadable"):
        store.connect()


def test_a_manifest_cannot_name_files_outside_the_store(store):
    store.commit(run(), [store.write(TABLE, means_table(means_row()))])
    path = store.folder / "manifest.json"
    for outside in ("/etc/passwd", "../../other.parquet"):
        document = json.loads(path.read_text())
        document["tables"][TABLE][0]["path"] = outside
        path.write_text(json.dumps(document))
        with pytest.raises(StoreError, match="which is outside the store"):
            store.connect()


def test_writing_needs_neither_beam_nor_duckdb_nor_a_sql_parser():
    result = python(
        "-c",
        "import sys, connectors.local_store\n"
        "print({'apache_beam', 'duckdb', 'sqlglot'} & set(sys.modules))",
    )
    assert result.stdout.strip() == "set()", result.stderr
