"""What was sent, and what the balance of one run over it must be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.classes import CLASSES
from schemas.reasons import REASONS
from simulation.batch import GONE, NO_REASON, Batch

__all__ = ["CLASSES", "Counts"]

Integers = npt.NDArray[np.int64]

PLACES = ("counted", "outside", "no_place", "deleted")


class Counts:
    """Counts messages that have been sent, in any order.

    The unit is readings; a record that is rejected counts one.

    Args:
        allowed_lateness, max_future: of the pipeline, in microseconds.

    Attributes:
        messages: how many were sent.
        refused: messages that the receiver did not take, by reason; they are in nothing else.
    """

    def __init__(self, allowed_lateness: int, max_future: int) -> None:
        self._lateness, self._future = allowed_lateness, max_future
        self.messages = 0
        self.refused: Counter[str] = Counter()
        self._balance: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._families: dict[int, _Family] = {}
        self._times: list[int] = []

    def add(self, batch: Batch, arrivals: Integers | None) -> None:
        """Counts messages.

        Args:
            batch: what was sent.
            arrivals: when each arrived, in microseconds since the epoch; None for files, which
                know no arrival.
        """
        if not len(batch):
            return
        self.messages += len(batch)
        times = batch.messages.times
        self._times = [
            min([*self._times, int(times.min())]),
            max([*self._times, int(times.max())]),
        ]
        bad = batch.reasons[batch.reasons != NO_REASON]
        for reason, count in zip(*np.unique(bad, return_counts=True), strict=True):
            self._reject(REASONS[reason], int(count))
        good = batch.good
        if batch.timeless:
            if arrivals is None:
                self._reject("missing_field", int(good.sum()))
                return
        elif arrivals is not None:
            after = arrivals - times
            after[batch.classes == GONE] = 0
            late, ahead = after > self._lateness, after < -self._future
            self._balance["too_late"] += int(good[late].sum())
            self._reject("from_the_future", int(good[ahead].sum()))
            good = np.where(late | ahead, 0, good)
        single = batch.messages.families == 1
        found = np.bincount(batch.classes[single], good[single], len(PLACES)).astype(np.int64)
        self._balance.update(dict(zip(PLACES, found.tolist(), strict=True)))
        for row in np.flatnonzero(~single & (good > 0)).tolist():
            self._count_member(batch, row, int(good[row]))

    def refuse(self, reason: str, count: int) -> None:
        """Counts messages that were offered, and not taken."""
        self.refused[reason] += count

    @property
    def balance(self) -> dict[str, int]:
        """`read` and every class."""
        found = {name: self._balance[name] for name in CLASSES}
        return {"read": sum(found.values()), **found}

    def as_dict(self) -> dict[str, Any]:
        """All that was counted, as it is written to a file."""
        ends = [str(np.datetime64(time, "us")) + "Z" for time in self._times]
        return {
            "messages": self.messages,
            "readings": self.balance["read"],
            "balance": self.balance,
            "rejected": dict(sorted(self._rejected.items())),
            "refused": dict(sorted(self.refused.items())),
            "first_event_time": ends[0] if ends else None,
            "last_event_time": ends[1] if ends else None,
        }

    def _reject(self, reason: str, count: int) -> None:
        if count:
            self._balance["rejected"] += count
            self._rejected[reason] += count

    def _count_member(self, batch: Batch, row: int, weight: int) -> None:
        """Counts one of several messages about a measurement: the newest version counts."""
        messages = batch.messages
        number, version = int(messages.numbers[row]), int(messages.versions[row])
        family = self._families.setdefault(number, _Family(int(messages.families[row])))
        family.missing -= 1
        if not family.missing:
            del self._families[number]
        if version in family.classes:
            self._balance["duplicate"] += weight
            return
        newest = max(family.classes, default=-1)
        family.classes[version] = PLACES[int(batch.classes[row])]
        if newest >= 0:
            self._balance["superseded"] += weight
            if version < newest:
                return
            self._balance[family.classes[newest]] -= weight
        self._balance[family.classes[version]] += weight


@dataclass
class _Family:
    """Messages about one measurement: how many are still missing, and the classes of versions."""

    missing: int
    classes: dict[int, str] = field(default_factory=dict)
