"""Messages of every format: good ones, and ones with a fault of each kind."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

FORMATS = ("regional", "device", "device_message", "air_quality", "air_quality 2")
QUANTITIES = ("temperature", "pressure", "humidity", "heart_rate")
TAGS = ("Thermostat", "Barometer", "Hygrometer", "Heart Rate Meter")
AIR = (("P1", "P2"), ("temperature", "humidity"), ("pressure", "temperature", "noise_LAeq"))
REMOVED = object()

WRONG_TYPES = (True, [], {}, [1], {"a": 1})


def good_message(kind: str, draw: random.Random) -> dict[str, Any]:
    """A message as its sender writes it."""
    day, clock = draw.randint(1, 28), ":".join(f"{draw.randrange(n):02d}" for n in (24, 60, 60))
    if kind == "regional":
        return {
            "id": f"{draw.randrange(16**8):08x}",
            "timestamp": f"2019-02-{day:02d} {clock}",
            "lat": round(draw.uniform(42, 51), 7),
            "lon": round(draw.uniform(-5, 8), 7),
            "temperature": round(draw.uniform(-20, 40), 4),
            "country": "France",
        }
    if kind.startswith("device"):
        number = draw.randrange(4)
        value = round(draw.uniform(0, 1100), 1)
        head = {
            "device_id": str(draw.randrange(2000)),
            "timestamp": f"2023-03-{day:02d}T{clock}Z",
        }
        if kind == "device_message":
            return {**head, "sensor": QUANTITIES[number], "value": value}
        return {**head, QUANTITIES[number]: value, "tag": TAGS[number]}
    named, listed = ("value_type", "sensordatavalues")
    if kind == "air_quality 2":
        named, listed = ("quantity", "measurements")
    quantities = draw.choice(AIR)
    message: dict[str, Any] = {"schema_version": 2} if kind == "air_quality 2" else {}
    return message | {
        "id": draw.randrange(10**8),
        "timestamp": f"2019-02-{day:02d} {clock}",
        "sampling_rate": None,
        "location": {
            "id": draw.randrange(500),
            "latitude": f"{draw.uniform(42, 51):.3f}",
            "longitude": f"{draw.uniform(-5, 8):.3f}",
            "country": draw.choice(("DE", "FR")),
        },
        "sensor": {
            "id": draw.randrange(1000),
            "pin": "7",
            "sensor_type": {"id": 9, "manufacturer": "various", "name": "DHT22"},
        },
        listed: [
            {"id": draw.randrange(10**9), "value": f"{draw.uniform(0, 99):.2f}", named: quantity}
            for quantity in quantities
        ],
    }


def fields_of(kind: str, message: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The paths of the fields that a reading needs."""
    if kind == "regional":
        return [("id",), ("timestamp",), ("lat",), ("lon",), ("temperature",)]
    if kind == "device_message":
        return [("device_id",), ("timestamp",), ("sensor",), ("value",)]
    if kind == "device":
        value = next(key for key in message if key in QUANTITIES)
        return [("device_id",), ("timestamp",), ("tag",), (value,)]
    listed = "sensordatavalues" if kind == "air_quality" else "measurements"
    named = "value_type" if kind == "air_quality" else "quantity"
    last = len(message[listed]) - 1
    return [
        ("id",), ("timestamp",), ("location", "latitude"), ("location", "longitude"),
        ("sensor", "id"), (listed,), (listed, last, named), (listed, last, "value"),
    ]  # fmt: skip


def changed(message: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The message with something else, or nothing, in one place."""
    copied = copy.deepcopy(message)
    inner: Any = copied
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return copied


def _with_value(choose: Callable[[random.Random], Any]) -> Callable[..., bytes]:
    def make(kind: str, message: dict[str, Any], draw: random.Random) -> bytes:
        path = draw.choice(fields_of(kind, message))
        return json.dumps(changed(message, path, choose(draw))).encode()

    return make


def _truncated(_: str, message: dict[str, Any], draw: random.Random) -> bytes:
    text = json.dumps(message).encode()
    return text[: draw.randrange(1, len(text))].strip()


def _not_json(_: str, __: dict[str, Any], draw: random.Random) -> bytes:
    return draw.choice((b"sensor 17: no answer", b"{]", b"nul", b"{'a': 1}", b"\xff\xfe"))


def _not_an_object(_: str, __: dict[str, Any], draw: random.Random) -> bytes:
    return draw.choice((b"21.5", b'"no answer"', b"null", b"true"))


def _empty(kind: str, message: dict[str, Any], _: random.Random) -> bytes:
    for listed in ("sensordatavalues", "measurements"):
        if listed in message:
            message = {**message, listed: []}
    return json.dumps(message if kind.startswith("air") else {}).encode()


def _schema_version(kind: str, message: dict[str, Any], draw: random.Random) -> bytes:
    if not kind.startswith("air"):
        return b"{}"
    version = draw.choice((3, "two", 2.5, True, [], 0))
    return json.dumps({**message, "schema_version": version}).encode()


FAULTS: dict[str, Callable[..., bytes]] = {
    "wrong type": _with_value(lambda draw: draw.choice(WRONG_TYPES)),
    "missing": _with_value(lambda _: REMOVED),
    "null": _with_value(lambda _: None),
    "not JSON": _not_json,
    "truncated": _truncated,
    "not an object": _not_an_object,
    "schema version": _schema_version,
    "empty": _empty,
}
"""How a message is made wrong."""


def with_extras(message: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The message with fields that nobody asked for: it stays good."""
    extra = {"note": "a,b}", "nested": {"list": [1, {"a": "]"}]}, "x": None}
    items = [*message.items(), *draw.sample(list(extra.items()), draw.randint(1, 3))]
    return dict(items)


def block_of(
    kind: str, fault: str, share: float, count: int, draw: random.Random
) -> Iterator[bytes]:
    """Messages of a format, a share of them with a fault; some have further fields."""
    bad = set(draw.sample(range(count), round(share * count)))
    for number in range(count):
        message = good_message(kind, draw)
        if number in bad:
            yield FAULTS[fault](kind, message, draw)
        elif draw.random() < 0.1:
            yield json.dumps(with_extras(message, draw)).encode()
        else:
            yield json.dumps(message).encode()
