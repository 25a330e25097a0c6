"""The ways in which a generated record is not a reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DEFECTS", "FIELDS", "REASONS", "Defect"]

FIELDS = ("id", "timestamp", "lat", "lon", "temperature")
"""The parts of a line that a reading needs, in their order."""
LINE = ("open", *FIELDS, "country", "close")
"""All parts of a line but its newline."""


@dataclass(frozen=True)
class Defect:
    """One way in which a record is not a reading.

    Args:
        reason: for which it must be rejected (SEMANTICS: reasons of rejection).
        edits: what stands in these parts of the line instead.
    """

    reason: str
    edits: Mapping[str, bytes]


def _value(reason: str, field: str, value: bytes) -> Defect:
    return Defect(reason, {field: b'"%s":%s,' % (field.encode(), value)})


def _instead(reason: str, line: bytes) -> Defect:
    return Defect(reason, {name: line if name == "id" else b"" for name in LINE})


# `too_large` is left out (one such record outweighs a small file), and so are `from_the_future`
# and `too_late`, which need an arrival time and files have none.
DEFECTS = (
    Defect("not_json", {"close": b""}),
    Defect("not_json", {"country": b"", "close": b""}),
    Defect("not_json", {"lat": b'"lat"48.85,'}),
    _instead("not_json", b"sensor 17: no answer"),
    _instead("not_an_object", b'"no answer"'),
    _instead("not_an_object", b"21.5"),
    _instead("not_an_object", b"null"),
    *(Defect("missing_field", {field: b""}) for field in FIELDS),
    *(_value("null_value", field, b"null") for field in FIELDS),
    _value("wrong_type", "lat", b"true"),
    _value("wrong_type", "lon", b"[2.35]"),
    _value("wrong_type", "temperature", b"false"),
    _value("wrong_type", "temperature", b'{"c":21.5}'),
    _value("bad_timestamp", "timestamp", b'"2024-13-01 00:00:00"'),
    _value("bad_timestamp", "timestamp", b'"2024-12-01 25:00:00"'),
    _value("bad_timestamp", "timestamp", b'"yesterday"'),
    _value("bad_coordinates", "lat", b"95.5"),
    _value("bad_coordinates", "lon", b"-200.25"),
    _value("not_finite", "temperature", b'"NaN"'),
    _value("not_finite", "temperature", b'"-Infinity"'),
    _value("out_of_range", "temperature", b"2000000000.5"),
    _value("out_of_range", "temperature", b"-1e12"),
)
REASONS = tuple(dict.fromkeys(defect.reason for defect in DEFECTS))
