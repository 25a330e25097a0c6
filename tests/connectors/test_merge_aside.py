"""Large parts of the index are merged beside a stream: its commits do not wait for them."""

from __future__ import annotations

import logging

import pytest

from connectors.local_store import LocalStore, commit, merge_aside
from connectors.local_store.errors import StoreError
from connectors.local_store.index_merge import MOST
from tests.connectors.store_runs import Reading, Stream, few_rows, views

COMMITS = 14


def segments(store):
    return len({file.segment for file in store.manifest().index})


def readings(number):
    """New ones, and a newer version of one that came before."""
    return [Reading(number, 1), Reading(1000 + number, 1), Reading(number // 2, 2 + number)]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store whose stream merges nothing in its commits."""
    monkeypatch.setattr(commit, "MOST_ROWS", 0)
    monkeypatch.setattr(merge_aside, "_merging", {})
    with few_rows():
        yield LocalStore(tmp_path / "store")


def streamed(store, first=0, stream=None):
    stream = stream or Stream(store, "stream")
    for number in range(first, first + COMMITS):
        stream.commit([*stream.read(readings(number)), *stream.pane()])
    return stream


def wanted(tmp_path, monkeypatch):
    """What the same stream gives where its commits merge."""
    monkeypatch.undo()
    plain = LocalStore(tmp_path / "plain")
    stream = streamed(plain, COMMITS, streamed(plain))
    stream.commit([], finished=True)
    assert segments(plain) < COMMITS
    return views(plain)


def test_a_commit_of_a_stream_leaves_large_merges(store, tmp_path, monkeypatch):
    stream = streamed(store)
    assert segments(store) == COMMITS
    assert merge_aside.merge_crowded(store.folder)
    while merge_aside.merge_crowded(store.folder):
        pass
    assert segments(store) <= MOST
    stream = streamed(store, COMMITS, stream)
    stream.commit([], finished=True)
    assert views(store) == wanted(tmp_path, monkeypatch)


def test_a_stream_commits_while_a_merge_is_going_on(store, tmp_path, monkeypatch):
    stream, merge = streamed(store), merge_aside.merge_into_one

    def slow(*arguments):
        streamed(store, COMMITS, stream)
        return merge(*arguments)

    monkeypatch.setattr(merge_aside, "merge_into_one", slow)
    assert merge_aside.merge_crowded(store.folder)
    assert COMMITS < segments(store) < 2 * COMMITS
    stream.commit([], finished=True)
    assert views(store) == wanted(tmp_path, monkeypatch)


def test_what_others_have_merged_is_left_to_them(store, monkeypatch):
    streamed(store)
    merge = merge_aside.merge_into_one

    def overtaken(*arguments):
        merged = merge(*arguments)
        monkeypatch.setattr(merge_aside, "merge_into_one", merge)
        assert merge_aside.merge_crowded(store.folder)
        return merged

    monkeypatch.setattr(merge_aside, "merge_into_one", overtaken)
    before = views(store)
    assert not merge_aside.merge_crowded(store.folder)
    assert views(store) == before


def test_a_thread_does_it_and_one_at_a_time(store):
    streamed(store)
    folder = str(store.folder)
    thread = merge_aside.merge_aside(folder, store.manifest())
    assert thread is not None
    again = merge_aside.merge_aside(folder, store.manifest())
    assert again is None or not thread.is_alive()
    thread.join(60)
    if again is not None:
        again.join(60)
    assert segments(store) <= MOST
    assert merge_aside.merge_aside(folder, store.manifest()) is None


def test_a_process_that_ends_does_not_wait_for_a_merge(store, monkeypatch):
    streamed(store)
    monkeypatch.setattr(merge_aside._stop, "is_set", lambda: True)
    before = store.manifest().index
    assert not merge_aside.merge_crowded(store.folder)
    assert store.manifest().index == before


def test_a_store_that_cannot_be_written_is_not_merged(store, monkeypatch, caplog):
    streamed(store)

    def failing(*_):
        msg = "the disk is full"
        raise StoreError(msg)

    monkeypatch.setattr(merge_aside, "merge_into_one", failing)
    # The main job silences logging, and tests of it may have run before.
    logging.disable(logging.NOTSET)
    thread = merge_aside.merge_aside(str(store.folder), store.manifest())
    thread.join(60)
    assert "the index is not merged: the disk is full" in caplog.text
    assert segments(store) == COMMITS
