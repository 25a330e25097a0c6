"""A slow reader of messages of all formats in plain Python, beside `reference_parser`.

The fast parser must give what this one gives, reading by reading. Nothing is imported from it, nor
from the format files: what the formats are is said here once more.
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

from tests.support import reference_parser as plain
from tests.support.reference_parser import BadRecordError, Number

AIR = {
    "P0", "P1", "P2", "P4", "N05", "N1", "N10", "N25", "N4", "TS", "temperature", "humidity",
    "pressure", "pressure_at_sealevel", "noise_LAeq", "noise_LA_min", "noise_LA_max",
    "noise_LA01", "noise_LA95", "counts_per_minute", "co2_ppm", "no2_ppb", "o3_ppb",
}  # fmt: skip
KINDS = {
    "Thermostat": ("temperature", ("temperature",)),
    "Barometer": ("pressure", ("pressure",)),
    "Hygrometer": ("humidity", ("humidity",)),
    "Heart Rate Meter": ("heart_rate", ("heart_rate", "heartRate")),
}
VALUE_KEYS = ("temperature", "pressure", "humidity", "heart_rate", "heartRate")


class Row(NamedTuple):
    """A reading."""

    format: str
    id: str | None
    sensor: str | None
    quantity: str
    event_micros: int | None
    longitude: str
    latitude: str
    value_micros: int | None
    in_france: bool
    version: int
    version_kind: int
    deleted: bool


class Bad(NamedTuple):
    """A message, or an entry of one, that is no reading."""

    reason: str
    raw: bytes
    entry: int | None = None


def read_message(raw: bytes, only: str | None = None) -> list[Row | Bad]:
    """What a message holds, by the format that fits it best, or by one."""
    try:
        message = plain._json(raw)
        if not isinstance(message, dict):
            raise BadRecordError("not_an_object")
        return READERS[only or best_format(message)](message, raw)
    except BadRecordError as error:
        return [Bad(error.args[0], raw)]


def best_format(message: dict[str, Any]) -> str:
    """The format of which a message has the most required fields."""
    nested = _at(message, "location.latitude"), _at(message, "location.longitude")
    common = [_has(message, "id"), _has(message, "timestamp")]
    scores = {
        "regional": sum([*common, *(_has(message, key) for key in ("lat", "lon", "temperature"))]),
        "device": _has(message, "device_id")
        + _has(message, "timestamp")
        + _has(message, "tag")
        + any(_has(message, key) for key in VALUE_KEYS),
        "device_message": sum(
            _has(message, key) for key in ("device_id", "timestamp", "sensor", "value")
        ),
        "air_quality": sum(common)
        + (_at(message, "sensor.id") is not ...)
        + sum(value is not ... for value in nested)
        + (_has(message, "sensordatavalues") or _has(message, "measurements")),
    }
    return max(scores, key=lambda name: scores[name])


def _has(message: dict[str, Any], key: str) -> bool:
    return key in message


def _at(message: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(message, dict) or key not in message:
            return ...
        message = message[key]
    return message


def _regional(_: dict[str, Any], raw: bytes) -> list[Row | Bad]:
    found = plain._reading(raw)
    return [
        Row(
            "regional", found.id, None, "temperature", found.event_micros, found.longitude,
            found.latitude, found.value_micros, found.in_france, found.version,
            found.version_kind, found.deleted,
        )
    ]  # fmt: skip


def _device(message: dict[str, Any], _: bytes) -> list[Row | Bad]:
    tag = message.get("tag", ...)
    known = KINDS.get(tag) if isinstance(tag, str) else None
    value: Any = 1 if known is None else ...
    for key in known[1] if known else ():
        value = message[key] if value is ... and key in message else value
    return _of_device("device", message, tag, known and known[0], value)


def _device_message(message: dict[str, Any], _: bytes) -> list[Row | Bad]:
    said = message.get("sensor", ...)
    known = isinstance(said, str) and said in {kind[0] for kind in KINDS.values()}
    value = message.get("value", ...)
    return _of_device("device_message", message, said, said if known else None, value)


def _of_device(
    name: str, message: dict[str, Any], said: Any, quantity: str | None, value: Any
) -> list[Row | Bad]:
    deleted = message.get("deleted") is True
    sensor, time = message.get("device_id", ...), message.get("timestamp", ...)
    required = [sensor, time, said, *([] if deleted else [value])]
    _check(required)
    if quantity is None:
        raise BadRecordError("wrong_type")
    text = _name(sensor)
    if not deleted and plain.float_of(plain._text(value)) is None:
        raise BadRecordError("wrong_type")
    event = plain._time(time)
    micros = None if deleted else _in_range(value)
    _deleted(message)
    version, kind = plain._version(message)
    return [
        Row(
            name, None, text, str(quantity), event, "None", "None", micros, False, version, kind,
            deleted,
        )
    ]  # fmt: skip


def _air_quality(message: dict[str, Any], raw: bytes) -> list[Row | Bad]:  # noqa: PLR0912
    version = message.get("schema_version")
    if version is None:
        text = "1"
    elif isinstance(version, str | Number):
        text = plain._text(version)
    else:
        text = ""
    if text not in {"1", "2"}:
        raise BadRecordError("wrong_type")
    array, name = (
        ("sensordatavalues", "value_type") if text == "1" else ("measurements", "quantity")
    )
    deleted = message.get("deleted") is True
    identifier, sensor = message.get("id", ...), _at(message, "sensor.id")
    time = message.get("timestamp", ...)
    places = [_at(message, f"location.{key}") for key in ("latitude", "longitude")]
    entries = message.get(array, ...)
    needed = [identifier] if deleted else [identifier, sensor, time, *places]
    if entries is ... or ... in needed:
        raise BadRecordError("missing_field")
    if entries is None or None in needed:
        raise BadRecordError("null_value")
    if any(isinstance(one, bool | dict | list) for one in needed) or not isinstance(entries, list):
        raise BadRecordError("wrong_type")
    text_id = _name(identifier)
    text_sensor = None if deleted else _name(sensor)
    in_france, event, latitude, longitude = False, None, None, None
    if not deleted:
        latitude, longitude = (plain.float_of(plain._text(place)) for place in places)
        if latitude is None or longitude is None:
            raise BadRecordError("wrong_type")
        event = plain._time(time)
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise BadRecordError("bad_coordinates")
        latitude, longitude = latitude + 0.0, longitude + 0.0
        country = _at(message, "location.country")
        in_france = isinstance(country, str) and country.lower() in {"france", "fr", "fra"}
    _deleted(message)
    number, kind = plain._version(message)
    if not entries:
        raise BadRecordError("missing_field")
    rows: list[Row | Bad] = []
    for place, entry in enumerate(entries):
        try:
            quantity, micros = _entry(entry, name, deleted)
        except BadRecordError as error:
            rows.append(Bad(error.args[0], raw, place))
            continue
        rows.append(
            Row(
                "air_quality",
                text_id,
                text_sensor,
                quantity,
                event,
                repr(longitude),
                repr(latitude),
                micros,
                in_france,
                number,
                kind,
                deleted,
            )
        )
    return rows


def _entry(entry: Any, name: str, deleted: bool) -> tuple[str, int | None]:
    if not isinstance(entry, dict):
        raise BadRecordError("wrong_type")
    quantity, value = entry.get(name, ...), entry.get("value", ...)
    _check([quantity] if deleted else [quantity, value])
    if quantity not in AIR or not isinstance(quantity, str):
        raise BadRecordError("wrong_type")
    if deleted:
        return quantity, None
    factor = 0.01 if quantity in {"pressure", "pressure_at_sealevel"} else None
    return quantity, _in_range(value, factor)


def _check(required: list[Any]) -> None:
    if ... in required:
        raise BadRecordError("missing_field")
    if None in required:
        raise BadRecordError("null_value")
    if any(isinstance(one, bool | dict | list) for one in required):
        raise BadRecordError("wrong_type")


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not re.fullmatch(r"-?\d+", value.text):
        raise BadRecordError("wrong_type")
    return "0" if value.text == "-0" else str(value.text)


def _in_range(value: Any, factor: float | None = None) -> int:
    number = plain.float_of(plain._text(value))
    if number is None:
        raise BadRecordError("wrong_type")
    number = number if factor is None else number * factor + 0.0
    if not math.isfinite(number):
        raise BadRecordError("not_finite")
    if abs(number) > 1e9:
        raise BadRecordError("out_of_range")
    return plain.micros_of(number)


def _deleted(message: dict[str, Any]) -> None:
    if message.get("deleted") not in (None, False, True):
        raise BadRecordError("wrong_type")


READERS = {
    "regional": _regional,
    "device": _device,
    "device_message": _device_message,
    "air_quality": _air_quality,
}
