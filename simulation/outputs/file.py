"""Messages as lines of a file, plain or compressed, or of standard output."""

from __future__ import annotations

import contextlib
import gzip
import os
import sys
from pathlib import Path
from typing import BinaryIO

from simulation.batch import Batch
from simulation.counts import Counts
from simulation.outputs.output import OutputError, ReaderGoneError

__all__ = ["FileOutput"]

LEVEL = 5


class FileOutput:
    """A file of lines. A file that is there is replaced.

    Args:
        path: where it is; `-` is standard output; `.gz` is compressed.
        counts: counts what was written.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: str, counts: Counts) -> None:
        self._counts, self._path = counts, path
        name = path.lower()
        if name.removesuffix(".gz").endswith(".json"):
            msg = f"{path}: messages are written as lines; name it .jsonl or .jsonl.gz"
            raise OutputError(msg)
        self._plain: BinaryIO | None = None
        if path == "-":
            self._file: BinaryIO | gzip.GzipFile = sys.stdout.buffer
            return
        try:
            self._plain = Path(path).open("wb")  # noqa: SIM115 - closed by close
        except OSError as error:
            raise self._trouble(error) from error
        self._file = self._plain
        if name.endswith(".gz"):
            # Neither name nor time of writing: the same messages are the same bytes.
            self._file = gzip.GzipFile("", "wb", LEVEL, self._plain, mtime=0)

    def send(self, batch: Batch) -> None:
        """As `Output.send`."""
        try:
            self._file.write(b"\n".join(batch.texts) + b"\n")
            if self._path == "-":
                self._file.flush()
        except BrokenPipeError as error:
            _write_no_more()
            raise ReaderGoneError from error
        except OSError as error:
            raise self._trouble(error) from error
        self._counts.add(batch, None)

    def close(self) -> None:
        """As `Output.close`."""
        try:
            if self._plain is None:
                self._file.flush()
                return
            self._file.close()
            self._plain.close()
        except BrokenPipeError:
            _write_no_more()
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> OutputError:
        name = "standard output" if self._path == "-" else self._path
        return OutputError(f"{name} cannot be written: {error.strerror or error}")


def _write_no_more() -> None:
    """What is left in the buffer goes nowhere: the interpreter would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
