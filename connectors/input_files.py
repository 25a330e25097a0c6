"""Which files an input names, and in which pieces they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

__all__ = ["InputError", "InputFile", "Piece", "match_inputs", "open_file", "pieces"]

PIECE = 64 << 20
"""Bytes of a plain file of lines that one worker reads in one go."""


class InputError(Exception):
    """An input cannot be read; the message is one sentence that says which and why."""


@dataclass(frozen=True)
class InputFile:
    """A file to be read.

    Attributes:
        path: where it is.
        size: its size in bytes, compressed or not.
    """

    path: str
    size: int

    @property
    def is_gzip(self) -> bool:
        """Whether it is compressed, by its name."""
        return self.path.lower().endswith(".gz")

    @property
    def is_lines(self) -> bool:
        """Whether each line is a record of its own; a `.json` file is one document."""
        name = self.path.lower().removesuffix(".gz")
        return not name.endswith(".json")


@dataclass(frozen=True)
class Piece:
    """A part of a file: the lines that begin in [start, end), or the whole of it (end None)."""

    file: InputFile
    start: int = 0
    end: int | None = None


def match_inputs(patterns: Iterable[str]) -> list[InputFile]:
    """The files that the patterns name, each once, in the order of their paths.

    Args:
        patterns: paths or globs, local or of any file system that Beam knows (`gs://…`).

    Returns:
        The files, empty ones too.

    Raises:
        InputError: a pattern names no file, or the file system refuses.
    """
    found: dict[str, InputFile] = {}
    for pattern in patterns:
        local = "://" not in pattern
        path = Path(pattern)
        if local and path.is_dir():
            msg = f"{pattern} is a folder; name its files, for example {path / '*.jsonl'}"
            raise InputError(msg)
        try:
            matched = FileSystems.match([str(path.absolute()) if local else pattern])[0]
        except (BeamIOError, ValueError, OSError) as error:
            msg = f"{pattern} cannot be listed: {_reason(error)}"
            raise InputError(msg) from error
        files = [
            InputFile(metadata.path, metadata.size_in_bytes)
            for metadata in matched.metadata_list
            if not (local and Path(metadata.path).is_dir())
        ]
        if not files:
            msg = f"no file matches {pattern}"
            raise InputError(msg)
        found.update((file.path, file) for file in files)
    return [found[path] for path in sorted(found)]


def pieces(files: Iterable[InputFile], size: int = PIECE) -> Iterator[Piece]:
    """The files in pieces that can be read in parallel.

    Args:
        files: the files; empty ones have no pieces.
        size: bytes of a piece. Compressed files and documents are one piece each.
    """
    for file in files:
        if file.size == 0:
            continue
        if file.is_gzip or not file.is_lines or file.size <= size:
            yield Piece(file)
            continue
        count = -(-file.size // size)
        for number in range(count):
            end = file.size if number == count - 1 else (number + 1) * file.size // count
            yield Piece(file, number * file.size // count, end)


def open_file(file: InputFile) -> BinaryIO:
    """The file's bytes as they are stored.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        if "://" not in file.path:
            return Path(file.path).open("rb", buffering=0)
        opened: BinaryIO = FileSystems.open(
            file.path, compression_type=CompressionTypes.UNCOMPRESSED
        )
    except (BeamIOError, OSError) as error:
        msg = f"{file.path} cannot be read: {_reason(error)}"
        raise InputError(msg) from error
    return opened


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
