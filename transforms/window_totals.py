"""The totals of the windows of one shard of series: added to, shown, and let go. No Beam in it.

Totals stand in bags, as records that are only appended to: a bag is written anew when most of its
records are old. Windows that may still change every second are in a bag of their own, small and
held in memory. Some minutes after its end a window goes to the bag of its time, which is read only
if something comes late, and cleared as a whole when nothing can come any more.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from transforms.changes import Changes, SeriesKey, pack, unpack
from transforms.partial_rows import Matrix, PartialRows
from transforms.spans import Bools, Ints
from transforms.totals_state import (
    BAGS,
    OPEN,
    Bag,
    Tier,
    Total,
    TotalsImage,
    TotalsState,
    WindowKey,
)

__all__ = ["RETOLD", "Due", "WindowTotals"]

GRID, GRACE = 900, 600
"""Windows are closed at full quarters of an hour, ten minutes late, by the watermark."""
LEAST_OLD = 4096
"""Records that a bag may have beside twice as many as it has windows."""
RETOLD = "retold"
"""The timing of a row that says what the one before it has said."""
NOT_SHOWN, SHOWN, SHOWN_OTHER = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Due:
    """Rows that are to be given out.

    Attributes:
        windows: the window of each row.
        timings: its pane's timing.
        rows: its total.
        arrived: the oldest arrival behind it.
        emitted: when they were computed, in microseconds since the epoch: later than those of the
            shard before them.
    """

    windows: Sequence[WindowKey]
    timings: Sequence[str]
    rows: Matrix
    arrived: Sequence[int]
    emitted: int


class WindowTotals:
    """Adds changes to the totals of windows, and says what rows are due.

    A row is due where a total differs from that of the last row, and the window has held a
    reading. None is due while a removal has overtaken what it removes.

    Args:
        partials: what is kept.
        keep: how many seconds of event time after a window's end its total is kept.
        retell: also give out, with the timing `RETOLD`, the totals of windows that were touched and
            have stayed as they were.
    """

    def __init__(self, partials: PartialRows, keep: int, *, retell: bool = False) -> None:
        self._partials, self._keep, self._retell = partials, keep, retell
        # No two times that are kept at once share a bag.
        self._span = -(-max(keep, GRID) // (BAGS - 3))

    def add(
        self, changes: Changes, state: TotalsState, image: TotalsImage, bags: Sequence[Bag]
    ) -> list[Due]:
        """Adds changes.

        Args:
            changes: of windows, in the order in which their panes fired.
            state: the shard's, which this changes.
            image: what is in memory of it, which this changes.
            bags: the rest of the state, `BAGS` of them.

        Returns:
            The rows that are due, those of a window in the order of its panes.
        """
        image.forget()
        panes = changes.panes
        keys = [
            (changes.names[series], *panes[pane][:3])
            for series, pane in zip(changes.series.tolist(), changes.pane.tolist(), strict=True)
        ]
        due = [self._add(keys, changes, rows, state, image, bags) for rows in _rounds(keys)]
        return [each for each in due if each.windows]

    def close(self, state: TotalsState, image: TotalsImage, bags: Sequence[Bag]) -> None:
        """What the timer does: lets windows go that have ended, and clears what nothing changes.

        Args:
            state: see `add`.
            image: see `add`.
            bags: see `add`.
        """
        if state.next is None:
            return
        until, state.next = state.next, None
        state.closed = max(until, until if state.closed is None else state.closed)
        for bag, newest in list(state.times.items()):
            if self._expiry(newest) <= until:
                bags[bag].clear()
                for each in (state.times, state.records, image.tiers, image.used):
                    each.pop(bag, None)
        windows = self._tier(OPEN, state, image, bags)
        ended: dict[int, Tier] = {}
        for key, total in windows.items():
            if _end(key) <= until:
                ended.setdefault(self._bag_of(_end(key), state), {})[key] = total
        for bag, gone in ended.items():
            self._append(bag, gone, state, bags)
            self._note_times(bag, gone, state)
            if bag in image.tiers:
                image.tiers[bag].update(gone)
            for key in gone:
                del windows[key]
        if ended:
            self._write_anew(OPEN, windows, state, bags)
        if windows:
            ends = sorted(map(_end, windows))
            # At least a quarter of them is closed then: each time the others are written again.
            state.schedule(_closing(ends[len(ends) // 4]))
        for newest in state.times.values():
            state.schedule(self._expiry(newest))

    def _add(
        self,
        keys: Sequence[WindowKey],
        changes: Changes,
        chosen: Ints,
        state: TotalsState,
        image: TotalsImage,
        bags: Sequence[Bag],
    ) -> Due:
        """The same for windows each of which is there once."""
        windows = [keys[row] for row in chosen.tolist()]
        places = [self._bag_of(_end(key), state) for key in windows]
        tiers = {bag: self._tier(bag, state, image, bags) for bag in set(places)}
        before = [tiers[bag].get(key) for bag, key in zip(places, windows, strict=True)]
        total = self._sums(changes.rows[chosen], before)
        due, sound = self._due(total, before)
        data, size = total.tobytes(), 8 * self._partials.width
        touched: dict[int, Tier] = {}
        for row, (bag, key) in enumerate(zip(places, windows, strict=True)):
            now = data[row * size : (row + 1) * size]
            old = before[row]
            tiers[bag][key] = now, now if due[row] else None if old is None else old[1]
            touched.setdefault(bag, {})[key] = tiers[bag][key]
        for bag, tier in touched.items():
            self._append(bag, tier, state, bags)
            if state.records[bag] > 2 * len(tiers[bag]) + LEAST_OLD:
                self._write_anew(bag, tiers[bag], state, bags)
            if bag == OPEN:
                state.schedule(_closing(min(map(_end, tier))))
            else:
                state.schedule(self._expiry(self._note_times(bag, tier, state)))
        given = due | sound if self._retell else due
        return self._given(windows, changes, chosen, total, due, given, state.stamp())

    def _sums(self, rows: Matrix, before: Sequence[Total | None]) -> Matrix:
        known = np.array([total is not None for total in before])
        total = np.array(rows)
        if known.any():
            old = self._matrix(each[0] for each in before if each is not None)
            total[known] = self._partials.added(old, rows[known])
        return total

    def _due(self, total: Matrix, before: Sequence[Total | None]) -> tuple[Bools, Bools]:
        """Whether a row is due; and whether a total is one that readings have."""
        held = self._partials.held(total)
        sound = np.ones(len(total), bool) if held is None else held >= 0
        shown = np.array([each is not None and each[1] is not None for each in before])
        due = np.ones(len(total), bool) if held is None else held != 0
        if shown.any():
            last = self._matrix(each[1] for each in before if each is not None and each[1])
            due[shown] = self._partials.tells_apart(last, total[shown])
        return due & sound, sound

    @staticmethod
    def _given(
        windows: Sequence[WindowKey],
        changes: Changes,
        chosen: Ints,
        total: Matrix,
        due: Bools,
        given: Bools,
        emitted: int,
    ) -> Due:
        rows = np.flatnonzero(given)
        panes = [changes.panes[pane] for pane in changes.pane[chosen[rows]].tolist()]
        return Due(
            [windows[row] for row in rows.tolist()],
            [pane[3] if due[row] else RETOLD for row, pane in zip(rows, panes, strict=True)],
            total[rows],
            [pane[4] for pane in panes],
            emitted,
        )

    def _matrix(self, rows: Iterable[bytes | None]) -> Matrix:
        return np.frombuffer(b"".join(filter(None, rows)), np.int64).reshape(
            -1, self._partials.width
        )

    def _bag_of(self, end: int, state: TotalsState) -> int:
        if state.closed is None or end > state.closed:
            return OPEN
        return 1 + self._time(end) % (BAGS - 1)

    def _note_times(self, bag: int, tier: Tier, state: TotalsState) -> int:
        """Remembers the newest time whose windows a bag has; gives it."""
        newest = max(map(self._time, map(_end, tier)))
        state.times[bag] = max(newest, state.times.get(bag, newest))
        return state.times[bag]

    def _time(self, end: int) -> int:
        return end // self._span

    def _expiry(self, newest: int) -> int:
        return (newest + 1) * self._span + self._keep

    def _tier(self, bag: int, state: TotalsState, image: TotalsImage, bags: Sequence[Bag]) -> Tier:
        """What a bag has, by window."""
        image.used[bag] = time.monotonic()
        if bag not in image.tiers:
            tier: Tier = {}
            if bag in state.records:
                records = sorted(map(unpack, bags[bag].read()), key=lambda record: record.number)
                for record in records:
                    tier.update(self._read(record))
            image.tiers[bag] = tier
        return image.tiers[bag]

    def _append(self, bag: int, tier: Tier, state: TotalsState, bags: Sequence[Bag]) -> None:
        state.number += 1
        state.records[bag] = state.records.get(bag, 0) + len(tier)
        bags[bag].add(pack(self._record(tier, state.number)))

    def _write_anew(self, bag: int, tier: Tier, state: TotalsState, bags: Sequence[Bag]) -> None:
        bags[bag].clear()
        state.records.pop(bag, None)
        if tier:
            self._append(bag, tier, state, bags)

    def _record(self, tier: Tier, number: int) -> Changes:
        """Windows as a record; their totals alone where rows have shown them all."""
        names: dict[SeriesKey, int] = {}
        panes: dict[tuple[int, int, int], int] = {}
        series = [names.setdefault(key[0], len(names)) for key in tier]
        pane = [panes.setdefault(key[1:], len(panes)) for key in tier]
        rows = self._matrix(total for total, _ in tier.values())
        if any(shown != total for total, shown in tier.values()):
            kinds = [
                NOT_SHOWN if shown is None else SHOWN if shown == total else SHOWN_OTHER
                for total, shown in tier.values()
            ]
            last = self._matrix(shown or total for total, shown in tier.values())
            rows = np.concatenate([rows, last, np.array(kinds)[:, None]], axis=1)
        return Changes(
            [*names],
            [(*window, "", 0) for window in panes],
            np.array(series, np.int64),
            np.array(pane, np.int64),
            rows,
            number,
        )

    def _read(self, record: Changes) -> Iterator[tuple[WindowKey, Total]]:
        """What `_record` made a record of."""
        width, size = self._partials.width, 8 * self._partials.width
        data = np.ascontiguousarray(record.rows[:, :width]).tobytes()
        simple = record.rows.shape[1] == width
        last = b"" if simple else np.ascontiguousarray(record.rows[:, width:-1]).tobytes()
        kinds = [SHOWN] * len(record.rows) if simple else record.rows[:, -1].tolist()
        pairs = zip(record.series.tolist(), record.pane.tolist(), kinds, strict=True)
        for row, (series, pane, kind) in enumerate(pairs):
            total = data[row * size : (row + 1) * size]
            shown = total if kind == SHOWN else None
            if kind == SHOWN_OTHER:
                shown = last[row * size : (row + 1) * size]
            start, length, period, *_ = record.panes[pane]
            yield (record.names[series], start, length, period), (total, shown)


def _end(key: WindowKey) -> int:
    return key[1] + key[2]


def _closing(end: int) -> int:
    """When a window that ends then may be closed."""
    return -(-end // GRID) * GRID + GRACE


def _rounds(keys: Sequence[WindowKey]) -> Iterator[Ints]:
    """Rows of windows, each of which is in a round at most once, in their order."""
    seen: dict[WindowKey, int] = {}
    rounds = np.empty(len(keys), np.int64)
    for row, key in enumerate(keys):
        rounds[row] = seen[key] = seen.get(key, -1) + 1
    for number in range(int(rounds.max(initial=-1)) + 1):
        yield np.flatnonzero(rounds == number)
