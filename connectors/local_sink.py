"""Writes the results of a run into the local store."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BooleanCoder, FloatCoder, PickleCoder, StrUtf8Coder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

import transforms.batches  # noqa: F401 - registers the coder of batches
from connectors.commit_pace import GATHER, CommitPace
from connectors.local_archive import WriteArchive
from connectors.local_rows import (
    TABLES,
    Run,
    ToTable,
    means_table,
    rejected_table,
)
from connectors.local_store import LocalStore, StoredFile, StoreError
from connectors.local_store.commit import Committed
from connectors.local_store.means_files import MEANS
from connectors.local_store.merge_aside import merge_aside
from connectors.local_store.owed import HOLD_SECONDS
from connectors.local_store.records import BATCH, FINISHED, RUNNING, STREAM
from connectors.local_writers import WriteEntries, WriteRows
from transforms.balance import count
from transforms.measures import set_gauge, update_distribution
from transforms.payload import Reached
from transforms.reached import farthest
from transforms.triggers import all_at_once

__all__ = [
    "ENTRIES",
    "TABLES",
    "WRITERS",
    "Run",
    "WriteToStore",
    "means_table",
    "rejected_table",
]

ENTRIES = "entries"
"""The input with the entries that `KeepLatestVersion` gives."""

ARCHIVE = "readings"
MakeWriter = Callable[[str, Run], beam.DoFn]

WRITERS: dict[str, MakeWriter] = {ARCHIVE: lambda folder, run: WriteArchive(folder, run.run_id)}
"""Tables whose files are written by a DoFn of their own, and how it is made."""

OVERDUE = 0.1
"""Seconds after which a commit does not wait for its timer: Prism fires none of a key for which it
has elements, and may lose one."""

FILES = beam.DoFn.StateParam(BagStateSpec("files", PickleCoder()))
DUE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("due", FloatCoder()))
OWNER = beam.DoFn.StateParam(ReadModifyWriteStateSpec("owner", StrUtf8Coder()))
ENDED = beam.DoFn.StateParam(ReadModifyWriteStateSpec("ended", BooleanCoder()))
HELD = beam.DoFn.StateParam(ReadModifyWriteStateSpec("held", PickleCoder()))
COMMIT = TimerSpec("commit", TimeDomain.REAL_TIME)
OWED = TimerSpec("owed", TimeDomain.REAL_TIME)
END = TimerSpec("end", TimeDomain.WATERMARK)
SET_COMMIT, SET_OWED, SET_END = map(beam.DoFn.TimerParam, (COMMIT, OWED, END))


class WriteToStore(beam.PTransform):
    """Writes batches to files of the store, and commits them.

    The input is a dictionary from a table's name to a PCollection of batches; the entries of
    `KeepLatestVersion`, by which runs that share readings are settled, are the input `entries`.
    Without entries the run counts every reading that it brings, whoever has brought it before.

    Of bounded inputs all is committed at once when all is written; until then the store is as it
    was. Of unbounded inputs, what has been written is committed by the clock, and at the end.
    Commits take at most a third of the time, unless `commit_every` seconds have passed since the
    last one; new means do not wait. A runner that lets no timer by the clock fire while elements
    come does not hold them back. Files that a restarted pipeline hands over again change nothing.
    How far the sources have been read (`transforms.reached`) is committed with the archive, one
    commit later than what they brought: a run that goes on from there leaves nothing out.

    What the commit finds out about readings that other runs have brought is added to the counters
    of the namespace `balance`: `counted` falls, `duplicate` and `superseded` rise. The namespace
    `store` has how many commits there were, how long they took, and when the last one was.

    Args:
        folder: the store's folder, which all workers must see.
        run: the run.
        tables: how a batch becomes rows of each table.
        writers: tables whose files are written by a DoFn of their own.
        commit_every: seconds between the commits of unbounded inputs, at most.

    Raises:
        StoreError: from the pipeline, when the store cannot be written.
    """

    def __init__(
        self,
        folder: str,
        run: Run,
        tables: Mapping[str, ToTable] = TABLES,
        writers: Mapping[str, MakeWriter] = WRITERS,
        commit_every: float = 1.0,
    ) -> None:
        super().__init__()
        self._folder, self._run = folder, run
        self._tables, self._writers = tables, writers
        self._commit_every = commit_every

    def expand(self, pcolls: dict[str, beam.PCollection[pa.RecordBatch]]) -> beam.PCollection[str]:
        files = [
            pcolls[name]
            | f"AllTime_{name}" >> all_at_once()
            | f"Write_{name}" >> beam.ParDo(writer).with_output_types(StoredFile)
            for name, writer in self._made(pcolls)
        ]
        written = files | "Written" >> beam.Flatten()
        duplicates = "latest" if ENTRIES in pcolls else "keep"
        if all(batches.is_bounded for batches in pcolls.values()):
            begin = written.pipeline | "Begin" >> beam.Create([None])
            return begin | "Commit" >> beam.Map(
                _commit_batch, self._folder, self._run, duplicates, beam.pvalue.AsList(written)
            ).with_output_types(str)
        committer = _CommitStream(self._folder, self._run, duplicates, self._commit_every)
        return (
            written
            | "AtOnce" >> all_at_once()
            | "ToOne" >> beam.Map(_to_one).with_output_types(tuple[str, Any])
            | "Commit" >> beam.ParDo(committer).with_output_types(str)
        )

    def _made(self, given: Mapping[str, Any]) -> Iterator[tuple[str, beam.DoFn]]:
        """The DoFns that write the files, by the input that they take."""
        if ENTRIES in given:
            yield ENTRIES, WriteEntries(self._folder, self._run)
        for name, make in self._writers.items():
            if name in given:
                yield name, make(self._folder, self._run)
        for name, to_table in self._tables.items():
            if name in given:
                yield name, WriteRows(self._folder, self._run, name, to_table)


def _to_one(file: StoredFile | Reached) -> TimestampedValue:
    # Prism holds back what is later than a timer of its key: here than the one of the end.
    return TimestampedValue(("store", file), GlobalWindow().max_timestamp() - Duration(1))


def _commit_batch(_: None, folder: str, run: Run, duplicates: str, files: list[StoredFile]) -> str:
    # A run that found nothing leaves no trace.
    if files:
        _commit(LocalStore(folder), run, duplicates, files, BATCH, FINISHED)
    return run.run_id


def _commit(
    store: LocalStore,
    run: Run,
    duplicates: str,
    files: list[StoredFile],
    kind: str,
    status: str,
    reached: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Committed, float]:
    """Commits; gives what that has done, and how many seconds it took."""
    record = run.record(files, kind, status, duplicates=duplicates)
    began = time.monotonic()
    done = store.commit(record, files, reached)
    took = time.monotonic() - began
    count("commits", 1, "store")
    count("commit_milliseconds", round(1000 * took), "store")
    update_distribution("store", "commit_time", round(1000 * took))
    set_gauge("store", "last_commit", int(time.time()))
    for name, amount in done.changes.items():
        count(name, amount)
    return done, took


def _farthest(written: Sequence[StoredFile | Reached]) -> dict[str, int]:
    """How far the parts of the sources have been read."""
    return farthest(each for each in written if isinstance(each, Reached))


class _CommitStream(beam.DoFn):
    """Collects the names of files and commits them by the clock, and at the end of all time.

    Elements out are the run's identifier, one a commit.
    """

    def __init__(self, folder: str, run: Run, duplicates: str, commit_every: float) -> None:
        self._folder, self._run, self._duplicates = folder, run, duplicates
        self._pace = CommitPace(commit_every)

    @functools.cached_property
    def _store(self) -> LocalStore:
        """One for all commits: it keeps the files of the index mapped."""
        return LocalStore(self._folder)

    def process(
        self,
        element: tuple[str, StoredFile | Reached],
        files: Any = FILES,
        due: Any = DUE,
        commit: Any = SET_COMMIT,
        end: Any = SET_END,
        owner: Any = OWNER,
        held: Any = HELD,
        owed: Any = SET_OWED,
    ) -> Iterator[str]:
        self._check_owner(owner)
        files.add(element[1])
        at, now = due.read(), float(Timestamp.now())
        means = isinstance(element[1], StoredFile) and element[1].table == MEANS
        wait = self._pace.wait(urgent=means)
        if (at is not None and at < now - OVERDUE) or (means and wait <= GATHER):
            yield from self._commit_written(files, due, held, commit, owed)
        # It comes earlier than was said where there are new means, or where a clock that was wrong
        # has set the timer hours ahead.
        elif at is None or at > now + wait + OVERDUE:
            self._schedule(due, commit, urgent=means)
        if at is None:
            end.set(GlobalWindow().max_timestamp())

    def _check_owner(self, owner: Any) -> None:
        """Makes sure that the state is that of this run.

        Raises:
            StoreError: it is another run's, whose sums would count once more.
        """
        name, mine = owner.read(), self._run.run_id
        if name is None:
            owner.write(mine)
        elif name != mine:
            msg = (
                f"the savepoint is of run {name}, and the stream of {self._folder} that was "
                f"stopped last is {mine}: leave --savepoint_path out, and it goes on where the "
                "store is"
            )
            raise StoreError(msg)

    def _schedule(self, due: Any, commit: Any, *, urgent: bool = False) -> None:
        at = Timestamp.now() + Duration(seconds=self._pace.wait(urgent=urgent))
        due.write(float(at))
        commit.set(at)

    @on_timer(COMMIT)
    def commit_by_the_clock(
        self,
        files: Any = FILES,
        due: Any = DUE,
        held: Any = HELD,
        commit: Any = SET_COMMIT,
        owed: Any = SET_OWED,
        ended: Any = ENDED,
    ) -> Iterator[str]:
        """Commits what has been written since the last time."""
        if not ended.read():
            yield from self._commit_written(files, due, held, commit, owed)

    def _commit_written(
        self, files: Any, due: Any, held: Any, commit: Any, owed: Any
    ) -> Iterator[str]:
        written = list(files.read())
        reached = held.read() or {}
        if written or reached:
            yield from self._commit(written, RUNNING, owed, reached)
        # What is cleared here and committed again after a failure changes nothing.
        files.clear()
        due.clear()
        # Rejected records of the same bundle may be on their way when this is committed.
        newly = _farthest(written)
        held.write(newly)
        if newly:
            self._schedule(due, commit)

    @on_timer(OWED)
    def commit_what_is_owed(self, owed: Any = SET_OWED, ended: Any = ENDED) -> Iterator[str]:
        """Commits what has waited for a pane that did not come."""
        if not ended.read():
            yield from self._commit([], RUNNING, owed)

    @on_timer(END)
    def commit_the_rest(
        self,
        files: Any = FILES,
        due: Any = DUE,
        held: Any = HELD,
        commit: Any = SET_COMMIT,
        owed: Any = SET_OWED,
        ended: Any = ENDED,
    ) -> Iterator[str]:
        """Commits what is left, and says that the run is finished."""
        written = list(files.read())
        reached = {**(held.read() or {}), **_farthest(written)}
        yield from self._commit(written, FINISHED, None, reached)
        files.clear()
        due.clear()
        held.clear()
        # A runner may wait for timers by the clock before it says that all is done; and it may
        # fire a timer that is cleared.
        ended.write(True)
        commit.clear()
        owed.clear()

    def _commit(
        self,
        written: list[StoredFile | Reached],
        status: str,
        owed: Any,
        reached: Mapping[str, int] | None = None,
    ) -> Iterator[str]:
        files = [each for each in written if isinstance(each, StoredFile)]
        done, took = _commit(
            self._store, self._run, self._duplicates, files, STREAM, status, reached or {}
        )
        self._pace.end(took)
        if status == RUNNING:
            merge_aside(self._folder, done.manifest)
        if done.owes and owed is not None:
            owed.set(Timestamp.now() + Duration(seconds=HOLD_SECONDS))
        yield self._run.run_id
