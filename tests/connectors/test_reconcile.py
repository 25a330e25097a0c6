"""Reconciliation: afterwards the means are those of one batch run over the archive."""

from __future__ import annotations

import dataclasses
import datetime
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_stream import RowsStream
from store_runs import shown

from connectors.local_store import LocalStore, RunRecord, StoreError, entry_shards, reconcile_job
from connectors.local_store.archive_state import read_state
from connectors.local_store.compaction import compact
from connectors.local_store.manifest import read_document, write_document
from connectors.local_store.means_files import FILE_SCHEMA, MEANS, read_file, write_means
from connectors.local_store.reconcile import reconcile
from schemas.groupings import GROUPINGS
from tests.support.placed_rows import DAY, NOON, reading, readings
from tests.support.processes import child
from tests.support.stores import archive_only, run
from transforms.windows import HOURLY, SlidingWindow

HOUR = 3_600_000_000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
WINDOWS = (HOURLY, SlidingWindow(5400, 1800))


groupings = st.sampled_from(GROUPINGS)


def means_of(folder_factory, rows, windows=WINDOWS, group_by="region"):
    """The means of one batch run over all the readings."""
    folder = folder_factory.mktemp("union")
    run(folder, "union", rows, windows, group_by=group_by)
    return shown(LocalStore(folder))


def rows_of_means(store):
    files = store.manifest().files.get(MEANS, ())
    return pa.concat_tables(
        [FILE_SCHEMA.empty_table(), *(read_file(store.folder, file) for file in files)]
    )


def rewrite_means(store, change):
    """Puts other rows in the place of those that the store has."""
    rows = change(rows_of_means(store))
    document = read_document(store.folder)
    document["tables"][MEANS] = []
    if rows.num_rows:
        entry = write_means(store.folder, rows).entry() | {"run_id": "damage"}
        document["tables"][MEANS] = [entry]
    document["revision"] += 1
    write_document(store.folder, document)


@st.composite
def histories(draw):
    """Runs over readings of few identities, and some that only went to the archive."""
    runs = draw(st.lists(st.lists(readings(), min_size=1, max_size=8), min_size=1, max_size=3))
    late = draw(st.lists(readings(), max_size=6))
    return runs, late


def store_of(folder, runs, late, group_by):
    for number, rows in enumerate(runs):
        run(folder, f"run-{number}", rows, WINDOWS, group_by=group_by)
    if late:
        archive_only(folder, "late", late, WINDOWS, group_by)
    return LocalStore(folder)


@pytest.fixture
def somebody_writes(tmp_path):
    """Another process that holds the lock of a writer."""
    script = (
        "import sys; from connectors.local_store.writers import announce_writer; "
        "announce_writer(sys.argv[1]); print('here', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with child(command) as process:
        assert process.stdout.readline() == "here\n"
        yield


@settings(max_examples=30)
@given(history=histories(), data=st.data(), group_by=groupings)
def test_the_means_are_those_of_a_batch_over_the_archive_whatever_was_damaged(
    tmp_path_factory, history, data, group_by
):
    runs, late = history
    folder = tmp_path_factory.mktemp("store")
    store = store_of(folder, runs, late, group_by)
    whole = rows_of_means(store)
    lost = data.draw(st.lists(st.booleans(), min_size=whole.num_rows, max_size=whole.num_rows))
    doubled = data.draw(st.lists(st.integers(0, max(whole.num_rows - 1, 0)), max_size=3))

    def damage(rows):
        kept = rows.filter(pa.array(np.array(lost, bool) == False))  # noqa: E712
        if not doubled or not rows.num_rows:
            return kept
        again = rows.take(pa.array(sorted(set(doubled)), pa.int64()))
        for name in ("count", "partial_count", "revision"):
            place = again.schema.get_field_index(name)
            twice = pa.array(again.column(name).to_numpy() * 2 + 1)
            again = again.set_column(place, again.schema.field(name), twice)
        return pa.concat_tables([kept, again])

    rewrite_means(store, damage)
    before = shown(LocalStore(folder))
    union = means_of(
        tmp_path_factory, [row for rows in [*runs, late] for row in rows], group_by=group_by
    )
    done = reconcile(store)
    assert shown(LocalStore(folder)) == union
    assert (done.differences.num_rows > 0) == (before != union)
    assert not read_state(read_document(folder)).waiting
    again = reconcile(store)
    assert (again.run_id, again.differences.num_rows, again.readings) == (None, 0, 0)
    # What comes later is settled against the truth.
    everything = [row for rows in [*runs, late] for row in rows]
    run(folder, "again", data.draw(st.permutations(everything)), WINDOWS, group_by=group_by)
    assert shown(LocalStore(folder)) == union
    store.verify()


SPANS = st.sampled_from(
    [
        (NOON - HOUR, NOON + HOUR),
        (NOON, None),
        (None, NOON),
        (NOON + HOUR, NOON + DAY),
        (NOON + DAY - HOUR, NOON + DAY + HOUR),
        (0, HOUR),
    ]
)


@settings(max_examples=30)
@given(history=histories(), span=SPANS, batch=st.booleans(), group_by=groupings)
def test_windows_of_a_span_are_right_and_the_others_stay_consistent(
    tmp_path_factory, history, span, batch, group_by
):
    runs, late = history
    folder = tmp_path_factory.mktemp("store")
    store = store_of(folder, runs, late, group_by)
    everything = [row for rows in [*runs, late] for row in rows]
    union = tmp_path_factory.mktemp("union")
    run(union, "union", everything, WINDOWS, group_by=group_by)
    reconcile(store, *span)
    assert begin_in(folder, span) == begin_in(union, span)
    if batch:
        run(folder, "again", everything, WINDOWS, group_by=group_by)
    else:
        reconcile(store)
    assert shown(LocalStore(folder)) == shown(LocalStore(union))


def begin_in(folder, span):
    first, last = (None if end is None else EPOCH + end * MICROSECOND for end in span)
    return [
        row
        for row in shown(LocalStore(folder))
        if (first is None or row["window_start"] >= first)
        and (last is None or row["window_start"] < last)
    ]


@settings(max_examples=25)
@given(history=histories(), most=st.sampled_from([1, 5]), group_by=groupings)
def test_large_archives_are_looked_at_in_parts(tmp_path_factory, history, most, group_by):
    runs, late = history
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile_job, "PART_ROWS", most)
        patch.setattr(entry_shards, "MOST_ROWS", most)
        store = store_of(folder, runs, late, group_by)
        rewrite_means(store, lambda rows: rows.slice(0, 0))
        reconcile(store)
    union = means_of(
        tmp_path_factory, [row for rows in [*runs, late] for row in rows], group_by=group_by
    )
    assert shown(LocalStore(folder)) == union
    assert not list(folder.glob(".tmp-*"))


@settings(max_examples=25)
@given(history=histories(), data=st.data(), group_by=groupings)
def test_an_index_that_has_lost_entries_is_mended(tmp_path_factory, history, data, group_by):
    runs, late = history
    folder = tmp_path_factory.mktemp("store")
    store = store_of(folder, runs, late, group_by)
    document = read_document(folder)
    kept = data.draw(st.lists(st.sampled_from(document["index"] or [None]), unique_by=id))
    document["index"] = [entry for entry in document["index"] if entry in kept]
    write_document(folder, document)
    everything = [row for rows in [*runs, late] for row in rows]
    union = means_of(tmp_path_factory, everything, group_by=group_by)
    reconcile(store)
    assert shown(LocalStore(folder)) == union
    run(folder, "again", everything, WINDOWS, group_by=group_by)
    assert shown(LocalStore(folder)) == union


def test_lost_entries_of_a_span_are_added_to_the_index(tmp_path, tmp_path_factory):
    rows = [reading(number) for number in range(3)]
    run(tmp_path, "a", rows)
    store = LocalStore(tmp_path)
    document = read_document(tmp_path)
    document["index"] = []
    write_document(tmp_path, document)
    done = reconcile(store, NOON, None)
    assert done.differences.num_rows == 0
    assert done.run_id
    run(tmp_path, "again", rows)
    assert shown(LocalStore(tmp_path)) == means_of(tmp_path_factory, rows, [HOURLY])


def test_a_damaged_file_of_the_archive_is_named(tmp_path):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    (file,) = store.manifest().files["readings"]
    (tmp_path / file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(StoreError, match=f"{file.sha256}.* of the store is damaged"):
        reconcile(store)


def test_a_damaged_file_of_means_is_named(tmp_path):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)
    (file,) = store.manifest().files[MEANS]
    (tmp_path / file.path).write_bytes(b"x" * file.bytes)
    with pytest.raises(StoreError, match=f"{file.sha256}.* of the store is damaged"):
        reconcile(store)


# what is told


def test_each_row_that_differed_is_told_with_what_it_was(tmp_path):
    run(tmp_path, "a", [reading(0), reading(1, value_micros=3_000_000)])
    archive_only(tmp_path, "late", [reading(2, value_micros=9_000_000, too_late=True)])
    store = LocalStore(tmp_path)
    done = reconcile(store)
    (row,) = done.differences.to_pylist()
    noon = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
    assert (row["region_code"], row["region"], row["quantity"]) == (
        *("11", "Île-de-France", "temperature"),
    )
    assert (row["window_size"], row["window_period"], row["window_start"]) == (3600, 3600, noon)
    assert (row["count_before"], row["count_after"]) == (2, 3)
    assert (row["mean_before"], row["mean_after"]) == (1.5, 4.0)
    assert (row["max_before"], row["max_after"]) == (3.0, 9.0)
    assert (row["min_before"], row["min_after"]) == (0.0, 0.0)
    assert (done.readings, done.windows, done.left_alone) == (1, 1, [])
    with store.connect() as connection:
        (pane,) = connection.execute("SELECT DISTINCT pane FROM hourly_means").fetchall()
    assert pane == ("reconciled",)
    assert [(r.kind, r.run_id) for r in store.manifest().runs][-1] == ("reconcile", done.run_id)


def test_a_window_that_should_not_be_is_emptied(tmp_path, tmp_path_factory):
    run(tmp_path, "a", [reading(0)])
    store = LocalStore(tmp_path)

    def more(rows):
        place = rows.schema.get_field_index("window_start")
        later = pa.array([NOON + HOUR]).view(rows.schema.field(place).type)
        return pa.concat_tables([rows, rows.set_column(place, rows.schema.field(place), later)])

    rewrite_means(store, more)
    done = reconcile(store)
    (row,) = done.differences.to_pylist()
    assert (row["count_before"], row["count_after"], row["mean_after"]) == (1, 0, None)
    assert shown(LocalStore(tmp_path)) == means_of(tmp_path_factory, [reading(0)], [HOURLY])
    with store.connect() as connection:
        query = "SELECT count, mean FROM regional_means_revisions WHERE pane = 'reconciled'"
        assert connection.execute(query).fetchall() == [(0, None)]


def test_what_a_reading_left_outside_the_span_is_corrected_too(tmp_path, tmp_path_factory):
    first = reading(0, version=1, version_kind=3)
    moved = reading(0, version=2, version_kind=3, event_time=NOON + DAY, too_late=True)
    run(tmp_path, "a", [first, reading(1)])
    archive_only(tmp_path, "late", [moved])
    store = LocalStore(tmp_path)
    done = reconcile(store, NOON + DAY - HOUR, NOON + DAY + HOUR)
    assert done.differences.num_rows == 2
    assert shown(LocalStore(tmp_path)) == means_of(
        tmp_path_factory, [first, reading(1), moved], [HOURLY]
    )
    assert not read_state(read_document(tmp_path)).waiting


def test_readings_outside_the_span_go_on_waiting(tmp_path, tmp_path_factory):
    rows = [reading(0), reading(1, event_time=NOON + DAY, too_late=True)]
    run(tmp_path, "a", rows[:1])
    archive_only(tmp_path, "late", rows[1:])
    store = LocalStore(tmp_path)
    done = reconcile(store, NOON, NOON + HOUR)
    assert (done.run_id, done.differences.num_rows, done.windows) == (None, 0, 1)
    assert read_state(read_document(tmp_path)).waiting
    reconcile(store, NOON + DAY, None)
    assert shown(LocalStore(tmp_path)) == means_of(tmp_path_factory, rows, [HOURLY])


def test_a_merged_file_goes_on_waiting(tmp_path, tmp_path_factory):
    late = [reading(number, too_late=True) for number in range(1, 4)]
    run(tmp_path, "a", [reading(0)])
    for row in late:
        archive_only(tmp_path, row["id"], [row])
    store = LocalStore(tmp_path)
    compact(tmp_path, 10)
    (file,) = store.manifest().files["readings"]
    assert read_state(read_document(tmp_path)).waiting == {file.path}
    reconcile(store, NOON, None)
    assert shown(LocalStore(tmp_path)) == means_of(tmp_path_factory, [reading(0), *late], [HOURLY])


def test_a_store_of_nothing_has_nothing_to_reconcile(tmp_path):
    store = LocalStore(tmp_path)
    store.prepare()
    done = reconcile(store)
    assert (done.run_id, done.windows, done.differences.num_rows) == (None, 0, 0)


# stores that cannot be reconciled


def test_a_store_without_an_archive_is_refused(tmp_path):
    run(tmp_path, "a", [reading(0)])
    document = read_document(tmp_path)
    del document["tables"]["readings"]
    write_document(tmp_path, document)
    with pytest.raises(StoreError, match="has no archive of readings to recompute its means from"):
        reconcile(LocalStore(tmp_path))


def test_a_run_without_an_archive_is_named(tmp_path, monkeypatch):
    run(tmp_path, "a", [reading(0)])
    monkeypatch.setattr("tests.support.stores.archived", lambda *_: [])
    run(tmp_path, "b", [reading(1)])
    with pytest.raises(
        StoreError, match=r"run b wrote no archive of its readings \(--archive none"
    ):
        reconcile(LocalStore(tmp_path))


def test_a_store_that_counts_duplicates_is_refused(tmp_path):
    run(tmp_path, "a", [reading(0)], duplicates="keep")
    with pytest.raises(StoreError, match=r"counts duplicates \(--duplicates keep\)"):
        reconcile(LocalStore(tmp_path))


# streams


LONG_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
MORE = [reading(1), reading(2, event_time=NOON + DAY)]


@pytest.fixture
def store(tmp_path):
    """A store with a reading of a batch."""
    run(tmp_path, "a", [reading(0)], WINDOWS)
    return LocalStore(tmp_path)


@pytest.mark.usefixtures("somebody_writes")
def test_windows_that_a_live_stream_is_about_to_change_are_left_alone(store, tmp_path_factory):
    stream = RowsStream(store, WINDOWS)
    stream.commit([*stream.archive(MORE), *stream.read(MORE)])
    before = shown(store)
    done = reconcile(store)
    assert (done.run_id, done.differences.num_rows) == (None, 0)
    assert {run_id for _, run_id in done.left_alone} == {"stream"}
    assert {key[-1] // HOUR * HOUR for key, _ in done.left_alone} >= {NOON, NOON + DAY}
    assert shown(store) == before
    # The pane comes, and nothing is wrong.
    stream.commit(stream.pane())
    assert shown(store) == means_of(tmp_path_factory, [reading(0), *MORE])
    done = reconcile(store)
    assert (done.run_id, done.differences.num_rows, done.left_alone) == (None, 0, [])


@pytest.mark.usefixtures("somebody_writes")
def test_what_a_live_stream_has_only_archived_so_far_is_left_to_it(store, tmp_path_factory):
    stream = RowsStream(store, WINDOWS)
    stream.commit(stream.archive(MORE))
    done = reconcile(store)
    assert (done.readings, done.differences.num_rows, done.left_alone) == (0, 0, [])
    assert read_state(read_document(store.folder)).waiting
    stream.commit([*stream.read(MORE), *stream.pane()])
    assert shown(store) == means_of(tmp_path_factory, [reading(0), *MORE])


def test_what_came_too_late_for_a_live_stream_is_counted(store, tmp_path_factory):
    late = [reading(1, too_late=True)]
    stream = RowsStream(store, WINDOWS)
    stream.commit(stream.archive(late))
    assert reconcile(store).readings == 1
    assert shown(store) == means_of(tmp_path_factory, [reading(0), *late])
    # The stream reads it again, after a restart that let it through.
    stream.commit([*stream.read(late), *stream.pane()])
    assert shown(store) == means_of(tmp_path_factory, [reading(0), *late])


def test_a_live_stream_does_not_keep_others_from_being_corrected(store, tmp_path_factory):
    stream = RowsStream(store, WINDOWS)
    stream.commit([*stream.archive(MORE), *stream.read(MORE), *stream.pane()])
    rewrite_means(
        store, lambda rows: rows.filter(pa.compute.equal(rows.column("run_id"), "stream"))
    )
    other = [reading(7, event_time=NOON + 5 * DAY)]
    run(store.folder, "b", other, WINDOWS)
    rewrite_means(
        store,
        lambda rows: rows.filter(pa.compute.not_equal(rows.column("run_id"), "b")),
    )
    done = reconcile(store)
    assert done.left_alone == []
    assert shown(store) == means_of(tmp_path_factory, [reading(0), *MORE, *other])


@pytest.mark.parametrize("paned", [False, True])
def test_what_a_dead_stream_claimed_is_counted_and_once_if_it_comes_back(
    store, tmp_path_factory, paned
):
    stream = RowsStream(store, WINDOWS)
    pane = []
    if paned:
        pane = [*stream.archive([reading(9)]), *stream.read([reading(9)]), *stream.pane()]
    stream.commit([*pane, *stream.archive(MORE), *stream.read(MORE)], at=LONG_AGO)
    nine = [reading(9)] if paned else []
    done = reconcile(store)
    assert done.left_alone == []
    assert done.differences.num_rows > 0
    union = means_of(tmp_path_factory, [reading(0), *MORE, *nine])
    assert shown(store) == union
    # It goes on where it was.
    stream.commit(stream.pane())
    assert shown(store) == union
    stream.commit([*stream.archive([reading(5)]), *stream.read([reading(5)]), *stream.pane()])
    union = means_of(tmp_path_factory, [reading(0), *MORE, *nine, reading(5)])
    assert shown(store) == union
    assert reconcile(store).differences.num_rows == 0


def test_what_a_stream_read_and_lost_is_counted(store, tmp_path_factory):
    stream = RowsStream(store, WINDOWS)
    stream.commit(stream.archive(MORE), at=LONG_AGO)
    done = reconcile(store)
    assert done.readings == 2
    union = means_of(tmp_path_factory, [reading(0), *MORE])
    assert shown(store) == union
    again = RowsStream(store, WINDOWS, "restarted")
    again.commit([*again.archive(MORE), *again.read(MORE), *again.pane()])
    assert shown(store) == union


STEPS = st.one_of(
    st.tuples(st.just("batch"), st.lists(readings(), min_size=1, max_size=4)),
    st.tuples(st.just("late"), st.lists(readings(), min_size=1, max_size=3)),
    st.tuples(st.just("read"), st.lists(readings(), min_size=1, max_size=4), st.integers(0, 1)),
    st.tuples(st.just("pane"), st.integers(0, 1)),
    st.tuples(st.just("reconcile"), st.sampled_from([(None, None), (NOON, NOON + HOUR)])),
    st.tuples(st.just("compact")),
)


@settings(max_examples=40)
@given(
    steps=st.lists(STEPS, max_size=8), dead=st.sampled_from([(), (0,), (0, 1)]), group_by=groupings
)
def test_streams_and_batches_with_reconciliations_in_between_come_to_the_same(
    tmp_path_factory, steps, dead, group_by
):
    folder = tmp_path_factory.mktemp("store")
    store = LocalStore(folder)
    store.prepare()
    streams = [RowsStream(store, WINDOWS, f"stream-{number}", group_by) for number in range(2)]
    everything = []

    def commit(number, files):
        streams[number].commit(files, at=LONG_AGO if number in dead else None)

    for place, (step, *what) in enumerate(steps):
        if step == "batch":
            run(folder, f"batch-{place}", what[0], WINDOWS, group_by=group_by)
        elif step == "late":
            archive_only(folder, f"late-{place}", what[0], WINDOWS, group_by)
        elif step == "read":
            rows, number = what
            commit(number, [*streams[number].archive(rows), *streams[number].read(rows)])
        elif step == "pane":
            commit(what[0], streams[what[0]].pane())
        elif step == "reconcile":
            reconcile(store, *what[0])
        else:
            compact(folder, 10)
        if step in {"batch", "late", "read"}:
            everything += what[0]
    for number, stream in enumerate(streams):
        commit(number, stream.pane())
    done = reconcile(store)
    assert done.left_alone == []
    assert shown(store) == means_of(tmp_path_factory, everything, group_by=group_by)
    assert reconcile(store).differences.num_rows == 0


def test_a_stream_whose_last_commit_is_not_known_is_live():
    record = RunRecord("s", 1, "", "", kind="stream", status="running")
    assert reconcile_job._is_live(record, 0)
    assert not reconcile_job._is_live(dataclasses.replace(record, status="finished"), 0)
