"""The text of a file, plain or compressed, read piece by piece."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Protocol

__all__ = ["Damaged", "GzipText", "PlainText", "Text"]

COMPRESSED = 1 << 20
GZIP = 31
"""`wbits` of zlib for a gzip member."""


@dataclass(frozen=True)
class Damaged:
    """A file that breaks in the middle: what was read of it counts, the rest is lost.

    Attributes:
        sentence: which file, what is wrong with it, and how far it was read.
    """

    sentence: str


class Text(Protocol):
    """A stream of text.

    Attributes:
        damage: what was wrong with the file, known once its end is reached.
    """

    damage: Damaged | None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""

    def read_into(self, view: memoryview) -> int:
        """Fills the beginning of the view; returns how many bytes, 0 at the end."""

    def seek(self, position: int) -> None:
        """Goes on from there; only a plain file can."""


class PlainText:
    """A file's own bytes.

    Args:
        stream: the file.
        start: where to begin.
    """

    def __init__(self, stream: BinaryIO, start: int = 0) -> None:
        self.damage: Damaged | None = None
        self._stream = stream
        if start:
            stream.seek(start)

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        return self._stream.read(size)

    def read_into(self, view: memoryview) -> int:
        """Fills the beginning of the view; returns how many bytes, 0 at the end."""
        return self._stream.readinto(view) or 0  # type: ignore[attr-defined]

    def seek(self, position: int) -> None:
        """Goes on from there."""
        self._stream.seek(position)


class GzipText:
    """The text of a gzip file of any number of members.

    Args:
        stream: the compressed file.
        path: its name, for the sentence about damage.
    """

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self.damage: Damaged | None = None
        self._stream, self._path = stream, path
        self._inflate = zlib.decompressobj(wbits=GZIP)
        self._waiting = b""
        self._between = False
        self._size = 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end, or where the data break."""
        while self.damage is None:
            if not self._waiting:
                self._waiting = self._stream.read(COMPRESSED)
            if not self._waiting:
                if not (self._inflate.eof or self._between):
                    self._damaged("ends in the middle of its gzip data, after")
                return b""
            if self._inflate.eof:
                self._inflate, self._between = zlib.decompressobj(wbits=GZIP), True
            if self._between:
                # Some tools pad the end of a file with zeros.
                self._waiting = self._waiting.lstrip(b"\0")
                if not self._waiting:
                    continue
                self._between = False
            before = self._inflate.copy()
            try:
                text = self._inflate.decompress(self._waiting, size)
            except zlib.error:
                text = self._until_broken(before)[:size]
                self._size += len(text)
                self._damaged("has broken gzip data after")
                return text
            inflate = self._inflate
            self._waiting = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            if text:
                self._size += len(text)
                return text
        return b""

    def read_into(self, view: memoryview) -> int:
        """Fills the beginning of the view; returns how many bytes, 0 at the end."""
        text = self.read(len(view))
        view[: len(text)] = text
        return len(text)

    def seek(self, position: int) -> None:
        """Not possible: such a file is read as one piece."""
        raise NotImplementedError

    def _until_broken(self, inflate: zlib._Decompress) -> bytes:
        """What the waiting data hold before they break: a failed call gives none of it."""
        text = bytearray()
        with contextlib.suppress(zlib.error):
            for at in range(len(self._waiting)):
                text += inflate.decompress(self._waiting[at : at + 1])
        return bytes(text)

    def _damaged(self, what: str) -> None:
        self.damage = Damaged(f"{self._path} {what} byte {self._size:,} of its text")
