"""The whole of a record of which only a part was kept, from the file that it came from."""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path

from connectors.dead_letters.letter import Letter
from connectors.input_files import InputError, InputFile, open_file
from connectors.texts import GzipText

__all__ = ["whole_record"]

IN_FILE = re.compile(r"(?P<path>.+)#byte=(?P<offset>\d+)", re.DOTALL)
STEP = 1 << 20


def whole_record(letter: Letter, largest: int, *, fetch: bool = True) -> bytes | None:
    """The record, byte by byte.

    Args:
        letter: the rejected record.
        largest: bytes of the largest record that is fetched from its source.
        fetch: whether the source may be opened. Not where anybody may have written the letter: it
            would say which file is read.

    Returns:
        What was kept, where that is the whole; else what stands in the source file, if that can be
        read and its hash is the record's; else None.
    """
    if letter.is_whole:
        return letter.raw.encode("utf-8", "surrogatepass")
    place = IN_FILE.fullmatch(letter.record_source)
    remote = place is not None and "://" in place["path"]
    if (
        not fetch
        or place is None
        or letter.raw_size > largest
        or (remote and not _is_known(place["path"]))
    ):
        return None
    try:
        found = _read(InputFile(place["path"], 0), int(place["offset"]), letter.raw_size)
    except (InputError, OSError, zlib.error):
        return None
    return found if hashlib.sha256(found).hexdigest() == letter.raw_sha256 else None


def _is_known(path: str) -> bool:
    """A file of Google's or Amazon's storage; an address of the web is not asked again."""
    return path.startswith(("gs://", "s3://"))


def _read(file: InputFile, offset: int, size: int) -> bytes:
    if "://" not in file.path and not Path(file.path).is_file():
        # A device or a pipe could be read for ever.
        return b""
    with open_file(file) as stream:
        if not file.is_gzip:
            stream.seek(offset)
            return _exactly(stream, size)
        text = GzipText(stream, file.path)
        while offset:
            skipped = text.read(min(STEP, offset))
            if not skipped:
                return b""
            offset -= len(skipped)
        return _exactly(text, size)


def _exactly(stream: object, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = stream.read(min(left, STEP))  # type: ignore[attr-defined]
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
