"""From the bytes of a file to blocks of whole records, whatever the bytes are."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from connectors.input_files import InputError, Piece, open_file
from transforms.payload import Oversized, Payload
from transforms.records import split_array, split_objects
from transforms.rejections import MAX_RAW
from transforms.spans import PADDING, padded

__all__ = ["BLOCK", "MAX_RECORD", "Damaged", "read_blocks"]

BLOCK = 4 << 20
"""Bytes of a block: large enough for vectorised work, small enough for the processor's caches."""

MAX_RECORD = 64 << 20
"""Bytes of the largest record that is held; a larger one is rejected as `too_large`."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Damaged:
    """A file that ends or breaks in the middle: what was read of it counts, the rest is lost.

    Attributes:
        sentence: which file, what is wrong with it, and how far it was read.
    """

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


def read_blocks(
    piece: Piece, block: int = BLOCK, max_record: int = MAX_RECORD
) -> Iterator[Payload | Oversized | Damaged]:
    """The records of a piece, in blocks.

    Args:
        piece: what to read.
        block: how many bytes to read at a time.
        max_record: the largest record that is held.

    Yields:
        Blocks in order; a `Damaged` for a compressed file that is broken.

    Raises:
        InputError: the file cannot be read.
    """
    path = piece.file.path
    try:
        with open_file(piece.file) as stream:
            chunks = _gunzip(stream, path, block) if piece.file.is_gzip else _plain(stream, piece, block)
            cut = _lines if piece.file.is_lines else _documents
            yield from cut(chunks, path, piece, max_record)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise InputError(msg) from error


def _plain(stream: BinaryIO, piece: Piece, block: int) -> Iterator[bytes | Damaged]:
    # One byte earlier than the piece: a line that begins exactly at its start belongs to it.
    stream.seek(max(piece.start - 1, 0))
    while chunk := stream.read(block):
        yield chunk


def _gunzip(stream: BinaryIO, path: str, block: int) -> Iterator[bytes | Damaged]:
    """The text of a gzip file of any number of members; `Damaged` last if it is broken."""
    inflate = zlib.decompressobj(wbits=31)
    size, between, waiting = 0, False, b""
    while waiting or (waiting := stream.read(block)):
        if inflate.eof:
            inflate, between = zlib.decompressobj(wbits=31), True
        if between:
            # Some tools pad the end of a file with zeros.
            waiting = waiting.lstrip(b"\0")
            if not waiting:
                continue
            between = False
        try:
            text = inflate.decompress(waiting, block)
        except zlib.error:
            yield Damaged(f"{path} has broken gzip data after byte {size:,} of its text")
            return
        size += len(text)
        if text:
            yield text
        waiting = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof and not between:
        yield Damaged(f"{path} ends in the middle of its gzip data, after byte {size:,} of its text")


def _lines(
    chunks: Iterator[bytes | Damaged], path: str, piece: Piece, max_record: int
) -> Iterator[Payload | Oversized | Damaged]:
    """Blocks of whole lines: those that begin in the piece, up to the end of the last one."""
    at = max(piece.start - 1, 0)
    skipping = piece.start > 0
    carry = b""
    for chunk in chunks:
        if isinstance(chunk, Damaged):
            if carry:
                yield Payload(carry, path, at)
            yield chunk
            return
        if skipping:
            newline = chunk.find(b"\n")
            if newline < 0:
                at += len(chunk)
                continue
            skipping = False
            at += newline + 1
            text = chunk[newline + 1 :]
        else:
            text = carry + chunk if carry else chunk
        if at == 0 and text.startswith(BYTE_ORDER_MARK):
            text, at = text[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        if piece.end is not None and at >= piece.end:
            return
        if len(carry) + len(chunk) > max_record and 0 <= (first := text.find(b"\n")) > max_record:
            digest = hashlib.sha256(text[:first]).hexdigest()
            yield Oversized(text[:MAX_RAW], first, digest, path, at)
            at, text = at + first + 1, text[first + 1 :]
        cut = text.rfind(b"\n") + 1
        if piece.end is not None and at + len(text) >= piece.end:
            # The last line of the piece may go on beyond its end.
            cut = text.find(b"\n", max(piece.end - 1 - at, 0)) + 1
            if cut:
                yield Payload(text[:cut], path, at)
                return
            cut = text.rfind(b"\n") + 1
        if cut:
            yield Payload(text[:cut], path, at)
            at += cut
        carry = text[cut:]
        if len(carry) > max_record:
            oversized, rest = _oversized(carry, chunks, path, at)
            yield oversized
            at += oversized.size
            if piece.end is not None and at >= piece.end:
                return
            carry = rest
    if carry and not skipping:
        yield Payload(carry, path, at)


def _oversized(
    carry: bytes, chunks: Iterator[bytes | Damaged], path: str, at: int
) -> tuple[Oversized, bytes]:
    """Reads to the end of a line that is too long to hold; also returns what follows it."""
    digest, size = hashlib.sha256(carry), len(carry)
    for chunk in chunks:
        if isinstance(chunk, Damaged):
            break
        newline = chunk.find(b"\n")
        part = chunk if newline < 0 else chunk[:newline]
        digest.update(part)
        size += len(part)
        if newline >= 0:
            return Oversized(carry[:MAX_RAW], size, digest.hexdigest(), path, at), chunk[newline:]
    return Oversized(carry[:MAX_RAW], size, digest.hexdigest(), path, at), b""


def _documents(
    chunks: Iterator[bytes | Damaged], path: str, _piece: Piece, max_record: int
) -> Iterator[Payload | Oversized | Damaged]:
    """Blocks of the elements of JSON arrays, or of objects that follow one another."""
    at, carry, opened = 0, b"", False
    damaged = None
    for chunk in chunks:
        if isinstance(chunk, Damaged):
            damaged = chunk
            break
        text = carry + chunk
        if at == 0 and text.startswith(BYTE_ORDER_MARK):
            text, at = text[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        payload, end, opened = _whole_elements(text, path, at, opened=opened)
        if payload is not None:
            yield payload
        at += end
        carry = text[end:]
        if len(carry) > max_record:
            yield _rest_is_too_large(carry, chunks, path, at)
            return
    if carry.strip():
        starts, lengths = _cut(carry, opened=opened)[:2]
        yield Payload(carry, path, at, (starts, lengths))
    if damaged is not None:
        yield damaged


def _cut(text: bytes, *, opened: bool) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Elements of the text, where the last whole one ends, and whether an array is open there."""
    buffer = padded(text)
    start, length = np.array([PADDING]), np.array([len(text)])
    if opened or text.lstrip()[:1] == b"[":
        elements = split_array(buffer, start, length, opened=opened)
    else:
        elements = split_objects(buffer, PADDING, len(text))
    return (
        elements.starts - PADDING,
        elements.lengths,
        elements.end - PADDING,
        elements.inside,
    )


def _whole_elements(
    text: bytes, path: str, at: int, *, opened: bool
) -> tuple[Payload | None, int, bool]:
    starts, lengths, end, inside = _cut(text, opened=opened)
    if end == 0:
        return None, 0, opened
    whole = starts + lengths <= end
    if not whole.any():
        return None, end, inside
    return Payload(text, path, at, (starts[whole], lengths[whole])), end, inside


def _rest_is_too_large(
    carry: bytes, chunks: Iterator[bytes | Damaged], path: str, at: int
) -> Oversized:
    digest, size = hashlib.sha256(carry), len(carry)
    for chunk in chunks:
        if isinstance(chunk, Damaged):
            break
        digest.update(chunk)
        size += len(chunk)
    return Oversized(carry[:MAX_RAW], size, digest.hexdigest(), path, at)
