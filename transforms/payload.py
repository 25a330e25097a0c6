"""What sources hand to ParseReadings: bytes, and where they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.records import split_array, split_objects
from transforms.spans import PADDING, Ints, padded

__all__ = ["Messages", "Oversized", "Payload", "Reached", "join_messages"]

BLANKS = b" \t\r\n"


@dataclass(frozen=True)
class Messages:
    """Which messages of a queue a payload consists of, one after the other.

    Attributes:
        starts: where in `Payload.data` each begins, in bytes, rising.
        places: where each stands in the source: an offset, or the queue's own name for it.
        arrived_at: when the queue brought each, in microseconds since the epoch.
        unit: what the places are, as it stands in `source` of rejected records:
            `kafka://…/topic/0#offset=17`.
    """

    starts: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64] | Sequence[str]
    arrived_at: npt.NDArray[np.int64]
    unit: str = "offset"


@dataclass(frozen=True)
class Reached:
    """How far a part of a source has been read, once all up to there is stored.

    Attributes:
        part: the part: a partition, a subscription's reader.
        position: where to go on: the number of the first message that has not been read.
    """

    part: str
    position: int


@dataclass(frozen=True)
class Payload:
    """A piece of a source.

    Attributes:
        data: whole JSON lines, or the text that holds the elements below: as bytes, or (to save
            a copy) as an array of bytes already padded by `transforms.spans.padded`.
        source: the file, partition or address.
        offset: where in the source `data` begins, in bytes; None where that means nothing.
        elements: starts and lengths in `data` of records that are already cut out (the elements
            of an array over many lines); None where `data` is lines.
        arrived_at: when the queue or the response brought it, in microseconds since the epoch;
            None for files.
        messages: where it joins several messages of a queue: their places and arrivals, which
            then stand for `offset` and `arrived_at`.
        reached: how far the source has been read with this payload.
    """

    data: bytes | np.ndarray
    source: str
    offset: int | None = 0
    elements: tuple[np.ndarray, np.ndarray] | None = None
    arrived_at: int | None = None
    messages: Messages | None = None
    reached: Reached | None = None

    @property
    def size(self) -> int:
        """Bytes of text."""
        return len(self.data) - (0 if isinstance(self.data, bytes) else 2 * PADDING)

    @property
    def newest_arrival(self) -> float | None:
        """When the newest message arrived, in seconds; None where that is not known."""
        if self.messages is None:
            return None if self.arrived_at is None else self.arrived_at / 1e6
        arrivals = self.messages.arrived_at
        return float(arrivals.max()) / 1e6 if len(arrivals) else None


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


def join_messages(
    texts: Sequence[bytes],
    source: str,
    places: npt.NDArray[np.int64] | Sequence[str],
    arrived_at: npt.NDArray[np.int64],
    *,
    unit: str = "offset",
    reached: Reached | None = None,
) -> Payload:
    """Messages of a queue as one payload: far cheaper to parse than each by itself.

    Args:
        texts: the messages, each one JSON value (an object, or an array of objects), or lines of
            them.
        source: the partition, subscription or address that they came from.
        places: as in `Messages`.
        arrived_at: as in `Messages`.
        unit: as in `Messages`.
        reached: how far the source has been read with the last of them.

    Returns:
        A payload of lines; or, where a message holds line breaks, of records already cut out:
        such a message may be one document, or several objects after one another.
    """
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    starts = np.cumsum(lengths + 1) - lengths - 1
    data = b"\n".join(texts)
    on_many_lines = len(texts) > 0 and data.count(b"\n") >= len(texts)
    elements = _cut(data, starts, lengths) if on_many_lines else None
    messages = Messages(starts, places, arrived_at, unit)
    return Payload(data, source, None, elements, messages=messages, reached=reached)


def _cut(data: bytes, starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Starts and lengths of the records of messages that may go over many lines."""
    buffer = padded(data)
    found = []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        text = data[start : start + length]
        begin = PADDING + start + length - len(text.lstrip(BLANKS))
        if text.lstrip(BLANKS).startswith(b"["):
            size = len(text.strip(BLANKS))
            found.append(split_array(buffer, np.array([begin]), np.array([size])))
        else:
            found.append(split_objects(buffer, PADDING + start, length))
    return (
        np.concatenate([each.starts for each in found]) - PADDING,
        np.concatenate([each.lengths for each in found]),
    )
