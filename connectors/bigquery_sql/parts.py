"""Parts of dates, time zones and intervals, as BigQuery writes them and DuckDB wants them."""

from __future__ import annotations

import re

from sqlglot import exp

from connectors.bigquery_sql.calls import (
    Rewrite,
    call,
    cast,
    literal_text,
    moment_literal,
    refuse,
)

__all__ = [
    "CALENDAR",
    "CLOCK",
    "TYPES",
    "UNITS",
    "date_part",
    "extract",
    "from_local",
    "interval",
    "moment",
    "offset_minutes",
    "to_local",
    "zone_name",
]

TYPES = {"DATE": "DATE", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "TIME": "TIME"}
"""DuckDB's name of each type."""

SPANS = {
    # DuckDB's function that makes an interval, how many of its units, the type that it takes
    "MICROSECOND": ("to_microseconds", 1, "BIGINT"),
    "MILLISECOND": ("to_microseconds", 1000, "BIGINT"),
    "SECOND": ("to_microseconds", 1_000_000, "BIGINT"),
    "MINUTE": ("to_minutes", 1, "BIGINT"),
    "HOUR": ("to_hours", 1, "BIGINT"),
    "DAY": ("to_days", 1, "INTEGER"),
    "WEEK": ("to_days", 7, "INTEGER"),
    "MONTH": ("to_months", 1, "INTEGER"),
    "QUARTER": ("to_months", 3, "INTEGER"),
    "YEAR": ("to_months", 12, "INTEGER"),
}
CLOCK = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR")
CALENDAR = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
OFFSET_ZONE = re.compile(r"[+-]\d{1,2}(:\d{2})?")


def date_part(node: exp.Expr) -> tuple[str, int | None]:
    """A date part, and for weeks the day that they start on (0 is Sunday)."""
    name = node.name.upper()
    if isinstance(node, exp.Anonymous) and name == "WEEK" and len(node.expressions) == 1:
        day = node.expressions[0].name.upper()
        if day not in WEEKDAYS:
            raise refuse(node, f"{day} is no day of the week")
        return "WEEK", WEEKDAYS.index(day)
    if isinstance(node, exp.Column | exp.Var):
        return ("WEEK", 1) if name == "ISOWEEK" else (name, 0 if name == "WEEK" else None)
    raise refuse(node, "a date part such as HOUR or DAY must stand here")


def moment(node: exp.Expr, kind: str, rewrite: Rewrite) -> exp.Expr:
    """A value of a type, into which BigQuery turns a string literal by itself."""
    if literal_text(node) is not None and kind != "TIME":
        return moment_literal(node, TYPES[kind])
    return rewrite(node)


def zone_name(node: exp.Expr) -> str:
    """The time zone that a literal names.

    Raises:
        QueryError: it is no literal.
    """
    text = literal_text(node)
    if text is None:
        raise refuse(node, "the local store needs the time zone as a literal, like 'Europe/Paris'")
    return text


def offset_minutes(zone: str) -> int | None:
    """Minutes east of Greenwich of a zone like +05:30; None for a name."""
    if not OFFSET_ZONE.fullmatch(zone):
        return None
    hours, _, minutes = zone[1:].partition(":")
    return (int(hours) * 60 + int(minutes or 0)) * (-1 if zone[0] == "-" else 1)


def to_local(value: exp.Expr, zone: str) -> exp.Expr:
    """A TIMESTAMP as the local time of a zone."""
    minutes = offset_minutes(zone)
    if minutes is None:
        return call("bq_local", value, zone)
    utc = call("bq_local", value, "UTC")
    return call("bq_datetime_shift", utc, call("to_minutes", minutes))


def from_local(value: exp.Expr, zone: str) -> exp.Expr:
    """The TIMESTAMP of a local time of a zone."""
    minutes = offset_minutes(zone)
    if minutes is None:
        return call("bq_from_local", value, zone)
    utc = call("bq_from_local", value, "UTC")
    return call("bq_timestamp_shift", utc, call("to_minutes", -minutes))


def interval(node: exp.Interval, rewrite: Rewrite) -> exp.Expr:
    """INTERVAL n PART."""
    unit = node.args.get("unit")
    if not isinstance(unit, exp.Var) or unit.name.upper() not in SPANS:
        raise refuse(node, "the local store supports INTERVAL with one part, like INTERVAL 3 HOUR")
    function, factor, kind = SPANS[unit.name.upper()]
    text = literal_text(node.this)
    if text is not None and not re.fullmatch(r"[+-]?\d+", text):
        raise refuse(node, "the local store supports INTERVAL with a whole number of one part")
    number = rewrite(node.this) if text is None else exp.Literal.number(int(text))
    if factor != 1:
        number = exp.Mul(this=exp.Paren(this=number), expression=exp.Literal.number(factor))
    return call(function, cast(number, kind))


def extract(node: exp.Extract, rewrite: Rewrite) -> exp.Expr:
    """EXTRACT(part FROM value [AT TIME ZONE zone])."""
    part, week_start = date_part(node.this)
    iso_week = node.this.name.upper() == "ISOWEEK"
    value = node.expression
    if isinstance(value, exp.AtTimeZone):
        value = to_local(moment(value.this, "TIMESTAMP", rewrite), zone_name(value.args["zone"]))
    else:
        value = rewrite(value)
    if part in {"DATE", "TIME", "DATETIME"}:
        return call(f"bq_to_{part.lower()}", value)
    if part in {"HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"}:
        number: exp.Expr = call("date_part", part.lower(), call("bq_clock", value))
        if part in {"MILLISECOND", "MICROSECOND"}:
            # DuckDB counts the seconds in.
            turn = exp.Literal.number(1000 if part == "MILLISECOND" else 1_000_000)
            number = exp.Paren(this=exp.Mod(this=number, expression=turn))
        return number
    dated = call("bq_dated", value)
    if iso_week:
        return call("date_part", "week", dated)
    if part == "WEEK":
        return call("bq_week_number", week_start or 0, dated)
    if part == "DAYOFWEEK":
        weekday = call("date_part", "dow", dated)
        return exp.Paren(this=exp.Add(this=weekday, expression=exp.Literal.number(1)))
    names = {"DAYOFYEAR": "doy", "YEAR": "year", "QUARTER": "quarter", "MONTH": "month"}
    names |= {"DAY": "day", "ISOYEAR": "isoyear"}
    if part not in names:
        raise refuse(node, f"EXTRACT has no part {part}")
    return call("date_part", names[part], dated)
