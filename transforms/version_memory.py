"""What one shard of a stream remembers of its readings, and what a new version of one means.

No Beam in it: `transforms.latest_in_stream` keeps the same in the runner's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.reading import VersionKind
from transforms.hash_index import HashIndex
from transforms.numbers import MICROS
from transforms.packed_rows import (
    DELETED,
    NO_POSITION,
    PLACED,
    ROW,
    Name,
    Packed,
    Rows,
    flags_of,
    kinds_of,
    series_of,
)
from transforms.packed_series import Series, joined_packed
from transforms.packed_versions import NEWER, OLDER, SAME, came_again, compared, newest_rows
from transforms.row_log import RowLog
from transforms.spans import Bools, Ints

__all__ = ["Decision", "VersionMemory"]

TOO_LATE = -2
"""What becomes of a message, beside `NEWER`, `OLDER` and `SAME`."""
MOST_NUMBERS = (1 << 32) - 2
"""Row numbers that the index can tell apart. Then they are given anew."""
MEANT = DELETED | PLACED | NO_POSITION
"""Flags that change the class that a reading is counted in."""
WAITING = DELETED | NO_POSITION
"""Flags of a deletion that is remembered and not counted: no other row has both."""


@dataclass(frozen=True)
class Decision:
    """What becomes of some messages. Each is in one class of the balance.

    Attributes:
        accepted: the new versions, in the order in which they came.
        added: those of them that change a mean or a class.
        taken: the remembered versions that these replace.
        duplicates: how many messages were known.
        superseded: how many messages, or versions accepted before, are older than another.
        too_late: how many come after a version that is no longer remembered.
        touched: versions that change nothing, where they are asked for: older than another one, or
            new without meaning anything else. A stream that begins again from older state may have
            shown them before it failed.
        waiting: deletions among those that are too late. They are remembered, and nothing else:
            what they delete may not be forgotten but on its way, and must not count then.
    """

    accepted: Rows
    added: Rows
    taken: Rows
    duplicates: int
    superseded: int
    too_late: int
    touched: Rows
    waiting: Rows


class VersionMemory:
    """The newest version of every reading, for some time after its arrival.

    Args:
        remember: for how many seconds after its arrival a version is remembered at least.
        max_future: by how many seconds an event time may be ahead of its arrival.
        series: the numbers of series, which other memories may share.
        touched: whether decisions name what was touched.

    Attributes:
        released: what had to be remembered up to this moment, in seconds since the epoch, is
            forgotten; None where nothing was yet.
    """

    def __init__(
        self,
        remember: int,
        max_future: int,
        series: Series | None = None,
        *,
        touched: bool = False,
    ) -> None:
        self._remember, self._max_future, self._tells = remember, max_future, touched
        self._series = series or Series()
        self._log, self._index = RowLog(), HashIndex()
        self.released: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows(self) -> Rows:
        """All that is remembered, one row a reading."""
        return np.concatenate([np.empty(0, ROW), *map(self._lasting, self._log.all())])

    @property
    def size(self) -> tuple[int, int]:
        """Rows, with some that need not be remembered any more; and the memory that they take."""
        return len(self._log), self._log.nbytes + self._index.nbytes

    @property
    def oldest(self) -> int | None:
        """What is remembered arrived at that second or later; None where nothing is."""
        forgotten = -1 if self.released is None else self.released - self._remember
        return self._log.earliest(forgotten)

    @property
    def names(self) -> Sequence[Name]:
        """What the series are called."""
        return self._series.names

    def offer(self, packed: Packed) -> Decision:
        """Decides about messages, and remembers the versions that are new.

        Args:
            packed: messages of this shard, in the order in which they came.
        """
        rows = self._series.renumbered(packed)
        kept, duplicates, superseded = newest_rows(rows, self.names)
        touched = []
        if len(kept) < len(rows):
            if self._tells:
                touched.append(np.delete(rows, kept))
            rows = rows.take(kept)
        self._make_room(len(rows))
        places, known, before = self._find(rows)
        unknown = np.ones(len(rows), bool)
        unknown[known] = False
        verdict = np.full(len(rows), NEWER, np.int8)
        if len(known):
            verdict[known] = compared(rows.take(known), before, self.names)
        said = (verdict[known] == SAME) | came_again(rows.take(known), before)
        again = int(np.count_nonzero(said))
        too_late = self._come_too_late(rows, unknown)
        verdict[too_late] = TOO_LATE
        waiting = self._wait(rows.take(too_late), places[too_late])
        new = np.flatnonzero(verdict == NEWER)
        replaced = before.take(np.flatnonzero(verdict[known] == NEWER))
        accepted, uncounted = rows.take(new), int(np.count_nonzero(_waits(replaced)))
        added, taken, unchanged = self._accept(accepted, places[new], ~unknown[new], replaced)
        if self._tells:
            older = known[(verdict[known] == OLDER) & ~said]
            touched += [rows.take(older), accepted.take(unchanged)]
        return Decision(
            accepted,
            added,
            taken,
            duplicates + again,
            superseded + len(known) - again - uncounted,
            len(too_late),
            np.concatenate(touched) if self._tells else rows[:0],
            waiting,
        )

    def release(self, until: int) -> None:
        """Forgets what had to be remembered up to a moment, in seconds since the epoch."""
        self.released = until
        self._append(self._log.forget(until - self._remember))

    def restore(self, pieces: Sequence[Packed], released: int | None) -> None:
        """Remembers what was accepted before: of each reading the newest of the rows counts."""
        self.released = released
        rows = self._lasting(self._series.renumbered(joined_packed(pieces)))
        kept, _, _ = newest_rows(rows, self.names)
        self._hold(rows.take(kept))

    def holds(self, packed: Packed) -> Rows:
        """Those of the rows, which were accepted before, that are the newest of their reading."""
        rows = self._series.renumbered(packed)
        _, known, mine = self._find(rows)
        rows = rows.take(known)
        return rows.take(np.flatnonzero(compared(rows, mine, self.names) == SAME))

    def _find(self, rows: Rows) -> tuple[Ints, Ints, Rows]:
        """The numbers of the rows' readings in the log, -1 where it has none.

        Returns:
            These; which rows' readings are remembered; and what is remembered of them.
        """
        places = self._index.find(rows["high"], rows["low"], self._log)
        known = np.flatnonzero(places >= 0)
        before = self._log.take(places[known])
        lasts = self._lasts(before)
        if lasts.all():
            return places, known, before
        return places, known[lasts], before.take(np.flatnonzero(lasts))

    def _come_too_late(self, rows: Rows, unknown: Bools) -> Ints:
        """Versions above the first of readings whose earlier ones may have been forgotten."""
        if self.released is None:
            return np.zeros(0, np.int64)
        numbered = kinds_of(rows) == VersionKind.VERSION
        if not numbered.any():
            return np.zeros(0, np.int64)
        horizon = (self.released - self._remember + self._max_future) * MICROS
        old = (rows["version"] > 1) & (rows["event_time"] <= horizon)
        return np.flatnonzero(unknown & numbered & old)

    def _wait(self, rows: Rows, places: Ints) -> Rows:
        """Remembers the deletions among messages that are too late; gives them."""
        deletions = np.flatnonzero(flags_of(rows) & DELETED)
        waiting = rows.take(deletions)
        if len(waiting):
            waiting["label"] |= np.uint32(NO_POSITION)
            self._keep(waiting, places[deletions])
        return waiting

    def _accept(
        self, rows: Rows, places: Ints, remembered: Bools, replaced: Rows
    ) -> tuple[Rows, Rows, Ints]:
        """Remembers new versions.

        Returns:
            Those that change something, and what they replace; the places of those that do not.
        """
        none = np.zeros(0, np.int64)
        if not len(rows):
            return rows, replaced, none
        # A version is remembered as long as the one that it replaces would have been: when the
        # state is read again, the older must not outlive the newer.
        follows, arrival = np.flatnonzero(remembered), rows["arrival"]
        arrival[follows] = np.maximum(arrival[follows], replaced["arrival"])
        self._keep(rows, places)
        following = rows.take(follows)
        changed = _means_else(following, replaced)
        counted = ~_waits(replaced)
        if changed.all() and counted.all():
            return rows, replaced, none
        changes = np.ones(len(rows), bool)
        changes[follows] = changed
        taken = replaced.take(np.flatnonzero(changed & counted))
        return rows.take(np.flatnonzero(changes)), taken, np.flatnonzero(~changes)

    def _keep(self, rows: Rows, places: Ints) -> None:
        """Puts rows at their places in the log, or at its end."""
        if self.released is not None:
            # Where the watermark is ahead of the arrivals, as when a backlog is read, the time
            # counts from the watermark: else they would be forgotten as they come.
            arrival = rows["arrival"]
            np.maximum(arrival, self.released, out=arrival)
        # What is forgotten, and still there, gives its place to what comes.
        there = places >= 0
        if not there.any():
            self._append(rows)
            return
        self._log.put(places[there], rows.take(np.flatnonzero(there)))
        self._append(rows.take(np.flatnonzero(~there)))

    def _append(self, rows: Rows) -> None:
        if not len(rows):
            return
        self._make_room(len(rows))
        first = self._log.append(rows)
        self._index.insert(rows["high"], rows["low"], first, self._log)

    def _make_room(self, number: int) -> None:
        """Numbers all rows anew, so that no place holds, if so many more are too many."""
        if self._log.end + number > MOST_NUMBERS:
            self._hold(self.rows)

    def _hold(self, rows: Rows) -> None:
        """These rows and no others."""
        self._log, self._index = RowLog(), HashIndex()
        self._append(rows)

    def _lasting(self, rows: Rows) -> Rows:
        """Those of the rows that must be remembered."""
        kept = self._lasts(rows)
        return rows if kept.all() else rows.take(np.flatnonzero(kept))

    def _lasts(self, rows: Rows) -> Bools:
        """Whether each must be remembered."""
        if self.released is None:
            return np.ones(len(rows), bool)
        lasts: Bools = rows["arrival"].astype(np.int64) + self._remember > self.released
        return lasts


def _waits(rows: Rows) -> Bools:
    """Whether each is a deletion that is not counted."""
    waits: Bools = flags_of(rows) & WAITING == WAITING
    return waits


def _means_else(rows: Rows, others: Rows) -> Bools:
    """Whether a row changes a mean, or a class of the balance, beside the other."""
    unlike = [rows[name] != others[name] for name in ("event_time", "value")]
    unlike.append(series_of(rows) != series_of(others))
    unlike.append((flags_of(rows) ^ flags_of(others)) & MEANT > 0)
    changed: Bools = np.logical_or.reduce(unlike)
    return changed
