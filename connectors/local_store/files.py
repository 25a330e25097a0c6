"""A file that the manifest names: where it lies, and whether it is still what was written."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from connectors.local_store.errors import StoreError
from connectors.local_store.manifest import MANIFEST, StoredFile

__all__ = ["REMEDY", "checked_path"]

REMEDY = "put a copy back, or run the job again into a new folder"


def checked_path(folder: Path, file: StoredFile) -> Path:
    """The path of a committed file, after a look at its size.

    Args:
        folder: the store's folder.
        file: the file.

    Raises:
        StoreError: the file is missing, has another size, or would lie outside the store.
    """
    relative = PurePosixPath(file.path)
    if relative.is_absolute() or ".." in relative.parts:
        msg = f"{folder / MANIFEST} names {file.path}, which is outside the store"
        raise StoreError(msg)
    path = folder / relative
    try:
        size = os.stat(path).st_size  # noqa: PTH116  (thousands of files; twice as fast)
    except OSError as error:
        msg = f"{path} of the store is gone or unreadable ({error.strerror}); {REMEDY}"
        raise StoreError(msg) from error
    if size != file.bytes:
        change = f"it has {size:,} bytes and had {file.bytes:,}"
        msg = f"{path} of the store is damaged: {change}; {REMEDY}"
        raise StoreError(msg)
    return path
