"""What the manifest knows of the archive: where the same row may stand twice.

A run is plain if it archived each of its readings once and no other run had brought any of them.
The rows of plain runs need no second look. Where another run wrote, the views show each row once,
which costs them a sort, until compaction has removed the repeats.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.local_store.archive_files import TABLE
from connectors.local_store.dates import SEVERAL, day_of
from connectors.local_store.merging import Replacement
from connectors.local_store.records import RECONCILE, STREAM, RunRecord, StoredFile

__all__ = [
    "KEY",
    "ArchiveState",
    "distinct_rows",
    "note_commit",
    "read_state",
    "still_waiting",
    "write_state",
]

KEY = "archive"
"""The key of the manifest."""

SAME_ROW = (
    "format, id, sensor_id, quantity, version_kind, version, deleted, event_time, longitude, "
    "latitude, value, region_code"
)
"""What rows have in common that say the same."""

LATEST = "latest"
"""The kind of runs that bring an entry of each of their readings."""

EARLIEST = "ingested_at, run_id, source"
"""Of rows that say the same, the first in this order stays."""


@dataclass(frozen=True)
class ArchiveState:
    """What is known of the archive.

    Attributes:
        repeated: days of whose rows some may stand there twice; `SEVERAL` stands for all.
        versions: several rows may be about one reading.
        waiting: paths of files whose rows may be of readings that came too late, or whose former
            version their run had forgotten: no window may hold them, and the index neither.
        without: runs that wrote no archive, though they counted readings.
    """

    repeated: frozenset[int] = frozenset()
    versions: bool = False
    waiting: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()

    def suspects(self, files: Iterable[StoredFile]) -> list[StoredFile]:
        """Those files of the archive of whose rows some may stand in them, or in two, twice."""
        return [file for file in files if self._is_suspect(file)]

    def _is_suspect(self, file: StoredFile) -> bool:
        if not self.repeated:
            return False
        day = day_of(file.path)
        # A file of several days may hold rows of any of the repeated ones.
        return SEVERAL in self.repeated or day in self.repeated or day == SEVERAL


def read_state(document: Mapping[str, Any], new: Collection[str] = ()) -> ArchiveState:
    """The state as the manifest has it; without any, nothing is taken for granted.

    Args:
        document: the manifest.
        new: paths of files that it names, but of which it does not know yet.
    """
    if KEY not in document:
        files = document["tables"].get(TABLE, ())
        filled = any(file["path"] not in new for file in files)
        paths = frozenset(file["path"] for file in files)
        return ArchiveState(frozenset({SEVERAL} if filled else ()), filled, paths - set(new))
    state = document[KEY]
    return ArchiveState(
        frozenset(state["repeated"]),
        state["versions"],
        frozenset(state["waiting"]),
        frozenset(state["without"]),
    )


def write_state(document: dict[str, Any], state: ArchiveState) -> None:
    """Puts the state into the manifest."""
    document[KEY] = {
        "repeated": sorted(state.repeated),
        "versions": state.versions,
        "waiting": sorted(state.waiting),
        "without": sorted(state.without),
    }


def note_commit(
    document: dict[str, Any],
    run: RunRecord,
    files: Iterable[StoredFile],
    entries: int,
    known: int,
) -> None:
    """Has the manifest remember what a commit may have done to the archive.

    Args:
        document: the manifest.
        run: the run that commits.
        files: what the commit adds to the manifest.
        entries: how many readings it brings entries of: one each.
        known: of how many of these the index had an entry before, of whichever run.
    """
    archived = [file for file in files if file.table == TABLE]
    paths = {file.path for file in archived}
    state = read_state(document, paths)
    if known or entries != sum(file.rows for file in archived):
        days = {day_of(file.path) for file in archived}
        state = dataclasses.replace(
            state, repeated=state.repeated | days, versions=state.versions or bool(archived)
        )
    if run.kind == STREAM or run.duplicates != LATEST:
        # A batch counts all that it archives, and the index knows it.
        state = dataclasses.replace(state, waiting=state.waiting | paths)
    if archived:
        state = dataclasses.replace(state, without=state.without - {run.run_id})
    elif entries and run.kind != RECONCILE and not _has_archived(document, run.run_id):
        state = dataclasses.replace(state, without=state.without | {run.run_id})
    write_state(document, state)


def _has_archived(document: Mapping[str, Any], run_id: str) -> bool:
    """Whether a former commit of a run brought rows of the archive."""
    past = [run for run in document["runs"] if run["run_id"] == run_id]
    return any(run["counts"].get(TABLE) for run in past)


def distinct_rows(rows: str) -> str:
    """SQL for DuckDB that gives those of a relation's rows once that say the same."""
    window = f"PARTITION BY {SAME_ROW} ORDER BY {EARLIEST}"
    return f"{rows} QUALIFY row_number() OVER ({window}) = 1"


def still_waiting(
    waiting: frozenset[str], replacements: Iterable[Replacement], busy: Collection[StoredFile]
) -> frozenset[str]:
    """The files that may hold readings which no window holds, after files were replaced.

    Args:
        waiting: paths of such files before.
        replacements: files of the archive, and those in their place.
        busy: files that were not replaced after all.
    """
    for replacement in replacements:
        replaced = {file.path for file in replacement.replaced}
        if replaced & waiting and replacement.replaced[0] not in busy:
            waiting = waiting - replaced | {file.path for file in replacement.files}
    return waiting
