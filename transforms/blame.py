"""Who is to blame for what: the cause of each record that is no reading."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from schemas.reasons import Causes
from transforms.fields import DOUBT, Fault
from transforms.spans import Ints

__all__ = ["UNSURE", "Blame"]

UNSURE = 65_535
"""The cause of a record on which only a JSON parser can decide."""


class Blame:
    """The causes of n records: the first fault that is told of one stays.

    Args:
        count: how many records.
        causes: gives the numbers of the causes; new ones are added.
    """

    def __init__(self, count: int, causes: Causes) -> None:
        self.cause = np.zeros(count, np.uint16)
        self._causes = causes

    def put(self, faults: Iterable[Fault], among: Ints | None = None) -> None:
        """Tells of faults, of all records or of some."""
        for fault in faults:
            if not fault.wrong.any():
                continue
            wrong = np.flatnonzero(fault.wrong)
            rows = wrong if among is None else among[wrong]
            if fault.reason == DOUBT:
                self.cause[rows] = UNSURE
                continue
            free = self.cause[rows] == 0
            rows, wrong = rows[free], wrong[free]
            if fault.which is None:
                self.cause[rows] = self._causes.number(fault.reason, fault.detail)
                continue
            which = fault.which[wrong]
            for name in np.unique(which).tolist():
                detail = fault.detail.format(fault.names[name])
                self.cause[rows[which == name]] = self._causes.number(fault.reason, detail)
