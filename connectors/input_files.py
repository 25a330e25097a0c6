"""Which files an input names, and in which pieces they are read."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from connectors.input_error import InputError

__all__ = ["InputError", "InputFile", "Piece", "match_inputs", "open_file", "pieces"]

PIECE = 32 << 20
"""Bytes of a plain file of lines that one worker reads in one go."""


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
        patterns: paths or globs, local or of any file system that Beam knows (`gs://…`). A file
            that is reached by two paths, by a link for example, is one file.

    Returns:
        The files, empty ones too.

    Raises:
        InputError: a pattern names no file, something that is no regular file, or a file whose
            size cannot be asked; or the file system refuses.
    """
    found: dict[str, InputFile] = {}
    for pattern in patterns:
        files = _match_elsewhere(pattern) if "://" in pattern else _match_here(pattern)
        if not files:
            msg = f"no file matches {pattern or repr(pattern)}"
            raise InputError(msg)
        for file in files:
            identity = file.path if "://" in file.path else os.path.realpath(file.path)
            if identity not in found or file.path < found[identity].path:
                found[identity] = file
    return sorted(found.values(), key=lambda file: file.path)


def _match_here(pattern: str) -> list[InputFile]:
    path = str(Path(pattern).absolute())
    if not pattern:
        return []
    if Path(path).is_dir():
        msg = f"{pattern} is a folder; name its files, for example {Path(pattern) / '*.jsonl'}"
        raise InputError(msg)
    # A path that is there is meant as it stands, even with the marks of a glob in its name.
    # Path.glob takes no absolute pattern.
    paths = [path] if os.path.lexists(path) else glob.glob(path, recursive=True)  # noqa: PTH207
    return [_regular_file(name) for name in paths if not Path(name).is_dir()]


def _regular_file(path: str) -> InputFile:
    try:
        path.encode()
        status = Path(path).stat()
    except UnicodeEncodeError as error:
        msg = f"{path!r} cannot be read: its name is not UTF-8"
        raise InputError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {_reason(error)}"
        raise InputError(msg) from error
    if not stat.S_ISREG(status.st_mode):
        msg = f"{path} is no regular file; what comes through a pipe must be put into a file first"
        raise InputError(msg)
    return InputFile(path, status.st_size)


def _match_elsewhere(pattern: str) -> list[InputFile]:
    try:
        matched = FileSystems.match([pattern])[0]
    except (BeamIOError, ValueError, OSError) as error:
        msg = f"{pattern} cannot be listed: {_reason(error)}"
        raise InputError(msg) from error
    return [InputFile(metadata.path, metadata.size_in_bytes) for metadata in matched.metadata_list]


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
    except (BeamIOError, ValueError, OSError) as error:
        msg = f"{file.path} cannot be read: {_reason(error)}"
        raise InputError(msg) from error
    return opened


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
