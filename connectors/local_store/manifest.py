"""What the local store holds: the manifest, its format and how it is replaced.

`manifest.json` is the only file that readers trust: a Parquet file that it does not name does not
exist for them. It is replaced in one rename, so a reader sees a whole old or a whole new one.
Keys that this version does not know are kept when it rewrites the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from connectors.local_store.errors import StoreError

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Manifest",
    "RunRecord",
    "StoredFile",
    "exclusive_lock",
    "read_document",
    "replace_file",
    "sync_folder",
    "write_document",
]

FORMAT_VERSION = 1
"""Raised when a reader of the version before would answer wrongly; it refuses a greater one."""

MANIFEST = "manifest.json"
LOCK = ".lock"
TEMPORARY_PREFIX = ".tmp-"
LOCK_POLL_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class StoredFile:
    """A Parquet file of the store.

    Attributes:
        table: the table whose rows it holds.
        path: relative to the store's folder, with forward slashes.
        rows: number of rows.
        bytes: size in bytes.
        sha256: hexadecimal digest of the file's content.
    """

    table: str
    path: str
    rows: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What the manifest remembers of a run.

    Attributes:
        run_id: unique name of the run.
        revision: the revision of the rows that it wrote; the greater replaces the smaller.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC.
        inputs: the inputs as they were named.
        counts: the balance of the run, class by class.
    """

    run_id: str
    revision: int
    started_at: str
    finished_at: str
    inputs: list[str] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)


RUN_FIELDS = tuple(field.name for field in dataclasses.fields(RunRecord))


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is committed to a store.

    Attributes:
        files: the files of each table, in the order of their commits.
        runs: the runs, in the order of their commits.
        format_version: version of the store's format.
    """

    files: Mapping[str, tuple[StoredFile, ...]] = dataclasses.field(default_factory=dict)
    runs: tuple[RunRecord, ...] = ()
    format_version: int = FORMAT_VERSION

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Manifest:
        """Takes the keys that this version knows from the JSON document."""
        return cls(
            files={
                table: tuple(
                    StoredFile(table, file["path"], file["rows"], file["bytes"], file["sha256"])
                    for file in files
                )
                for table, files in document["tables"].items()
            },
            runs=tuple(
                RunRecord(**{name: run[name] for name in RUN_FIELDS}) for run in document["runs"]
            ),
            format_version=document["format_version"],
        )


def read_document(folder: Path) -> dict[str, Any]:
    """Reads and checks `manifest.json`.

    Args:
        folder: the store's folder.

    Returns:
        The JSON document; that of an empty store where there is none.

    Raises:
        StoreError: the file cannot be read, is no manifest, or has a newer format.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {"format_version": FORMAT_VERSION, "tables": {}, "runs": []}
    except OSError as error:
        msg = f"cannot read {path} ({error.strerror}); check its permissions"
        raise StoreError(msg) from error
    broken = (
        f"{path} is not a readable manifest; put back a copy of it, or name another output folder"
    )
    try:
        document = json.loads(text)
        version = document["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(broken) from error
    if not isinstance(version, int) or isinstance(version, bool):
        raise StoreError(broken)
    if version != FORMAT_VERSION:
        msg = (
            f"the store in {folder} has format {version} and this program knows only format "
            f"{FORMAT_VERSION}; use a newer version of the program or another output folder"
        )
        raise StoreError(msg)
    try:
        Manifest.from_document(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(broken) from error
    return dict(document)


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Replaces `manifest.json` in one rename; one line for each file and run, to be read by eye."""
    tables = ",\n".join(
        f" {json.dumps(table)}: {_lines(files)}" for table, files in document["tables"].items()
    )
    others = "".join(
        f',\n"{key}": {json.dumps(value)}'
        for key, value in document.items()
        if key not in {"format_version", "tables", "runs"}
    )
    text = (
        f'{{"format_version": {document["format_version"]},\n'
        f'"tables": {{\n{tables}}},\n"runs": {_lines(document["runs"])}{others}}}\n'
    )
    temporary = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}.json"
    try:
        with temporary.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        replace_file(temporary, folder / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(entries: list[Any]) -> str:
    return "[\n  " + ",\n  ".join(json.dumps(entry) for entry in entries) + "]" if entries else "[]"


def replace_file(source: Path, target: Path) -> None:
    """Renames `source` to `target` and makes the rename durable."""
    source.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot sync a folder; the rename still holds
        pass
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_lock(folder: Path, timeout: float) -> Iterator[None]:
    """Holds the store's lock file: one committer at a time, in any process or thread.

    The lock ends with the process that holds it, so a killed run leaves none behind.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for another committer.

    Raises:
        StoreError: another committer held the lock all the time.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    msg = (
                        f"another run has been committing to {folder} for {timeout:g} seconds; "
                        "wait for it to end and try again"
                    )
                    raise StoreError(msg) from error
                pause.wait(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)
