"""What is kept in a runner's state about one shard of remembered versions, and when it is let go.

Accepted versions are appended to a *generation*, one of a fixed number of bags. Whenever a quarter
of the time to remember has passed, a new generation is begun; when the youngest version of a
generation need not be remembered any more, its whole bag is cleared. So nothing is written twice
only because time passes.
"""

from __future__ import annotations

import dataclasses
import json
import secrets

__all__ = ["GENERATIONS", "ShardState"]

GENERATIONS = 8
"""Bags there are. Four cover the time to remember; the others give room for a watermark that is
behind the arrivals."""


@dataclasses.dataclass
class ShardState:
    """The small part of a shard's state: it is read and written at each bundle.

    Attributes:
        token: names the content of the bags: an image in memory that carries the same is theirs.
        released: see `VersionMemory`.
        generations: the bag of each living generation and the latest arrival in it, in seconds;
            the oldest generation first.
        sealed: the last generation gets no more rows.
        next_release: when the timer fires, in seconds of event time; None where none is set.
    """

    token: str = ""
    released: int | None = None
    generations: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    sealed: bool = True
    next_release: int | None = None

    @classmethod
    def read(cls, data: bytes | None) -> ShardState:
        """The state as it was written; a new one for None."""
        if data is None:
            return cls()
        token, released, generations, sealed, next_release = json.loads(data)
        return cls(token, released, [(bag, at) for bag, at in generations], sealed, next_release)

    def write(self) -> bytes:
        """The state as bytes."""
        fields = (self.token, self.released, self.generations, self.sealed, self.next_release)
        return json.dumps(fields).encode()

    def renew(self) -> str:
        """A new token, when the bags have changed: not a number, which two workers could reach."""
        self.token = secrets.token_hex(8)
        return self.token

    def bag_for(self, arrival: int) -> int:
        """The bag to append versions to, the latest of which came at that second."""
        if self.sealed:
            taken = {bag for bag, _ in self.generations}
            self.generations.append((min(set(range(GENERATIONS)) - taken), arrival))
            self.sealed = False
        bag, latest = self.generations[-1]
        self.generations[-1] = (bag, max(latest, arrival))
        return bag

    def release(self, until: int, remember: int) -> list[int]:
        """Ends generations that need not be remembered at that second; their bags."""
        self.released = until
        ended = [bag for bag, latest in self.generations if latest + remember <= until]
        if self.generations and self.generations[-1][0] in ended:
            self.sealed = True
        self.generations = [one for one in self.generations if one[0] not in ended]
        return ended

    def seal(self) -> int | None:
        """Begins a new generation with the next version.

        Returns:
            The bag of the oldest generation where all are in use: it ends too, and what is still
            to be remembered of it has to be appended again.
        """
        self.sealed = True
        if len(self.generations) < GENERATIONS:
            return None
        return self.generations.pop(0)[0]

    def schedule(self, oldest_arrival: int, remember: int) -> bool:
        """Sets the next release by the oldest arrival that there is.

        Returns:
            Whether it is earlier than the one that was set, so that the timer must be set.
        """
        span = max(1, remember // 4)
        # An open generation must be sealed in time; else nothing is to do until one can end.
        first = oldest_arrival if not self.sealed else oldest_arrival + remember
        if self.released is not None:
            first = max(first, self.released)
        due = (first // span + 1) * span
        if self.next_release is not None and self.next_release <= due:
            return False
        self.next_release = due
        return True
