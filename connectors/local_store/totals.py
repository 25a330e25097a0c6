"""The totals of windows after a commit: the newest ones, and what the run changes.

Everything is column by column over all windows that a commit touches; sums are exact.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.local_store.means_files import ALL_STATISTICS, OWN, newest_order, read_hidden
from connectors.local_store.partials import (
    EXTREMES,
    empty_rows,
    equal_rows,
    merged,
    neutral,
    retracted,
    taken,
    without_extremes,
)
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.spans import Bools, Ints
from transforms.statistics import Partials
from transforms.window_means import PARTIAL, read_partials

__all__ = [
    "NEVER",
    "Former",
    "Shares",
    "Totals",
    "WindowPartials",
    "former",
    "newer_panes",
    "totals",
    "unknown_extremes",
]

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class WindowPartials:
    """Partial statistics of windows, row by row.

    Attributes:
        series: the number of each window's series.
        starts: its start in microseconds.
        partials: its partial statistics.
    """

    series: Ints
    starts: Ints
    partials: Partials

    @classmethod
    def of(cls, rows: pa.RecordBatch, numbering: Numbering) -> WindowPartials:
        """Of rows that `window_rows(…, partials=True)` gave."""
        return cls(
            numbering.series(rows),
            _micros(rows, "window_start"),
            read_partials(rows, ALL_STATISTICS),
        )


@dataclass(frozen=True)
class Shares(WindowPartials):
    """What a run says of its windows.

    Attributes:
        panes: the timing of each row's pane.
        emitted: when it was computed, in microseconds; of one window the greatest counts.
    """

    panes: Texts
    emitted: Ints

    @classmethod
    def of(cls, rows: pa.Table, numbering: Numbering) -> Shares:
        """Of rows of files that the run's workers wrote."""
        return cls(
            numbering.series(rows),
            _micros(rows, "window_start"),
            read_hidden(rows, PARTIAL),
            rows.column("pane").to_numpy(zero_copy_only=False),
            _micros(rows, "emitted_at"),
        )


@dataclass(frozen=True)
class Former:
    """What the store holds of windows: by place.

    Attributes:
        there: whether it has a row of the window.
        partials: the newest row's totals; neutral where there is none.
        lost: whether that row has no minimum or maximum, though it has readings.
        own: the run's own newest share; neutral where it has none.
        own_emitted: when that was computed; -2**63 where there is none.
    """

    there: Bools
    partials: Partials
    lost: Bools
    own: Partials
    own_emitted: Ints

    @classmethod
    def nothing(cls, count: int) -> Former:
        """Of windows of which the store holds nothing."""
        there, lost = np.zeros(count, bool), np.zeros(count, bool)
        return cls(there, neutral(count), lost, neutral(count), np.full(count, NEVER))

    def only(self, rows: Ints | Bools) -> Former:
        """Some of the windows."""
        return Former(
            self.there[rows],
            taken(self.partials, rows),
            self.lost[rows],
            taken(self.own, rows),
            self.own_emitted[rows],
        )

    def put(self, rows: Ints | Bools | slice, other: Former) -> None:
        """Replaces what is said of some windows by what the other one says."""
        for mine, others in zip(self._columns(), other._columns(), strict=True):
            mine[rows] = others

    def follow(self, rows: Totals) -> None:
        """Says what the store holds when new rows are written."""
        newest = rows.only(rows.last)
        self.there[newest.places] = True
        self.lost[newest.places] = unknown_extremes(newest.partials)
        for name, column in newest.partials.items():
            self.partials[name][newest.places] = column
        shared = newest.own_emitted != NEVER
        for name, column in newest.own.items():
            self.own[name][newest.places[shared]] = column[shared]
        self.own_emitted[newest.places[shared]] = newest.own_emitted[shared]

    def _columns(self) -> list[npt.NDArray]:
        by_name = [held[name] for held in (self.partials, self.own) for name in sorted(held)]
        return [self.there, self.lost, self.own_emitted, *by_name]


NEVER = -(2**63)


def former(windows: Windows, rows: pa.Table, numbering: Numbering, run_id: str) -> Former:
    """Looks up the newest totals, and the run's own newest share.

    Args:
        windows: the windows wanted.
        rows: rows of files of the store, of all revisions; if the run is a stream, with the columns
            `own_…`.
        numbering: numbers of series.
        run_id: the run.
    """
    count = len(windows)
    places = windows.places(numbering.series(rows), _micros(rows, "window_start"))
    rows, places = rows.filter(pa.array(places >= 0)), places[places >= 0]
    newest = _last(count, places, rows)
    result = Former.nothing(count)
    there = result.there
    there[:] = newest >= 0
    if there.any():
        found = rows.take(pa.array(newest[there]))
        for name, column in read_hidden(found, PARTIAL).items():
            result.partials[name][there] = column
        for name in EXTREMES:
            result.lost[there] |= found.column(name).is_null().to_numpy()
        result.lost[:] &= result.partials["count"] > 0
    if OWN + "emitted_at" in rows.schema.names:
        mine = rows.column(OWN + "emitted_at").is_valid().to_numpy() & np.array(
            rows.column("run_id").to_numpy(zero_copy_only=False) == run_id, bool
        )
        rows, places = rows.filter(pa.array(mine)), places[mine]
        newest = _last(count, places, rows)
        has = newest >= 0
        if has.any():
            found = rows.take(pa.array(newest[has]))
            for name, column in read_hidden(found, OWN).items():
                result.own[name][has] = column
            result.own_emitted[has] = _micros(found, OWN + "emitted_at")
    return result


def _last(count: int, places: Ints, rows: pa.Table) -> Ints:
    """The row with the greatest revision of each place; -1 where there is none."""
    order = newest_order(rows)
    newest = np.full(count, -1)
    # Of several written to one place the last stays.
    newest[places[order]] = order
    return newest


@dataclass(frozen=True)
class Totals:
    """Rows to be written.

    Attributes:
        places: the place of each row's window; of several rows of one window the last counts.
        partials: the window's total.
        own: the run's own share; neutral where it has none.
        own_emitted: when that was computed; `NEVER` where there is none.
        panes: the timing of its pane; None where no pane of the run made the row.
        emitted: when the pane was computed; `NEVER` where no pane made the row.
    """

    places: Ints
    partials: Partials
    own: Partials
    own_emitted: Ints
    panes: Texts
    emitted: Ints

    def __len__(self) -> int:
        return len(self.places)

    @property
    def last(self) -> Bools:
        """Whether a row is the last of its window."""
        last = np.ones(len(self), bool)
        last[:-1] = self.places[1:] != self.places[:-1]
        return last

    def only(self, rows: Bools) -> Totals:
        """Some of the rows."""
        return Totals(
            self.places[rows],
            taken(self.partials, rows),
            taken(self.own, rows),
            self.own_emitted[rows],
            self.panes[rows],
            self.emitted[rows],
        )


def totals(
    windows: Windows,
    before: Former,
    shares: Shares,
    changes: Sequence[WindowPartials],
    *,
    stream: bool,
    settled: bool,
    repair: bool,
) -> Totals:
    """New totals: the newest ones, plus what the run's share changes, plus the settlement.

    Args:
        windows: all windows that are touched.
        before: what the store holds of them.
        shares: the run's rows. Of a batch they are added; of a stream each is a pane, and the
            difference to the pane before it is added.
        changes: the settlement.
        stream: whether the run is a stream.
        settled: no stream may commit again, so nothing is on its way any more. A window that is
            empty then has no extremes, whatever came and left; and no row, if it never held a
            reading.
        repair: windows that have lost an extreme get a row though nothing changes: it will be
            looked up.

    Returns:
        A row for each pane of a stream that changes something, and for each window whose total
        changes, in the order of places.
    """
    count = len(windows)
    everywhere = np.arange(count)
    pieces = [(windows.places(piece.series, piece.starts), piece.partials) for piece in changes]
    pieces.append((everywhere, before.partials))
    places = windows.places(shares.series, shares.starts)
    if stream:
        places, shares = newer_panes(windows, shares, before)
        held = np.zeros(count, bool)
        held[places] = True
        # The share of a window without a new pane stays what it was.
        taken_back = without_extremes(retracted(before.own))
        pieces.append((everywhere[held], taken(taken_back, held)))
    else:
        pieces.append((places, shares.partials))
    base = merged(count, pieces)
    if not stream:
        panes, emitted = np.full(count, None), np.full(count, NEVER)
        panes[places], emitted[places] = shares.panes, shares.emitted
        rows = Totals(everywhere, base, neutral(count), np.full(count, NEVER), panes, emitted)
    else:
        rows = _stream_rows(base, before, places, shares, held)
    if settled:
        rows = _settled(rows, before)
    changed = _changed(rows, before)
    return rows.only(changed | (before.lost[rows.places] & rows.last) if repair else changed)


def newer_panes(windows: Windows, shares: Shares, before: Former) -> tuple[Ints, Shares]:
    """Panes that are newer than the share that the store holds, in the order of their time.

    Args:
        windows: all windows that are touched.
        shares: a stream's panes.
        before: what the store holds of the windows.

    Returns:
        The places of their windows, and the panes.
    """
    places = windows.places(shares.series, shares.starts)
    stored = before.own_emitted[places]
    # What was computed in the future was, while a clock was wrong: it says nothing of the order.
    rows = np.flatnonzero((shares.emitted > stored) | (stored > time.time_ns() // 1000))
    rows = rows[np.lexsort((shares.emitted[rows], places[rows]))]
    ordered = Shares(
        shares.series[rows],
        shares.starts[rows],
        taken(shares.partials, rows),
        shares.panes[rows],
        shares.emitted[rows],
    )
    return places[rows], ordered


def _stream_rows(
    base: Partials, before: Former, places: Ints, shares: Shares, held: Bools
) -> Totals:
    """A row for each pane, and one for each window without a pane."""
    others = np.flatnonzero(~held)
    count = len(places)
    with_pane = merged(
        count, [(np.arange(count), taken(base, places)), (np.arange(count), shares.partials)]
    )
    order = np.argsort(np.concatenate([places, others]), kind="stable")

    def both(panes: npt.NDArray, rest: npt.NDArray) -> npt.NDArray:
        return np.concatenate([panes, rest])[order]

    return Totals(
        both(places, others),
        {name: both(column, base[name][others]) for name, column in with_pane.items()},
        {name: both(column, before.own[name][others]) for name, column in shares.partials.items()},
        both(shares.emitted, before.own_emitted[others]),
        both(shares.panes, np.full(len(others), None)),
        both(shares.emitted, np.full(len(others), NEVER)),
    )


def _changed(rows: Totals, before: Former) -> Bools:
    """Whether a row says something that the one before it, of its window, does not say."""
    count = len(rows)
    first = np.ones(count, bool)
    first[1:] = rows.places[1:] != rows.places[:-1]
    earlier = np.maximum(np.arange(count) - 1, 0)

    def previous(stored: Partials, computed: Partials) -> Partials:
        result = {}
        for name, column in computed.items():
            chosen = first if column.ndim == 1 else first[:, None]
            result[name] = np.where(chosen, stored[name][rows.places], column[earlier])
        return result

    same = equal_rows(rows.partials, previous(before.partials, rows.partials))
    return ~(same & equal_rows(rows.own, previous(before.own, rows.own)))


def _settled(rows: Totals, before: Former) -> Totals:
    empty = empty_rows(rows.partials)
    partials = dict(rows.partials)
    for name, none in EXTREMES.items():
        partials[name] = np.where(empty[:, None], none, partials[name])
    rows = replace(rows, partials=partials)
    return rows.only(~empty | before.there[rows.places] | (rows.own_emitted != NEVER))


def unknown_extremes(partials: Partials) -> Bools:
    """Whether a window holds readings, and its minimum or maximum is not known."""
    unknown = np.zeros(len(partials["count"]), bool)
    for statistic in ALL_STATISTICS:
        if statistic.name in EXTREMES:
            unknown |= statistic.extract(partials).is_null().to_numpy(zero_copy_only=False)
    return unknown & (partials["count"] > 0)


def _micros(rows: pa.Table | pa.RecordBatch, name: str) -> Ints:
    micros: Ints = rows.column(name).cast(pa.int64()).to_numpy()
    return micros
