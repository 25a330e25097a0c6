"""From the bytes of a file to blocks of whole records, whatever the bytes are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from connectors.input_files import InputError, Piece, open_file
from connectors.texts import Damaged, GzipText, PlainText, Text
from transforms.payload import Oversized, Payload
from transforms.records import split_array, split_objects
from transforms.rejections import MAX_RAW
from transforms.spans import PADDING, padded

__all__ = ["BLOCK", "MAX_RECORD", "read_blocks"]

BLOCK = 4 << 20
"""Bytes of a block: so many records that what is done once a block costs nothing."""

MAX_RECORD = 64 << 20
"""Bytes of the largest record that is held; a larger one is rejected as `too_large`."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANKS = b" " * PADDING
LOOK_AHEAD = 1 << 12


def read_blocks(
    piece: Piece, block: int = BLOCK, max_record: int = MAX_RECORD
) -> Iterator[Payload | Oversized | Damaged]:
    """The records of a piece, in blocks.

    Args:
        piece: what to read.
        block: how many bytes to read at a time.
        max_record: the largest record that is held.

    Yields:
        Blocks in order; at the end a `Damaged` for a compressed file that is broken.

    Raises:
        InputError: the file cannot be read.
    """
    path = piece.file.path
    cut = _lines if piece.file.is_lines else _documents
    try:
        with open_file(piece.file) as stream:
            # One byte earlier than the piece: a line that begins right at its start belongs to it.
            begin = max(piece.start - 1, 0)
            text: Text = GzipText(stream, path) if piece.file.is_gzip else PlainText(stream, begin)
            yield from cut(text, piece, block, max_record)
            if text.damage is not None:
                yield text.damage
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}"
        raise InputError(msg) from error


def _lines(text: Text, piece: Piece, block: int, max_record: int) -> Iterator[Payload | Oversized]:
    """Blocks of whole lines: those that begin in the piece, up to the end of the last one.

    The text is read into a buffer that already has room for what the parser wants around it, and
    only the beginning of a line that goes on is copied to the next buffer.
    """
    path, limit, at, carry = piece.file.path, piece.end, 0, b""
    if piece.start:
        at = _second_line(text, piece.start - 1)
        text.seek(at)
    while limit is None or at < limit:
        buffer = bytearray(2 * PADDING + len(carry) + block)
        begin, end = PADDING, PADDING + len(carry)
        buffer[begin:end] = carry
        got = text.read_into(memoryview(buffer)[end : end + block])
        if got == 0:
            break
        end += got
        if at == 0 and buffer.startswith(BYTE_ORDER_MARK, begin):
            begin += len(BYTE_ORDER_MARK)
            at += len(BYTE_ORDER_MARK)
        if end - begin > max_record:
            # Only the first line can be so long: the others fit into one block.
            first = buffer.find(b"\n", begin, end)
            if first - begin > max_record:
                yield _oversized(buffer[begin:first], path, at)
                at, begin = at + first + 1 - begin, first + 1
                if limit is not None and at >= limit:
                    return
        cut = 0
        if limit is not None and at + end - begin >= limit:
            # The line that begins before the piece's end may go on beyond it.
            cut = buffer.find(b"\n", max(begin + limit - 1 - at, begin), end) + 1
        cut = cut or buffer.rfind(b"\n", begin, end) + 1 or begin
        carry = bytes(buffer[cut:end])
        if cut > begin:
            yield _payload(buffer, begin, cut, path, at)
            at += cut - begin
        if len(carry) > max_record and (limit is None or at < limit):
            oversized, carry = _rest_of_line(carry, text, block, path, at)
            yield oversized
            at += oversized.size + 1
    if carry and (limit is None or at < limit):
        # What followed a line too long to hold may be several lines.
        stop = 0 if limit is None else carry.find(b"\n", limit - 1 - at) + 1
        yield Payload(carry[:stop] if stop else carry, path, at)


def _second_line(text: Text, at: int) -> int:
    """Where the text's second line begins: the first one belongs to another piece."""
    while chunk := text.read(LOOK_AHEAD):
        newline = chunk.find(b"\n") + 1
        if newline:
            return at + newline
        at += len(chunk)
    return at


def _payload(buffer: bytearray, begin: int, cut: int, path: str, at: int) -> Payload:
    """The text from `begin` to `cut` as a block, in place."""
    buffer[begin - PADDING : begin] = BLANKS
    buffer[cut : cut + PADDING] = BLANKS
    data = np.frombuffer(buffer, np.uint8)[begin - PADDING : cut + PADDING]
    return Payload(data, path, at)


def _oversized(line: bytes | bytearray, path: str, at: int) -> Oversized:
    digest = hashlib.sha256(line).hexdigest()
    return Oversized(bytes(line[:MAX_RAW]), len(line), digest, path, at)


def _rest_of_line(
    carry: bytes, text: Text, block: int, path: str, at: int
) -> tuple[Oversized, bytes]:
    """Reads to the end of a line that is too long to hold; also returns what follows it."""
    digest, size = hashlib.sha256(carry), len(carry)
    rest = b""
    while chunk := text.read(block):
        newline = chunk.find(b"\n")
        part = chunk if newline < 0 else chunk[:newline]
        digest.update(part)
        size += len(part)
        if newline >= 0:
            rest = chunk[newline + 1 :]
            break
    return Oversized(carry[:MAX_RAW], size, digest.hexdigest(), path, at), rest


def _documents(
    text: Text, piece: Piece, block: int, max_record: int
) -> Iterator[Payload | Oversized]:
    """Blocks of the elements of JSON arrays, or of objects that follow one another."""
    path, at, carry, opened = piece.file.path, 0, b"", False
    while chunk := text.read(block):
        held = carry + chunk
        if at == 0 and held.startswith(BYTE_ORDER_MARK):
            held, at = held[len(BYTE_ORDER_MARK) :], len(BYTE_ORDER_MARK)
        if held.isspace():
            at, carry = at + len(held), b""
            continue
        for payload, inside in _elements(held, path, at, opened=opened):
            yield payload
            at, held, opened = at + payload.size, held[payload.size :], inside
        carry = held
        if len(carry) > max_record:
            yield _rest_of_text(carry, text, block, path, at)
            return
    if carry.strip():
        starts, lengths, _, _ = _cut(padded(carry), opened=opened)
        yield Payload(carry, path, at, (starts, lengths))


def _elements(held: bytes, path: str, at: int, *, opened: bool) -> Iterator[tuple[Payload, bool]]:
    """The whole elements of the text, a block a document, and whether an array is open there."""
    while held:
        buffer = padded(held)
        starts, lengths, end, opened = _cut(buffer, opened=opened)
        if end == 0:
            return
        whole = starts + lengths <= end
        buffer[PADDING + end : end + 2 * PADDING] = ord(" ")
        data = buffer[: end + 2 * PADDING]
        yield Payload(data, path, at, (starts[whole], lengths[whole])), opened
        held, at = held[end:], at + end


def _cut(buffer: np.ndarray, *, opened: bool) -> tuple[np.ndarray, np.ndarray, int, bool]:
    """Elements of the text, where the last whole one ends, and whether an array is open there."""
    length = len(buffer) - 2 * PADDING
    text = buffer[PADDING : PADDING + length]
    if opened or text.tobytes().lstrip()[:1] == b"[":
        elements = split_array(buffer, np.array([PADDING]), np.array([length]), opened=opened)
    else:
        elements = split_objects(buffer, PADDING, length)
    starts = elements.starts - PADDING
    return starts, elements.lengths, elements.end - PADDING, elements.inside


def _rest_of_text(carry: bytes, text: Text, block: int, path: str, at: int) -> Oversized:
    """Reads to the end of a document of which one element is too long to hold."""
    digest, size = hashlib.sha256(carry), len(carry)
    while chunk := text.read(block):
        digest.update(chunk)
        size += len(chunk)
    return Oversized(carry[:MAX_RAW], size, digest.hexdigest(), path, at)
