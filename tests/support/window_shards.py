"""A shard of windows as a runner keeps it: its state goes through bytes at each element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from transforms.changes import Changes, Pane, SeriesKey, pack, unpack
from transforms.partial_rows import PartialRows
from transforms.slices import group_sorted, retract_partials
from transforms.statistics import STATISTICS
from transforms.totals_state import BAGS, TotalsImage, TotalsState
from transforms.window_totals import Due, WindowTotals

__all__ = ["ALL", "DAY", "KEY", "PARTIALS", "MemoryBag", "Shard", "change", "changes_of"]

ALL = [STATISTICS[name]() for name in STATISTICS]
PARTIALS = PartialRows(ALL)
KEY: SeriesKey = ("region", "76", "Occitanie", "temperature")
DAY = 86_400


class MemoryBag:
    """State that is appended to; what was added last comes first."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def read(self) -> Iterable[bytes]:
        return reversed(self.pieces)

    def add(self, data: bytes) -> None:
        self.pieces.append(data)

    def clear(self) -> None:
        self.pieces.clear()


def change(
    added: Sequence[int] = (), taken: Sequence[int] = (), partials: PartialRows = PARTIALS
) -> np.ndarray:
    """A row of partial statistics: of values that came, and of values that left."""
    rows = []
    for values, retract in ((added, False), (taken, True)):
        if len(values):
            zeros = np.zeros(len(values), np.int64)
            piece = group_sorted(zeros, zeros, np.array(values, np.int64), partials.statistics)
            rows.append(
                partials.matrix(retract_partials(piece, partials.statistics) if retract else piece)
            )
    return partials.merged(np.concatenate(rows), np.zeros(1, np.int64))


def changes_of(
    rows: Sequence[tuple[SeriesKey, Pane, np.ndarray]],
) -> Changes:
    """Changes of windows, one row each."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    panes = list(dict.fromkeys(pane for _, pane, _ in rows))
    return Changes(
        names,
        panes,
        np.array([names.index(name) for name, _, _ in rows]),
        np.array([panes.index(pane) for _, pane, _ in rows]),
        np.concatenate([row for _, _, row in rows]),
    )


@dataclass
class Shard:
    """A shard; `forgetful` ones are read from their state at each element."""

    totals: WindowTotals
    forgetful: bool = False
    small: bytes | None = None
    bags: list[MemoryBag] = field(default_factory=lambda: [MemoryBag() for _ in range(BAGS)])
    image: TotalsImage = field(default_factory=TotalsImage)

    def add(self, changes: Changes) -> list[Due]:
        state = TotalsState.read(self.small)
        due = self.totals.add(unpack(pack(changes)), state, self._image(), self.bags)
        self.small = state.write()
        return due

    def fire(self) -> None:
        """The timer fires."""
        state = TotalsState.read(self.small)
        self.totals.close(state, self._image(), self.bags)
        self.small = state.write()

    def _image(self) -> TotalsImage:
        if self.forgetful:
            self.image = TotalsImage()
        return self.image

    @property
    def timer(self) -> int | None:
        """When it is to fire."""
        return TotalsState.read(self.small).next

    @property
    def used(self) -> list[int]:
        """The bags that hold something."""
        return [number for number, bag in enumerate(self.bags) if bag.pieces]
