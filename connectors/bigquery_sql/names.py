"""Names of a query: which table one means, and which expression an alias stands for."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from sqlglot import exp

from connectors.bigquery_sql.calls import refuse

__all__ = ["expand_aliases", "name_columns", "resolve_table"]

SCHEMA = "main"


def resolve_table(table: exp.Table, known: Collection[str]) -> None:
    """Makes a table's name DuckDB's: a query of WITH, or a known table by the last part.

    Args:
        table: changed in place.
        known: names of the tables and views.

    Raises:
        QueryError: there is no such table.
    """
    if not isinstance(table.this, exp.Identifier):
        raise refuse(table, "the local store has no table functions")
    name = table.name
    if not table.db and _is_common(table, name):
        return
    if name not in known:
        common = {cte.alias for with_ in table.root().find_all(exp.With) for cte in with_}
        available = sorted({*known, *common})
        close = difflib.get_close_matches(name.lower(), available, n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        raise refuse(table, f"no table {name}{hint} There are: {', '.join(available)}.")
    # Qualified, it cannot be mistaken for a query of WITH that bears its name.
    table.set("db", exp.to_identifier(SCHEMA))
    table.set("catalog", None)
    table.set("this", exp.to_identifier(name, quoted=True).update_positions(table.this))


def _is_common(table: exp.Table, name: str) -> bool:
    """Whether a query of WITH that is visible here has the name."""
    below: exp.Expr = table
    above = table.parent
    while above is not None:
        with_ = above.args.get("with_") if isinstance(above, exp.Query) else None
        if isinstance(with_, exp.With):
            visible = list(with_.expressions)
            if below is with_ and not with_.recursive:
                own = table.find_ancestor(exp.CTE)
                while own is not None and own.parent is not with_:
                    own = own.find_ancestor(exp.CTE)
                visible = visible[: next(i for i, cte in enumerate(visible) if cte is own)]
            if any(cte.alias.lower() == name.lower() for cte in visible):
                return True
        below, above = above, above.parent
    return False


def expand_aliases(select: exp.Select) -> None:
    """Puts the expressions of the SELECT list where later clauses name their aliases.

    In BigQuery an alias hides a column of the same name in GROUP BY, HAVING, QUALIFY and ORDER BY;
    in DuckDB the column wins: `SELECT TIMESTAMP_TRUNC(hour, DAY) AS hour … GROUP BY hour` would be
    grouped by the hour.

    Args:
        select: changed in place.

    Raises:
        QueryError: an alias that GROUP BY names stands for several expressions.
    """
    aliases: dict[str, exp.Expr] = {}
    twice: set[str] = set()
    for projection in select.expressions:
        name = projection.alias_or_name.lower()
        if isinstance(projection, exp.Alias | exp.Column) and not projection.is_star:
            if name in aliases:
                twice.add(name)
            aliases[name] = projection.unalias()
    for column in _columns_of(select.args.get("group")):
        # Only a name by itself is an alias there, not one inside an expression.
        if isinstance(column.parent, exp.Group | exp.Rollup | exp.Cube | exp.Tuple | exp.Paren):
            if column.name.lower() in twice:
                raise refuse(column, f"{column.name} is ambiguous in GROUP BY")
            _substitute(column, aliases, parenthesis=False)
    for clause in ("having", "qualify"):
        for column in _columns_of(select.args.get(clause)):
            _substitute(column, aliases)
    for column in [] if select.args.get("distinct") else _columns_of(select.args.get("order")):
        if not isinstance(column.parent, exp.Ordered):
            _substitute(column, aliases)


def _columns_of(clause: exp.Expr | None) -> list[exp.Column]:
    """The columns of a clause that bear no table's name, those of subqueries left out."""
    if clause is None:
        return []
    inside = clause.walk(prune=lambda node: isinstance(node, exp.Query))
    return [node for node in inside if isinstance(node, exp.Column) and not node.table]


def _substitute(
    column: exp.Column, aliases: dict[str, exp.Expr], *, parenthesis: bool = True
) -> None:
    expression = aliases.get(column.name.lower())
    if expression is None or expression == column:
        return
    copy = expression.copy()
    simple = isinstance(copy, exp.Column | exp.Anonymous)
    column.replace(exp.Paren(this=copy) if parenthesis and not simple else copy)


def name_columns(select: exp.Select) -> None:
    """Names the columns without a name as BigQuery does: f0_, f1_ and so on."""
    if select.args.get("kind"):
        return
    number = 0
    named = []
    for projection in select.expressions:
        if projection.is_star or isinstance(projection, exp.Alias | exp.Column | exp.Dot):
            named.append(projection)
        else:
            named.append(exp.alias_(projection, f"f{number}_", copy=False))
            number += 1
    select.set("expressions", named)
