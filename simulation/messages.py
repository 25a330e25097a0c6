"""The texts of messages: each format as the systems that it comes from write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation import chance
from simulation.byte_columns import (
    DIGITS,
    choices,
    decimals,
    integers,
    table,
    texts,
    timestamps,
    uuids,
)
from simulation.places import PLACES
from simulation.schedule import CORRECTED, DELETED, Messages
from simulation.temperatures import SCALE, measure
from simulation.world import Sensors

__all__ = ["AIR_KINDS", "DEVICE_KINDS", "FORMATS", "Writing", "readings_in", "write"]

Integers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

IDS = 60, 61
MOVED, MOVED_TO, CHANGE, EXTRA = range(62, 66)
DEVICE_KINDS = (
    ("temperature", "Thermostat"),
    ("pressure", "Barometer"),
    ("humidity", "Hygrometer"),
    ("heart_rate", "Heart Rate Meter"),
)
"""Quantity and tag of the kinds of devices."""
AIR_KINDS = (
    ("DHT22", ("humidity", "temperature")),
    ("SDS011", ("P1", "P2")),
    ("BME280", ("temperature", "humidity", "pressure")),
)
"""Name and quantities of the kinds of air quality sensors."""
CODES = {
    "France": "FR", "Belgium": "BE", "Luxembourg": "LU", "Germany": "DE", "Switzerland": "CH",
    "Italy": "IT", "Monaco": "MC", "Spain": "ES", "United Kingdom": "GB", "Suriname": "SR",
}  # fmt: skip
COUNTRIES = table([place.country for place in PLACES])
COUNTRY_CODES = table([CODES[place.country] for place in PLACES])
VERSIONS = table(["", *(f',"version":{number}' for number in (1, 2, 3))])
GONE = table(["", "", ',"deleted":true'])
EXTRAS = table(["", ',"battery":3.7', ',"firmware":"2.1","rssi":-71', ',"site":{"a":[1,null]}'])
MOST_FRACTION = 4_000_000
"""Microseconds between two measurements of a sensor below which times have a fraction."""


@dataclass(frozen=True)
class Writing:
    """How messages are written.

    Attributes:
        sensors: all sensors.
        seed: of the simulation.
        turn: microseconds between two measurements of a sensor.
        extra_fields: the share of messages with fields that nobody asked for.
    """

    sensors: Sensors
    seed: int
    turn: int
    extra_fields: float = 0.0

    def sensors_of(self, messages: Messages) -> Integers:
        """The number of the sensor that each message is of."""
        return messages.numbers % len(self.sensors)

    def places_of(self, messages: Messages) -> Integers:
        """The number of the sensor where each message says that it was: a correction may move."""
        where = self.sensors_of(messages)
        rows = np.flatnonzero(messages.versions == CORRECTED)
        if len(rows):
            numbers = messages.numbers[rows]
            moved = chance.happens(chance.draw(self.seed, MOVED, numbers), 0.5)
            drawn = chance.draw(self.seed, MOVED_TO, numbers[moved])
            where[rows[moved]] = chance.upper(drawn, len(self.sensors))
        return where


def write(name: str, messages: Messages, writing: Writing) -> list[bytes]:
    """The text of each message, all good.

    Args:
        name: the format, one of `FORMATS`.
        messages: what they are about.
        writing: how they are written.
    """
    found = np.empty(len(messages), object)
    kinds = _kinds(name, writing.sensors_of(messages), messages)
    for kind in np.unique(kinds).tolist():
        rows = np.flatnonzero(kinds == kind)
        chosen = messages if len(rows) == len(messages) else messages.take(rows)
        found[rows] = FORMATS[name](kind, chosen, writing)
    return found.tolist()


def readings_in(name: str, sensors: Integers) -> Integers:
    """How many readings a message of each of the sensors holds."""
    if name != "air_quality":
        return np.ones(len(sensors), np.int64)
    return np.array([len(quantities) for _, quantities in AIR_KINDS])[sensors % len(AIR_KINDS)]


def _kinds(name: str, sensors: Integers, messages: Messages) -> Integers:
    """A number for each way in which messages of a format are put together."""
    if name == "regional":
        return (messages.versions == DELETED).astype(np.int64)
    if name == "air_quality":
        return sensors % len(AIR_KINDS)
    if name == "integers":
        return np.zeros(len(sensors), np.int64)
    return sensors % len(DEVICE_KINDS)


def _values(quantity: str, messages: Messages, writing: Writing) -> Integers:
    """In 1e-4 of the unit; a correction is up to 5 units higher."""
    which = writing.places_of(messages)
    found = measure(quantity, writing.sensors, which, messages.times, writing.seed)
    rows = np.flatnonzero(messages.versions == CORRECTED)
    if len(rows):
        drawn = chance.draw(writing.seed, CHANGE, messages.numbers[rows])
        found[rows] += (1 + chance.upper(drawn, 50)) * (SCALE // 10)
    return found


def _end(messages: Messages, writing: Writing) -> list[bytes | Bytes]:
    """What any message may end with."""
    parts: list[bytes | Bytes] = []
    families = messages.families > 1
    if families.any():
        versions = np.where(families, messages.versions + 1, 0)
        parts += [choices(VERSIONS, versions), choices(GONE, messages.versions)]
    if writing.extra_fields:
        drawn = chance.draw(writing.seed, EXTRA, messages.numbers)
        some = chance.happens(drawn, writing.extra_fields)
        parts.append(choices(EXTRAS, np.where(some, 1 + chance.lower(drawn, len(EXTRAS) - 1), 0)))
    return [*parts, b"}"]


def _regional(kind: int, messages: Messages, writing: Writing) -> list[bytes]:
    drawn = [chance.draw(writing.seed, purpose, messages.numbers) for purpose in IDS]
    parts: list[bytes | Bytes] = [b'{"id":"', uuids(drawn[0], drawn[1]), b'"']
    if not kind:
        where = writing.places_of(messages)
        parts += [
            b',"timestamp":"',
            timestamps(messages.times, " ", fraction=False),
            b'","lat":',
            decimals(writing.sensors.latitudes[where], 7),
            b',"lon":',
            decimals(writing.sensors.longitudes[where], 7),
            b',"temperature":',
            decimals(_values("temperature", messages, writing), 4),
            b',"country":"',
            choices(COUNTRIES, writing.sensors.places[where]),
            b'"',
        ]
    return texts(len(messages), [*parts, *_end(messages, writing)])


def _device_start(messages: Messages, writing: Writing) -> list[bytes | Bytes]:
    return [
        b'{"device_id":"',
        integers(writing.sensors_of(messages) + 1),
        b'","timestamp":"',
        timestamps(messages.times, "T", fraction=writing.turn < MOST_FRACTION),
        b'Z","',
    ]


def _device_value(quantity: str, messages: Messages, writing: Writing) -> Bytes:
    values = _values(quantity, messages, writing)
    if quantity == "heart_rate":
        return integers(values // SCALE)
    return decimals(values // (SCALE // 10), 1)


def _device(kind: int, messages: Messages, writing: Writing) -> list[bytes]:
    quantity, tag = DEVICE_KINDS[kind]
    parts = [
        *_device_start(messages, writing),
        b'%s":' % quantity.encode(),
        _device_value(quantity, messages, writing),
        b',"tag":"%s"' % tag.encode(),
        *_end(messages, writing),
    ]
    return texts(len(messages), parts)


def _device_message(kind: int, messages: Messages, writing: Writing) -> list[bytes]:
    quantity, _ = DEVICE_KINDS[kind]
    parts = [
        *_device_start(messages, writing),
        b'sensor":"%s","value":' % quantity.encode(),
        _device_value(quantity, messages, writing),
        *_end(messages, writing),
    ]
    return texts(len(messages), parts)


def _air_quality(kind: int, messages: Messages, writing: Writing) -> list[bytes]:
    name, quantities = AIR_KINDS[kind]
    where, sensors = writing.places_of(messages), writing.sensors_of(messages) + 1
    # Other seeds have other ids, all below 2^53, which any reader of JSON takes.
    first = chance.upper(chance.draw(writing.seed, IDS[0], np.zeros(1, np.int64)), 1 << 16)
    numbers = (first << 32) + messages.numbers
    parts: list[bytes | Bytes] = [
        b'{"id":',
        integers(numbers),
        b',"timestamp":"',
        timestamps(messages.times, " ", fraction=False),
        b'","sampling_rate":null,"location":{"id":',
        integers(where + 1),
        b',"latitude":"',
        decimals(writing.sensors.latitudes[where], 7),
        b'","longitude":"',
        decimals(writing.sensors.longitudes[where], 7),
        b'","country":"',
        choices(COUNTRY_CODES, writing.sensors.places[where]),
        b'"},"sensor":{"id":',
        integers(sensors),
        b',"pin":"7","sensor_type":{"id":%d,"manufacturer":"various","name":"%s"}}'
        % (kind + 9, name.encode()),
        b',"sensordatavalues":[',
    ]
    for place, quantity in enumerate(quantities):
        parts += [
            b',{"id":' if place else b'{"id":',
            integers(numbers * 4 + place),
            b',"value":"',
            *_hundredths(quantity, _values(quantity, messages, writing)),
            b'","value_type":"%s"}' % quantity.encode(),
        ]
    return texts(len(messages), [*parts, b"]", *_end(messages, writing)])


def _hundredths(quantity: str, values: Integers) -> list[Bytes | bytes]:
    """With two decimals, as these sensors write numbers; pressure is in Pa there."""
    shown = values if quantity == "pressure" else values // 100
    whole, rest = np.divmod(np.abs(shown), 100)
    sign = np.where(shown < 0, ord("-"), 0).astype(np.uint8)[:, None]
    return [sign, integers(whole), b".", DIGITS[rest][:, 2:]]


def _integers(_kind: int, messages: Messages, writing: Writing) -> list[bytes]:
    values = _values("humidity", messages, writing) // SCALE
    return texts(len(messages), [integers(np.clip(values, 0, 100))])


FORMATS: Mapping[str, Callable[[int, Messages, Writing], list[bytes]]] = {
    "regional": _regional,
    "device": _device,
    "device_message": _device_message,
    "air_quality": _air_quality,
    "integers": _integers,
}
"""The formats that messages can be written in."""
