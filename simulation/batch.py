"""Messages as they are sent: their texts, and what each must be counted as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from schemas.reasons import REASONS
from simulation import chance
from simulation.defects import DEFECTS
from simulation.messages import FORMATS, Writing, readings_in, write
from simulation.schedule import BAD, DELETED, Messages

__all__ = ["COUNTED", "GONE", "MIXED", "NO_PLACE", "NO_REASON", "OUTSIDE", "Batch", "make_batches"]

Integers = npt.NDArray[np.int64]

COUNTED, OUTSIDE, NO_PLACE, GONE = range(4)
"""Where a reading belongs, if nothing else is said of it."""
NO_REASON = -1
MIXED = tuple(name for name in FORMATS if name != "integers")
"""The formats of a mixed stream; each sensor keeps to one of them."""
WITH_PLACES = {"regional", "air_quality"}
DEFECT = 80


@dataclass(frozen=True)
class Batch:
    """Messages in the order in which they are sent.

    Attributes:
        texts: what is sent.
        sensors: the number of each message's sensor.
        messages: what they are about.
        classes: what their good readings belong to: `COUNTED`, `OUTSIDE`, `NO_PLACE`, `GONE`.
        good: how many readings of each message are good.
        reasons: why the rest of it is rejected, as one record: a place in `REASONS`; `NO_REASON`
            where nothing is.
        timeless: the messages are bare numbers: each is a reading of its own, of the time of its
            arrival.
    """

    texts: list[bytes]
    sensors: Integers
    messages: Messages
    classes: Integers
    good: Integers
    reasons: Integers
    timeless: bool = False

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Integers) -> Batch:
        """Some of the messages."""
        return self._part([self.texts[row] for row in rows.tolist()], rows)

    def between(self, begin: int, end: int) -> Batch:
        """Messages next to each other."""
        if begin == 0 and end == len(self):
            return self
        return self._part(self.texts[begin:end], slice(begin, end))

    def _part(self, texts: list[bytes], rows: Integers | slice) -> Batch:
        return Batch(
            texts,
            self.sensors[rows],
            self.messages.take(rows),
            self.classes[rows],
            self.good[rows],
            self.reasons[rows],
            self.timeless,
        )


def make_batches(
    name: str,
    scheduled: Iterator[Messages],
    writing: Writing,
    registered: npt.NDArray[np.bool_] | None,
    *,
    json_only: bool,
) -> Iterator[Batch]:
    """Writes messages, and spoils the bad ones.

    Args:
        name: the format, or `mixed`.
        scheduled: messages in the order in which they are sent.
        writing: how they are written.
        registered: whether a sensor stands in the device register; None where there is none.
        json_only: bad messages are JSON, too: several are sent as one array.
    """
    for messages in scheduled:
        if not len(messages):
            continue
        sensors = writing.sensors_of(messages)
        if name != "mixed":
            yield _batch(name, messages, sensors, writing, registered, json_only=json_only)
            continue
        texts = np.empty(len(messages), object)
        classes, good, reasons = (np.zeros(len(messages), np.int64) for _ in range(3))
        for number, one in enumerate(MIXED):
            rows = np.flatnonzero((sensors + sensors // 4) % len(MIXED) == number)
            if len(rows):
                part = _batch(
                    one, messages.take(rows), sensors[rows], writing, registered,
                    json_only=json_only,
                )  # fmt: skip
                texts[rows], classes[rows] = part.texts, part.classes
                good[rows], reasons[rows] = part.good, part.reasons
        yield Batch(texts.tolist(), sensors, messages, classes, good, reasons)


def _batch(
    name: str,
    messages: Messages,
    sensors: Integers,
    writing: Writing,
    registered: npt.NDArray[np.bool_] | None,
    *,
    json_only: bool,
) -> Batch:
    texts = write(name, messages, writing)
    where = writing.places_of(messages)
    classes = np.where(writing.sensors.outside[where], OUTSIDE, COUNTED)
    if name not in WITH_PLACES:
        if registered is None:
            classes[:] = NO_PLACE
        else:
            classes = np.where(writing.sensors.outside[sensors], OUTSIDE, COUNTED)
            classes[~registered[sensors]] = NO_PLACE
    classes[messages.versions == DELETED] = GONE
    good = readings_in(name, sensors)
    reasons = np.full(len(messages), NO_REASON, np.int64)
    rows = np.flatnonzero(messages.kinds == BAD)
    if len(rows):
        defects = [each for each in DEFECTS[name] if each.is_json or not json_only]
        drawn = chance.draw(writing.seed, DEFECT, messages.numbers[rows])
        for row, number in zip(
            rows.tolist(), chance.upper(drawn, len(defects)).tolist(), strict=True
        ):
            defect = defects[number]
            texts[row] = defect.edit(texts[row])
            good[row] = 0 if defect.is_whole else good[row] - 1
            reasons[row] = REASONS.index(defect.reason)
    if name == "integers":
        classes[:] = NO_PLACE
        # Nothing says that two of them are about the same.
        messages = replace(messages, families=np.ones(len(messages), np.int8))
        return Batch(texts, sensors, messages, classes, good, reasons, timeless=True)
    return Batch(texts, sensors, messages, classes, good, reasons)
