"""What a run's new entries change, beside those that other runs have brought: pure functions.

For each reading let `W` be the newest version that any run has brought, and `c` the one that this
run counts. Its own rows bring `c_new - c_old` into the windows; the settlement
`(W_new - W_old) - (c_new - c_old)` is what is missing until they hold `W_new`.
See docs/decisions/0008-runs-that-share-readings.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.local_store.index import INDEXED
from schemas.entries import ENTRIES
from schemas.reading import VersionKind
from transforms.row_classes import row_classes
from transforms.spans import Bools, Ints
from transforms.versions import VERSION, VERSION_KIND, comparable, joined

__all__ = ["NEW", "SIGNED", "STANDINGS", "Settlement", "settle"]

SIGNED = ENTRIES.append(pa.field("weight", pa.int8(), nullable=False))
"""Entries that are added to windows (weight 1) or taken away from them (weight -1)."""

NEW, DUPLICATE, SUPERSEDED = 0, 1, 2
STANDINGS = ("new", "duplicate", "superseded")
"""What a run's entry is beside those of others; the number is kept in the index."""

Signs: TypeAlias = npt.NDArray[np.int8]
CONTENT = (4, 5, 8, 9, 10)
"""Places among the `comparable` columns of what windows depend on."""


@dataclass(frozen=True)
class Settlement:
    """What a commit makes of new entries.

    Attributes:
        left: of schema `SIGNED`, all of weight -1: versions that the run's own rows bring and that
            do not count.
        displaced: of schema `SIGNED`, all of weight -1: versions of other runs in whose place those
            of this run came.
        cancelled: of schema `SIGNED`: copies of what stays, counted twice or taken away twice. They
            change counts and sums, but no minimum or maximum.
        difference: of schema `SIGNED`: `W_new - W_old`, what windows need that the run's rows say
            nothing of.
        kept: of schema `INDEXED`: the entries that the index needs.
        changes: how many readings of the run belong to another class of the balance than it
            counted them in, class by class.
    """

    left: pa.RecordBatch
    displaced: pa.RecordBatch
    cancelled: pa.RecordBatch
    difference: pa.RecordBatch
    kept: pa.RecordBatch
    changes: Counter[str]


def settle(
    new: pa.RecordBatch,
    owner: str,
    places: Ints,
    found: pa.RecordBatch,
    *,
    ended: bool,
    difference: bool = True,
) -> Settlement:
    """Settles a run's new entries with those in the index.

    Args:
        new: of schema `INDEXED`, one row a reading.
        owner: the run.
        places: for each entry found, the row of `new` with the same identity.
        found: of schema `INDEXED`, the entries of these readings in the index.
        ended: the run will bring no more entries: those of it that are not the newest are of no
            more use.
        difference: whether the difference is asked for; else it is empty.
    """
    known = np.unique(places)
    standing = np.zeros(new.num_rows, np.int8)
    kept = np.ones(new.num_rows, bool)
    if len(known):
        again = new.take(pa.array(known))
        settled = _settle_known(again, owner, np.searchsorted(known, places), found)
        standing[known] = settled.standing
        kept[known] = settled.arrived if ended else settled.active
    else:
        settled = _Known.nothing()
    differences = [settled.difference if difference else settled.difference.slice(0, 0)]
    if difference and len(known) < new.num_rows:
        unknown = np.delete(np.arange(new.num_rows), known)
        differences.append(_signed(new, unknown, 1))
    if kept.all():
        stays = _with_standing(new, standing)
    else:
        rows = np.flatnonzero(kept)
        stays = _with_standing(new.take(pa.array(rows)), standing[rows])
    return Settlement(
        settled.left,
        settled.displaced,
        settled.cancelled,
        joined(differences),
        stays,
        settled.changes,
    )


@dataclass(frozen=True)
class _Known:
    """What a commit makes of new entries of readings that the index has.

    Attributes:
        left, displaced, cancelled, difference, changes: see `Settlement`.
        arrived: which entries are the newest of all.
        active: which entries say something that the run has not said before.
        standing: by entry, one of `STANDINGS`.
    """

    left: pa.RecordBatch
    displaced: pa.RecordBatch
    cancelled: pa.RecordBatch
    difference: pa.RecordBatch
    changes: Counter[str]
    arrived: Bools
    active: Bools
    standing: Signs

    @classmethod
    def nothing(cls) -> _Known:
        """Of no entries."""
        empty, rows = pa.RecordBatch.from_pylist([], schema=SIGNED), np.zeros(0, bool)
        return cls(empty, empty, empty, empty, Counter(), rows, rows, np.zeros(0, np.int8))


def _settle_known(new: pa.RecordBatch, owner: str, places: Ints, found: pa.RecordBatch) -> _Known:
    winner = _greatest(places, found, new.num_rows)
    mine = np.flatnonzero(_owned(found, owner))
    own = np.full(new.num_rows, -1)
    if len(mine):
        greatest = _greatest(places[mine], found.take(pa.array(mine)), new.num_rows)
        own = np.where(greatest < 0, -1, mine[greatest])
    against_own = _against(new, np.arange(new.num_rows), found, own)
    # What the run counts already, or did before a restart, changes nothing.
    active = (own < 0) | (against_own > 0)
    against = _against(new, np.arange(new.num_rows), found, winner)
    arrived = active & (against > 0)
    beaten = active & ~arrived
    unchanged, again = _alike(new, found, winner)
    copied = beaten & ((against == 0) | again)
    standing = np.where(copied, DUPLICATE, np.where(beaten, SUPERSEDED, NEW)).astype(np.int8)

    former = active & (own >= 0)
    # Where the run replaces its own version and that was the newest, its rows say all.
    all_own = arrived & former & (_against(found, winner, found, own) == 0)
    cancelled = [
        _signed(found, winner[arrived & ~all_own & unchanged], -1),
        _signed(new, np.flatnonzero(beaten & unchanged), -1),
        _signed(found, own[former & ~all_own], 1),
    ]
    difference = [
        _signed(new, np.flatnonzero(arrived & ~unchanged), 1),
        _signed(found, winner[arrived & ~unchanged], -1),
    ]
    changes = _moves(new, np.flatnonzero(beaten), standing[beaten], 1)
    changes.update(
        _moves(found, own[former], np.asarray(found.column("standing"))[own[former]], -1)
    )
    return _Known(
        _signed(new, np.flatnonzero(beaten & ~unchanged), -1),
        _signed(found, winner[arrived & ~all_own & ~unchanged], -1),
        joined(cancelled),
        joined(difference),
        Counter({name: amount for name, amount in changes.items() if amount}),
        arrived,
        active,
        standing,
    )


def _greatest(places: Ints, found: pa.RecordBatch, count: int) -> Ints:
    """For each of `count` places the row of its newest entry; -1 where it has none."""
    greatest = np.full(count, -1)
    greatest[places] = np.arange(len(places))
    several = np.bincount(places, minlength=count)[places] > 1
    if several.any():
        rows = np.flatnonzero(several)
        columns = comparable(found.take(pa.array(rows)))[2:]
        order = rows[np.lexsort([*columns[::-1], places[rows]])]
        # Of several written to one place the last stays.
        greatest[places[order]] = order
    return greatest


def _owned(found: pa.RecordBatch, owner: str) -> Bools:
    owners = found.column("owner")
    number = owners.dictionary.index(owner).as_py()
    owned: Bools = np.asarray(owners.indices) == number
    return owned


def _against(left: pa.RecordBatch, lefts: Ints, right: pa.RecordBatch, rights: Ints) -> Signs:
    """Pair by pair 1 where the left entry is the newer one, -1 where the right one is, else 0.

    It is 1 where either row is -1, which stands for none.
    """
    result = np.ones(len(lefts), np.int8)
    there = np.flatnonzero((lefts >= 0) & (rights >= 0))
    if len(there) == 0:
        return result
    sign = np.zeros(len(there), np.int8)
    ones = comparable(left.take(pa.array(lefts[there])))[2:]
    others = comparable(right.take(pa.array(rights[there])))[2:]
    for one, other in zip(ones, others, strict=True):
        undecided = sign == 0
        if not undecided.any():
            break
        sign[undecided] = (one > other)[undecided].astype(np.int8) - (one < other)[undecided]
    result[there] = sign
    return result


def _alike(new: pa.RecordBatch, found: pa.RecordBatch, rows: Ints) -> tuple[Bools, Bools]:
    """Which new entries say what the found ones say.

    Returns:
        Whether both lie in the same windows with the same value; and whether all but the version is
        equal, and neither has a version but its arrival.
    """
    unchanged = rows >= 0
    again = unchanged.copy()
    there = np.flatnonzero(unchanged)
    if len(there):
        ones = comparable(new.take(pa.array(there)))
        others = comparable(found.take(pa.array(rows[there])))
        equal = [one == other for one, other in zip(ones, others, strict=True)]
        for number in CONTENT:
            unchanged[there] &= equal[number]
        again[there] &= ones[VERSION_KIND] == VersionKind.ARRIVAL
        for number, same in enumerate(equal):
            if number != VERSION:
                again[there] &= same
    return unchanged, again


def _signed(entries: pa.RecordBatch, rows: Ints, weight: int) -> pa.RecordBatch:
    taken = entries.select(ENTRIES.names).take(pa.array(rows))
    weights = pa.array(np.full(len(rows), weight, np.int8))
    return pa.RecordBatch.from_arrays([*taken.columns, weights], schema=SIGNED)


def _with_standing(entries: pa.RecordBatch, standing: Signs) -> pa.RecordBatch:
    columns = [*entries.columns[:-1], pa.array(standing)]
    return pa.RecordBatch.from_arrays(columns, schema=INDEXED)


def _moves(entries: pa.RecordBatch, rows: Ints, standing: Signs, sign: int) -> Counter[str]:
    """The balance's change where entries turn out to be duplicate or superseded.

    With `sign` -1 the change is taken back.
    """
    moved = rows[standing != NEW]
    changes: Counter[str] = Counter()
    if len(moved) == 0:
        return changes
    for name, amount in row_classes(entries.take(pa.array(moved))).items():
        changes[name] -= sign * amount
    for number, amount in enumerate(np.bincount(standing[standing != NEW]).tolist()):
        if number != NEW:
            changes[STANDINGS[number]] += sign * amount
    return changes
