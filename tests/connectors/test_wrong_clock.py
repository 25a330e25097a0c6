"""A clock that was hours ahead for a while: what comes after it still counts, and is committed."""

from __future__ import annotations

import datetime

import pytest
from apache_beam.utils.timestamp import Duration, Timestamp

from connectors import commit_pace, local_sink
from connectors.local_store import LocalStore
from connectors.local_store.errors import StoreError
from tests.connectors import store_runs
from tests.connectors.store_runs import Reading, Stream, views

AHEAD = datetime.timedelta(hours=5)


@pytest.mark.parametrize("hours", [5, -5])
def test_panes_after_a_clock_was_set_right_are_newer_than_those_before(
    hours, tmp_path, monkeypatch
):
    store = LocalStore(tmp_path / "store")
    stream = Stream(store, "stream")
    wrong = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    monkeypatch.setattr(store_runs, "moment", lambda: wrong)
    stream.commit([*stream.read([Reading(1, 1, value=8)]), *stream.pane()])
    # A worker of its own, whose clock is right.
    now = datetime.datetime.now(datetime.UTC)
    for step, value in enumerate((16, 24)):
        right = now + datetime.timedelta(microseconds=step)
        monkeypatch.setattr(store_runs, "moment", lambda right=right: right)
        stream.commit([*stream.read([Reading(2 + step, 1, value=value)]), *stream.pane()])
        rows = views(store)["hourly_means"]
        assert [row["count"] for row in rows] == [2 + step]


class State:
    """A cell of state, or a timer."""

    def __init__(self):
        self.value = None

    def read(self):
        return self.value

    def write(self, value):
        self.value = value

    set = write

    def clear(self):
        self.value = None


@pytest.fixture
def committer(tmp_path):
    run = local_sink.Run("run", 1, datetime.datetime.now(datetime.UTC), ())
    return local_sink._CommitStream(str(tmp_path), run, "latest", 1.0)


class Files(list):
    """A bag of state."""

    add = list.append


def test_a_commit_that_a_wrong_clock_put_off_for_hours_comes_soon(committer, monkeypatch):
    due, commit, end, owner = State(), State(), State(), State()

    def take(hours):
        now = Timestamp.of(datetime.datetime.now(datetime.UTC).timestamp() + hours * 3600)
        monkeypatch.setattr(local_sink.Timestamp, "now", staticmethod(lambda: now))
        cells = due, commit, end, owner, State(), State()
        assert list(committer.process(("store", None), Files(), *cells)) == []
        return now

    soon = Duration(seconds=commit_pace.GATHER)
    first = take(0)
    assert commit.value == first + soon
    take(0.1 / 3600)
    assert commit.value == first + soon, "a timer that is set again is put off"
    due.clear()
    assert take(5) + soon == commit.value
    assert take(0) + soon == commit.value


def test_the_state_of_another_run_is_refused(committer):
    owner = State()
    owner.write("another")
    cells = State(), State(), State(), owner, State(), State()
    with pytest.raises(StoreError, match="the savepoint is of run another"):
        list(committer.process(("store", None), Files(), *cells))
