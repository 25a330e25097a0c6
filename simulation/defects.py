"""The ways in which a message is no reading: what is done to a good one, and the reason it gets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

__all__ = ["DEFECTS", "Defect"]

SENSOR_ID = rb'"sensor":\{"id":\d+,'
VALUE = rb'(?:"[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^,}\]]*)'


@dataclass(frozen=True)
class Defect:
    """One way in which a message is no reading.

    Attributes:
        reason: for which it must be rejected.
        edit: makes it of a good message.
        is_json: what it makes is JSON, so an array of messages that holds it is, too.
        is_whole: nothing in the message is a reading; otherwise one of its readings is none.
    """

    reason: str
    edit: Callable[[bytes], bytes]
    is_json: bool = True
    is_whole: bool = True


def _replaced(pattern: re.Pattern[bytes], by: bytes, message: bytes) -> bytes:
    return pattern.sub(by, message, count=1)


def _value(reason: str, key: str, value: bytes, *, whole: bool = True) -> Defect:
    """Another value stands under a key: the first of that name, or of one of these names."""
    pattern = re.compile(rb'("(?:%s)":)' % key.encode() + VALUE)
    return Defect(reason, partial(_replaced, pattern, rb"\g<1>" + value), is_whole=whole)


def _without(key: str, *, whole: bool = True) -> Defect:
    """A key is missing, with its value."""
    pair = b'"(?:%s)":' % key.encode() + VALUE
    pattern = re.compile(pair + b",|," + pair)
    return Defect("missing_field", partial(_replaced, pattern, b""), is_whole=whole)


def _cut(message: bytes, part: float) -> bytes:
    return message[: max(1, int(len(message) * part))]


def _instead(message: bytes, text: bytes) -> bytes:
    del message
    return text


DEVICE_VALUES = "temperature|pressure|humidity|heart_rate"
ANYWHERE = (
    Defect("not_json", partial(_cut, part=0.3), is_json=False),
    Defect("not_json", partial(_cut, part=0.99), is_json=False),
    Defect("not_json", lambda message: message[1:], is_json=False),
    Defect("not_json", lambda message: message.replace(b'":', b'"', 1), is_json=False),
    Defect("not_json", lambda message: message.replace(b'":"', b'":"\xff', 1), is_json=False),
    Defect("not_json", partial(_instead, text=b"sensor 17: no answer"), is_json=False),
    Defect("not_an_object", partial(_instead, text=b'"no answer"')),
    Defect("not_an_object", partial(_instead, text=b"21.5")),
    Defect("not_an_object", partial(_instead, text=b"null")),
    Defect("not_an_object", partial(_instead, text=b"true")),
)
TIMES = (
    _without("timestamp"),
    _value("null_value", "timestamp", b"null"),
    _value("wrong_type", "timestamp", b"true"),
    _value("wrong_type", "timestamp", b"{}"),
    _value("bad_timestamp", "timestamp", b'"2024-13-01 00:00:00"'),
    _value("bad_timestamp", "timestamp", b'"2024-12-01T25:00:00Z"'),
    _value("bad_timestamp", "timestamp", b'"yesterday"'),
    _value("bad_timestamp", "timestamp", b'""'),
)
NO_NUMBERS = (
    ("null_value", b"null"),
    ("wrong_type", b"true"),
    ("wrong_type", b"[21.5]"),
    ("wrong_type", b'{"c":21.5}'),
    ("wrong_type", b'"warm"'),
    ("not_finite", b'"NaN"'),
    ("not_finite", b'"-Infinity"'),
    ("out_of_range", b"2000000000.5"),
    ("out_of_range", b'"-1e12"'),
)


def _places(latitude: str, longitude: str) -> tuple[Defect, ...]:
    return (
        _without(latitude),
        _without(longitude),
        _value("null_value", latitude, b"null"),
        _value("null_value", longitude, b"null"),
        _value("wrong_type", latitude, b"true"),
        _value("wrong_type", longitude, b"[2.35]"),
        _value("wrong_type", longitude, b'"east"'),
        _value("bad_coordinates", latitude, b"95.5"),
        _value("bad_coordinates", longitude, b'"-200.25"'),
    )


def _numbers(key: str, *, whole: bool = True) -> tuple[Defect, ...]:
    return tuple(_value(reason, key, value, whole=whole) for reason, value in NO_NUMBERS)


DEFECTS: Mapping[str, tuple[Defect, ...]] = {
    "regional": (
        *ANYWHERE,
        *TIMES,
        _without("id"),
        _value("null_value", "id", b"null"),
        _value("wrong_type", "id", b"1.5"),
        _value("wrong_type", "id", b"[]"),
        *_places("lat", "lon"),
        _without("temperature"),
        *_numbers("temperature"),
    ),
    "device": (
        *ANYWHERE,
        *TIMES,
        _without("device_id"),
        _value("null_value", "device_id", b"null"),
        _value("wrong_type", "device_id", b"false"),
        _without("tag"),
        _value("null_value", "tag", b"null"),
        _value("wrong_type", "tag", b"7"),
        _value("wrong_type", "tag", b'"Toaster"'),
        _without(DEVICE_VALUES),
        *_numbers(DEVICE_VALUES),
    ),
    "device_message": (
        *ANYWHERE,
        *TIMES,
        _without("device_id"),
        _value("null_value", "device_id", b"null"),
        _value("wrong_type", "device_id", b"{}"),
        _without("sensor"),
        _value("null_value", "sensor", b"null"),
        _value("wrong_type", "sensor", b"true"),
        _value("wrong_type", "sensor", b'"noise"'),
        _without("value"),
        *_numbers("value"),
    ),
    "air_quality": (
        *ANYWHERE,
        *TIMES,
        _without("id"),
        _value("null_value", "id", b"null"),
        *_places("latitude", "longitude"),
        _without("location"),
        Defect("missing_field", partial(_replaced, re.compile(SENSOR_ID), b'"sensor":{')),
        _without("sensordatavalues"),
        _value("null_value", "sensordatavalues", b"null"),
        _value("wrong_type", "sensordatavalues", b'"44.30"'),
        _without("value", whole=False),
        *_numbers("value", whole=False),
        _without("value_type", whole=False),
        _value("null_value", "value_type", b"null", whole=False),
        _value("wrong_type", "value_type", b"9", whole=False),
    ),
    "integers": (
        *(
            Defect("not_json", partial(_instead, text=text), is_json=False)
            for text in (b"4 2", b"?")
        ),
        *(
            Defect(reason, partial(_instead, text=text))
            for reason, text in (
                ("null_value", b"null"),
                ("wrong_type", b"true"),
                ("wrong_type", b"[21]"),
                ("wrong_type", b'"high"'),
                ("out_of_range", b"2000000000"),
            )
        ),
    ),
}
"""The defects of each format's messages."""
