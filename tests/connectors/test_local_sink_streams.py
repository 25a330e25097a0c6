"""Streams into the store: committed as they go, restarted, beside batches."""

from __future__ import annotations

import ast
import math
import time

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.transforms.window import GlobalWindow

from connectors import local_sink
from connectors.local_sink import Run, WriteToStore
from connectors.local_store import LocalStore, new_rows
from connectors.local_store.means_files import means_rows
from connectors.local_store.owed import HOLD_SECONDS
from geo import RegionIndex
from pipelines.reconcile import main as reconcile
from schemas.tables import arrow_schema
from tests.connectors import store_runs
from tests.support.jobs import ask, rows_of
from tests.support.pipelines import one_thread
from tests.support.streams import START, TOULOUSE, Stream, deletion, reading, run_stream
from transforms import AssignRegions, RegionalMeans
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows
from transforms.keep_latest import KeepLatestVersion
from transforms.payload import Reached
from transforms.versions import entries_of
from transforms.windows import HOURLY, SlidingWindow

WINDOWS = (HOURLY, SlidingWindow(1800, 600))
PAIRS = tuple((window.size, window.period) for window in WINDOWS)
MEANS = ("hourly_means", "sliding_means")


def results(readings):
    """What goes into the store, of a PCollection of readings."""
    placed = readings | "Place" >> AssignRegions()
    latest = placed | "Latest" >> KeepLatestVersion(remember_versions=86_400, retell=True)
    means = latest.readings | "Means" >> RegionalMeans(WINDOWS, partials=True, retell=True)
    return {"regional_means_revisions": means, "entries": latest.entries, "readings": placed}


def run(run_id):
    return Run(run_id, 1, START, ("test",), PAIRS)


def stream_into(folder, stream, run_id="stream", commit_every=1.0):
    """Runs a stream into the store; gives its balance."""

    def build(readings):
        sink = WriteToStore(str(folder), run(run_id), commit_every=commit_every)
        results(readings) | "Store" >> sink
        return {}

    return run_stream(stream, build).balance


def batch_into(folder, *rows, run_id="batch"):
    with one_thread() as pipeline:
        readings = pipeline | beam.Create([batch_rows(rows)]).with_output_types(object)
        results(readings) | "Store" >> WriteToStore(str(folder), run(run_id))


ROWS = [
    reading("a", 1, 10.0, 1),
    reading("b", 2, 20.0, 1),
    reading("c", 61, 5.0, 1, TOULOUSE),
    reading("a", 62, 12.0, 2),
    reading("d", 3, 7.5, 1),
    deletion("b", 2, arrived=70),
    reading("e", 4, 1.5, 1, arrived=100),
]


def as_stream():
    """The rows one after another: early, on time and late."""
    stream = Stream()
    stream.rows(ROWS[0], ROWS[1]).wait()
    stream.watermark(60).rows(ROWS[2], ROWS[3]).wait()
    stream.watermark(90).rows(ROWS[4], ROWS[5]).wait()
    return stream.watermark(180).rows(ROWS[6]).wait()


@pytest.fixture
def at_the_end(monkeypatch):
    """All commits wait for timers, which this runner loses: what there is, is committed last."""
    monkeypatch.setattr(local_sink, "OVERDUE", math.inf)
    monkeypatch.setattr(local_sink, "GATHER", -math.inf)


@pytest.mark.usefixtures("at_the_end")
def test_a_stream_gives_the_views_of_a_batch(tmp_path):
    balance = stream_into(tmp_path / "stream", as_stream())
    batch_into(tmp_path / "batch", *ROWS)
    assert rows_of(tmp_path / "stream", *MEANS) == rows_of(tmp_path / "batch", *MEANS)
    assert balance["counted"] == 4
    (past,) = LocalStore(tmp_path / "stream").manifest().runs
    assert (past.kind, past.status, past.windows) == (
        "stream",
        "finished",
        [[3600, 3600], [1800, 600]],
    )
    assert ask(tmp_path / "stream", "SELECT count(*) FROM readings") == [(7,)]


def test_commits_between_change_nothing_but_extremes_that_left(tmp_path, monkeypatch):
    """Those are unknown until the store is reconciled."""
    monkeypatch.setattr(local_sink, "OVERDUE", -math.inf)
    stream_into(tmp_path / "stream", as_stream())
    assert LocalStore(tmp_path / "stream").manifest().revision > 1
    batch_into(tmp_path / "batch", *ROWS)
    wanted = rows_of(tmp_path / "batch", *MEANS)
    assert_counted_alike(rows_of(tmp_path / "stream", *MEANS), wanted)
    reconcile(["--output", str(tmp_path / "stream")])
    assert rows_of(tmp_path / "stream", *MEANS) == wanted


def test_each_pane_is_a_row_and_the_last_one_counts(tmp_path):
    stream_into(tmp_path, as_stream())
    rows = ask(
        tmp_path,
        "SELECT pane, count FROM regional_means_revisions "
        "WHERE window_size = 3600 AND region_code = '11' AND window_start = '2024-01-01 10:00Z' "
        "ORDER BY revision, emitted_at",
    )
    assert [row[0] for row in rows[:2]] == ["early", "on_time"] or rows[0][0] == "early"
    assert rows[-1] == ("late", 2)
    assert len(rows) >= 3


AGAIN = [
    # It has moved to another hour and region; to an hour that it was in; and left.
    [reading("a", 1, 10.0, 1), reading("a", 61, 12.0, 2, TOULOUSE)],
    [reading("a", 61, 10.0, 1), reading("a", 1, 12.0, 2), reading("a", 61, 10.0, 3)],
    [reading("a", 1, 10.0, 1), deletion("a", 2, arrived=5)],
]


@pytest.mark.parametrize("messages", AGAIN, ids=["moved", "moved back", "deleted"])
@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
def test_what_a_failed_attempt_has_shown_does_not_stay(tmp_path, messages, together, backwards):
    """Each message in its turn was shown; then the stream begins again without that state."""
    other = reading("b", 3, 7.0, 1, TOULOUSE)
    first = Stream().rows(other).wait()
    for message in messages[:-1]:
        first = first.rows(message).wait()
    stream_into(tmp_path, first)
    again = Stream().rows(other).wait()
    pieces = [messages] if together else [[message] for message in messages]
    for piece in reversed(pieces) if backwards else pieces:
        again = again.rows(*piece)
    stream_into(tmp_path, again.wait().watermark(200))
    batch_into(tmp_path / "batch", other, *messages)
    assert_counted_alike(rows_of(tmp_path, *MEANS), rows_of(tmp_path / "batch", *MEANS))


def assert_counted_alike(found, wanted):
    """Asserts that views are equal but for emptied windows and the extremes."""
    assert {name: counted(rows) for name, rows in found.items()} == {
        name: counted(rows) for name, rows in wanted.items()
    }


def counted(rows):
    """Rows without those of windows that were emptied, and without the extremes."""
    parsed = [ast.literal_eval(row) for row in rows]
    plain = [{k: v for k, v in row.items() if k not in {"min", "max"}} for row in parsed]
    return [row for row in plain if row["count"]]


@pytest.mark.usefixtures("at_the_end")
def test_a_stream_and_batches_that_share_readings_count_them_once(tmp_path):
    batch_into(tmp_path / "both", *ROWS[:4], run_id="before")
    first = stream_into(tmp_path / "both", as_stream())
    batch_into(tmp_path / "both", *ROWS[2:], run_id="after")
    # Restarted without its state it reads everything again.
    again = stream_into(tmp_path / "both", as_stream(), "restarted")
    batch_into(tmp_path / "one", *ROWS)
    assert rows_of(tmp_path / "both", *MEANS) == rows_of(tmp_path / "one", *MEANS)
    assert sum(first[name] for name in ("counted", "deleted")) == 3
    assert first["duplicate"] == 2
    assert again["counted"] == again["deleted"] == 0
    assert again["duplicate"] == 5


class State(list):
    """A bag, or a cell, of a runner's state."""

    def add(self, element):
        self.append(element)

    def write(self, element):
        self[:] = [element]

    def read(self):
        return self[-1] if self else None


class Bag(State):
    def read(self):
        return list(self)


class Timer(list):
    def set(self, moment):
        self.append(moment)


def give(committer, *arguments):
    """Hands over an element; gives what was committed."""
    return list(committer.process(*arguments))


@pytest.fixture
def committer(tmp_path):
    return local_sink._CommitStream(str(tmp_path), run("stream"), "latest", 2.5)


def test_files_are_committed_by_the_clock_and_the_clock_is_not_put_off(committer, tmp_path):
    store, files, waiting, commit, end = LocalStore(tmp_path), Bag(), State(), Timer(), Timer()
    held, owed = State(), Timer()
    schema = arrow_schema("rejected_readings")
    for number in range(2):
        rows = pa.Table.from_pylist([REJECTED | {"raw": f"bad {number}"}], schema=schema)
        element = "store", store.write("rejected_readings", rows)
        assert give(committer, element, files, waiting, commit, end, State(), held, owed) == []
    assert (len(files), len(commit), len(end)) == (2, 1, 1)
    assert -0.5 < float(commit[0]) - time.time() <= 0.05
    assert end == [GlobalWindow().max_timestamp()]
    assert store.manifest().runs == ()
    tick = files, waiting, held, commit, owed, State()
    assert list(committer.commit_by_the_clock(*tick)) == ["stream"]
    assert owed == []
    assert (list(files), list(waiting)) == ([], [])
    assert [past.status for past in store.manifest().runs] == ["running"]
    assert ask(tmp_path, "SELECT count(*) FROM rejected_readings") == [(2,)]
    # The clock may run once more though nothing has come.
    assert list(committer.commit_by_the_clock(*tick)) == []
    assert list(committer.commit_the_rest(*tick)) == ["stream"]
    assert [past.status for past in store.manifest().runs] == ["finished"]
    assert store.manifest().runs[0].counts == {"rejected_readings": 2}
    # Timers that a runner fires though they were cleared do not take that back.
    files.add(Reached("topic/0", 1))
    assert list(committer.commit_by_the_clock(*tick)) == []
    assert list(committer.commit_what_is_owed(owed, tick[-1])) == []
    assert [past.status for past in store.manifest().runs] == ["finished"]


def test_new_means_are_committed_at_once(committer, tmp_path):
    """They do not wait because there has just been a commit, unless commits take too long."""
    store, files, waiting, held, commit = LocalStore(tmp_path), Bag(), State(), State(), Timer()
    state = files, waiting, commit, Timer(), State(), held, Timer()
    share = store_runs.share_of(store_runs.entries_of([store_runs.Reading(1, 1)]))
    rows = means_rows(share, 0, "stream", store_runs.moment())
    element = "store", store.write("regional_means_revisions", rows)
    committer._pace.end(0.02)
    for number in range(3):
        assert give(committer, ("store", Reached("topic/0", number)), *state) == []
    assert len(commit) == 1
    assert float(commit[0]) - time.time() > 0.15
    assert give(committer, element, *state) == ["stream"]
    assert len(store.manifest().files["regional_means_revisions"]) == 1
    assert len(commit) == 2, "how far the source was read is committed with the next"
    committer._pace.end(1.0)
    assert give(committer, element, *state) == []
    assert len(commit) == 2, "the next commit is due earlier"
    waiting.write(time.time() + 100)
    assert give(committer, element, *state) == []
    assert 1.0 < float(commit[2]) - time.time() <= 2.5


def test_a_commit_does_not_wait_for_a_timer_that_does_not_come(committer, tmp_path):
    """Prism fires none of a key for which it has elements, and may lose one."""
    files, waiting, held, commit, owed = Bag(), State(), State(), Timer(), Timer()
    state = files, waiting, commit, Timer(), State(), held, owed
    committed = LocalStore(tmp_path).positions
    assert give(committer, ("store", Reached("topic/0", 7)), *state) == []
    waiting.write(time.time() + 0.1)
    assert give(committer, ("store", Reached("topic/0", 8)), *state) == []
    assert len(commit) == 1
    waiting.write(time.time() - 0.2)
    assert give(committer, ("store", Reached("topic/0", 9)), *state) == ["stream"]
    assert (list(files), held.read(), len(commit)) == ([], {"topic/0": 9}, 2)
    waiting.write(time.time() - 0.2)
    assert give(committer, ("store", Reached("topic/0", 10)), *state) == ["stream"]
    assert (committed(), len(commit)) == ({"topic/0": 9}, 3)


def test_how_far_a_source_was_read_is_committed_after_what_it_brought(committer, tmp_path):
    store = LocalStore(tmp_path)
    files, waiting, held, commit, end = Bag(), State(), State(), Timer(), Timer()
    owed = Timer()
    tick = files, waiting, held, commit, owed, State()
    state = files, waiting, commit, end, State(), held, owed
    for reached in (Reached("topic/0", 7), Reached("topic/1", 2), Reached("topic/0", 5)):
        give(committer, ("store", reached), *state)
    list(committer.commit_by_the_clock(*tick))
    assert store.positions() == {}
    # The next commit comes by itself, though nothing more is written.
    assert len(commit) == 2
    list(committer.commit_by_the_clock(*tick))
    assert store.positions() == {"topic/0": 7, "topic/1": 2}
    assert len(commit) == 2
    give(committer, ("store", Reached("topic/1", 9)), *state)
    give(committer, ("store", Reached("topic/0", 6)), *state)
    list(committer.commit_the_rest(*tick))
    assert store.positions() == {"topic/0": 7, "topic/1": 9}


def test_what_waits_for_a_pane_is_committed_after_a_while(committer, tmp_path, monkeypatch):
    batch_into(tmp_path, *ROWS)
    repeated = entries_of(assign_regions(batch_rows(ROWS[:1]), RegionIndex.default()))
    files = Bag(LocalStore(tmp_path).write_entries([repeated], "stream"))
    owed = Timer()
    list(committer.commit_by_the_clock(files, State(), State(), Timer(), owed, State()))
    assert 100 < float(owed[0]) - time.time() <= HOLD_SECONDS
    before = rows_of(tmp_path, *MEANS)
    monkeypatch.setattr(new_rows, "HOLD_SECONDS", -1.0)
    assert list(committer.commit_what_is_owed(owed, State())) == ["stream"]
    assert len(owed) == 1
    assert rows_of(tmp_path, *MEANS) != before


REJECTED = {
    "reason": "not_json",
    "detail": "no JSON",
    "raw": "bad",
    "raw_size": 3,
    "raw_sha256": "0",
    "source": "test",
    "rejected_at": START,
    "run_id": "stream",
}


def test_a_stream_that_brings_nothing_leaves_no_trace(tmp_path):
    stream_into(tmp_path, Stream().wait().watermark(60))
    assert list(tmp_path.iterdir()) == []
