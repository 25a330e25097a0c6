"""BigQuery SQL to DuckDB SQL, node by node."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel, UnsupportedError
from sqlglot.generators.duckdb import DuckDBGenerator

import sql as sql_files
from connectors.bigquery_sql.calls import call, cast, literal_text, moment_literal, refuse
from connectors.bigquery_sql.errors import QueryError
from connectors.bigquery_sql.functions import translate_call
from connectors.bigquery_sql.names import expand_aliases, name_columns, resolve_table
from connectors.bigquery_sql.parse import parse
from connectors.bigquery_sql.parts import extract, interval

if TYPE_CHECKING:
    import duckdb

__all__ = ["Translation", "install_functions", "translate"]

SCALARS = {
    # BigQuery's type as sqlglot names it: DuckDB's type, the macro that converts to it
    exp.DType.TEXT: ("VARCHAR", "bq_to_string"),
    exp.DType.BIGINT: ("BIGINT", "bq_to_int64"),
    exp.DType.INT: ("BIGINT", "bq_to_int64"),
    exp.DType.SMALLINT: ("BIGINT", "bq_to_int64"),
    exp.DType.TINYINT: ("BIGINT", "bq_to_int64"),
    exp.DType.DOUBLE: ("DOUBLE", "bq_to_float64"),
    exp.DType.BOOLEAN: ("BOOLEAN", "bq_to_bool"),
    exp.DType.DATE: ("DATE", "bq_to_date"),
    exp.DType.TIME: ("TIME", "bq_to_time"),
    exp.DType.TIMESTAMP: ("TIMESTAMP", "bq_to_datetime"),
    exp.DType.TIMESTAMPTZ: ("TIMESTAMPTZ", "bq_to_timestamp"),
}
MOMENT_TYPES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMPTZ"})

BARE_NUMBERS = (exp.Limit, exp.Offset, exp.Ordered, exp.Group, exp.WindowSpec, exp.DataType)
"""Where a number is a count or a place in the SELECT list."""


@dataclasses.dataclass(frozen=True)
class Translation:
    """A query for DuckDB.

    Attributes:
        sql: with comments that say where in the query a name or call came from.
        tables: the tables of the store that it reads.
    """

    sql: str
    tables: frozenset[str]


def install_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Creates the macros that translated queries call."""
    connection.execute(sql_files.duckdb_functions())


def translate(query: str, tables: Collection[str]) -> Translation:
    """Translates a query.

    Args:
        query: one SELECT query of BigQuery.
        tables: names of the tables and views that there are.

    Raises:
        QueryError: it is no query, names a table that is not there, or asks for something whose
            answer the local store could not give as BigQuery would.
    """
    tree = parse(query)
    rewriter = _Rewriter(tables)
    try:
        translated = rewriter(tree)
        for node in translated.walk():
            node.comments = None
            start = _start(node)
            if start is not None:
                node.comments = [f"@{start}"]
        # All names quoted: DuckDB reserves other words than BigQuery.
        generator = _Generator(dialect=DuckDB(), identify=True, unsupported_level=ErrorLevel.RAISE)
        text = generator.generate(translated)
    except UnsupportedError as error:
        msg = f"the local store cannot do this: {error}"
        raise QueryError(msg) from error
    except RecursionError as error:
        msg = "the query is nested too deeply"
        raise QueryError(msg) from error
    return Translation(text, frozenset(rewriter.tables))


def _has_structs(array: exp.Expr) -> bool:
    """Whether an array that is written out is one of structs."""
    first = array.expressions[0] if isinstance(array, exp.Array) and array.expressions else None
    return isinstance(first, exp.Anonymous) and first.name.upper() == "STRUCT"


def _start(node: exp.Expr) -> int | None:
    """Where a name or a call stands in the query."""
    if isinstance(node, exp.Column | exp.Table):
        places = [part.meta["start"] for part in node.parts if "start" in part.meta]
        return min(places, default=None)
    if isinstance(node, exp.Anonymous | exp.Cast | exp.TryCast | exp.Literal):
        start = node.meta.get("start")
        return None if start is None else int(start)
    return None


class _Generator(DuckDBGenerator):
    """sqlglot's writer of DuckDB's SQL, for window functions that it sees as mere calls."""

    def ignorenulls_sql(self, expression: exp.IgnoreNulls) -> str:
        return f"{self.sql(expression, 'this')} IGNORE NULLS"


class _Rewriter:
    """Translates from the top down, for some calls read their arguments as BigQuery wrote them."""

    def __init__(self, known: Collection[str]) -> None:
        self.known = known
        self.tables: set[str] = set()
        self.subqueries = 0
        self.handlers: dict[type, Callable[[Any], exp.Expr]] = {
            exp.Select: self.select,
            exp.Union: self.set_operation,
            exp.Intersect: self.set_operation,
            exp.Except: self.set_operation,
            exp.Table: self.table,
            exp.Column: self.column,
            exp.Join: self.join,
            exp.Unnest: self.unnest,
            exp.Anonymous: lambda node: translate_call(node, self),
            exp.Window: self.window,
            exp.SafeFunc: lambda node: call("TRY", self(node.this)),
            exp.Extract: lambda node: extract(node, self),
            exp.Interval: lambda node: interval(node, self),
            exp.Cast: self.cast,
            exp.TryCast: lambda node: self.cast(node, safe=True),
            exp.CurrentTimestamp: self.current,
            exp.CurrentDate: self.current,
            exp.CurrentTime: self.current,
            exp.CurrentDatetime: self.current,
            exp.Div: lambda node: call("bq_divide", self(node.this), self(node.expression)),
            exp.Like: self.like,
            **dict.fromkeys((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), self.comparison),
            exp.In: self.comparison,
            exp.Between: self.comparison,
            exp.Literal: self.literal,
            exp.RawString: lambda node: exp.Literal.string(node.this),
            exp.HexString: lambda node: cast(exp.Literal.number(int(node.this, 16)), "BIGINT"),
            exp.Bracket: self.bracket,
        }

    def __call__(self, node: exp.Expr) -> exp.Expr:
        handler = self.handlers.get(type(node))
        start = node.meta.get("start") if node._meta else None
        result = handler(node) if handler else self.children(node)
        if start is not None and result is not node:
            result.meta.setdefault("start", start)
        return result

    def children(self, node: exp.Expr) -> exp.Expr:
        """Translates what is in a node and leaves the node as it is."""
        for key, value in list(node.args.items()):
            if isinstance(value, exp.Expr):
                node.set(key, self(value))
            elif isinstance(value, list):
                parts = [self(part) if isinstance(part, exp.Expr) else part for part in value]
                node.set(key, parts)
        return node

    def select(self, node: exp.Select) -> exp.Expr:
        if node.args.get("kind") not in {None, "STRUCT"}:
            raise refuse(node, "the local store does not support SELECT AS VALUE")
        name_columns(node)
        expand_aliases(node)
        return self.children(node)

    def set_operation(self, node: exp.SetOperation) -> exp.Expr:
        for key in ("by_name", "side", "kind", "on"):
            if node.args.get(key):
                raise refuse(node, "the local store matches the columns of UNION by place only")
        return self.children(node)

    def table(self, node: exp.Table) -> exp.Expr:
        resolve_table(node, self.known)
        if node.db:
            self.tables.add(node.name)
        return node

    def column(self, node: exp.Column) -> exp.Expr:
        if node.db and node.table in self.known:  # dataset.table.column
            node.set("db", None)
            node.set("catalog", None)
        return self.children(node)

    def join(self, node: exp.Join) -> exp.Expr:
        if isinstance(node.this, exp.Unnest) and node.side and not node.args.get("on"):
            node.set("on", exp.true())
        return self.children(node)

    def unnest(self, node: exp.Unnest) -> exp.Expr:
        offset = node.args.get("offset")
        structs = _has_structs(node.expressions[0])
        if not offset and structs:
            return self.unnest_structs(node)
        if not offset:
            return self.children(node)
        if structs:
            raise refuse(node, "the local store has no UNNEST of STRUCTs WITH OFFSET")
        # BigQuery counts from 0 and DuckDB's WITH ORDINALITY from 1.
        (array,) = node.expressions
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias is not None else None
        value = columns[0] if columns else exp.to_identifier("f0_")
        place = offset if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
        elements = self(array)
        subscripts = call("generate_subscripts", elements.copy(), 1)
        self.subqueries += 1
        return exp.Subquery(
            this=exp.Select(
                expressions=[
                    exp.alias_(call("unnest", elements), value),
                    exp.alias_(exp.Sub(this=subscripts, expression=exp.Literal.number(1)), place),
                ]
            ),
            alias=exp.TableAlias(this=exp.to_identifier(f"_unnest{self.subqueries}")),
        )

    def unnest_structs(self, node: exp.Unnest) -> exp.Expr:
        """The fields of the structs become columns, as in BigQuery."""
        depth = exp.PropertyEQ(this=exp.var("max_depth"), expression=exp.Literal.number(2))
        alias = node.args.get("alias")
        columns = alias.args.get("columns") if alias is not None else None
        self.subqueries += 1
        name = columns[0] if columns else exp.to_identifier(f"_unnest{self.subqueries}")
        fields = call("unnest", self(node.expressions[0]), depth)
        return exp.Subquery(this=exp.Select(expressions=[fields]), alias=exp.TableAlias(this=name))

    def window(self, node: exp.Window) -> exp.Expr:
        spec = node.args.get("spec")
        if spec is not None and spec.args.get("exclude"):
            raise refuse(node, "BigQuery has no EXCLUDE in a window frame")
        return self.children(node)

    def current(self, node: exp.Expr) -> exp.Expr:
        """CURRENT_TIMESTAMP and its like, without brackets."""
        kind = type(node).__name__.removeprefix("Current").upper()
        return translate_call(exp.Anonymous(this=f"CURRENT_{kind}"), self)

    def cast(self, node: exp.Cast, *, safe: bool = False) -> exp.Expr:
        if node.args.get("format") is not None:
            raise refuse(node, "the local store does not support CAST with FORMAT")
        if isinstance(node.this, exp.Array) and node.to.this == exp.DType.ARRAY:
            (inner,) = node.to.expressions
            return cast(self(node.this), f"{self.scalar(node, inner)[0]}[]")
        target, macro = self.scalar(node, node.to)
        if isinstance(node.this, exp.Null):
            return cast(node.this, target)
        if not safe and target in MOMENT_TYPES and literal_text(node.this) is not None:
            return moment_literal(node.this, target)
        converted = call(macro, self(node.this))
        return call("TRY", converted) if safe else converted

    def scalar(self, node: exp.Expr, kind: exp.DataType) -> tuple[str, str]:
        if kind.this not in SCALARS or kind.expressions:
            name = kind.sql("bigquery")
            msg = f"the local store does not support the type {name}; it has FLOAT64 and INT64"
            raise refuse(node, msg)
        return SCALARS[kind.this]

    def like(self, node: exp.Like) -> exp.Expr:
        # In BigQuery a backslash takes the meaning off % and _; in DuckDB only if asked to.
        self.children(node)
        negated = node.args.get("negate")
        node.set("negate", None)
        like = exp.Escape(this=node, expression=exp.Literal.string("\\"))
        return exp.Not(this=exp.Paren(this=like)) if negated else exp.Paren(this=like)

    def comparison(self, node: exp.Expr) -> exp.Expr:
        """A column beside a number must be a number: DuckDB would turn the text into one."""
        numbers = [side for side in node.iter_expressions() if isinstance(side, exp.Literal)]
        numeric = any(not side.is_string for side in numbers)
        self.children(node)
        for side in list(node.iter_expressions()) if numeric else []:
            if isinstance(side, exp.Column):
                side.replace(call("bq_number", side.copy()))
        return node

    def literal(self, node: exp.Literal) -> exp.Expr:
        """A number gets BigQuery's type: DuckDB's 1 has 32 bits and its 0.1 is a decimal."""
        if node.is_string or isinstance(node.parent, BARE_NUMBERS):
            return node
        text = str(node.this)
        if text.isdigit():
            return cast(exp.Literal.number(text), "BIGINT")
        return exp.Literal.number(text if "e" in text.lower() else f"{text}e0")

    def bracket(self, node: exp.Bracket) -> exp.Expr:
        (index,) = node.expressions
        if literal_text(index) is not None or isinstance(index, exp.Slice):
            raise refuse(node, "the local store takes elements of arrays by number only")
        position = self(index)
        if node.args.get("offset") == 1:
            position = exp.Paren(
                this=exp.Sub(this=exp.Paren(this=position), expression=exp.Literal.number(1))
            )
        return call("bq_safe_at" if node.args.get("safe") else "bq_at", self(node.this), position)
