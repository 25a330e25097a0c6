"""Responses as they came, in files: what is read is in them before it is made use of."""

from __future__ import annotations

import bisect
import contextlib
import datetime
import gzip
import hashlib
import os
import re
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from connectors.input_error import InputError
from connectors.local_store.manifest import TEMPORARY_PREFIX, replace_file, sync_folder

__all__ = ["ArchivedResponse", "ResponseArchive", "first_from"]

NAME = re.compile(r"(\d{8}T\d{6}\.\d{6})Z-([0-9a-f]{64})\.json\.gz")
MOMENT = "%Y%m%dT%H%M%S.%f"
STORED = "stored"
"""The file that says how far the responses are stored."""

LEVEL = 6
OLD = 3600.0
"""Seconds after which a file that is not finished is taken to be a dead process's."""

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class ArchivedResponse:
    """A response in the archive.

    Attributes:
        arrived_at: when it was complete, in microseconds since the epoch.
        sha256: the hash of its text, hexadecimal.
        path: the file, compressed.
    """

    arrived_at: int
    sha256: str
    path: Path

    @property
    def place(self) -> str:
        """How `source` of a rejected record names it."""
        return f"{_moment(self.arrived_at):%Y-%m-%dT%H:%M:%S.%f}Z-{self.sha256[:16]}"

    def read(self) -> bytes | None:
        """Its text; None where the file is gone.

        Raises:
            InputError: the file cannot be read, or is damaged.
        """
        try:
            text = gzip.decompress(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, EOFError, zlib.error) as error:
            raise self._unreadable() from error
        if hashlib.sha256(text).hexdigest() != self.sha256:
            raise self._unreadable()
        return text

    def _unreadable(self) -> InputError:
        return InputError(
            f"the archived response {self.path} cannot be read or is damaged; "
            "move it away to go on without it"
        )


class ResponseArchive:
    """The responses of one address.

    They lie in folders by date, under names of their arrival and content. Several processes may
    write.

    Args:
        folder: the archive's folder; each address has one of its own in it.
        name: the address as it may be shown.
    """

    def __init__(self, folder: str | Path, name: str) -> None:
        host = re.sub(r"[^0-9A-Za-z.-]", "_", urlsplit(name).hostname or "")
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        self.folder = Path(folder) / f"{host}-{digest}"

    def add(self, text: bytes, arrived_at: int) -> ArchivedResponse:
        """Writes a response; when this returns, it survives a power cut.

        Args:
            text: the response.
            arrived_at: when it was complete, in microseconds since the epoch.

        Raises:
            OSError: it cannot be written; then nothing is left of it.
        """
        digest = hashlib.sha256(text).hexdigest()
        moment = _moment(arrived_at)
        dated = self.folder / f"{moment:%Y-%m-%d}"
        new = not dated.exists()
        dated.mkdir(parents=True, exist_ok=True)
        if new:
            for folder in (self.folder.parent, self.folder):
                sync_folder(folder)
        path = dated / f"{moment:{MOMENT}}Z-{digest}.json.gz"
        self._write(gzip.compress(text, LEVEL, mtime=0), path)
        return ArchivedResponse(arrived_at, digest, path)

    def since(self, position: int) -> list[ArchivedResponse]:
        """The responses that arrived at a moment or later, in order.

        Args:
            position: microseconds since the epoch.

        Raises:
            OSError: the folder cannot be read.
        """
        first = f"{_moment(position):%Y-%m-%d}"
        found = [
            response
            for dated in self._dates()
            if dated.name >= first
            for response in _responses(dated)
            if response.arrived_at >= position
        ]
        return sorted(found, key=lambda response: (response.arrived_at, response.sha256))

    def stored(self) -> int:
        """Up to where all is stored, as `mark_stored` was told; 0 where it was not."""
        try:
            return int((self.folder / STORED).read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def mark_stored(self, position: int) -> None:
        """Keeps in mind up to where all is stored, for runs whose store does not.

        Raises:
            OSError: it cannot be written.
        """
        if self.folder.exists():
            self._write(b"%d" % position, self.folder / STORED)

    def remove_unfinished(self) -> None:
        """Removes what processes left behind that died while they wrote."""
        for path in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > OLD:
                    path.unlink()

    def _dates(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            yield from self.folder.iterdir()

    def _write(self, content: bytes, path: Path) -> None:
        temporary = self.folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            replace_file(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def first_from(responses: list[ArchivedResponse], position: int) -> int:
    """The number of the first response that arrived at a moment or later."""
    return bisect.bisect_left(responses, position, key=lambda response: response.arrived_at)


def _responses(dated: Path) -> Iterator[ArchivedResponse]:
    if not dated.is_dir():
        return
    for path in dated.iterdir():
        found = NAME.fullmatch(path.name)
        if found:
            moment = datetime.datetime.strptime(found[1], MOMENT).replace(tzinfo=datetime.UTC)
            yield ArchivedResponse((moment - EPOCH) // MICROSECOND, found[2], path)


def _moment(micros: int) -> datetime.datetime:
    return EPOCH + micros * MICROSECOND
