"""The functions of BigQuery that the local store knows; every other is refused by name."""

from __future__ import annotations

import difflib
import re

from sqlglot import exp

from connectors.bigquery_sql.aggregates import AGGREGATES
from connectors.bigquery_sql.calls import (
    Builder,
    Rewrite,
    arguments,
    call,
    cast,
    literal_text,
    refuse,
)
from connectors.bigquery_sql.formats import format_values, joined
from connectors.bigquery_sql.moments import MOMENTS

__all__ = ["FUNCTIONS", "translate_call"]

DIRECT = {
    # BigQuery's name: DuckDB's function or our macro, least and most arguments
    "ABS": ("abs", 1, 1),
    "SIGN": ("bq_sign", 1, 1),
    "ROUND": ("bq_round", 1, 2),
    "TRUNC": ("bq_trunc_number", 1, 2),
    "CEIL": ("bq_ceil", 1, 1),
    "CEILING": ("bq_ceil", 1, 1),
    "FLOOR": ("bq_floor", 1, 1),
    "SQRT": ("bq_sqrt", 1, 1),
    "EXP": ("bq_exp", 1, 1),
    "LN": ("bq_ln", 1, 1),
    "LOG": ("bq_log", 1, 2),
    "LOG10": ("bq_log10", 1, 1),
    "POW": ("bq_pow", 2, 2),
    "POWER": ("bq_pow", 2, 2),
    "DIV": ("bq_div", 2, 2),
    "MOD": ("bq_mod", 2, 2),
    "SAFE_DIVIDE": ("bq_safe_divide", 2, 2),
    "IEEE_DIVIDE": ("bq_ieee_divide", 2, 2),
    "IS_NAN": ("bq_is_nan", 1, 1),
    "IS_INF": ("bq_is_inf", 1, 1),
    **{name: (name.lower(), 1, 1) for name in ("SIN", "COS", "TAN", "ATAN", "SINH", "COSH")},
    "ATAN2": ("atan2", 2, 2),
    "RAND": ("random", 0, 0),
    "COALESCE": ("coalesce", 1, None),
    "IFNULL": ("coalesce", 2, 2),
    "NULLIF": ("nullif", 2, 2),
    "LENGTH": ("bq_length", 1, 1),
    "CHAR_LENGTH": ("bq_length", 1, 1),
    "CHARACTER_LENGTH": ("bq_length", 1, 1),
    "BYTE_LENGTH": ("bq_byte_length", 1, 1),
    "OCTET_LENGTH": ("bq_byte_length", 1, 1),
    "UPPER": ("bq_upper", 1, 1),
    "LOWER": ("bq_lower", 1, 1),
    "SUBSTR": ("bq_substr", 2, 3),
    "SUBSTRING": ("bq_substr", 2, 3),
    "LEFT": ("bq_left", 2, 2),
    "RIGHT": ("bq_right", 2, 2),
    "STRPOS": ("bq_strpos", 2, 2),
    "STARTS_WITH": ("bq_starts_with", 2, 2),
    "ENDS_WITH": ("bq_ends_with", 2, 2),
    "REPLACE": ("bq_replace", 3, 3),
    "TRIM": ("bq_trim", 1, 2),
    "LTRIM": ("bq_ltrim", 1, 2),
    "RTRIM": ("bq_rtrim", 1, 2),
    "LPAD": ("bq_lpad", 2, 3),
    "RPAD": ("bq_rpad", 2, 3),
    "REPEAT": ("bq_repeat", 2, 2),
    "SPLIT": ("bq_split", 1, 2),
    "CONTAINS_SUBSTR": ("bq_contains_substr", 2, 2),
    "REGEXP_CONTAINS": ("bq_regexp_contains", 2, 2),
    "REGEXP_REPLACE": ("bq_regexp_replace", 3, 3),
    "STRING": ("bq_to_string", 1, 1),
    "ARRAY_LENGTH": ("len", 1, 1),
    "ARRAY_CONCAT": ("list_concat", 1, None),
    "ARRAY_REVERSE": ("list_reverse", 1, 1),
    "ARRAY_TO_STRING": ("array_to_string", 2, 2),
    "GENERATE_ARRAY": ("bq_generate_array", 2, 3),
}

JSON_PATH = re.compile(r"\$(\.[A-Za-z_]\w*|\[\d+\]|\.\"[^\"*]+\")*")


def _direct(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    name, least, most = DIRECT[node.name.upper()]
    return call(name, *[rewrite(value) for value in arguments(node, least, most)])


def _concat(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    return joined([call("bq_string", rewrite(value)) for value in arguments(node, 1, None)])


def _extreme(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    """GREATEST and LEAST, which are NULL where one value is."""
    values = [rewrite(value) for value in arguments(node, 1, None)]
    absent: exp.Expr = exp.Is(this=values[0].copy(), expression=exp.Null())
    for value in values[1:]:
        absent = exp.Or(this=absent, expression=exp.Is(this=value.copy(), expression=exp.Null()))
    present = exp.Not(this=exp.Paren(this=absent))
    return exp.Case(ifs=[exp.If(this=present, true=call(node.name.lower(), *values))])


def _pattern_part(node: exp.Anonymous) -> int:
    """The part of a match that REGEXP_EXTRACT gives: its only group, or the whole."""
    pattern = literal_text(node.expressions[1])
    if pattern is None:
        raise refuse(node, "the local store needs the regular expression as a literal")
    groups = len(re.findall(r"(?<!\\)(?:\\\\)*\((?!\?(?!P?<))", re.sub(r"\[[^\]]*\]", "", pattern)))
    if groups > 1:
        raise refuse(node, f"the regular expression has {groups} groups; it may have one")
    return groups


def _regexp_extract(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    name = node.name.upper()
    given = arguments(node, 2, 2)
    part = _pattern_part(node)
    macro = "bq_regexp_extract_all" if name == "REGEXP_EXTRACT_ALL" else "bq_regexp_extract"
    return call(macro, *[rewrite(value) for value in given], part)


def _json_value(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given = arguments(node, 1, 2)
    path = literal_text(given[1]) if len(given) == 2 else "$"
    if path is None or not JSON_PATH.fullmatch(path):
        raise refuse(node, "the local store needs a literal JSON path like '$.location.name[0]'")
    return call("bq_json_value", rewrite(given[0]), path)


def _format(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given = arguments(node, 1, None)
    pattern = literal_text(given[0])
    if pattern is None:
        raise refuse(node, "the local store needs the format as a literal")
    return format_values(node, pattern, [rewrite(value) for value in given[1:]])


def _struct(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    fields = []
    for value in node.expressions:
        named = value.this if isinstance(value, exp.Alias) else value
        name = value.alias_or_name if isinstance(value, exp.Alias | exp.Column) else ""
        if not name:
            raise refuse(value, "the local store needs a name for each field of a STRUCT, with AS")
        fields.append(
            exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=rewrite(named))
        )
    return exp.Struct(expressions=fields)


def _safe(operator: type[exp.Binary]) -> Builder:
    """SAFE_ADD and its like: NULL where the result does not fit."""

    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        a, b = (exp.Paren(this=rewrite(value)) for value in arguments(node, 2, 2))
        return call("TRY", operator(this=a, expression=b))

    return build


def _uuid(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:  # noqa: ARG001
    arguments(node, 0, 0)
    return cast(call("uuid"), "VARCHAR")


FUNCTIONS: dict[str, Builder] = {
    **dict.fromkeys(DIRECT, _direct),
    **AGGREGATES,
    **MOMENTS,
    "CONCAT": _concat,
    "GREATEST": _extreme,
    "LEAST": _extreme,
    "REGEXP_EXTRACT": _regexp_extract,
    "REGEXP_SUBSTR": _regexp_extract,
    "REGEXP_EXTRACT_ALL": _regexp_extract,
    "JSON_VALUE": _json_value,
    "JSON_EXTRACT_SCALAR": _json_value,
    "FORMAT": _format,
    "STRUCT": _struct,
    "SAFE_ADD": _safe(exp.Add),
    "SAFE_SUBTRACT": _safe(exp.Sub),
    "SAFE_MULTIPLY": _safe(exp.Mul),
    "GENERATE_UUID": _uuid,
}
"""Builders by BigQuery's name."""


def translate_call(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    """Translates a function call.

    Raises:
        QueryError: the function is unknown, or is called in a way that cannot be translated.
    """
    name = node.name.upper()
    build = FUNCTIONS.get(name)
    if build is None:
        close = difflib.get_close_matches(name, FUNCTIONS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise refuse(node, f"the local store has no function {name}{hint}")
    return build(node, rewrite)
