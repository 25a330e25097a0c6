"""The text of a response, whatever the server says about it and does."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import requests

__all__ = ["UnusableError", "read_text", "unpacked"]

CHUNK = 1 << 16
GZIP = 31
"""`wbits` of zlib for a gzip member."""


class UnusableError(Exception):
    """A response that cannot be taken; the message goes on from the address."""


def read_text(response: requests.Response, most: int) -> bytes:
    """The text of a response, unpacked, and no more of it than is allowed.

    Args:
        response: its text not yet read.
        most: how many bytes of text it may have.

    Raises:
        UnusableError: it is too large, or packed in another way than was asked for, or incomplete.
        urllib3.exceptions.HTTPError: it ends before its end.
    """
    too_large = f"sends a response of more than {most:,} bytes"
    said = response.headers.get("Content-Length", "")
    if said.isascii() and said.isdigit() and int(said[:18]) > most:
        raise UnusableError(too_large)
    chunks = response.raw.stream(CHUNK, decode_content=False)
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        chunks = unpacked(chunks)
    elif encoding not in {"", "identity"}:
        msg = f"packs its response as {encoding[:40]!r}, which was not asked for"
        raise UnusableError(msg)
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > most:
            raise UnusableError(too_large)
    return bytes(text)


def unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The text of gzip members, in pieces of bounded size, however small they are packed.

    Args:
        chunks: the members one after another, cut anywhere.

    Raises:
        UnusableError: they are no gzip, or end in the midst of a member.
    """
    member = zlib.decompressobj(GZIP)
    begun = False
    try:
        for packed in chunks:
            rest = packed
            while rest:
                if member.eof:
                    member = zlib.decompressobj(GZIP)
                begun = True
                yield member.decompress(rest, CHUNK)
                rest = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error:
        msg = "sends a response that is no gzip, although it says so"
        raise UnusableError(msg) from None
    if begun and not member.eof:
        msg = "broke the response off"
        raise UnusableError(msg)
