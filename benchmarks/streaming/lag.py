"""How far a reader is behind: in messages, and in seconds since its next message was sent."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = ["Lag", "Partition"]


@dataclass
class Partition:
    """Where one partition ended at which times."""

    times: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def saw(self, time: float, end: int) -> None:
        """Notes where it ends now."""
        if self.ends[-2:] == [end, end]:
            self.times[-1] = time
        else:
            self.times.append(time)
            self.ends.append(end)

    def age(self, now: float, position: int) -> float:
        """Seconds since the first message that has not been read was sent; 0 where all is read.

        Between two times the partition is taken to have grown evenly.
        """
        if not self.ends or position >= self.ends[-1]:
            return 0.0
        place = bisect_right(self.ends, position)
        if place == 0:
            return now - self.times[0]
        before, after = self.ends[place - 1], self.ends[place]
        share = (position - before) / (after - before)
        sent = self.times[place - 1] + share * (self.times[place] - self.times[place - 1])
        return max(0.0, now - sent)


class Lag:
    """How far a reader of a topic is behind.

    Args:
        partitions: how many the topic has.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = [Partition() for _ in range(partitions)]

    def note(self, time: float, ends: list[int], positions: list[int]) -> tuple[int, float]:
        """The messages that are left to read, and the age in seconds of the oldest of them.

        Args:
            time: now.
            ends: of each partition, the offset after its last message.
            positions: of each partition, the offset of the next message to be read.
        """
        left, oldest = 0, 0.0
        for partition, end, position in zip(self._partitions, ends, positions, strict=True):
            partition.saw(time, end)
            left += max(0, end - position)
            oldest = max(oldest, partition.age(time, position))
        return left, oldest
