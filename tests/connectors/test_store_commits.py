"""What a commit does beside adding up: rows, files, windows, extremes, restarts."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import store_runs
from means_rows import rejected_table
from store_runs import (
    NOON,
    WINDOWS,
    Reading,
    Stream,
    batch,
    entries_of,
    few_rows,
    moment,
    prepared,
    record,
    share_of,
    shown,
    views,
)

from connectors.local_store import (
    LocalStore,
    StoreError,
    commit,
    means_files,
    new_rows,
    transaction,
)
from connectors.local_store.means_files import FILE_SCHEMA, MEANS, means_rows, read_file
from connectors.local_store.owed import drop_owed, read_owed
from connectors.local_store.records import StoredFile
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.windows import HOURLY, SlidingWindow

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
QUARTERS = SlidingWindow(900, 900)
ENDED = NOON
"""A stream that ended then does not come back."""


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def some(count, first=0, **changes):
    return [
        Reading(number, 1, **({"minute": number, "value": number} | changes))
        for number in range(first, first + count)
    ]


def all_rows(store):
    """All revisions with their hidden columns."""
    files = store.manifest().files.get(MEANS, ())
    return [row for file in files for row in read_file(store.folder, file).to_pylist()]


def only(rows, **wanted):
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def hourly(store, hour=0, region="76"):
    """What is shown of an hour that begins so many hours after noon."""
    start = NOON + datetime.timedelta(hours=hour)
    found = only(shown(store), window_size=3600, window_start=start, region_code=region)
    return found[0] if found else None


def keep(store, run_id, readings, windows=WINDOWS):
    """A batch that keeps duplicates: it brings no entries."""
    share = share_of(entries_of(readings), windows)
    revision = store.next_revision()
    file = store.write(MEANS, means_rows(share, revision, run_id, moment()))
    return store.commit(record(run_id, revision=revision, duplicates="keep"), [file])


# rows


def test_the_files_of_the_first_run_are_taken_as_they_are(store, monkeypatch):
    run, files = prepared(store, "first", some(8), files=2)
    monkeypatch.setattr(commit, "NewRows", None)
    manifest = store.commit(run, files).manifest
    named = {file.path for listed in manifest.files.values() for file in listed}
    assert named | {file.path for file in manifest.index} == {file.path for file in files}
    assert manifest.families == ((3600, 3600), (5400, 1800))


def test_a_repeat_adds_no_row_and_no_file(store):
    batch(store, "a", some(9))
    before = store.manifest()
    paths = set(store.folder.rglob("*.*"))
    assert batch(store, "b", some(9)) == {"counted": -9, "duplicate": 9}
    after = store.manifest()
    assert (after.files, after.index, after.revision) == (before.files, before.index, 1)
    assert set(store.folder.rglob("*.*")) == paths
    assert [run.changes for run in after.runs] == [{}, {"counted": -9, "duplicate": 9}]


def test_only_windows_that_change_get_a_row(store):
    batch(store, "a", some(180))
    batch(store, "b", [*some(180), Reading(500, 1, minute=61, value=3)])
    new = only(all_rows(store), revision=2)
    assert {row["window_start"] for row in new if row["window_size"] == 3600} == {
        NOON + datetime.timedelta(hours=1)
    }
    assert len(new) == 1 + 3
    assert {row["run_id"] for row in new} == {"b"}


def test_a_window_that_lost_its_readings_gets_an_empty_row_that_the_views_hide(store):
    batch(store, "a", [Reading(1, 1, value=4), Reading(2, 1, minute=100)])
    batch(store, "b", [Reading(1, 2, deleted=True)])
    (row,) = only(all_rows(store), revision=2, window_size=3600)
    results = ("count", "mean", "min", "max", "stddev")
    assert [row[name] for name in results] == [0, None, None, None, None]
    assert hourly(store) is None
    assert len(views(store)["hourly_means"]) == 1
    # It begins anew: what it held once is forgotten.
    batch(store, "c", [Reading(3, 1, value=9)])
    assert (hourly(store)["count"], hourly(store)["min"]) == (1, 2.25)


def test_a_window_that_never_held_a_reading_gets_no_row(store):
    batch(store, "a", [Reading(1, 5, minute=100)])
    assert batch(store, "b", [Reading(1, 1, minute=0)]) == {"counted": -1, "superseded": 1}
    assert not only(all_rows(store), window_start=NOON)


def test_a_region_is_called_by_its_newest_name(store, monkeypatch):
    batch(store, "a", [Reading(1, 1)])
    monkeypatch.setitem(store_runs.NAMES, "76", "Languedoc")
    batch(store, "b", [Reading(2, 1)])
    assert (hourly(store)["region"], hourly(store)["count"]) == ("Languedoc", 2)


# windows


def test_a_new_kind_of_windows_counts_what_former_runs_have_brought(store):
    batch(store, "a", some(60), (HOURLY,))
    batch(store, "b", some(10, 60), (QUARTERS,))
    found = only(shown(store), window_size=900)
    assert [row["count"] for row in found] == [15, 15, 15, 15, 10]
    assert hourly(store)["count"] == 60
    assert hourly(store, 1)["count"] == 10
    assert store.families() == (QUARTERS, HOURLY)


def test_a_run_that_began_before_other_windows_came_fills_them_too(store):
    run, files = prepared(store, "slow", some(20), (HOURLY,))
    batch(store, "quick", some(20, 10), (HOURLY, QUARTERS))
    store.commit(run, files)
    found = only(shown(store), window_size=900)
    assert [row["count"] for row in found] == [15, 15]


def test_runs_that_keep_duplicates_add_up(store):
    keep(store, "a", some(5))
    keep(store, "b", some(5))
    assert hourly(store)["count"] == 10
    assert store.manifest().unsettled


def test_what_has_no_entries_cannot_be_computed_in_other_windows(store):
    keep(store, "a", some(5), (HOURLY,))
    with pytest.raises(StoreError, match="windows of 900 s every 900 s cannot be added to the"):
        batch(store, "b", some(5), (HOURLY, QUARTERS))
    other = LocalStore(store.folder.parent / "other")
    batch(other, "a", some(5), (HOURLY,))
    with pytest.raises(StoreError, match=r"run c keeps duplicates, so .* of 3600 s every 3600 s"):
        keep(other, "c", some(5), (QUARTERS,))
    assert [run.run_id for run in store.manifest().runs] == ["a"]


# extremes


def test_an_extreme_that_was_replaced_is_looked_up(store):
    batch(store, "a", [*some(10), *some(5, 20, minute=200)])
    batch(store, "b", [Reading(9, 2, minute=9, value=2)])
    assert (hourly(store)["min"], hourly(store)["max"]) == (0.0, 2.0)
    (row,) = only(all_rows(store), revision=2, window_size=3600)
    assert row["partial_max_0"] == 2_000_000
    assert row["partial_max_1"] < -(2**60)


def test_an_extreme_that_moved_away_is_not_found_where_it_was(store):
    batch(store, "a", some(10))
    batch(store, "b", [Reading(9, 2, minute=100, value=9), Reading(0, 2, value=0, region="11")])
    assert (hourly(store)["min"], hourly(store)["max"]) == (0.25, 2.0)
    assert hourly(store, 1)["max"] == 2.25
    assert hourly(store, 0, "11")["min"] == 0.0


def test_a_stream_leaves_a_lost_extreme_to_the_next_batch(store):
    batch(store, "a", some(10))
    stream = Stream(store, "s")
    stream.commit(stream.read([Reading(9, 2, minute=9, value=2)]))
    assert (hourly(store)["count"], hourly(store)["max"]) == (10, 2.25)
    stream.commit(stream.pane())
    assert (hourly(store)["count"], hourly(store)["max"]) == (10, None)
    batch(store, "b", [Reading(30, 1, value=1)])
    # It is shown, but not kept, for the stream may yet give out what has left.
    assert (hourly(store)["count"], hourly(store)["max"]) == (11, 2.0)
    (row,) = only(all_rows(store), run_id="b", window_size=3600)
    assert (row["partial_max_0"], row["partial_max_1"]) == (2_250_000, 2_250_000)
    stream.commit([], finished=True, at=ENDED)
    batch(store, "c", [Reading(31, 1, value=1)])
    assert (hourly(store)["count"], hourly(store)["max"]) == (12, 2.0)
    (row,) = only(all_rows(store), run_id="c", window_size=3600)
    assert row["partial_max_0"] == 2_000_000


def test_a_value_that_a_stream_gives_out_late_does_not_come_back_as_an_extreme(store):
    batch(store, "a", [*some(3), Reading(9, 5, value=1)])
    stream = Stream(store, "s")
    # An older version of 9: settled before the pane that holds it is given out.
    stream.commit(stream.read([Reading(9, 1, value=50)]))
    batch(store, "b", [Reading(10, 1, value=1)])
    assert hourly(store)["max"] == 0.5
    stream.commit(stream.pane())
    assert hourly(store)["max"] is None
    stream.commit(stream.pane("on_time"), finished=True, at=ENDED)
    batch(store, "c", [Reading(11, 1, value=1)])
    assert (hourly(store)["count"], hourly(store)["max"]) == (6, 0.5)


def test_an_extreme_stays_unknown_where_readings_have_no_entries(store):
    keep(store, "a", some(5))
    batch(store, "b", [Reading(50, 1, value=90)])
    batch(store, "c", [Reading(50, 2, value=1)])
    assert (hourly(store)["count"], hourly(store)["max"]) == (6, None)


# streams


def test_what_a_stream_has_settled_waits_for_its_pane(store):
    batch(store, "a", some(10))
    stream = Stream(store, "s")
    before = shown(store)
    repeats = [*some(10), *some(2, 50, minute=3, value=1)]
    for number in range(4):
        assert stream.commit(stream.read(repeats[3 * number : 3 * number + 3]))
        assert shown(store) == before
    (file,) = (store.folder / "owed").iterdir()
    assert store.commit(stream.record(), []).owes
    stream.commit(stream.pane())
    assert hourly(store)["count"] == 12
    assert not store.commit(stream.record(), []).owes
    assert not file.exists()


def test_what_a_stream_displaces_in_another_window_leaves_at_once(store):
    batch(store, "a", [*some(3), Reading(9, 1, minute=5, value=8)])
    stream = Stream(store, "s")
    stream.commit(stream.read([Reading(9, 2, minute=70, value=9), Reading(0, 2, minute=1)]))
    # No pane of the stream will come of the hour that 9 has left, but one of the new 0.
    assert (hourly(store)["count"], hourly(store, 1)) == (4, None)
    moved = Stream(store, "t")
    moved.commit(moved.read([Reading(1, 2, minute=70)]))
    assert hourly(store)["count"] == 3
    stream.commit(stream.pane())
    moved.commit(moved.pane())
    assert (hourly(store)["count"], hourly(store, 1)["count"]) == (2, 2)


@pytest.mark.parametrize("ends", [False, True])
def test_what_has_waited_too_long_for_a_pane_is_settled(store, monkeypatch, ends):
    batch(store, "a", some(10))
    stream = Stream(store, "s")
    stream.commit([*stream.read(some(2, 50, minute=3)), *stream.pane()])
    # The files of its entries come later than the pane that holds them.
    late = stream.read(some(10))
    stream.commit(stream.pane())
    stream.commit(late)
    assert hourly(store)["count"] == 22
    if ends:
        stream.commit([], finished=True)
    else:
        monkeypatch.setattr(new_rows, "HOLD_SECONDS", -1.0)
        stream.commit([])
    assert hourly(store)["count"] == 12
    assert not list((store.folder / "owed").iterdir())


def test_what_is_owed_to_a_window_that_is_computed_anew_is_dropped(store):
    batch(store, "a", some(10))
    stream = Stream(store, "s")
    stream.commit(stream.read([*some(5), *some(5, 5, minute=100)]))
    numbering = Numbering()
    rows = pa.Table.from_pylist(all_rows(store), schema=FILE_SCHEMA)
    series = numbering.series(rows)
    starts = rows.column("window_start").cast(pa.int64()).to_numpy()
    noon = starts == int(NOON.timestamp() * 1e6)
    with store.transaction() as change:
        drop_owed(change, Windows.of([(series[noon], starts[noon])]), numbering)
        named = change.document["owed"]["s"]
    left = read_owed(store.folder, StoredFile("owed", **named), numbering)
    assert len(left.starts) > 0
    assert int(NOON.timestamp() * 1e6) not in left.starts
    assert [path.name for path in (store.folder / "owed").iterdir()] == [
        named["path"].removeprefix("owed/")
    ]
    with store.transaction() as change:
        drop_owed(change, Windows.of([(left.series, left.starts)]), numbering)
    assert not list((store.folder / "owed").iterdir())
    store.verify()


def test_each_pane_is_a_row_and_the_newest_counts(store):
    stream = Stream(store, "s")
    files = [*stream.read(some(3)), *stream.pane()]
    files += [*stream.read(some(3, 3)), *stream.pane(), *stream.pane("on_time")]
    stream.commit(files[::-1])
    rows = only(all_rows(store), window_size=3600)
    rows.sort(key=lambda row: row["emitted_at"])
    # The last pane changes nothing, but it is one.
    assert [(row["pane"], row["count"]) for row in rows] == [("early", 3), ("early", 6)]
    assert hourly(store)["count"] == 6


def test_what_has_not_left_keeps_its_extremes_from_pane_to_pane(store):
    batch(store, "a", some(4, value=3))
    stream = Stream(store, "s")
    for first in (16, 13, 10):
        stream.commit([*stream.read(some(3, first)), *stream.pane()])
        assert (hourly(store)["min"], hourly(store)["max"]) == (0.75, 4.5)


def test_a_pane_that_is_overtaken_changes_nothing(store):
    stream = Stream(store, "s")
    entries, early = stream.read(some(3)), stream.pane()
    later = [*stream.read(some(3, 3)), *stream.pane()]
    stream.commit([*entries, *later])
    before = shown(store)
    stream.commit(early)
    assert shown(store) == before


def test_a_stream_says_what_it_has_committed_in_all(store):
    stream = Stream(store, "s")
    batch(store, "a", some(4))
    assert stream.commit(stream.read(some(2))) == {"counted": -2, "duplicate": 2}
    assert stream.commit(stream.read(some(3, 1))) == {"counted": -2, "duplicate": 2}
    (past,) = [run for run in store.manifest().runs if run.run_id == "s"]
    assert past.changes == {"counted": -4, "duplicate": 4}
    assert (past.kind, past.status) == ("stream", "running")


def test_files_that_a_restarted_stream_hands_over_again_change_nothing(store):
    stream = Stream(store, "s")
    first = [*stream.read(some(3)), *stream.pane()]
    stream.commit(first)
    before = store.manifest()
    stream.commit(first)
    assert store.manifest() == before
    assert not any((store.folder / file.path).exists() for file in first if file.table == MEANS)
    lost = stream.read([Reading(50, 1)])
    (store.folder / lost[0].path).unlink()
    with pytest.raises(StoreError, match="is gone or unreadable"):
        stream.commit(lost)


def test_a_stream_may_come_back_after_its_end(store):
    batch(store, "a", [Reading(9, 5, value=1)])
    stream = Stream(store, "s")
    stream.commit([*stream.read([*some(3), Reading(9, 1, value=50)]), *stream.pane()])
    with few_rows():
        stream.commit([], finished=True)
        for number in range(4):
            batch(store, f"b{number}", [Reading(20 + number, 1, value=1)])
        stream.commit([*stream.read(some(2, 30, value=1)), *stream.pane()])
    assert hourly(store)["count"] == 3 + 1 + 4 + 2
    stream.commit([], finished=True, at=ENDED)
    batch(store, "c", [Reading(40, 1, value=1)])
    assert (hourly(store)["count"], hourly(store)["max"]) == (11, 0.5)


def test_a_stream_that_declares_windows_gets_those_of_former_readings(store):
    batch(store, "a", some(30), (HOURLY,))
    stream = Stream(store, "s", (HOURLY, QUARTERS))
    stream.commit(stream.read([Reading(100, 1, minute=90)]))
    assert [row["count"] for row in only(shown(store), window_size=900)] == [15, 15]
    stream.commit(stream.pane())
    assert [row["count"] for row in only(shown(store), window_size=900)] == [15, 15, 1]


# files


def test_a_commit_reads_what_it_touches(store, monkeypatch):
    minutes = range(0, 40_000, 2)
    readings = [Reading(number, 1, minute=minute) for number, minute in enumerate(minutes)]
    monkeypatch.setattr(means_files, "GROUP_ROWS", 100)
    batch(store, "a", readings)
    (file,) = store.manifest().files[MEANS]
    assert file.rows > 1900
    read = []
    original = pq.ParquetFile.read_row_group

    def counting(self, *arguments, **options):
        table = original(self, *arguments, **options)
        read.append(table.num_rows)
        return table

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    batch(store, "b", [Reading(10**6, 1, minute=20_000)])
    assert sum(read) <= 300


def test_rows_that_were_replaced_are_kept_and_not_read_again(store, monkeypatch):
    stream = Stream(store, "s")
    for number in range(40):
        stream.commit([*stream.read([Reading(number, 1, minute=number)]), *stream.pane()])
    assert len(only(all_rows(store), window_size=3600)) == 40
    files = store.manifest().files[MEANS]
    assert len(files) < 20
    current = sum(file.rows for file in files if not file.history)
    assert current < sum(file.rows for file in files) / 2
    read = []

    def watched(folder, files, *rest):
        read.extend(files)
        return means_files.read_windows(folder, files, *rest)

    monkeypatch.setattr(new_rows, "read_windows", watched)
    stream.commit([*stream.read([Reading(90, 1)]), *stream.pane()], finished=True)
    assert read
    assert not any(file.history for file in read)
    assert hourly(store)["count"] == 41


def test_a_stream_merges_files_when_nobody_waits_for_its_means(store):
    stream = Stream(store, "s")

    def files_after(number, *, means):
        files = stream.read([Reading(number, 1)])
        stream.commit([*files, *stream.pane()] if means else files)
        return sum(not file.history for file in store.manifest().files[MEANS])

    assert [files_after(number, means=True) for number in range(12)] == list(range(1, 13))
    assert files_after(12, means=False) == 1
    # Where all commits have means, twice as many files are merged as else.
    counts = [files_after(20 + number, means=True) for number in range(40)]
    assert max(counts) == 16
    assert hourly(store)["count"] == 12 + 40 + 1


def test_files_that_were_merged_go_an_hour_later(store, monkeypatch):
    with few_rows():
        for number in range(9):
            batch(store, f"run-{number}", [Reading(number, 1, minute=number)])
        before = shown(store)
        document = json.loads((store.folder / "manifest.json").read_text())
        replaced = list(document["replaced"])
        assert replaced
        assert all((store.folder / path).exists() for path in replaced)
        monkeypatch.setattr(transaction, "REPLACED_SECONDS", -1.0)
        batch(store, "last", [])
    assert not any((store.folder / path).exists() for path in replaced)
    assert shown(store) == before
    document = json.loads((store.folder / "manifest.json").read_text())
    assert not set(document["replaced"]) & set(replaced)
    store.verify()
    left = {str(path.relative_to(store.folder)) for path in store.folder.glob("*/*.*")}
    named = [*document["tables"][MEANS], *document["index"]]
    assert left == {entry["path"] for entry in named} | set(document["replaced"])


def test_a_stream_knows_its_merged_files_when_they_are_gone(store, monkeypatch):
    schema = "rejected_readings"
    stream = Stream(store, "s")
    rows = rejected_table(("not_json", "x", "s"))
    file = store.write(schema, rows)
    stream.commit([file])
    with store.transaction() as change:
        change.remove([file])
    monkeypatch.setattr(transaction, "REPLACED_SECONDS", -1.0)
    stream.commit(stream.read(some(1)))
    assert not (store.folder / file.path).exists()
    stream.commit([file])
    assert store.manifest().files[schema] == ()
    assert list((store.folder / "consumed").iterdir())
    stream.commit([], finished=True, at=ENDED)
    assert not list((store.folder / "consumed").iterdir())


def test_a_transaction_that_fails_changes_nothing(store):
    batch(store, "a", some(3))
    before = (store.folder / "manifest.json").read_bytes()

    def fail():
        with store.transaction() as change:
            change.remove(change.before.files[MEANS])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (store.folder / "manifest.json").read_bytes() == before
    with store.transaction() as change:
        change.set({"families": change.document["families"]})
    assert (store.folder / "manifest.json").read_bytes() == before


COMMITS = """
import sys
from store_runs import Reading, Stream, batch
from connectors.local_store import LocalStore
store, name, first = LocalStore(sys.argv[1]), sys.argv[2], int(sys.argv[3])
stream = Stream(store, name)
for number in range(first, first + 12):
    rows = [Reading(n, 1 + n % 3, minute=7 * n, value=n) for n in range(number, number + 5)]
    if name.startswith("stream"):
        stream.commit([*stream.read(rows), *stream.pane()], finished=number == first + 11)
    else:
        batch(store, f"{name}-{number}", rows)
"""


def test_processes_that_share_readings_count_each_once(store):
    batch(store, "before", [Reading(3, 9, minute=21, value=3)])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMITS, str(store.folder), name, str(first)], env=environment
        )
        for name, first in (("batch", 0), ("stream", 6), ("stream-2", 3))
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    one = LocalStore(store.folder.parent / "one")
    numbers = range(22)
    union = [Reading(n, 1 + n % 3, minute=7 * n, value=n) for n in numbers]
    batch(one, "one", [*union, Reading(3, 9, minute=21, value=3)])
    assert shown(store) == shown(one)
    store.verify()


def test_a_batch_of_entries_and_no_means_is_settled(store):
    batch(store, "a", [Reading(1, 1), Reading(2, 1)])
    # A newer version that lies in no region takes the reading out of its windows.
    batch(store, "b", [Reading(1, 2, region=None)])
    assert hourly(store)["count"] == 1


def damaged(store, path):
    path = store.folder / path
    path.write_bytes(bytes(path.stat().st_size))


def test_a_damaged_file_is_named_and_nothing_is_committed(store):
    batch(store, "a", some(3))
    stream = Stream(store, "s")
    stream.commit([*stream.read([Reading(0, 2, value=5)]), *stream.pane()])
    stream.commit(stream.read(some(2)))
    manifest = store.manifest()
    store.verify()
    for version, file in enumerate(
        (manifest.files[MEANS][0], manifest.index[0], manifest.owed["s"]), 3
    ):
        content = (store.folder / file.path).read_bytes()
        damaged(store, file.path)
        files = [*stream.read([Reading(n, version) for n in range(3)]), *stream.pane()]
        with pytest.raises(StoreError, match=rf"{file.sha256}.* of the store is damaged"):
            stream.commit(files)
        with pytest.raises(StoreError, match=rf"{file.sha256}.* is damaged: its content is not"):
            store.verify()
        (store.folder / file.path).write_bytes(content)
    assert store.manifest() == manifest
    (file,) = prepared(store, "b", some(3)).files[1:]
    damaged(store, file.path)
    with pytest.raises(StoreError, match=rf"{file.sha256}.* of the store is damaged"):
        store.commit(record("b"), [file])


def test_a_file_of_a_stream_that_nobody_committed_is_missed(store):
    lost = Stream(store, "s").read(some(1))
    (store.folder / lost[0].path).unlink()
    with pytest.raises(StoreError, match="is gone or unreadable"):
        Stream(store, "s").commit(lost)
    assert store.manifest().runs == ()
