"""What a runner keeps of a shard's windows, and what of it is in a worker's memory."""

from __future__ import annotations

import dataclasses
import json
import secrets
import time
from collections.abc import Iterable
from typing import Protocol, TypeAlias

from transforms.changes import SeriesKey

__all__ = ["BAGS", "OPEN", "Bag", "Tier", "Total", "TotalsImage", "TotalsState", "WindowKey"]

WindowKey: TypeAlias = tuple[SeriesKey, int, int, int]
"""Series; start, size and period of the window in seconds."""
Total: TypeAlias = tuple[bytes, bytes | None]
"""A window's total, and the one that its last row has shown."""
Tier: TypeAlias = dict[WindowKey, Total]

BAGS = 16
"""One for windows that are open, the others for times of windows that are closed."""
OPEN = 0
FORGET_AFTER = 600.0
"""Seconds after which windows that are closed, and did not change, leave the memory."""
LAST_SECOND = 9_000_000_000_000
"""Beyond it a runner's timers cannot be set."""


class Bag(Protocol):
    """State that is appended to."""

    def read(self) -> Iterable[bytes]:
        """All of it, in any order."""

    def add(self, data: bytes) -> None:
        """Appends."""

    def clear(self) -> None:
        """Removes all."""


@dataclasses.dataclass
class TotalsState:
    """The small part of a shard's state.

    Attributes:
        token: names the content of the bags: an image that carries the same is theirs.
        number: of the last record.
        closed: windows that have ended up to then, in seconds, are not in the bag of open ones.
        next: when the timer fires, in seconds of event time; None where none is set.
        times: by bag, the newest time whose windows it has.
        records: by bag, how many windows its records have, old ones included.
        emitted: the moment of the last rows, in microseconds since the epoch.
    """

    token: str = ""
    number: int = 0
    closed: int | None = None
    next: int | None = None
    times: dict[int, int] = dataclasses.field(default_factory=dict)
    records: dict[int, int] = dataclasses.field(default_factory=dict)
    emitted: int = 0

    @classmethod
    def read(cls, data: bytes | None) -> TotalsState:
        """The state as it was written; a new one for None."""
        if data is None:
            return cls()
        token, number, closed, due, times, records, *emitted = json.loads(data)
        return cls(token, number, closed, due, dict(times), dict(records), *emitted)

    def write(self) -> bytes:
        """The state as bytes, with a new token."""
        self.token = secrets.token_hex(8)
        lists = [*self.times.items()], [*self.records.items()]
        known = [self.token, self.number, self.closed, self.next, *lists, self.emitted]
        return json.dumps(known).encode()

    def stamp(self) -> int:
        """The moment of new rows: now, and after that of all rows before, whatever the clock says.

        A clock that was ahead, and was set right, would have a window's next row be older than the
        one that it replaces.
        """
        self.emitted = max(time.time_ns() // 1000, self.emitted + 1)
        return self.emitted

    def schedule(self, at: int) -> None:
        """Has the timer fire at that second, if it would not fire before."""
        if at <= LAST_SECOND and (self.next is None or at < self.next):
            self.next = at


@dataclasses.dataclass
class TotalsImage:
    """What of the bags is in memory: tiers by bag, and when each was last asked for."""

    tiers: dict[int, Tier] = dataclasses.field(default_factory=dict)
    used: dict[int, float] = dataclasses.field(default_factory=dict)

    def forget(self) -> None:
        """Drops closed windows that did not change for long."""
        now = time.monotonic()
        for bag, used in list(self.used.items()):
            if bag != OPEN and now - used > FORGET_AFTER:
                del self.tiers[bag], self.used[bag]
