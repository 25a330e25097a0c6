"""Messages, and those of them that are not due yet."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from simulation.faults import Clock

__all__ = ["Messages", "Waiting"]

Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

AHEAD = 64
"""Blocks whose messages are kept apart from those that are due later."""


@dataclass(frozen=True)
class Messages:
    """Messages in the order in which they are sent.

    Attributes:
        numbers: of the measurement that each is about.
        versions: 0 for the measurement itself, 1 for its correction, 2 for its deletion.
        copies: whether it is a message that is sent once more.
        families: how many messages there are about this measurement.
        kinds: `GOOD`, `BAD`, `TOO_LATE` or `FUTURE`.
        times: event times, in microseconds since the epoch.
        dues: when each is sent, in microseconds since the epoch.
    """

    numbers: Integers
    versions: Small
    copies: Bools
    families: Small
    kinds: Small
    times: Integers
    dues: Integers = field(repr=False)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Integers | slice) -> Messages:
        """Some of the messages."""
        return Messages(*(getattr(self, each.name)[rows] for each in fields(self)))

    @classmethod
    def join(cls, pieces: list[Messages]) -> Messages:
        """All messages of the pieces."""
        return cls(
            *(np.concatenate([getattr(one, each.name) for one in pieces]) for each in fields(cls))
        )

    def in_order(self) -> Messages:
        """The messages in the order in which they are due."""
        return self.take(np.lexsort((self.copies, self.versions, self.numbers, self.dues)))


class Waiting:
    """Messages that are not due yet.

    Most are due in a moment, some in an hour: only those of the next blocks are looked through
    for each block.

    Args:
        clock: when measurements are made.
        block: how many of them are a block.
    """

    def __init__(self, clock: Clock, block: int) -> None:
        self._clock, self._block = clock, block
        self._soon = _about_nothing()
        self._later: list[Messages] = []
        self._until = 0

    def exchange(self, messages: Messages, number: int) -> Messages:
        """Takes the messages about a block, and gives those that are due in its time, in order."""
        if number >= self._until:
            self._until = number + AHEAD
            everything = Messages.join([self._soon, *self._later])
            self._soon, later = self._split(everything, self._until)
            self._later = [later]
        soon, later = self._split(messages, self._until)
        self._later.append(later)
        due, self._soon = self._split(Messages.join([self._soon, soon]), number + 1)
        return due.in_order()

    def rest(self) -> Messages:
        """All that is left, in order."""
        return Messages.join([self._soon, *self._later]).in_order()

    def _split(self, messages: Messages, until: int) -> tuple[Messages, Messages]:
        """Those that are due before a block, and the others."""
        before = self._clock.last_before(messages.dues) < until * self._block
        if before.all():
            return messages, _about_nothing()
        return messages.take(np.flatnonzero(before)), messages.take(np.flatnonzero(~before))


def _about_nothing() -> Messages:
    none, small = np.zeros(0, np.int64), np.zeros(0, np.int8)
    return Messages(none, small, np.zeros(0, bool), small, small, none, none)
