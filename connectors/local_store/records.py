"""What the manifest says of files and runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from schemas.groupings import REGION

__all__ = [
    "BATCH",
    "FINISHED",
    "INDEX",
    "OWED",
    "RECONCILE",
    "RUNNING",
    "STREAM",
    "IndexFile",
    "RunRecord",
    "StoredFile",
]

INDEX = "index"
"""Stands where a table's name would, for files of the index of entries."""

OWED = "owed"
"""The same, for what streams have yet to bring."""

BATCH, STREAM = "batch", "stream"
RECONCILE = "reconcile"
RUNNING, FINISHED = "running", "finished"


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A file of the store.

    Attributes:
        table: the table whose rows it holds, or `INDEX`.
        path: relative to the store's folder, with forward slashes.
        rows: number of rows.
        bytes: size in bytes.
        sha256: hexadecimal digest of the file's content.
        first: the smallest window start (of means) or event time (of the index) among its rows, in
            microseconds since the epoch; None where it is not known.
        last: the greatest.
        history: of means: newer rows of all its windows are in other files, so that no commit needs
            to read it.
    """

    table: str
    path: str
    rows: int
    bytes: int
    sha256: str
    first: int | None = None
    last: int | None = None
    history: bool = False

    def entry(self) -> dict[str, Any]:
        """As it stands in the manifest, under its table."""
        fields = dataclasses.asdict(self)
        del fields["table"]
        return {
            name: value
            for name, value in fields.items()
            if value is not None and value is not False
        }


@dataclasses.dataclass(frozen=True)
class IndexFile(StoredFile):
    """A file of the index: entries in the order of their identities.

    Attributes:
        low: the smallest `identity_high` in it.
        high: the greatest.
        segment: files of one number follow each other without overlap: one sorted list.
    """

    low: int = 0
    high: int = 0
    segment: int = 0


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What the manifest remembers of a run.

    Attributes:
        run_id: unique name of the run.
        revision: the revision of the rows that it wrote last; the greater replaces the smaller.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC; of a stream that runs, the time of its last commit.
        inputs: the inputs as they were named.
        counts: the rows that it wrote, table by table.
        kind: `batch` commits once, `stream` as often as it likes; others are chores of the store.
        status: `running` or `finished`. A run that is finished counts nothing any more.
        duplicates: `latest`; or `keep` where the run brings no entries, so that nothing of it can
            be settled with other runs.
        windows: size and period, in seconds, of all windows that it computes. For a batch they are
            found in its rows.
        group_by: what it groups means by, one of `schemas.groupings.GROUPINGS`.
        changes: what commits have changed in its balance, class by class.
        files_sha256: of a batch, digest of the names of its files: tells whether it is committed
            again as it was.
        state: of a stream, a word for the layout of its state, as it said; empty where it did not.
    """

    run_id: str
    revision: int
    started_at: str
    finished_at: str
    inputs: list[str] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    kind: str = BATCH
    status: str = FINISHED
    duplicates: str = "latest"
    windows: list[list[int]] = dataclasses.field(default_factory=list)
    changes: dict[str, int] = dataclasses.field(default_factory=dict)
    files_sha256: str = ""
    group_by: str = REGION
    state: str = ""


def known_fields(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a dataclass that a JSON object has; keys of a later version are left out.

    Raises:
        KeyError: one without a default is missing.
    """
    found = {}
    for field in dataclasses.fields(kind):
        if field.name in document:
            found[field.name] = document[field.name]
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise KeyError(field.name)
    return found
