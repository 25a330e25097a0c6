"""Which messages are sent when: in what order they come, which come late, twice, or corrected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from simulation import chance
from simulation.faults import HOUR, MOST_DELAY, Clock, Faults
from simulation.waiting import Messages, Waiting

__all__ = [
    "BAD",
    "CORRECTED",
    "DELETED",
    "FUTURE",
    "GOOD",
    "TOO_LATE",
    "Clock",
    "Faults",
    "Messages",
    "schedule",
]

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int8]

KIND, LATE, DELAY, COPY, COPIED, CORRECTION, DELETION, AGE = range(40, 48)
GOOD, BAD, TOO_LATE, FUTURE = range(4)
"""What a measurement becomes."""
ORIGINAL, CORRECTED, DELETED = range(3)
LEFT = 16_384
"""Messages that are sent at once when all measurements are made."""


def schedule(
    clock: Clock, faults: Faults, seed: int, block: int, measurements: int | None, most: int | None
) -> Iterator[Messages]:
    """All messages of a simulation, block by block, in the order in which they are sent.

    Args:
        clock: when measurements are made.
        faults: what goes wrong with their messages.
        seed: another seed, other faults.
        block: how many measurements to look at in one go; it does not change what comes.
        measurements: how many are made; None: for ever.
        most: messages in all, the delayed ones and the copies included; None: no limit.

    Yields:
        The messages that are sent in the time of a block; at the end, those that are still on
        their way.
    """
    waiting = Waiting(clock, block)
    made, first, number = 0, 0, 0
    while (measurements is None or first < measurements) and (most is None or made < most):
        last = first + block if measurements is None else min(first + block, measurements)
        numbers = np.arange(first, last, dtype=np.int64)
        found = _about(numbers, clock, faults, seed, None if most is None else most - made)
        made += len(found)
        yield waiting.exchange(found, number)
        first, number = last, number + 1
    left = waiting.rest()
    for begin in range(0, len(left), LEFT):
        yield left.take(slice(begin, begin + LEFT))


def _about(
    numbers: Integers, clock: Clock, faults: Faults, seed: int, most: int | None
) -> Messages:
    """The messages about some measurements, at most so many."""

    def happens(purpose: int, share: float) -> Bools:
        if not share:
            return np.zeros(len(numbers), bool)
        return chance.happens(chance.draw(seed, purpose, numbers), share)

    kinds = _kinds(numbers, faults, seed)
    good = kinds == GOOD
    corrected, deleted = (
        happens(CORRECTION, faults.corrections) & good,
        happens(DELETION, faults.deletions) & good,
    )
    copied = happens(COPY, faults.duplicates) & good
    if most is not None:
        numbers, kinds, good, corrected, deleted, copied = _cut(
            most, numbers, kinds, good, corrected, deleted, copied
        )
    late = happens(LATE, faults.late) & (good | (kinds == BAD))
    times = clock.at(numbers)
    families = 1 + corrected.astype(np.int8) + deleted + copied
    dues = times + np.where(late, _delays(numbers, ORIGINAL, faults, seed), 0)
    originals = Messages(
        numbers,
        np.zeros(len(numbers), np.int8),
        np.zeros(len(numbers), bool),
        families,
        kinds,
        times + _strays(numbers, kinds, clock, faults, seed),
        dues,
    )
    pieces = [originals]
    for version, which in ((CORRECTED, corrected), (DELETED, deleted)):
        pieces.append(_followers(originals, which, version, faults, seed))
    # A copy is of the correction where there is one and chance will have it.
    of_correction = copied & corrected
    if copied.any():
        of_correction &= chance.happens(chance.draw(seed, COPIED, numbers), 0.5)
    pieces.append(_copies(originals.take(np.flatnonzero(copied & ~of_correction)), faults, seed))
    pieces.append(_copies(pieces[1].take(np.flatnonzero(of_correction[corrected])), faults, seed))
    return Messages.join(pieces)


def _kinds(numbers: Integers, faults: Faults, seed: int) -> Small:
    drawn = chance.draw(seed, KIND, numbers)
    kinds = np.full(len(numbers), GOOD, np.int8)
    share = faults.bad + faults.too_late + faults.future
    for kind, less in ((FUTURE, 0.0), (TOO_LATE, faults.future), (BAD, faults.too_late)):
        share = share if kind == FUTURE else share - less
        kinds[chance.happens(drawn, min(max(share, 0.0), 1.0))] = kind
    return kinds


def _cut(most: int, numbers: Integers, *masks: npt.NDArray) -> list[npt.NDArray]:
    """Leaves off what would be more messages: whose followers do not fit loses them."""
    *_, corrected, deleted, copied = masks
    while True:
        total = np.cumsum(1 + corrected.astype(np.int64) + deleted + copied)
        fit = int(np.searchsorted(total, most, side="right"))
        if fit == len(numbers) or (int(total[fit - 1]) if fit else 0) == most:
            return [each[:fit] for each in (numbers, *masks)]
        for mask in (corrected, deleted, copied):
            mask[fit] = False


def _strays(numbers: Integers, kinds: Small, clock: Clock, faults: Faults, seed: int) -> Integers:
    """How far event times are from where they should be, in microseconds.

    All of a sensor are equally far, and never by whole turns: no two of its measurements are of
    one moment.
    """
    found = np.zeros(len(numbers), np.int64)
    for kind, least, sign, part in (
        (TOO_LATE, faults.allowed_lateness, -1, 2),
        (FUTURE, faults.max_future, 1, 4),
    ):
        rows = np.flatnonzero(kinds == kind)
        if len(rows):
            drawn = chance.draw(seed, AGE, numbers[rows] % clock.sensors)
            far = clock.turns(least + HOUR) + chance.upper(drawn, 100) * clock.turns(HOUR // 100)
            found[rows] = sign * (far + clock.turn // part)
    return found


def _delays(numbers: Integers, purpose: int, faults: Faults, seed: int) -> Integers:
    which = np.full(len(numbers), purpose, np.int64)
    drawn = chance.draw(seed, DELAY, numbers, which)
    return chance.exponential(drawn, faults.delay, MOST_DELAY * faults.delay)


def _followers(
    originals: Messages, which: Bools, version: int, faults: Faults, seed: int
) -> Messages:
    """Corrections or deletions: sent later than the measurement was made, whenever it is sent."""
    found = originals.take(np.flatnonzero(which))
    dues = found.times + 1 + _delays(found.numbers, version, faults, seed)
    versions = np.full(len(found), version, np.int8)
    return Messages(
        found.numbers, versions, found.copies, found.families, found.kinds, found.times, dues
    )


def _copies(messages: Messages, faults: Faults, seed: int) -> Messages:
    dues = messages.times + 1 + _delays(messages.numbers, COPY, faults, seed)
    copies = np.ones(len(messages), bool)
    return Messages(
        messages.numbers, messages.versions, copies, messages.families, messages.kinds,
        messages.times, dues,
    )  # fmt: skip
