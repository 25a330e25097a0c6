"""Functions of dates and times: BigQuery's for DuckDB."""

from __future__ import annotations

from sqlglot import exp

from connectors.bigquery_sql.calls import (
    Builder,
    Rewrite,
    arguments,
    call,
    cast,
    literal_text,
    refuse,
)
from connectors.bigquery_sql.formats import format_moment, parse_format
from connectors.bigquery_sql.parts import (
    CALENDAR,
    CLOCK,
    TYPES,
    UNITS,
    date_part,
    from_local,
    interval,
    moment,
    offset_minutes,
    to_local,
    zone_name,
)

__all__ = ["MOMENTS"]


def _is_date(node: exp.Expr) -> bool:
    """Whether a value is a DATE by its look; DuckDB cannot tell where an aggregate is inside."""
    if isinstance(node, exp.Cast):
        return bool(node.to.this == exp.DType.DATE)
    if isinstance(node, exp.Extract):
        return node.name.upper() == "DATE"
    dates = {"DATE", "DATE_ADD", "DATE_SUB", "DATE_TRUNC", "LAST_DAY", "CURRENT_DATE", "PARSE_DATE"}
    return literal_text(node) is not None or (
        isinstance(node, exp.Anonymous) and node.name.upper() in dates
    )


def _truncate(kind: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 2, 3 if kind in {"TIMESTAMP", "DATE"} else 2)
        part, week_start = date_part(given[1])
        allowed = {
            "DATE": (*CALENDAR, "ISOYEAR", *CLOCK),
            "TIME": CLOCK,
        }.get(kind, (*CLOCK, *CALENDAR, "ISOYEAR"))
        if part not in allowed:
            raise refuse(given[1], f"{kind}_TRUNC has no part {part}")
        value = moment(given[0], kind, rewrite)
        prefix = f"bq_{kind.lower()}"
        if kind == "DATE" and not _is_date(given[0]):
            prefix = "bq_any"

        def cut(prefix: str, value: exp.Expr) -> exp.Expr:
            if week_start is not None:
                return call(f"{prefix}_week", (8 - week_start) % 7, value)
            return call(f"{prefix}_trunc", part.lower(), value)

        if len(given) < 3:
            return cut(prefix, value)
        zone = zone_name(given[2])
        if part in CLOCK and offset_minutes(zone) is None:
            return call("bq_cut_local", part.lower(), value, zone)
        return from_local(cut("bq_datetime", to_local(value, zone)), zone)

    return build


def _shift(kind: str, sign: int) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 2, 2)
        span = given[1]
        if not isinstance(span, exp.Interval):
            raise refuse(node, f"{node.name.upper()} needs an INTERVAL, like INTERVAL 3 HOUR")
        part = span.args["unit"].name.upper() if span.args.get("unit") else ""
        allowed = {"DATE": CALENDAR, "TIMESTAMP": (*CLOCK, "DAY")}.get(kind, (*CLOCK, *CALENDAR))
        if part not in allowed:
            raise refuse(node, f"{node.name.upper()} takes no INTERVAL of {part or 'this kind'}")
        amount = interval(span, rewrite)
        if sign < 0:
            amount.expressions[0].set(
                "this", exp.Neg(this=exp.Paren(this=amount.expressions[0].this))
            )
        return call(f"bq_{kind.lower()}_shift", moment(given[0], kind, rewrite), amount)

    return build


def _difference(kind: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 3, 3)
        part, week_start = date_part(given[2])
        a, b = (moment(value, kind, rewrite) for value in given[:2])
        if kind == "TIMESTAMP":
            if part not in UNITS:
                raise refuse(given[2], f"TIMESTAMP_DIFF has no part {part}")
            return call("bq_units", a, b, UNITS[part])
        name = f"bq_{kind.lower()}"
        if week_start is not None:
            return call(f"{name}_weeks", a, b, (8 - week_start) % 7)
        if part == "ISOYEAR":
            return call("bq_iso_years", a, b)
        if part not in CALENDAR and (kind == "DATE" or part not in CLOCK):
            raise refuse(given[2], f"{kind}_DIFF has no part {part}")
        return call(f"{name}_units", a, b, part.lower())

    return build


def _make(kind: str) -> Builder:
    """DATE(…), DATETIME(…), TIME(…) and TIMESTAMP(…)."""

    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        most = {"DATE": 3, "TIME": 3, "DATETIME": 6, "TIMESTAMP": 2}[kind]
        given = arguments(node, 1, most)
        name = f"bq_to_{kind.lower()}"
        if len(given) == 1:
            return call(name, moment(given[0], kind, rewrite))
        if len(given) == 2 and kind == "TIMESTAMP":
            return from_local(rewrite(given[0]), zone_name(given[1]))
        if len(given) == 2:
            local = to_local(moment(given[0], "TIMESTAMP", rewrite), zone_name(given[1]))
            return call(name, local)
        if len(given) != most:
            raise refuse(node, f"{kind} takes 1, 2 or {most} arguments, here are {len(given)}")
        return call(name, *[rewrite(value) for value in given])

    return build


def _format(kind: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 2, 3 if kind == "TIMESTAMP" else 2)
        pattern = literal_text(given[0])
        if pattern is None:
            raise refuse(node, "the local store needs the format as a literal")
        value = moment(given[1], kind, rewrite)
        if kind == "TIMESTAMP":
            zone = zone_name(given[2]) if len(given) == 3 else "UTC"
            local = "TIMESTAMP" if zone == "UTC" else "LOCAL"
            return format_moment(node, pattern, to_local(value, zone), local)
        checked = {"DATE": "bq_day", "DATETIME": "bq_civil"}[kind]
        return format_moment(node, pattern, call(checked, value), kind)

    return build


def _parse(kind: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 2, 3 if kind == "TIMESTAMP" else 2)
        pattern = literal_text(given[0])
        if pattern is None:
            raise refuse(node, "the local store needs the format as a literal")
        moment = call(
            "strptime",
            call("bq_string", rewrite(given[1])),
            parse_format(node, pattern, "%Y%m%d"),
        )
        if kind == "DATE":
            return cast(moment, "DATE")
        if kind == "DATETIME":
            return cast(moment, "TIMESTAMP")
        return from_local(moment, zone_name(given[2]) if len(given) == 3 else "UTC")

    return build


def _one(macro: str, kind: str, *more: int) -> Builder:
    """A function of one value of a type."""

    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        (value,) = arguments(node, 1, 1)
        value = moment(value, kind, rewrite) if kind else rewrite(value)
        return call(macro, value, *more)

    return build


def _now(kind: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:  # noqa: ARG001
        given = arguments(node, 0, 0 if kind == "TIMESTAMP" else 1)
        now: exp.Expr = call("now")
        if kind == "TIMESTAMP":
            return now
        return call(f"bq_to_{kind.lower()}", to_local(now, zone_name(given[0]) if given else "UTC"))

    return build


def _series(kind: str) -> Builder:
    """GENERATE_DATE_ARRAY and GENERATE_TIMESTAMP_ARRAY."""

    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given = arguments(node, 2 if kind == "DATE" else 3, 3)
        ends = [moment(value, kind, rewrite) for value in given[:2]]
        span: exp.Expr = call("to_days", 1)
        if len(given) == 3:
            if not isinstance(given[2], exp.Interval):
                raise refuse(node, f"{node.name.upper()} needs an INTERVAL, like INTERVAL 1 DAY")
            span = interval(given[2], rewrite)
        return call(f"bq_generate_{kind.lower()}_array", *ends, span)

    return build


MOMENTS: dict[str, Builder] = {
    **{f"{kind}_TRUNC": _truncate(kind) for kind in TYPES},
    **{f"{kind}_ADD": _shift(kind, 1) for kind in ("DATE", "DATETIME", "TIMESTAMP")},
    **{f"{kind}_SUB": _shift(kind, -1) for kind in ("DATE", "DATETIME", "TIMESTAMP")},
    **{f"{kind}_DIFF": _difference(kind) for kind in ("DATE", "DATETIME", "TIMESTAMP")},
    **{kind: _make(kind) for kind in TYPES},
    **{f"FORMAT_{kind}": _format(kind) for kind in ("DATE", "DATETIME", "TIMESTAMP")},
    **{f"PARSE_{kind}": _parse(kind) for kind in ("DATE", "DATETIME", "TIMESTAMP")},
    **{f"CURRENT_{kind}": _now(kind) for kind in TYPES},
    **{f"GENERATE_{kind}_ARRAY": _series(kind) for kind in ("DATE", "TIMESTAMP")},
    "UNIX_SECONDS": _one("bq_unix", "TIMESTAMP", 1_000_000),
    "UNIX_MILLIS": _one("bq_unix", "TIMESTAMP", 1000),
    "UNIX_MICROS": _one("bq_unix", "TIMESTAMP", 1),
    "UNIX_DATE": _one("bq_unix_date", "DATE"),
    "TIMESTAMP_SECONDS": _one("bq_from_unix", "", 1_000_000),
    "TIMESTAMP_MILLIS": _one("bq_from_unix", "", 1000),
    "TIMESTAMP_MICROS": _one("bq_from_unix", "", 1),
    "DATE_FROM_UNIX_DATE": _one("bq_from_unix_date", ""),
    "LAST_DAY": _one("bq_last_day", "DATE"),
}
"""Builders by BigQuery's name."""
