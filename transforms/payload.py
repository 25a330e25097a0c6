"""What sources hand to ParseReadings: bytes, and where they came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transforms.spans import PADDING

__all__ = ["Oversized", "Payload"]


@dataclass(frozen=True)
class Payload:
    """A piece of a source.

    Attributes:
        data: whole JSON lines, or the text that holds the elements below: as bytes, or (to save
            a copy) as an array of bytes already padded by `transforms.spans.padded`.
        source: the file, topic or address.
        offset: where in the source `data` begins, in bytes; None where that means nothing.
        elements: starts and lengths in `data` of records that are already cut out (the elements
            of an array over many lines); None where `data` is lines.
        arrived_at: when the queue or the response brought it, in microseconds since the epoch;
            None for files.
    """

    data: bytes | np.ndarray
    source: str
    offset: int | None = 0
    elements: tuple[np.ndarray, np.ndarray] | None = None
    arrived_at: int | None = None

    @property
    def size(self) -> int:
        """Bytes of text."""
        return len(self.data) - (0 if isinstance(self.data, bytes) else 2 * PADDING)


@dataclass(frozen=True)
class Oversized:
    """A record too large to be held: only its beginning was kept.

    Attributes:
        head: its first bytes.
        size: how long the whole is, in bytes.
        sha256: the hash of the whole, hexadecimal.
        source: the file, topic or address.
        offset: where in the source it begins, in bytes.
    """

    head: bytes
    size: int
    sha256: str
    source: str
    offset: int
