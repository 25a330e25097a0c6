"""What the modules of functions share: how a call is taken apart and put together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from sqlglot import exp

from connectors.bigquery_sql.errors import QueryError
from connectors.bigquery_sql.parse import offset_of

__all__ = [
    "Builder",
    "Modifiers",
    "Rewrite",
    "arguments",
    "call",
    "cast",
    "check_number",
    "literal_int",
    "literal_text",
    "moment_literal",
    "plain",
    "refuse",
]

Rewrite = Callable[[exp.Expr], exp.Expr]
"""Translates a part of the tree."""

Builder = Callable[[exp.Anonymous, Rewrite], exp.Expr]
"""Translates a call, whose arguments are still BigQuery's."""

MOMENT = re.compile(
    r"\s*\d{1,4}-\d{1,2}-\d{1,2}"
    r"([Tt ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{0,6})?)?)?"
    r"\s*(?P<zone>[Zz]|[+-]\d{1,2}(:\d{2})?|[A-Za-z][A-Za-z_]*(/[A-Za-z_+\-0-9]+)*)?\s*"
)


def refuse(node: exp.Expr, reason: str) -> QueryError:
    """The error that says why a part of the query cannot be answered."""
    return QueryError(reason, offset_of(node))


def call(name: str, *arguments: exp.Expr | str | int) -> exp.Anonymous:
    """A call of a DuckDB function; texts and numbers become literals."""
    return exp.Anonymous(
        this=name,
        expressions=[
            exp.Literal.string(argument)
            if isinstance(argument, str)
            else exp.Literal.number(argument)
            if isinstance(argument, int)
            else argument
            for argument in arguments
        ],
    )


def cast(value: exp.Expr, to: str) -> exp.Cast:
    """CAST to a type that DuckDB names so."""
    return exp.Cast(this=value, to=exp.DataType.build(to, dialect="duckdb"))


def arguments(node: exp.Anonymous, least: int, most: int | None) -> list[exp.Expr]:
    """The arguments of a call, which must be so many.

    Raises:
        QueryError: they are fewer or more.
    """
    check_number(node, len(node.expressions), least, most)
    return list(node.expressions)


def check_number(node: exp.Anonymous, number: int, least: int, most: int | None) -> None:
    """Makes sure that a function has as many arguments as it takes.

    Raises:
        QueryError: they are fewer or more.
    """
    if least <= number <= (number if most is None else most):
        return
    expected = f"{least} or more" if most is None else f"{least} to {most}"
    noun = "arguments"
    if most == least:
        expected = str(least)
        noun = "argument" if least == 1 else noun
    raise refuse(node, f"{node.name.upper()} takes {expected} {noun}, here are {number}")


def literal_text(node: exp.Expr) -> str | None:
    """The value of a string literal; None for anything else."""
    if isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string):
        return str(node.this)
    return None


def literal_int(node: exp.Expr) -> int | None:
    """The value of an integer literal; None for anything else."""
    if isinstance(node, exp.Neg):
        value = literal_int(node.this)
        return None if value is None else -value
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return int(node.this)
    return None


def moment_literal(node: exp.Expr, to: str) -> exp.Expr:
    """A string literal as a DATE, DATETIME ("TIMESTAMP") or TIMESTAMP ("TIMESTAMPTZ") of DuckDB.

    Raises:
        QueryError: the text is none.
    """
    text = literal_text(node) or ""
    match = MOMENT.fullmatch(text)
    start = node.meta.get("start")
    name = {"DATE": "DATE", "TIMESTAMP": "DATETIME", "TIMESTAMPTZ": "TIMESTAMP"}[to]
    if not match or (match["zone"] and to != "TIMESTAMPTZ"):
        raise refuse(node, f"'{text}' is not a {name}; write it like 2019-02-19 14:00:00")
    zone = match["zone"] or ""
    text = text.strip()
    if zone:
        # DuckDB wants Z as a capital, two digits of offset and a space before a name.
        local = text[: -len(zone)].rstrip()
        hours, _, minutes = zone[1:].partition(":")
        if ":" not in local:
            local += " 00:00:00"
        if zone in "Zz":
            text = f"{local}Z"
        elif zone[0] in "+-":
            text = f"{local}{zone[0]}{int(hours):02}:{minutes or '00'}"
        else:
            text = f"{local} {zone}"
    moment = cast(exp.Literal.string(text), to)
    if start is not None:
        moment.meta["start"] = start
    return moment


@dataclasses.dataclass
class Modifiers:
    """What may stand in a call of an aggregate beside its arguments."""

    distinct: bool = False
    nulls: str | None = None
    order: exp.Order | None = None
    limit: exp.Expr | None = None
    having: exp.HavingMax | None = None


def plain(node: exp.Anonymous, allowed: str = "") -> tuple[list[exp.Expr], Modifiers]:
    """Separates the arguments of an aggregate from its modifiers.

    Args:
        node: the call.
        allowed: names of the modifiers that the function takes.

    Raises:
        QueryError: the function does not take a modifier that is there.
    """
    found = Modifiers()
    given: list[exp.Expr] = list(node.expressions)
    while given:
        last = given[-1]
        if isinstance(last, exp.Limit):
            found.limit = last.expression
        elif isinstance(last, exp.Order):
            found.order = last
        elif isinstance(last, exp.IgnoreNulls | exp.RespectNulls):
            found.nulls = "ignore" if isinstance(last, exp.IgnoreNulls) else "respect"
        elif isinstance(last, exp.HavingMax):
            found.having = last
        elif isinstance(last, exp.Distinct):
            found.distinct = True
            given[-1:] = last.expressions
            break
        else:
            break
        given[-1] = last.this
    for name, value in dataclasses.asdict(found).items():
        if value and name not in allowed.split():
            clause = {"nulls": "IGNORE NULLS or RESPECT NULLS", "having": "HAVING MAX or MIN"}
            spelled = clause.get(name, name.upper().replace("ORDER", "ORDER BY"))
            raise refuse(node, f"the local store does not support {spelled} in {node.name.upper()}")
    return given, found
