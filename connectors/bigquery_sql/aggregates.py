"""Aggregate and window functions of BigQuery, each as DuckDB's with the same meaning."""

from __future__ import annotations

from sqlglot import exp

from connectors.bigquery_sql.calls import (
    Builder,
    Rewrite,
    call,
    check_number,
    literal_int,
    plain,
    refuse,
)

__all__ = ["AGGREGATES"]

SAME = {
    # BigQuery's name: DuckDB's name, number of arguments
    "SUM": ("sum", 1),
    "AVG": ("avg", 1),
    "MIN": ("min", 1),
    "MAX": ("max", 1),
    "STDDEV": ("stddev_samp", 1),
    "STDDEV_SAMP": ("stddev_samp", 1),
    "STDDEV_POP": ("stddev_pop", 1),
    "VARIANCE": ("var_samp", 1),
    "VAR_SAMP": ("var_samp", 1),
    "VAR_POP": ("var_pop", 1),
    "LOGICAL_AND": ("bool_and", 1),
    "LOGICAL_OR": ("bool_or", 1),
    "BIT_AND": ("bit_and", 1),
    "BIT_OR": ("bit_or", 1),
    "BIT_XOR": ("bit_xor", 1),
}

MAX_QUANTILES = 10_000

WINDOW_ONLY = {
    # name: least and most arguments
    "ROW_NUMBER": (0, 0),
    "RANK": (0, 0),
    "DENSE_RANK": (0, 0),
    "PERCENT_RANK": (0, 0),
    "CUME_DIST": (0, 0),
    "NTILE": (1, 1),
    "LAG": (1, 3),
    "LEAD": (1, 3),
    "FIRST_VALUE": (1, 1),
    "LAST_VALUE": (1, 1),
    "NTH_VALUE": (2, 2),
}


def _aggregate(
    name: str,
    values: list[exp.Expr],
    distinct: bool,
    order: exp.Order | None,
    rewrite: Rewrite,
) -> exp.Anonymous:
    """`name([DISTINCT] values [ORDER BY …])`, all of it translated."""
    inner = [rewrite(value) for value in values]
    if distinct:
        inner = [exp.Distinct(expressions=inner)]
    if order is not None:
        keys = [rewrite(key) for key in order.expressions]
        inner[-1] = exp.Order(this=inner[-1], expressions=keys)
    return exp.Anonymous(this=name, expressions=inner)


def _same(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    name, count = SAME[node.name.upper()]
    given, modifiers = plain(node, "distinct")
    check_number(node, len(given), count, count)
    return _aggregate(name, given, modifiers.distinct, None, rewrite)


def _count(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, modifiers = plain(node, "distinct")
    check_number(node, len(given), 1, 1)
    return _aggregate("count", given, modifiers.distinct, None, rewrite)


def _count_if(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, _ = plain(node)
    check_number(node, len(given), 1, 1)
    # DuckDB's count_if gives a wider integer, which would stay visible.
    condition = exp.Where(this=rewrite(given[0]))
    return exp.Filter(this=call("count", exp.Star()), expression=condition)


def _approximate_count(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, _ = plain(node)
    check_number(node, len(given), 1, 1)
    return _aggregate("count", given, distinct=True, order=None, rewrite=rewrite)


def _pairs(name: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given, _ = plain(node)
        check_number(node, len(given), 2, 2)
        pair = [rewrite(value) for value in given]
        if name == "corr":
            # BigQuery has no correlation of a single pair, DuckDB calls it not a number.
            if isinstance(node.parent, exp.Window):
                raise refuse(node, "the local store does not support CORR as a window function")
            several = exp.GT(
                this=call("regr_count", *[value.copy() for value in pair]),
                expression=exp.Literal.number(1),
            )
            return exp.Case(ifs=[exp.If(this=several, true=call(name, *pair))])
        return call(name, *pair)

    return build


def _extreme(name: str) -> Builder:
    """MAX_BY and MIN_BY: a value may be NULL where the measure is greatest."""

    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given, _ = plain(node)
        check_number(node, len(given), 2, 2)
        return call(name, *[rewrite(value) for value in given])

    return build


def _any_value(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, modifiers = plain(node, "having")
    check_number(node, len(given), 1, 1)
    if modifiers.having is None:
        return call("any_value", rewrite(given[0]))
    name = "arg_max_null" if modifiers.having.args.get("max") else "arg_min_null"
    return call(name, rewrite(given[0]), rewrite(modifiers.having.expression))


def _first_of(array: exp.Expr, limit: exp.Expr | None, node: exp.Anonymous) -> exp.Expr:
    if limit is None:
        return array
    if isinstance(node.parent, exp.Window):
        raise refuse(node, f"{node.name.upper()} with LIMIT cannot be a window function")
    return call("list_slice", array, exp.Literal.number(1), limit.copy())


def _present(value: exp.Expr, rewrite: Rewrite) -> exp.Where:
    """The condition that an aggregated value is not NULL."""
    absent = exp.Is(this=rewrite(value.copy()), expression=exp.Null())
    return exp.Where(this=exp.Not(this=exp.Paren(this=absent)))


def _array_agg(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, modifiers = plain(node, "distinct nulls order limit")
    check_number(node, len(given), 1, 1)
    present = _present(given[0], rewrite)
    array: exp.Expr = _aggregate("array_agg", given, modifiers.distinct, modifiers.order, rewrite)
    if modifiers.nulls == "ignore":
        array = exp.Filter(this=array, expression=present)
    return _first_of(array, modifiers.limit, node)


def _string_agg(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, modifiers = plain(node, "distinct order limit")
    check_number(node, len(given), 1, 2)
    separator = rewrite(given[1]) if len(given) == 2 else exp.Literal.string(",")
    present = _present(given[0], rewrite)
    name = "string_agg" if modifiers.limit is None else "array_agg"
    texts = _aggregate(name, given[:1], modifiers.distinct, modifiers.order, rewrite)
    if modifiers.limit is None:
        # The separator stands between the texts and their order.
        value = texts.expressions[-1]
        order = value if isinstance(value, exp.Order) else None
        first = order.this if order is not None else value
        last = exp.Order(this=separator, expressions=order.expressions) if order else separator
        return exp.Anonymous(this=name, expressions=[first, last])
    filtered = exp.Filter(this=texts, expression=present)
    return call("array_to_string", _first_of(filtered, modifiers.limit, node), separator)


def _quantiles(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    given, modifiers = plain(node, "distinct")
    check_number(node, len(given), 2, 2)
    number = literal_int(given[1])
    if number is None or not 1 <= number <= MAX_QUANTILES:
        raise refuse(node, f"the number of APPROX_QUANTILES must be from 1 to {MAX_QUANTILES}")
    shares = exp.Array(
        expressions=[exp.Literal.number(f"{i / number!r}e0") for i in range(number + 1)]
    )
    values: list[exp.Expr] = [rewrite(given[0])]
    if modifiers.distinct:
        values = [exp.Distinct(expressions=values)]
    return exp.Anonymous(this="quantile_disc", expressions=[*values, shares])


def _percentile(name: str) -> Builder:
    def build(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
        given, _ = plain(node)
        check_number(node, len(given), 2, 2)
        if not isinstance(node.parent, exp.Window):
            raise refuse(node, f"{node.name.upper()} needs OVER (…), or use APPROX_QUANTILES")
        return call(name, rewrite(given[0]), rewrite(given[1]))

    return build


def _window_only(node: exp.Anonymous, rewrite: Rewrite) -> exp.Expr:
    name = node.name.upper()
    given, modifiers = plain(node, "nulls" if name.endswith(("_VALUE", "LAG", "LEAD")) else "")
    check_number(node, len(given), *WINDOW_ONLY[name])
    if not isinstance(node.parent, exp.Window | exp.IgnoreNulls | exp.RespectNulls):
        raise refuse(node, f"{name} needs OVER (…)")
    inner = [rewrite(value) for value in given]
    if modifiers.nulls == "ignore":
        inner[-1] = exp.IgnoreNulls(this=inner[-1])
    return exp.Anonymous(this=name.lower(), expressions=inner)


AGGREGATES: dict[str, Builder] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(WINDOW_ONLY, _window_only),
    "COUNT": _count,
    "COUNTIF": _count_if,
    "APPROX_COUNT_DISTINCT": _approximate_count,
    "CORR": _pairs("corr"),
    "COVAR_POP": _pairs("covar_pop"),
    "COVAR_SAMP": _pairs("covar_samp"),
    "MAX_BY": _extreme("arg_max_null"),
    "MIN_BY": _extreme("arg_min_null"),
    "ANY_VALUE": _any_value,
    "ARRAY_AGG": _array_agg,
    "STRING_AGG": _string_agg,
    "APPROX_QUANTILES": _quantiles,
    "PERCENTILE_CONT": _percentile("quantile_cont"),
    "PERCENTILE_DISC": _percentile("quantile_disc"),
}
"""Builders by BigQuery's name."""
