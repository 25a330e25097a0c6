"""A slow reader of records in plain Python, written from the definitions of the words alone.

The fast parser must give what this one gives, record by record. Nothing is imported from it.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, NamedTuple

BLANKS = b" \t\r\n"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
NOT_FINITE = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE)
CONSTANT = re.compile(
    r'("(?:[^"\\]|\\.)*")|-?(?:nan|infinity|inf)(?![a-z])', re.IGNORECASE | re.DOTALL
)
CLOCK = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ Tt](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?: ?([Zz]|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
YEAR_1 = (datetime.datetime(1, 1, 1, tzinfo=datetime.UTC) - EPOCH) // datetime.timedelta(seconds=1)
YEAR_10000 = 253_402_300_800
LONGEST_TIME = 60
INTEGER = re.compile(r"\s*([+-]?)0*(\d*)(?<=\d)\s*", re.ASCII)


class Reading(NamedTuple):
    """A good record. Coordinates as text, so that -0.0 and 0.0 are told apart."""

    id: str
    event_micros: int | None
    longitude: str
    latitude: str
    value_micros: int | None
    in_france: bool
    version: int = 0
    version_kind: int = 0
    deleted: bool = False


class Rejected(NamedTuple):
    """A bad record: why, where it begins, and its text."""

    reason: str
    offset: int
    raw: bytes


class Number(NamedTuple):
    """The text of a JSON number, which loses nothing."""

    text: str


class BadRecordError(Exception):
    """Its first argument is the reason."""


def read_lines(data: bytes, arrived_at: int | None = None) -> list[Reading | Rejected]:
    """What a file of JSON lines, brought at a time in micros since the epoch, holds, in order."""
    return [read_record(data[at:end], at, arrived_at) for at, end in cut_lines(data)]


def read_record(raw: bytes, offset: int = 0, arrived_at: int | None = None) -> Reading | Rejected:
    """What one record is."""
    try:
        reading = _reading(raw)
        if arrived_at is not None and reading.version_kind == 0:
            reading = reading._replace(version=arrived_at, version_kind=1)
        return reading
    except BadRecordError as error:
        return Rejected(error.args[0], offset, raw)


def cut_lines(data: bytes) -> list[tuple[int, int]]:
    """Where each record of a file of lines begins and ends."""
    records: list[tuple[int, int]] = []
    at = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
    while at < len(data):
        newline = data.find(b"\n", at)
        end = len(data) if newline < 0 else newline
        begin, stop = _strip(data, at, end)
        if data[begin : begin + 1] == b"[":
            records += cut_array(data, begin, stop)
        elif begin < stop:
            records.append((begin, stop))
        at = end + 1
    return records


def cut_array(data: bytes, begin: int, end: int) -> list[tuple[int, int]]:
    """The elements of an array, and what follows its end as one more; blank ones are none."""
    edges, depth, in_string, escaped, over = [begin], 0, False, False, False
    for place in range(begin, end):
        byte = data[place : place + 1]
        if in_string:
            in_string = escaped or byte != b'"'
            escaped = not escaped and byte == b"\\"
        elif byte == b'"':
            in_string = True
        elif byte in b"[{":
            depth += 1
        elif byte in b"]}":
            depth -= 1
            if depth == 0 and not over:
                edges.append(place)
                over = True
        elif byte == b"," and depth == 1 and not over:
            edges.append(place)
    stripped = [
        _strip(data, first + 1, last) for first, last in zip(edges, [*edges[1:], end], strict=True)
    ]
    return [(first, last) for first, last in stripped if first < last]


def _strip(data: bytes, begin: int, end: int) -> tuple[int, int]:
    while begin < end and data[begin] in BLANKS:
        begin += 1
    while begin < end and data[end - 1] in BLANKS:
        end -= 1
    return begin, end


def _reading(raw: bytes) -> Reading:
    message = _json(raw)
    if not isinstance(message, dict):
        raise BadRecordError("not_an_object")
    if message.get("deleted") is True:
        # Nothing else in it is looked at.
        identifier = _checked(message, "id")
        version, kind = _version(message)
        return Reading(identifier, None, "None", "None", None, False, version, kind, True)
    required = ("id", "timestamp", "lat", "lon", "temperature")
    identifier = _checked(message, *required)
    latitude, longitude, value = (float_of(_text(message[k])) for k in required[2:])
    if latitude is None or longitude is None or value is None:
        raise BadRecordError("wrong_type")
    event_micros = _time(message["timestamp"])
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise BadRecordError("bad_coordinates")
    if not math.isfinite(value):
        raise BadRecordError("not_finite")
    if abs(value) > 1e9:
        raise BadRecordError("out_of_range")
    if message.get("deleted") not in (None, False):
        raise BadRecordError("wrong_type")
    version, kind = _version(message)
    country = message.get("country")
    return Reading(
        identifier,
        event_micros,
        repr(longitude + 0.0),
        repr(latitude + 0.0),
        micros_of(value),
        isinstance(country, str) and country.lower() in {"france", "fr", "fra"},
        version,
        kind,
    )


def _checked(message: dict[str, Any], *required: str) -> str:
    """The id, where all required fields, of which it is the first, can be looked at."""
    if any(key not in message for key in required):
        raise BadRecordError("missing_field")
    if any(message[key] is None for key in required):
        raise BadRecordError("null_value")
    if any(isinstance(message[key], bool | dict | list) for key in required):
        raise BadRecordError("wrong_type")
    identifier = message["id"]
    if isinstance(identifier, str):
        return identifier
    if not re.fullmatch(r"-?\d+", identifier.text):
        raise BadRecordError("wrong_type")
    # `-0` is the integer 0.
    return "0" if identifier.text == "-0" else str(identifier.text)


def _version(message: dict[str, Any]) -> tuple[int, int]:
    """The version and its kind."""
    version, updated = message.get("version"), message.get("updated_at")
    if version is not None:
        if isinstance(version, bool | dict | list):
            raise BadRecordError("wrong_type")
        return whole_number(_text(version)), 3
    if updated is not None:
        if isinstance(updated, bool | dict | list):
            raise BadRecordError("wrong_type")
        return _time(updated), 2
    return 0, 0


def whole_number(text: str) -> int:
    """An integer: as it is written, or a number with a fraction or an exponent as a double."""
    if found := INTEGER.fullmatch(text):
        # Python reads no integers of many thousand digits.
        if len(found[2]) > 30:
            raise BadRecordError("out_of_range")
        number = int(found[1] + (found[2] or "0"))
    else:
        double = float_of(text)
        if double is None:
            raise BadRecordError("wrong_type")
        if not math.isfinite(double):
            raise BadRecordError("not_finite")
        if double != math.floor(double):
            raise BadRecordError("wrong_type")
        number = int(double)
    if not -(2**63) <= number < 2**63:
        raise BadRecordError("out_of_range")
    return number


def _json(raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRecordError("not_json") from error
    # NaN and Infinity are understood in any case, although JSON has no word for them.
    spelled = CONSTANT.sub(lambda found: found[1] or "NaN", text)
    try:
        message = json.loads(
            spelled,
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
            object_pairs_hook=_first_wins,
        )
    except (ValueError, RecursionError) as error:
        raise BadRecordError("not_json") from error
    return message


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        # Half a surrogate pair is no text: it cannot be encoded, which is a ValueError.
        json.dumps([key, value], ensure_ascii=False).encode()
        found.setdefault(key, value)
    return found


def _text(value: str | Number) -> str:
    return value.text if isinstance(value, Number) else value


def float_of(text: str) -> float | None:
    """The double of a decimal number; NaN for what is not finite; None for no number."""
    if DECIMAL.fullmatch(text):
        return float(text)
    return math.nan if NOT_FINITE.fullmatch(text) else None


def micros_of(value: float) -> int:
    """Whole millionths of a double's shortest decimal, ties to even."""
    return int((Decimal(repr(value)) * 10**6).to_integral_value(ROUND_HALF_EVEN))


def _time(value: str | Number) -> int:
    micros = clock_micros(value) if isinstance(value, str) else None
    if micros is None:
        micros = epoch_micros(value)
    if micros is None or not YEAR_1 <= micros // 10**6 < YEAR_10000:
        raise BadRecordError("bad_timestamp")
    return micros


def clock_micros(text: str) -> int | None:
    """Microseconds of a date with a time of day; None where the text is none."""
    found = CLOCK.fullmatch(text) if len(text.encode()) <= LONGEST_TIME else None
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction = int(((found[7] or "") + "000000")[:6])
    try:
        local = datetime.datetime(
            year, month, day, hour, minute, second, fraction, tzinfo=datetime.UTC
        )
    except ValueError:
        return None
    micros = (local - EPOCH) // datetime.timedelta(microseconds=1)
    zone = found[8]
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
        if hours > 23 or minutes > 59:
            return None
        shift = (hours * 60 + minutes) * 60 * 10**6
        micros += shift if zone[0] == "-" else -shift
    return micros


def epoch_micros(value: str | Number) -> int | None:
    """Microseconds of seconds or milliseconds since the epoch; None where it is no number."""
    text = _text(value)
    if isinstance(value, str) and len(text.encode()) > LONGEST_TIME:
        return None
    number = float_of(text)
    if number is None or not abs(number) < YEAR_10000 * 1000:
        return None
    if abs(number) >= 1e11:
        return round(Fraction(number) * 1000)
    return micros_of(number)
