"""The cases that every runner must come to the same results of, as data.

All cases are told in the same acts, by one stream of messages and one watermark, each in regions
and with sensors of its own. Minutes are counted from `START`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["ACTS", "CASES", "START", "Act", "Case", "Place", "Raw", "Reading", "Row", "at"]

START = datetime.datetime(2024, 3, 5, 10, tzinfo=datetime.UTC)
OUT_OF_ORDERNESS = 5
HOUR, DAY = 60, 24 * 60
TEN_DAYS = 10 * DAY


def at(minutes: float) -> datetime.datetime:
    """A moment by its minutes after `START`."""
    return START + datetime.timedelta(minutes=minutes)


class Act(NamedTuple):
    """What happens at once: messages arrive, then the watermark goes on.

    Attributes:
        name: its name.
        now: when its messages arrive, in minutes.
        newest: the newest event time among them and all before, in minutes; the watermark follows
            `OUT_OF_ORDERNESS` behind.
    """

    name: str
    now: float
    newest: float

    @property
    def watermark(self) -> float:
        """Where the watermark stands afterwards, in minutes."""
        return self.newest - OUT_OF_ORDERNESS


ACTS = (
    Act("early", 40, 40),
    Act("early_again", 50, 50),
    # The watermark passes 11:00, the end of the first hour.
    Act("on_time", 80, 80),
    Act("late", 81, 80),
    Act("late_again", 82, 80),
    # What has arrived so far is not remembered any more.
    Act("released", 400, 400),
    Act("after_release", 401, 400),
    # The totals of the first hours are not kept any more.
    Act("forgotten", TEN_DAYS, TEN_DAYS),
    Act("after_forgetting", TEN_DAYS + 1, TEN_DAYS),
)


class Place(NamedTuple):
    """A place in a region.

    Attributes:
        region: its code; None for a place in no region.
        latitude: WGS 84 degrees.
        longitude: WGS 84 degrees.
    """

    region: str | None
    latitude: float
    longitude: float


PARIS = Place("11", 48.8566, 2.3522)
ORLEANS = Place("24", 47.9029, 1.9093)
DIJON = Place("27", 47.322, 5.0415)
ROUEN = Place("28", 49.4432, 1.0993)
LILLE = Place("32", 50.6292, 3.0573)
STRASBOURG = Place("44", 48.5734, 7.7521)
NANTES = Place("52", 47.2184, -1.5536)
RENNES = Place("53", 48.1173, -1.6778)
BORDEAUX = Place("75", 44.8378, -0.5792)
TOULOUSE = Place("76", 43.6045, 1.444)
LYON = Place("84", 45.764, 4.8357)
MARSEILLE = Place("93", 43.2965, 5.3698)
AJACCIO = Place("94", 41.9192, 8.7386)
BASSE_TERRE = Place("01", 16.0, -61.73)
FORT_DE_FRANCE = Place("02", 14.6161, -61.0588)
CAYENNE = Place("03", 4.9224, -52.3135)
SAINT_DENIS = Place("04", -20.8789, 55.4481)
MAMOUDZOU = Place("06", -12.7806, 45.2278)
AT_SEA = Place(None, 45.0, -30.0)


@dataclass(frozen=True)
class Reading:
    """A message that holds a reading, or takes one back.

    Attributes:
        name: tells it from the others of its case.
        minutes: its event time.
        value: its value.
        place: where; None for the place of its case.
        sensor: what measured it, within its case; None for a message without a sensor.
        quantity: what was measured.
        version: the message's own; None for none.
        updated: when it was changed, in minutes; None where it says nothing of that.
        deleted: it takes the reading back.
        counts: it counts in the end, when all is reconciled.
        rejected: the reason for which a stream rejects it; None for none.
        somewhere: it names a place.
    """

    name: str
    minutes: float
    value: float = 0.0
    place: Place | None = None
    sensor: str | None = "s"
    quantity: str = "temperature"
    version: int | None = None
    updated: float | None = None
    deleted: bool = False
    counts: bool = True
    rejected: str | None = None
    somewhere: bool = True

    def text(self, case: Case) -> bytes:
        """The message."""
        fields: dict[str, Any] = {"timestamp": f"{at(self.minutes):%FT%TZ}"}
        if self.version is not None:
            fields["version"] = self.version
        if self.updated is not None:
            fields["updated_at"] = f"{at(self.updated):%FT%TZ}"
        if self.deleted:
            fields["deleted"] = True
        place = self.place or case.place
        if not self.somewhere:
            fields |= {"device_id": f"{case.name}-{self.sensor}", "tag": "Thermostat"}
            fields |= {"temperature": self.value}
        elif self.sensor is None:
            fields |= {"id": f"{case.name}-{self.name}", "temperature": self.value}
            fields |= {"lat": place.latitude, "lon": place.longitude}
        else:
            fields |= {
                "id": f"{case.name}-{self.name}",
                "location": {"latitude": str(place.latitude), "longitude": str(place.longitude)},
                "sensor": {"id": f"{case.name}-{self.sensor}"},
                "sensordatavalues": [{"value_type": self.quantity, "value": str(self.value)}],
            }
        return json.dumps(fields).encode()


@dataclass(frozen=True)
class Raw:
    """A message that is no reading.

    Attributes:
        message: its bytes.
        rejected: the reason for which it is rejected.
    """

    message: bytes
    rejected: str

    def text(self, _: Case) -> bytes:
        """The message."""
        return self.message


@dataclass(frozen=True)
class Row:
    """A row that the act before must have led to, while the stream runs.

    Attributes:
        pane: timing of its pane.
        count: how many readings it holds.
        mean: their mean; None where it holds none.
        start: where its window begins, in minutes.
        region: code of the region; None for that of the case.
        period: of the window, which is of an hour, in seconds.
        quantity: what was measured.
    """

    pane: str
    count: int
    mean: float | None
    start: float = 0
    region: str | None = None
    period: int = 3600
    quantity: str = "temperature"


@dataclass(frozen=True)
class Case:
    """A case.

    Attributes:
        name: its name.
        says: what it is about, in a sentence.
        place: where its readings are, unless they say otherwise.
        sent: its messages by act.
        gives: the rows that are there after an act, at the latest when the next one begins.
        waits: it lacks something until the store is reconciled.
    """

    name: str
    says: str
    place: Place
    sent: dict[str, list[Reading | Raw]]
    gives: dict[str, list[Row]] = field(default_factory=dict)
    waits: bool = False

    @property
    def readings(self) -> Iterator[Reading]:
        """All its messages that hold readings."""
        for messages in self.sent.values():
            yield from (each for each in messages if isinstance(each, Reading))

    @property
    def regions(self) -> set[str]:
        """The codes of its regions, which are no other case's."""
        places = {each.place or self.place for each in self.readings} | {self.place}
        return {place.region for place in places if place.region is not None}


TICKS = Case(
    "ticks",
    "The readings that move the watermark.",
    MAMOUDZOU,
    {
        **{act.name: [Reading(act.name, act.newest, number)] for number, act in enumerate(ACTS)},
        "released": [
            Reading("second", 90, 50.0, quantity="humidity"),
            Reading("released", 400, 5.0),
        ],
    },
    {
        "early": [Row("early", 1, 0.0)],
        "released": [Row("on_time", 1, 50.0, start=HOUR, quantity="humidity")],
        "forgotten": [Row("early", 1, 7.0, start=TEN_DAYS)],
    },
)

LATE = Case(
    "late",
    "Early rows, a row at the watermark, and rows for late readings.",
    LILLE,
    {
        "early": [Reading("a", 10, 12.0)],
        "on_time": [Reading("b", 55, 14.0), Reading("c", 55, 60.0, quantity="humidity")],
        "late": [Reading("d", 30, 16.0), Reading("e", 30, 70.0, quantity="humidity")],
        "after_release": [Reading("f", 31, 18.0)],
    },
    {
        "early": [Row("early", 1, 12.0)],
        # A window that had no early row: some runners give its next change out at once.
        "on_time": [Row("on_time", 1, 60.0, quantity="humidity")],
        "late": [Row("late", 3, 14.0), Row("late", 2, 65.0, quantity="humidity")],
        "after_release": [Row("late", 4, 15.0)],
    },
)

SLIDING = Case(
    "sliding",
    "The same in windows of an hour every five minutes.",
    SAINT_DENIS,
    {
        "early": [Reading("a", 10, 12.0), Reading("b", 39, 20.0)],
        "on_time": [Reading("c", 55, 14.5), Reading("d", 16, 60.0, quantity="humidity")],
        "late": [Reading("e", 12, 17.0), Reading("f", 59, 70.0, quantity="humidity")],
    },
    {
        "early": [Row("early", 2, 16.0, period=300)],
        "on_time": [
            Row("on_time", 1, 60.0, period=300, quantity="humidity"),
            Row("on_time", 1, 60.0, start=15, period=300, quantity="humidity"),
        ],
        "late": [
            Row("late", 4, 15.875, period=300),
            Row("late", 2, 65.0, start=15, period=300, quantity="humidity"),
        ],
    },
)

CORRECTED = Case(
    "corrected",
    "New versions of a reading in the same hour: early and late, and one that came too soon.",
    ORLEANS,
    {
        "early": [Reading("a", 10, 12.0, version=1, counts=False), Reading("b", 11, 20.0)],
        "early_again": [Reading("a", 10, 14.0, version=2, counts=False)],
        "on_time": [Reading("c", 55, 23.0)],
        "late": [Reading("a", 12, 26.0, version=4)],
        "late_again": [Reading("a", 10, 99.0, version=3, counts=False)],
    },
    {
        "early": [Row("early", 2, 16.0)],
        "early_again": [Row("early", 2, 17.0)],
        "late": [Row("late", 3, 23.0)],
    },
)

OTHER_HOUR = Case(
    "other_hour",
    "A new version of a reading lies in the hour before.",
    DIJON,
    {
        "early": [
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0, version=1),
        ],
        "late": [Reading("a", -20, 13.0, version=2)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "late": [Row("late", 1, 18.0), Row("late", 1, 13.0, start=-HOUR)],
    },
)

OTHER_REGION = Case(
    "other_region",
    "A new version of a reading lies in another region.",
    ROUEN,
    {
        "early": [
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0, version=1),
        ],
        "late": [Reading("a", 10, 13.0, STRASBOURG, version=2)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "late": [Row("late", 1, 18.0), Row("late", 1, 13.0, region="44")],
    },
)

OUT_OF_FRANCE = Case(
    "out_of_france",
    "A new version of a reading lies outside France; the one after that is back.",
    NANTES,
    {
        "early": [
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0, version=1, counts=False),
        ],
        "late": [
            Reading("a", 10, 13.0, AT_SEA, version=2),
            Reading("b", 20, 19.0, AT_SEA, version=2, counts=False),
        ],
        "late_again": [Reading("b", 20, 20.0, version=3)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "late": [Row("late", 0, None)],
        "late_again": [Row("late", 1, 20.0)],
    },
)

DELETED = Case(
    "deleted",
    "Readings are taken back; a later version brings one of them again.",
    RENNES,
    {
        "early": [
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0, version=1, counts=False),
        ],
        "late": [
            Reading("a", 10, deleted=True, version=2, counts=False),
            Reading("b", 20, deleted=True, version=2, counts=False),
        ],
        "late_again": [Reading("b", 20, 20.0, version=3)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "late": [Row("late", 0, None)],
        "late_again": [Row("late", 1, 20.0)],
    },
)

DUPLICATES = Case(
    "duplicates",
    "The same messages again: at once, early, and late.",
    BORDEAUX,
    {
        "early": [
            Reading("a", 10, 12.0, version=1),
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0),
            Reading("b", 20, 18.0, counts=False),
        ],
        "early_again": [Reading("b", 20, 18.0, counts=False)],
        "late": [Reading("a", 10, 12.0, version=1, counts=False), Reading("c", 30, 30.0)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "late": [Row("late", 3, 20.0)],
    },
)

VERSIONS = Case(
    "versions",
    "Versions by the time of change and by arrival; a number beats the one, and that the other.",
    CAYENNE,
    {
        "early": [
            Reading("a", 10, 12.0, updated=11, counts=False),
            Reading("b", 20, 18.0, counts=False),
            Reading("c", 30, 30.0, updated=35, counts=False),
        ],
        "late": [
            Reading("a", 10, 13.0, updated=60),
            Reading("b", 20, 19.0),
            Reading("c", 30, 31.0, version=1),
        ],
        "late_again": [Reading("a", 10, 99.0, updated=59, counts=False)],
    },
    {
        "early": [Row("early", 3, 20.0)],
        "late": [Row("late", 3, 21.0)],
    },
)

TOO_LATE = Case(
    "too_late",
    "A reading that arrives more than a day late waits for reconciliation.",
    TOULOUSE,
    {
        "early": [Reading("a", 10, 12.0), Reading("b", -DAY, 5.0, rejected="too_late")],
        "after_forgetting": [Reading("c", 20, 14.0, rejected="too_late")],
    },
    {"early": [Row("early", 1, 12.0)]},
    waits=True,
)

FUTURE = Case(
    "from_the_future",
    "A broken clock: its reading is rejected, and the watermark stays where it was.",
    LYON,
    {
        "early": [
            Reading("a", 10, 12.0),
            Reading("b", 10**7, 14.0, rejected="from_the_future", counts=False),
        ],
        "early_again": [Reading("c", 45, 20.0)],
    },
    {"early": [Row("early", 1, 12.0)], "early_again": [Row("early", 2, 16.0)]},
)

RELEASED = Case(
    "released",
    "What is not remembered any more: a second version waits, a repeat counts twice until then.",
    MARSEILLE,
    {
        "early": [
            Reading("a", 10, 12.0, version=1, counts=False),
            Reading("b", 20, 18.0, version=1),
        ],
        "after_release": [
            Reading("a", 10, 14.0, version=2),
            Reading("b", 20, 18.0, version=1, counts=False),
            Reading("c", 30, 30.0, version=1),
            Reading("d", 390, 9.0, version=1),
        ],
        "after_forgetting": [Reading("e", TEN_DAYS - 1, 1.0, version=1)],
    },
    {
        "early": [Row("early", 2, 15.0)],
        "after_release": [Row("late", 4, 19.5), Row("early", 1, 9.0, start=360)],
    },
    waits=True,
)

FORGOTTEN = Case(
    "forgotten",
    "Totals that are not kept any more; windows of the same region go on.",
    AJACCIO,
    {
        "early": [Reading("a", 10, 12.0)],
        "after_release": [Reading("b", 12, 14.0)],
        "after_forgetting": [
            Reading("c", TEN_DAYS - 1, 20.0),
            Reading("d", TEN_DAYS - 2, 22.0),
            Reading("e", 13, 16.0, rejected="too_late"),
        ],
    },
    {
        "after_release": [Row("late", 2, 13.0)],
        "after_forgetting": [Row("early", 2, 21.0, start=TEN_DAYS - HOUR)],
    },
    waits=True,
)

GROUPINGS = Case(
    "groupings",
    "Two sensors in one region, one of them moves; one without a place; a reading of no sensor.",
    BASSE_TERRE,
    {
        "early": [
            Reading("a", 10, 12.0, sensor="one"),
            Reading("b", 11, 14.0, sensor="two"),
            Reading("c", 12, 40.0, sensor="two", quantity="humidity"),
            Reading("d", 13, 16.0, FORT_DE_FRANCE, sensor="two"),
            Reading("e", 14, 5.0, AT_SEA, sensor="two"),
            Reading("f", 15, 30.0, sensor=None),
            Reading("g", 16, 21.0, sensor="nowhere", somewhere=False),
        ],
        "late": [
            Reading("h", 17, 25.0, sensor="nowhere", somewhere=False),
            Reading("i", 18, 20.0, sensor="one"),
        ],
    },
    {
        "early": [
            Row("early", 3, 56 / 3),
            Row("early", 1, 16.0, region="02"),
        ],
        "late": [Row("late", 4, 19.0)],
    },
)


def _bad(reason: str, **changes: Any) -> Raw:
    fields = {"id": "bad", "timestamp": f"{at(10):%FT%TZ}", "temperature": 1.0}
    fields |= {"lat": PARIS.latitude, "lon": PARIS.longitude, **changes}
    kept = {name: value for name, value in fields.items() if value is not ...}
    return Raw(json.dumps(kept).encode(), reason)


DEAD_LETTERS = Case(
    "dead_letters",
    "Records that are no readings, one for every reason, among one that is.",
    PARIS,
    {
        "early": [
            Raw(b"{not json", "not_json"),
            Raw(b'{"id": "\xff"}', "not_json"),
            Raw(b'"words"', "not_an_object"),
            _bad("missing_field", timestamp=...),
            _bad("null_value", temperature=None),
            _bad("wrong_type", temperature=True),
            Reading("a", 10, 12.0),
        ],
        "late": [
            _bad("bad_timestamp", timestamp="yesterday"),
            _bad("bad_coordinates", lat=91),
            _bad("not_finite", temperature="NaN"),
            _bad("out_of_range", temperature=2e9),
        ],
    },
    {"early": [Row("early", 1, 12.0)]},
)

CASES = (
    TICKS,
    LATE,
    SLIDING,
    CORRECTED,
    OTHER_HOUR,
    OTHER_REGION,
    OUT_OF_FRANCE,
    DELETED,
    DUPLICATES,
    VERSIONS,
    TOO_LATE,
    FUTURE,
    RELEASED,
    FORGOTTEN,
    GROUPINGS,
    DEAD_LETTERS,
)
