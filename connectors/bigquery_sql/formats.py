"""Format strings: BigQuery's elements of dates and of FORMAT, written with DuckDB's functions."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from connectors.bigquery_sql.calls import call, cast, refuse

__all__ = ["format_moment", "format_values", "parse_format"]

STRFTIME = {
    **{code: f"%{code}" for code in "AaBbdGHIjMmpSUuVWwYy"},
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "h": "%b",
    "R": "%H:%M",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "x": "%m/%d/%y",
    "n": "\n",
    "t": "\t",
    "%": "%%",
    "E4Y": "%Y",
    "E3S": "%S.%g",
    "E6S": "%S.%f",
}
"""Elements of BigQuery whose text DuckDB's strftime gives by these of its own."""

FULL = "%a %b %e %H:%M:%S %Y"
UTC = {"Z": "UTC", "z": "+0000", "Ez": "+00:00"}
DATE_CODES = frozenset("AaBbCDdeFGghJjmnQtUuVWwxYy%") | {"E4Y"}
PARSE = {**{code: f"%{code}" for code in "AaBbdHIjMmpSYy"}, "F": "%Y-%m-%d", "T": "%H:%M:%S"}
PARSE |= {"R": "%H:%M", "D": "%m/%d/%y", "h": "%b", "%": "%%", "E4Y": "%Y"}

ELEMENT = re.compile(r"%(E(?:\d|\*)S|E4Y|Ez|.)", re.DOTALL)
SPECIFIER = re.compile(r"%([-+ 0#]*)(\d*)(\.\d+)?([a-zA-Z%'])")


def _padded(part: str, value: exp.Expr) -> exp.Expr:
    """A part of one or two digits, padded with a space."""
    return call("lpad", cast(call("date_part", part, value.copy()), "VARCHAR"), 2, " ")


def _seconds(value: exp.Expr) -> exp.Expr:
    """Seconds since 1970."""
    return cast(cast(call("floor", call("epoch", value.copy())), "BIGINT"), "VARCHAR")


COMPUTED: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "e": lambda value: _padded("day", value),
    "k": lambda value: _padded("hour", value),
    "Q": lambda value: cast(call("date_part", "quarter", value.copy()), "VARCHAR"),
    "P": lambda value: call("lower", call("strftime", value.copy(), "%p")),
    "s": _seconds,
}
"""Elements for which strftime has nothing."""


def format_moment(node: exp.Expr, pattern: str, value: exp.Expr, kind: str) -> exp.Expr:
    """The text of a DATE, DATETIME or TIMESTAMP.

    Args:
        node: the call, for the place of an error.
        pattern: BigQuery's format string.
        value: a DATE, or a local time without zone.
        kind: "DATE", "DATETIME", "TIMESTAMP", or "LOCAL" for a TIMESTAMP in a named zone.

    Raises:
        QueryError: an element is unknown or has no counterpart.
    """

    def strftime(text: str) -> list[exp.Expr]:
        return [call("strftime", value.copy(), text)] if text else []

    pieces: list[exp.Expr] = []
    text = ""
    end = 0
    pattern = ELEMENT.sub(lambda match: FULL if match[1] == "c" else match[0], pattern)
    if "%" in ELEMENT.sub("", pattern):
        raise refuse(node, "the format string ends in a lone %")
    for match in ELEMENT.finditer(pattern):
        text += pattern[end : match.start()]
        end = match.end()
        code = match[1]
        if kind == "DATE" and code not in DATE_CODES:
            raise refuse(node, f"a DATE has no format element %{code}")
        if code in STRFTIME:
            text += STRFTIME[code]
        elif code in UTC and kind == "TIMESTAMP":
            text += UTC[code]
        elif code in COMPUTED and (code != "s" or kind == "TIMESTAMP"):
            pieces += [*strftime(text), COMPUTED[code](value)]
            text = ""
        else:
            raise refuse(node, f"the local store does not support the format element %{code}")
    return joined([*pieces, *strftime(text + pattern[end:])] or [exp.Literal.string("")])


def parse_format(node: exp.Expr, pattern: str, needed: str) -> str:
    """DuckDB's strptime format for BigQuery's.

    Args:
        node: the call, for the place of an error.
        pattern: BigQuery's format string.
        needed: elements of DuckDB that must be there: what is not given is 1970 in BigQuery and
            another year in DuckDB.

    Raises:
        QueryError: an element has no counterpart, or a needed one is missing.
    """
    for match in ELEMENT.finditer(pattern):
        if match[1] not in PARSE:
            msg = f"the local store does not support the format element %{match[1]} for parsing"
            raise refuse(node, msg)
    text = ELEMENT.sub(lambda match: PARSE[match[1]], pattern)
    missing = [code for code in re.findall("%.", needed) if code not in text]
    if missing:
        raise refuse(node, f"the format must have {', '.join(missing)} in the local store")
    return text


def format_values(node: exp.Expr, pattern: str, values: list[exp.Expr]) -> exp.Expr:
    """FORMAT(pattern, values…).

    Raises:
        QueryError: a specifier is unknown, or there are more or fewer of them than values.
    """
    if "%" in SPECIFIER.sub("", pattern):
        raise refuse(node, f"FORMAT cannot read {pattern!r}")
    pieces: list[exp.Expr] = []
    left = list(values)
    end = 0
    for match in SPECIFIER.finditer(pattern):
        pieces.append(exp.Literal.string(pattern[end : match.start()]))
        end = match.end()
        if match[0] == "%%":
            pieces.append(exp.Literal.string("%"))
            continue
        if not left:
            raise refuse(node, f"FORMAT has no value for {match[0]}")
        pieces.append(_specified(node, match, left.pop(0)))
    if left:
        raise refuse(node, f"FORMAT has {len(left)} values more than specifiers")
    return joined([*pieces, exp.Literal.string(pattern[end:])])


def _specified(node: exp.Expr, match: re.Match[str], value: exp.Expr) -> exp.Expr:
    """A value as its specifier says."""
    flags, width, precision, kind = match.groups()
    if kind in {"d", "i", "x", "X", "o"} and not precision:
        return call("printf", f"%{flags}{width}{'d' if kind == 'i' else kind}", value)
    if kind in {"f", "F", "e", "E", "g", "G"}:
        return call("printf", match[0], cast(value, "DOUBLE"))
    if kind in {"s", "t"} and not flags.strip("-") and not precision:
        text = call("bq_string", value) if kind == "s" else call("bq_to_string", value)
        if kind == "t":
            text = call("coalesce", text, "NULL")
        if width:
            side = "rpad" if "-" in flags else "lpad"
            room = cast(call("greatest", int(width), call("length", text.copy())), "INTEGER")
            return call(side, text, room, " ")
        return text
    raise refuse(node, f"the local store does not support {match[0]} in FORMAT")


def joined(pieces: list[exp.Expr]) -> exp.Expr:
    """The texts one after the other; NULL where one is NULL."""
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = exp.DPipe(this=whole, expression=piece)
    return exp.Paren(this=whole) if len(pieces) > 1 else whole
