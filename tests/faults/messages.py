"""Messages of every kind that the balance knows, by a seed."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, line

__all__ = [
    "DUPLICATE",
    "HOURS",
    "POISON",
    "TOO_LATE",
    "Message",
    "as_file",
    "kinds",
    "messages",
    "poisoned",
]

PLACES = (PARIS, TOULOUSE, CAYENNE, {"lat": 48.58, "lon": 7.75})
HOURS = 6
"""The messages are of so many hours up to now."""

POISON = b'{"id": "poison", "timestamp": "poison"}'
"""No reading; where faults are injected it makes the parser fail."""

READING, OUTSIDE, BROKEN, TOO_LATE = "reading", "outside", "broken", "too_late"
CORRECTION, DELETION, DUPLICATE = "correction", "deletion", "duplicate"
WEIGHTS = {READING: 70, CORRECTION: 12, OUTSIDE: 5, DUPLICATE: 5, BROKEN: 4, DELETION: 2}
RECENT = 12
"""A correction follows within such a part of the messages, half an hour of six: the stream still
knows what it corrects."""


@dataclass(frozen=True)
class Message:
    """A message of the topic.

    Attributes:
        text: what it says.
        stamp: when the queue got it, in milliseconds since the epoch.
        partition: where it stands.
        kind: what it is.
    """

    text: bytes
    stamp: int
    partition: int
    kind: str


def messages(seed: int, number: int, partitions: int = 2, late: int = 3) -> list[Message]:
    """So many messages, the same for the same seed and hour.

    Args:
        seed: of the choice.
        number: how many.
        partitions: of the topic.
        late: how many of them are too late: they wait for reconciliation.
    """
    chance = random.Random(seed)
    now = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    begin = now - datetime.timedelta(hours=HOURS)
    step = HOURS * 3600 / number
    tardy = set(chance.sample(range(number), late))
    known: list[_Reading] = []
    found = []
    for count in range(number):
        stamp = begin + datetime.timedelta(seconds=(count + 1) * step)
        kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if count in tardy:
            kind = TOO_LATE
        elif kind in {CORRECTION, DELETION, DUPLICATE} and not known:
            kind = READING
        partition = chance.randrange(partitions)
        if kind == BROKEN:
            text = chance.choice((b"{", b"[1", b'"x"', b'{"id": 1}')) + b" " * (count % 50)
        elif kind in {READING, OUTSIDE, TOO_LATE}:
            place = AT_SEA if kind == OUTSIDE else chance.choice(PLACES)
            delay = 30 * 3600 if kind == TOO_LATE else chance.uniform(0, 120)
            moment = stamp - datetime.timedelta(seconds=delay)
            reading = _Reading(f"r{seed}-{count}", 1, moment, place, _value(chance))
            text = reading.text()
            if kind == READING:
                known.append(reading)
        else:
            which = chance.randrange(max(0, len(known) - number // RECENT), len(known))
            if kind == DUPLICATE:
                text = known[which].text()
            elif kind == DELETION:
                reading = known.pop(which)
                text = line(id=reading.name, version=reading.version + 1, deleted=True)
            else:
                known[which] = known[which].corrected(chance)
                text = known[which].text()
        found.append(Message(text, round(stamp.timestamp() * 1000), partition, kind))
    return found


class _Reading:
    """A version of a reading."""

    def __init__(
        self, name: str, version: int, moment: datetime.datetime, place: dict, value: float
    ) -> None:
        self.name, self.version, self.moment = name, version, moment
        self.place, self.value = place, value

    def text(self) -> bytes:
        return line(
            id=self.name,
            version=self.version,
            timestamp=self.moment.isoformat(),
            temperature=self.value,
            **self.place,
        )

    def corrected(self, chance: random.Random) -> _Reading:
        """The next version: another value, perhaps another time or place."""
        moment = self.moment - datetime.timedelta(seconds=chance.choice((0, 0, 600)))
        place = chance.choice((self.place, self.place, AT_SEA, *PLACES))
        return _Reading(self.name, self.version + 1, moment, place, _value(chance))


def _value(chance: random.Random) -> float:
    return round(chance.gauss(15, 5), 3)


def poisoned(sent: Sequence[Message], partition: int) -> Message:
    """A message that makes the parser fail where faults are injected."""
    return Message(POISON, sent[0].stamp, partition, "poison")


def as_file(sent: Sequence[Message]) -> bytes:
    """The same messages as lines of a file."""
    return b"".join(each.text + b"\n" for each in sent)


def kinds(sent: Sequence[Message]) -> Counter[str]:
    """How many messages there are of each kind."""
    return Counter(each.kind for each in sent)
