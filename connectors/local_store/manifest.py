"""What the local store holds: the manifest, its format and how it is replaced.

`manifest.json` is the only file that readers trust: a Parquet file that it does not name does not
exist for them. It is replaced in one rename, so a reader sees a whole old or a whole new one.
Keys that this version does not know are kept when it rewrites the file.
"""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.local_store.errors import StoreError
from connectors.local_store.lock import exclusive_lock
from connectors.local_store.records import (
    INDEX,
    OWED,
    IndexFile,
    RunRecord,
    StoredFile,
    known_fields,
)
from schemas.groupings import REGION

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

FORMAT_VERSION = 3
"""Raised when a reader of the version before would answer wrongly; it refuses a greater one."""

MANIFEST = "manifest.json"
TEMPORARY_PREFIX = ".tmp-"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is committed to a store.

    Attributes:
        files: the files of each table, in the order of their commits.
        runs: the runs, in the order of their first commits.
        format_version: version of the store's format.
        index: the files of the index of entries.
        families: size and period, in seconds, of all windows that the store holds.
        revision: the greatest revision of all rows.
        unsettled: rows came from runs that brought no entries: the index does not hold all.
        owed: files of what streams have settled and not given out, by stream.
        group_by: what all its means are grouped by, one of `schemas.groupings.GROUPINGS`; of a
            store without runs it says nothing.
    """

    files: Mapping[str, tuple[StoredFile, ...]] = dataclasses.field(default_factory=dict)
    runs: tuple[RunRecord, ...] = ()
    format_version: int = FORMAT_VERSION
    index: tuple[IndexFile, ...] = ()
    families: tuple[tuple[int, int], ...] = ()
    revision: int = 0
    unsettled: bool = False
    owed: Mapping[str, StoredFile] = dataclasses.field(default_factory=dict)
    group_by: str = REGION

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Manifest:
        """Takes the keys that this version knows from the JSON document."""
        return cls(
            files={
                table: tuple(
                    StoredFile(**known_fields(StoredFile, {"table": table} | file))
                    for file in files
                )
                for table, files in document["tables"].items()
            },
            runs=tuple(RunRecord(**known_fields(RunRecord, run)) for run in document["runs"]),
            format_version=document["format_version"],
            index=tuple(
                IndexFile(**known_fields(IndexFile, {"table": INDEX} | file))
                for file in document["index"]
            ),
            families=tuple((size, period) for size, period in document["families"]),
            revision=document["revision"],
            unsettled=document["unsettled"],
            owed={
                run_id: StoredFile(**known_fields(StoredFile, {"table": OWED} | file))
                for run_id, file in document.get(OWED, {}).items()
            },
            group_by=document.get("group_by", REGION),
        )


def empty_document() -> dict[str, Any]:
    """The manifest of a store that holds nothing."""
    return {
        "format_version": FORMAT_VERSION,
        "tables": {},
        "runs": [],
        "index": [],
        "families": [],
        "revision": 0,
        "unsettled": False,
    }


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
        return empty_document()
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
    if version < FORMAT_VERSION:
        msg = (
            f"the store in {folder} has format {version}, which came before means by sensor "
            f"(format {FORMAT_VERSION}); run the job again into a new folder"
        )
        raise StoreError(msg)
    if version > FORMAT_VERSION:
        msg = (
            f"the store in {folder} has format {version} and this program knows only format "
            f"{FORMAT_VERSION}; use a newer version of the program or another output folder"
        )
        raise StoreError(msg)
    try:
        Manifest.from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(broken) from error
    return dict(document)


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Replaces `manifest.json` in one rename; one line for each file and run, to be read by eye."""
    tables = ",\n".join(
        f" {json.dumps(table)}: {_lines(files)}" for table, files in document["tables"].items()
    )
    others = "".join(
        f',\n"{key}": {_lines(value) if key == "index" else json.dumps(value)}'
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
