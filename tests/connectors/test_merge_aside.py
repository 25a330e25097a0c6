"""Large parts of the index are merged beside a stream: its commits do not wait for them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import types

import pytest

from connectors.local_store import LocalStore, commit, merge_aside
from connectors.local_store.index_merge import MOST
from connectors.local_store.lock import exclusive_lock
from tests.connectors.store_runs import Reading, Stream, few_rows, views
from tests.support.jobs import ROOT

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
    monkeypatch.setattr(merge_aside, "_not_before", {})
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
    # What a merge has replaced is not held by a mapping.
    mapped = store._mappings._files.keys()
    assert mapped
    assert mapped <= {file.path for file in store.manifest().index}
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


def ended(process):
    """Waits for a process that was started, as the next call of `merge_aside` finds it."""
    assert process.wait(60) is not None


def test_a_process_does_it_and_one_at_a_time(store):
    streamed(store)
    folder = str(store.folder)
    process = merge_aside.merge_aside(folder, store.manifest())
    assert merge_aside.merge_aside(folder, store.manifest()) is None or process.poll() == 0
    ended(process)
    assert segments(store) <= MOST
    assert merge_aside.merge_aside(folder, store.manifest()) is None
    assert merge_aside._merging == {}


def test_a_process_merges_all_that_is_to_be_merged(store, tmp_path, monkeypatch):
    stream = streamed(store)
    assert merge_aside.main([str(store.folder)]) == 0
    assert segments(store) <= MOST
    stream = streamed(store, COMMITS, stream)
    stream.commit([], finished=True)
    assert views(store) == wanted(tmp_path, monkeypatch)


def test_a_merge_ends_with_the_process_that_has_started_it(store):
    streamed(store)
    script = (
        "import sys; from connectors.local_store import LocalStore, merge_aside; "
        "store = LocalStore(sys.argv[1]); "
        "print(merge_aside.merge_aside(sys.argv[1], store.manifest()).pid, flush=True)"
    )
    words = [sys.executable, "-c", script, str(store.folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_merge_ends_when_its_parent_is_killed(store):
    words = [sys.executable, "-m", merge_aside.__name__, str(store.folder)]
    # It waits for the store's lock, so that it lasts.
    streamed(store)
    with exclusive_lock(store.folder, 10):
        process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.stdin.close()
        assert process.wait(30) == 1


def warned(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_merge_that_fails_is_told_and_tried_again_later(store, monkeypatch, caplog):
    # The main job silences logging, and tests of it may have run before.
    logging.disable(logging.NOTSET)
    streamed(store)
    folder, manifest = str(store.folder), store.manifest()
    for file in manifest.index:
        (store.folder / file.path).write_bytes(b"")
    ended(merge_aside.merge_aside(folder, manifest))
    assert merge_aside.merge_aside(folder, manifest) is None
    (said,) = warned(caplog)
    assert said.startswith(f"the index is not merged: {store.folder}")
    assert "is damaged: it has 0 bytes" in said
    assert "\n" not in said
    now = time.monotonic() + 61
    monkeypatch.setattr(merge_aside, "time", types.SimpleNamespace(monotonic=lambda: now))
    assert merge_aside.main([folder]) == 1
    process = merge_aside.merge_aside(folder, manifest)
    process.kill()
    ended(process)
    assert merge_aside.merge_aside(folder, manifest) is None
    assert warned(caplog)[1:] == ["the index is not merged: its process has ended with -9"]


def test_a_stream_goes_on_where_no_process_can_be_started(store, monkeypatch, caplog):
    logging.disable(logging.NOTSET)
    streamed(store)
    monkeypatch.setattr(sys, "executable", str(store.folder / "none"))
    assert merge_aside.merge_aside(str(store.folder), store.manifest()) is None
    assert "the index is not merged: [Errno 2]" in caplog.text
