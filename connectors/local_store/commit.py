"""The commit of a run: its rows become totals, its entries are settled with those of other runs.

See docs/decisions/0008-runs-that-share-readings.md for the protocol.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from connectors.local_store.archive_state import note_commit
from connectors.local_store.consumed import was_consumed
from connectors.local_store.errors import StoreError
from connectors.local_store.files import checked_path
from connectors.local_store.from_index import windows_of_index, windows_of_slices
from connectors.local_store.horizon import KEPT_FROM
from connectors.local_store.index import Index
from connectors.local_store.index_merge import is_one_segment, merge_segments, next_segment
from connectors.local_store.manifest import Manifest
from connectors.local_store.mapped import Mappings
from connectors.local_store.means_files import MEANS, families_of
from connectors.local_store.means_memory import MeansMemory
from connectors.local_store.means_merge import merge_small_files
from connectors.local_store.new_rows import NewRows
from connectors.local_store.owed import owed_file
from connectors.local_store.records import (
    FINISHED,
    INDEX,
    STREAM,
    IndexFile,
    RunRecord,
    StoredFile,
)
from connectors.local_store.run_entries import settle_entries
from connectors.local_store.transaction import Transaction
from transforms.windows import HOURLY, SlidingWindow, slice_seconds

__all__ = ["Committed", "check_grouping", "commit_run"]

KEEP = "keep"
MOST_ROWS = 1 << 20
"""Entries that a stream's commit merges at once: it would be late by more (`merge_aside`)."""


@dataclass(frozen=True)
class Committed:
    """What a commit has done.

    Attributes:
        changes: what to add to the run's balance, class by class: readings that it counted and
            that are duplicates or superseded beside those of other runs.
        revision: the revision of its rows.
        manifest: the state afterwards.
        owes: the run, a stream, has settled what it gave out no pane of yet. If no more files come,
            it is to commit without any after `owed.HOLD_SECONDS`.
    """

    changes: dict[str, int]
    revision: int
    manifest: Manifest
    owes: bool = False


def commit_run(
    change: Transaction,
    run: RunRecord,
    files: Sequence[StoredFile],
    mappings: Mappings | None = None,
    memory: MeansMemory | None = None,
) -> Committed:
    """Prepares the commit of a run's files.

    Args:
        change: the transaction that makes it count.
        run: the run.
        files: what its workers wrote.
        mappings: files of the index that are mapped already; it gets the others, and lets those go
            that are in use no more.
        memory: what the store holds of windows, of a former commit of this process.

    Raises:
        StoreError: see `LocalStore.commit`.
    """
    check_grouping(change.folder, change.before, run.group_by)
    files = list(dict.fromkeys(files))
    past = next((known for known in change.before.runs if known.run_id == run.run_id), None)
    if run.kind == STREAM:
        files = _not_yet_committed(change, run, files)
        owes = owed_file(change.document, run.run_id) is not None
        if not files and not owes and past is not None and past.status == run.status:
            return Committed({}, past.revision, change.before)
    else:
        run = dataclasses.replace(run, files_sha256=_digest(files))
        if past is not None:
            if past.files_sha256 != run.files_sha256:
                msg = (
                    f"run {run.run_id} is committed to {change.folder} already, with other "
                    "files; give each run an identifier of its own"
                )
                raise StoreError(msg)
            return Committed(past.changes, past.revision, change.before)
    for file in files:
        checked_path(change.folder, file)
    mappings = mappings or Mappings()
    if memory is None or run.kind != STREAM or run.status == FINISHED:
        memory = MeansMemory()
    memory.begin(change.folder, change.before, run.run_id)
    done = _Commit(change, run, past, files, mappings, memory).prepare()
    memory.end(change.folder, done.manifest, run.run_id)
    mappings.keep(done.manifest.index)
    return done


def check_grouping(folder: Path, before: Manifest, group_by: str) -> None:
    """Makes sure that a run groups means as all others of the store do.

    Raises:
        StoreError: it does not.
    """
    if before.runs and group_by != before.group_by:
        msg = (
            f"the means in {folder} are grouped by {before.group_by}, not by {group_by}: "
            "name another output folder"
        )
        raise StoreError(msg)


def _digest(files: Sequence[StoredFile]) -> str:
    return hashlib.sha256("\n".join(sorted(file.path for file in files)).encode()).hexdigest()


def _not_yet_committed(
    change: Transaction, run: RunRecord, files: Sequence[StoredFile]
) -> list[StoredFile]:
    known = {file.path for listed in change.before.files.values() for file in listed}
    known.update(file.path for file in change.before.index)
    known.update(change.document.get("replaced", {}))
    files = [file for file in files if file.path not in known]
    missing = [file for file in files if not (change.folder / file.path).exists()]
    gone = was_consumed(change.folder, run.run_id, missing) if missing else set()
    return [file for file in files if file not in gone]


class _Commit:
    """One commit, step by step."""

    def __init__(
        self,
        change: Transaction,
        run: RunRecord,
        past: RunRecord | None,
        files: Sequence[StoredFile],
        mappings: Mappings,
        memory: MeansMemory,
    ) -> None:
        self.change, self.run, self.past = change, run, past
        self.mappings, self.memory = mappings, memory
        self.folder, self.before = change.folder, change.before
        self.means = [file for file in files if file.table == MEANS and file.rows]
        self.entries = [file for file in files if isinstance(file, IndexFile)]
        self.others = [file for file in files if file.table not in {MEANS, INDEX}]
        self.stream = run.kind == STREAM
        self.alive = change.alive | ({run.run_id} if self.stream else set())
        self.owes = owed_file(change.document, run.run_id) is not None
        self.wrote = False
        self.known = 0

    def prepare(self) -> Committed:
        """Has the transaction say all that the new manifest says."""
        changes: Counter[str] = Counter()
        self.change.add(self.others, self.run.run_id)
        if self._can_be_taken_as_it_is():
            self.change.add(self.means, self.run.run_id)
            self.change.set_index([dataclasses.replace(file, segment=0) for file in self.entries])
            self.wrote = bool(self.means)
        elif self.means or self.entries or self.owes:
            self._check_families()
            changes = self._settle()
        entries = sum(file.rows for file in self.entries)
        note_commit(self.change.document, self.run, self.others, entries, self.known)
        if self.means or self.entries:
            families = [list(family) for family in sorted(self.families)]
            unsettled = self.before.unsettled or self.run.duplicates == KEEP
            self.change.set({"families": families, "unsettled": unsettled})
        if self.run.group_by != self.before.group_by:
            self.change.set({"group_by": self.run.group_by})
        run = self._record(changes)
        document = self.change.document
        return Committed(
            dict(changes),
            run.revision,
            Manifest.from_document(document),
            owed_file(document, run.run_id) is not None,
        )

    @cached_property
    def own_families(self) -> set[tuple[int, int]]:
        """The windows that the run computes: those that it names, else those of its rows."""
        if self.run.windows:
            return {(size, period) for size, period in self.run.windows}
        return families_of(self.folder, self.means)

    @cached_property
    def families(self) -> set[tuple[int, int]]:
        """The windows that the store holds afterwards."""
        return {*self.before.families, *self.own_families}

    def _can_be_taken_as_it_is(self) -> bool:
        """Whether the workers' files need no other form: the store holds nothing to be settled."""
        return (
            not self.stream
            and not self.before.files.get(MEANS)
            and not self.before.index
            and self.run.revision == self.change.revision
            and is_one_segment(self.entries)
            and KEPT_FROM not in self.change.document
        )

    def _check_families(self) -> None:
        """Refuses what can be computed from no entries.

        Raises:
            StoreError: windows are missing of readings that the index does not hold.
        """
        lacking = set(self.before.families) - self.own_families
        if self.run.duplicates == KEEP and lacking:
            msg = (
                f"run {self.run.run_id} keeps duplicates, so the store cannot compute its windows "
                f"of {_said(lacking)}, which others have brought; run the job again with them"
            )
            raise StoreError(msg)
        added = self.own_families - set(self.before.families)
        if added and self.before.unsettled:
            msg = (
                f"windows of {_said(added)} cannot be added to the store in {self.folder}: it "
                "holds readings of runs that keep duplicates; name another output folder"
            )
            raise StoreError(msg)

    def _settle(self) -> Counter[str]:
        """Adds rows of totals and the entries; gives the change of the run's balance."""
        index = Index(self.folder, self.before.index, self.mappings)
        rows = NewRows(self.change, self.run, self.means, self.memory)
        added = self.own_families - set(self.before.families)
        if added and index.rows:
            # What former runs have brought, in windows that they did not compute.
            rows.add(windows_of_index(index, _windows(added)))
        seconds = slice_seconds(_windows(self.families) or [HOURLY])
        lacking = _windows(set(self.before.families) - self.own_families)
        settled = settle_entries(
            self.folder,
            index,
            self.entries,
            self.run.run_id,
            next_segment(self.before.index),
            seconds,
            ended=not self.stream,
            difference=bool(lacking),
        )
        own = _windows(self.own_families)
        rows.settle(windows_of_slices(settled.left, own, seconds))
        rows.settle(windows_of_slices(settled.cancelled, own, seconds), copies=True)
        rows.displace(
            windows_of_slices(settled.displaced, own, seconds),
            windows_of_slices(settled.counted, own, seconds),
        )
        rows.add(windows_of_slices(settled.difference, lacking, seconds))
        self.made, self.known = settled.files, settled.known
        index_files = [*self.before.index, *settled.files]
        # What the index does not hold, it cannot tell; and a stream's next pane may lose it again.
        complete = not self.before.unsettled and self.run.duplicates != KEEP
        look_up = complete and self.run.status == FINISHED
        written = rows.write(
            self.change.revision,
            Index(self.folder, index_files, self.mappings) if look_up else None,
            settled=not self.alive,
        )
        self._update(index_files, written)
        self.change.owe(self.run.run_id, rows.owed)
        return settled.changes

    def _update(self, index_files: Sequence[IndexFile], written: StoredFile | None) -> None:
        """Has the manifest name the new files, merged with others of like size."""
        made = [file for file in index_files if file not in self.before.index]
        most_rows = MOST_ROWS if self.stream else None
        index_files, unused = merge_segments(self.folder, index_files, self.alive, most_rows)
        self.change.set_index(index_files)
        self.wrote = written is not None
        new = [] if written is None else [written]
        before = self.before.files.get(MEANS, ())
        # A stream's new means are waited for; its next commit without any comes soon.
        hurry = self.stream and bool(self.means)
        merged, replaced = merge_small_files(self.folder, [*before, *new], self.alive, hurry=hurry)
        added = [*merged, *(file for file in new if file not in replaced)]
        self.change.remove(replaced)
        self.change.add(added, self.run.run_id)
        used = [*self.means, *self.entries, *new, *made, *unused, *replaced]
        self.change.consume(used, self.run)

    def _record(self, changes: Counter[str]) -> RunRecord:
        past = self.past
        last = self.before.revision if past is None else past.revision
        run = dataclasses.replace(
            self.run, revision=self.change.revision if self.wrote else last, changes=dict(changes)
        )
        if past is not None:
            run = dataclasses.replace(
                run,
                started_at=past.started_at,
                counts=_added_up(past.counts, run.counts),
                changes=_added_up(past.changes, changes),
            )
        self.change.record(run)
        return run


def _added_up(past: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    total = Counter(past)
    total.update(more)
    return {name: amount for name, amount in total.items() if amount}


def _windows(families: Iterable[tuple[int, int]]) -> list[SlidingWindow]:
    return [SlidingWindow(size, period) for size, period in sorted(families)]


def _said(families: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{size} s every {period} s" for size, period in sorted(families))
