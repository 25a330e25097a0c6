"""What a stream remembers of the store from commit to commit is what the store holds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.local_store import LocalStore, StoreError, means_memory, new_rows, transaction
from connectors.local_store.means_files import MEANS, read_file, read_windows
from connectors.local_store.totals import former
from tests.connectors.store_runs import Reading, Stream, batch, few_rows, shown, views

OF_NO_RUN = ("emitted_at", "own_emitted_at")
_folders = itertools.count()

changes = st.lists(
    st.builds(
        Reading,
        identity=st.integers(0, 5),
        version=st.integers(0, 3),
        minute=st.sampled_from([0, 30, 59, 60, 200]),
        value=st.integers(-3, 3),
        region=st.sampled_from(["76", "11", None]),
        deleted=st.sampled_from([False, False, False, True]),
        kind=st.just(3),
        quantity=st.just("temperature"),
        sensor=st.sampled_from([None, "a", "b"]),
    ),
    max_size=4,
)
steps = st.lists(
    st.tuples(st.sampled_from(["pane", "pane", "entries", "batch"]), changes), max_size=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def looked_up(monkeypatch):
    """How many windows each commit has looked up in the files of the store."""
    found = []

    def look_up(windows, *arguments):
        found.append(len(windows))
        return former(windows, *arguments)

    monkeypatch.setattr(new_rows, "former", look_up)
    return found


def rows_of(store):
    """All rows of means, hidden columns too, but for what depends on the clock."""
    rows = [
        row
        for file in store.manifest().files.get(MEANS, ())
        for row in read_file(store.folder, file).to_pylist()
    ]
    for row in rows:
        for name in OF_NO_RUN:
            row[name] = row[name] is not None
    return sorted(rows, key=str)


def pane_of(stream, *readings):
    """Commits readings and a pane that counts them."""
    return stream.commit([*stream.read(readings), *stream.pane()])


def streamed(store, taken, *, remembers):
    """Runs a stream, and batches beside it."""
    stream = Stream(store, "stream")
    for number, (step, readings) in enumerate(taken):
        if not remembers:
            stream.store = LocalStore(store.folder)
        if step == "batch":
            batch(LocalStore(store.folder), f"batch-{number}", readings)
        else:
            files = stream.read(readings)
            stream.commit([*files, *stream.pane()] if step == "pane" else files)
    stream.commit(stream.pane())
    if remembers:
        assert_as_read(stream)
    before = rows_of(store)
    stream.commit([], finished=True)
    return before, shown(store)


def assert_as_read(stream):
    """What is remembered is what the files say, lost extremes too."""
    store, memory = stream.store, stream.store._memory
    files = [file for file in store.manifest().files.get(MEANS, ()) if not file.history]
    starts = np.unique(memory._windows.starts)
    rows = read_windows(store.folder, files, starts, new_rows.NEEDED)
    read = former(memory._windows, rows, memory.numbering, stream.run_id)
    for mine, theirs in zip(memory._held._columns(), read._columns(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@settings(deadline=None)
@given(taken=steps, most=st.sampled_from([2, 1 << 16]))
def test_a_stream_that_remembers_writes_the_rows_of_one_that_reads(folder, taken, most):
    with few_rows(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(means_memory, "MOST", most)
        both = [
            streamed(LocalStore(folder / str(next(_folders))), taken, remembers=remembers)
            for remembers in (True, False)
        ]
    assert both[0] == both[1]


def test_windows_that_the_last_commits_changed_are_not_looked_up(store, looked_up):
    stream = Stream(store, "stream")
    pane_of(stream, Reading(1, 1, value=4))
    new = looked_up.pop()
    assert new > 0
    pane_of(stream, Reading(2, 1, value=8))
    assert looked_up.pop() == 0
    pane_of(stream, Reading(3, 1, value=8, region="11"))
    assert looked_up.pop() == new
    hour = views(store)["hourly_means"]
    assert [(row["region_code"], row["count"], row["mean"]) for row in hour] == [
        ("11", 1, 2.0),
        ("76", 2, 1.5),
    ]


def test_what_another_run_has_changed_is_looked_up_again(store, looked_up):
    stream = Stream(store, "stream")
    pane_of(stream, Reading(1, 1, value=4))
    batch(LocalStore(store.folder), "beside", [Reading(2, 1, value=8)])
    looked_up.clear()
    pane_of(stream, Reading(3, 1, value=12))
    assert looked_up.pop() > 0
    (hour,) = views(store)["hourly_means"]
    assert (hour["count"], hour["mean"]) == (3, 2.0)


def test_of_too_many_windows_none_is_remembered(store, looked_up, monkeypatch):
    monkeypatch.setattr(means_memory, "MOST", 2)
    stream = Stream(store, "stream")
    for identity in range(3):
        pane_of(stream, Reading(identity, 1, value=identity))
        assert looked_up.pop() > 0
    (hour,) = views(store)["hourly_means"]
    assert (hour["count"], hour["mean"]) == (3, 0.25)


def test_a_commit_that_failed_is_not_remembered(store, monkeypatch):
    stream = Stream(store, "stream")
    pane_of(stream, Reading(1, 1, value=4))
    files = [*stream.read([Reading(2, 1, value=8)]), *stream.pane()]

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "write_document", full)
        with pytest.raises(StoreError, match="no space left"):
            stream.commit(files)
    stream.commit(files)
    pane_of(stream, Reading(3, 1, value=12))
    (hour,) = views(store)["hourly_means"]
    assert (hour["count"], hour["mean"]) == (3, 2.0)


def test_a_file_that_was_damaged_since_is_still_found_out(store):
    stream = Stream(store, "stream")
    pane_of(stream, Reading(1, 1, value=4))
    (file,) = store.manifest().files[MEANS]
    path = store.folder / file.path
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(StoreError, match="damaged"):
        pane_of(stream, Reading(2, 1, value=8))
