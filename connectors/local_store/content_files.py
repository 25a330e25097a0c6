"""A new file of the store, named by its content."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path

from connectors.local_store.errors import StoreError
from connectors.local_store.manifest import TEMPORARY_PREFIX, StoredFile, sync_folder

__all__ = ["new_file"]


def new_file(
    folder: Path,
    table: str,
    write: Callable[[Path], int],
    *,
    partition: str = "",
    suffix: str = ".parquet",
) -> StoredFile:
    """Makes a file that counts once a commit has named it.

    Args:
        folder: the store's folder.
        table: the table whose rows it holds.
        write: writes the file and returns the number of rows.
        partition: the folder within the table's, if any.
        suffix: how the name ends.

    Raises:
        StoreError: the file cannot be written.
    """
    inside = f"{table}/{partition}" if partition else table
    target = folder / inside
    temporary = target / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}{suffix}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        try:
            rows = write(temporary)
            with temporary.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = temporary.stat().st_size
            temporary.replace(target / f"{digest}{suffix}")
        finally:
            temporary.unlink(missing_ok=True)
        # A commit makes the names in the table's own folder durable.
        sync_folder(target)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = (
            f"cannot write to {folder} ({reason[:1].lower()}{reason[1:]}); "
            "name another output folder or make room and permission for it"
        )
        raise StoreError(msg) from error
    return StoredFile(table, f"{inside}/{digest}{suffix}", rows, size, digest)
