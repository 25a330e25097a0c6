"""Which faults happen when, by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FAULTS", "Event", "Fault", "Plan"]

HOUR = 3600


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        name: what it is called.
        lasts: the shortest and the longest time until it is over, in seconds.
        where: `attached` where Python runs in the command, `pool` where it has a pool of workers,
            `both`.
        takes: what is chosen for it: `partition`, `hours` of a clock, or nothing.
    """

    name: str
    lasts: tuple[float, float] = (0.0, 0.0)
    where: str = "both"
    takes: str = ""


FAULTS = (
    Fault("taskmanager", (0.0, 2.0)),
    Fault("jobmanager", (0.0, 2.0)),
    Fault("broker", (1.0, 5.0)),
    Fault("disk", (2.0, 5.0)),
    Fault("clock", (2.0, 8.0), takes="hours"),
    Fault("silence", (3.0, 6.0), takes="partition"),
    Fault("poison", takes="partition"),
    Fault("workers", where="pool"),
    Fault("pool", (0.0, 2.0), where="pool"),
    Fault("command", (0.0, 2.0), where="attached"),
)


@dataclass(frozen=True)
class Event:
    """The beginning of a fault, or its end.

    Attributes:
        at: when, in seconds after the first message.
        name: the fault's.
        begins: False where it ends.
        value: the partition, or the seconds by which the clock is shifted.
    """

    at: float
    name: str
    begins: bool
    value: int = 0


@dataclass(frozen=True)
class Plan:
    """What happens in a run.

    Attributes:
        seed: what it follows from.
        pool: Python runs in a pool of workers.
        events: what happens, in the order of time.
    """

    seed: int
    pool: bool
    events: tuple[Event, ...]

    @classmethod
    def of(cls, seed: int, seconds: float, fewest: int = 2, most: int = 4) -> Plan:
        """The plan of a seed.

        Args:
            seed: the same gives the same plan.
            seconds: all faults begin within them.
            fewest: how many kinds of faults there are at least.
            most: and at most.
        """
        chance = random.Random(seed)
        pool = chance.random() < 0.4
        possible = [each for each in FAULTS if each.where in {"both", cls.mode(pool=pool)}]
        chosen = chance.sample(possible, chance.randint(fewest, most))
        return cls.with_faults(seed, pool, chosen, seconds, chance)

    @classmethod
    def with_faults(
        cls,
        seed: int,
        pool: bool,
        chosen: Iterable[Fault],
        seconds: float,
        chance: random.Random,
    ) -> Plan:
        """The plan with these faults, at moments that are drawn."""
        events = []
        for fault in chosen:
            begin = chance.uniform(0, seconds)
            value = {
                "hours": chance.choice((-5, -2, 2, 5)) * HOUR,
                "partition": chance.randrange(2),
                "": 0,
            }[fault.takes]
            events.append(Event(begin, fault.name, True, value))
            if fault.lasts[1]:
                end = begin + chance.uniform(*fault.lasts)
                events.append(Event(end, fault.name, False, value))
        return cls(seed, pool, tuple(sorted(events, key=lambda event: event.at)))

    @staticmethod
    def mode(*, pool: bool) -> str:
        """Where Python runs."""
        return "pool" if pool else "attached"

    @property
    def faults(self) -> dict[str, float]:
        """When which fault begins."""
        return {event.name: event.at for event in self.events if event.begins}

    def __str__(self) -> str:
        """The faults with their moments."""
        listed = ", ".join(f"{name} {at:.1f}" for name, at in self.faults.items())
        return f"{self.mode(pool=self.pool)}: {listed}"
