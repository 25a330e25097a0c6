"""What a source that does not end is to the pipeline: parts, and readers that are polled."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transforms.payload import Payload

__all__ = ["ENDLESS", "STOP", "Part", "Poll", "Reader", "Source"]

ENDLESS = 1 << 62
"""The end of a part that has none."""

STOP = threading.Event()
"""Set in the process that reads, it ends all sources as if they had no more: a run that is stopped
gives out what it has and commits it."""


@dataclass(frozen=True)
class Part:
    """A part of a source, read in order by one reader at a time.

    Attributes:
        name: the same in every run that reads this part, and of no other: it is what `Reached`
            and the store's positions call it.
        start: the number of the first message to read.
        end: the number after the last one; `ENDLESS` where there is none.
    """

    name: str
    start: int = 0
    end: int = ENDLESS


@dataclass(frozen=True)
class Poll:
    """What a reader found when it looked once.

    Attributes:
        position: the number of the next message.
        payload: what it found; None for nothing. Its `reached` is filled in by `ReadStream`.
        records: how many messages the payload holds.
        caught_up: the source itself says that there was no more when it was asked. False where
            there may be more, and where it did not say.
        wait: seconds until it is worth looking again.
        lag: how many messages are waiting behind this poll; None where that is not known.
    """

    position: int
    payload: Payload | None = None
    records: int = 0
    caught_up: bool = False
    wait: float = 0.0
    lag: int | None = None


class Reader(Protocol):
    """Reads one part. It lives in one worker and may be replaced by another at any moment."""

    def poll(self, position: int, timeout: float) -> Poll:
        """Looks for messages.

        Args:
            position: the number of the next message wanted: after the last poll's, unless that
                was given up; then the reader goes back.
            timeout: seconds to wait for a first message, at most.

        Raises:
            InputError: the source cannot be read, and waiting would not help.
        """
        ...

    def stored(self, position: int) -> None:
        """Hears that everything before the position is stored for good: it can be acknowledged."""
        ...

    def close(self) -> None:
        """Lets go of connections. What has not been stored is not acknowledged."""
        ...


class Source(Protocol):
    """A source as the command line names it. It is pickled, and must hold no connection."""

    @property
    def uri(self) -> str:
        """As the user wrote it, without passwords."""
        ...

    def parts(self, positions: dict[str, int]) -> Sequence[Part]:
        """The parts to read, found when the pipeline starts.

        Args:
            positions: how far parts have been read by former runs into the same store, by name:
                where to go on. A part that is not in it begins where the source's options say.

        Raises:
            InputError: the source cannot be reached, or there is nothing of that name.
        """
        ...

    def open(self, part: Part) -> Reader:
        """A reader of the part.

        Raises:
            InputError: the source cannot be reached.
        """
        ...
