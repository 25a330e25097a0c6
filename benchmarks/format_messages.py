"""Messages of every format for the benchmarks, a share of them wrong."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

__all__ = ["KINDS", "make_block"]

Message = dict[str, Any]
DEVICES = (
    ("temperature", "Thermostat"),
    ("pressure", "Barometer"),
    ("humidity", "Hygrometer"),
    ("heart_rate", "Heart Rate Meter"),
)
SENSORS = (
    ("SDS011", ("P1", "P2")),
    ("DHT22", ("temperature", "humidity")),
    ("BME280", ("temperature", "pressure", "humidity")),
)


def _clock(draw: random.Random) -> tuple[str, str]:
    seconds = draw.randrange(86_400)
    time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"2024-12-{draw.randint(1, 28):02d}", time


def _regional(draw: random.Random) -> Message:
    identifier = f"{draw.getrandbits(128):032x}"
    cuts = (0, 8, 12, 16, 20, 32)
    parts = [identifier[begin:end] for begin, end in itertools.pairwise(cuts)]
    return {
        "id": "-".join(parts),
        "timestamp": " ".join(_clock(draw)),
        "lat": round(draw.uniform(42, 51), 7),
        "lon": round(draw.uniform(-5, 8), 7),
        "temperature": round(draw.uniform(-5, 30), 4),
        "country": "France",
    }


def _device(draw: random.Random) -> Message:
    return _of_kind(draw, *draw.choice(DEVICES))


def _thermostat(draw: random.Random) -> Message:
    return _of_kind(draw, *DEVICES[0])


def _of_kind(draw: random.Random, quantity: str, tag: str) -> Message:
    day, time = _clock(draw)
    return {
        "device_id": str(draw.randrange(2000)),
        "timestamp": f"{day}T{time}Z",
        quantity: round(draw.uniform(10, 100), 1),
        "tag": tag,
    }


def _device_message(draw: random.Random) -> Message:
    raw = _device(draw)
    quantity = next(key for key, _ in DEVICES if key in raw)
    value = raw.pop(quantity)
    del raw["tag"]
    return {**raw, "sensor": quantity, "value": value}


def _air_quality(draw: random.Random) -> Message:
    name, quantities = draw.choice(SENSORS)
    return {
        "id": draw.randrange(10**7, 10**8),
        "timestamp": " ".join(_clock(draw)),
        "sampling_rate": None,
        "location": {
            "id": draw.randrange(100, 1000),
            "latitude": f"{draw.uniform(42, 51):.3f}",
            "longitude": f"{draw.uniform(-5, 8):.3f}",
            "country": "DE",
        },
        "sensor": {
            "id": draw.randrange(100, 1000),
            "pin": "7",
            "sensor_type": {"id": 9, "manufacturer": "various", "name": name},
        },
        "sensordatavalues": [
            {
                "id": draw.randrange(10**8, 10**9),
                "value": f"{draw.uniform(5, 100):.2f}",
                "value_type": quantity,
            }
            for quantity in quantities
        ],
    }


def _any(draw: random.Random) -> Message:
    return draw.choice((_regional, _device, _device_message, _air_quality))(draw)


KINDS: dict[str, Callable[[random.Random], Message]] = {
    "regional": _regional,
    "device, one kind": _thermostat,
    "device, four kinds at random": _device,
    "device_message": _device_message,
    "air_quality": _air_quality,
    "all formats at random": _any,
}
"""How the messages of each row of the report are made."""

NUMBERS = ("temperature", "pressure", "humidity", "heart_rate", "value")


def _missing(message: Message, draw: random.Random) -> str:
    key = draw.choice(list(message))
    return json.dumps({other: value for other, value in message.items() if other != key})


def _wrong(message: Message, draw: random.Random) -> str:
    return json.dumps({**message, "timestamp": draw.choice((True, None, "yesterday", []))})


def _truncated(message: Message, draw: random.Random) -> str:
    text = json.dumps(message)
    return text[: draw.randrange(1, len(text) - 1)].strip()


def _no_number(message: Message, draw: random.Random) -> str:
    if "sensordatavalues" in message:
        entries = [{**entry, "value": "warm"} for entry in message["sensordatavalues"]]
        return json.dumps({**message, "sensordatavalues": entries})
    key = next(key for key in NUMBERS if key in message)
    return json.dumps({**message, key: draw.choice(("warm", False, "NaN", 1e12))})


DEFECTS = (_missing, _wrong, _truncated, _no_number)


def make_block(kind: str, messages: int, bad: float, seed: int = 1) -> bytes:
    """Lines of messages.

    Args:
        kind: one of `KINDS`.
        messages: how many.
        bad: the share of those that are made wrong (where one of optional fields is taken out, it
            stays good).
        seed: another seed, other messages.
    """
    draw = random.Random(f"{seed} {kind} {bad}")
    make = KINDS[kind]
    wrong = set(draw.sample(range(messages), round(messages * bad)))
    return "\n".join(
        draw.choice(DEFECTS)(make(draw), draw) if number in wrong else json.dumps(make(draw))
        for number in range(messages)
    ).encode()
