"""BigQuery SQL to a syntax tree in which every function call stands as it was written.

sqlglot's own reading of BigQuery turns function calls into nodes of many dialects at once, some of
which it then writes with another meaning. Here calls stay calls, so that `functions` decides on
each, and kinds of nodes that were not tried are refused.
"""

from __future__ import annotations

import re
from typing import ClassVar

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError
from sqlglot.parsers.bigquery import BigQueryParser

from connectors.bigquery_sql.errors import QueryError

__all__ = ["offset_of", "parse"]

DIALECT = BigQuery()

FIRST_WORDS = frozenset({"SELECT", "WITH", "FROM", "("})
ONLY_QUERIES = "only a SELECT query can be answered; the store is changed by jobs alone"

KNOWN_NODES = frozenset(
    {
        # queries
        *(exp.Select, exp.Subquery, exp.Union, exp.Intersect, exp.Except, exp.With, exp.CTE),
        *(exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Qualify, exp.Order),
        *(exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Rollup, exp.Cube),
        *(exp.GroupingSets, exp.Table, exp.TableAlias, exp.Unnest, exp.Window, exp.WindowSpec),
        # values and names
        *(exp.Alias, exp.Column, exp.Identifier, exp.Star, exp.Dot, exp.Literal, exp.RawString),
        *(exp.HexString, exp.Null, exp.Boolean, exp.Paren, exp.Tuple, exp.Array, exp.Var),
        *(exp.Interval, exp.DataType, exp.Bracket),
        # operators
        *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.And, exp.Or, exp.Not, exp.EQ),
        *(exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.DPipe, exp.BitwiseAnd, exp.BitwiseOr),
        *(exp.BitwiseXor, exp.BitwiseNot, exp.BitwiseLeftShift, exp.BitwiseRightShift),
        # calls and what may stand in them
        *(exp.Anonymous, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Extract, exp.AtTimeZone),
        *(exp.Exists, exp.HavingMax, exp.IgnoreNulls, exp.RespectNulls, exp.SafeFunc),
        *(exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime),
    }
)

HINTS = {
    exp.Parameter: "query parameters are not supported; write the value into the query",
    exp.Placeholder: "query parameters are not supported; write the value into the query",
    exp.Mod: "BigQuery has no operator %; write MOD(a, b)",
    exp.TableSample: "TABLESAMPLE is not supported by the local store",
    exp.Version: "FOR SYSTEM_TIME is not supported by the local store",
    exp.Pivot: "PIVOT and UNPIVOT are not supported by the local store",
    exp.Any: "LIKE ANY and LIKE ALL are not supported by the local store; combine LIKE with OR",
    exp.All: "LIKE ANY and LIKE ALL are not supported by the local store; combine LIKE with AND",
    exp.ByteString: "BYTES are not supported by the local store",
    exp.ColumnDef: "typed STRUCTs are not supported by the local store; name the fields with AS",
    exp.ParseJSON: "the type JSON is not supported by the local store; use JSON_VALUE on a STRING",
    exp.IntervalSpan: "the local store supports INTERVAL with one part, like INTERVAL 3 HOUR",
    exp.Lambda: "lambda functions are not supported by the local store",
}


QUOTED = re.compile(
    r"\'\'\'.*?\'\'\'|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`[^`]*`"
    r"|--[^\n]*|#[^\n]*|/\*.*?\*/|/\*|['\"`]",
    re.DOTALL,
)
"""Literals, quoted names and comments; where one does not end, its beginning."""


class _Parser(BigQueryParser):
    """sqlglot's parser of BigQuery, for which no function is special but those with own syntax."""

    FUNCTIONS: ClassVar = {}
    FUNCTION_PARSERS: ClassVar = {
        name: BigQueryParser.FUNCTION_PARSERS[name]
        for name in ("CAST", "SAFE_CAST", "EXTRACT", "ARRAY")
    }
    NO_PAREN_FUNCTION_PARSERS: ClassVar = {
        name: BigQueryParser.NO_PAREN_FUNCTION_PARSERS[name] for name in ("ANY", "CASE", "IF")
    }


def parse(query: str) -> exp.Query:
    """Parses one SELECT query.

    Args:
        query: BigQuery SQL.

    Raises:
        QueryError: it is not one SELECT query, or holds what the local store does not know.
    """
    try:
        tokens = DIALECT.tokenize(query)
        if tokens and tokens[0].text.upper() not in FIRST_WORDS:
            raise QueryError(ONLY_QUERIES, tokens[0].start)
        statements = _Parser(dialect=DIALECT).parse(tokens, query)
    except ParseError as error:
        raise _syntax_error(query, error) from error
    except TokenError as error:
        msg = "this text cannot be read as SQL; is a quote or a comment left open?"
        raise QueryError(msg, _open_quote(query)) from error
    except RecursionError as error:
        msg = "the query is nested too deeply"
        raise QueryError(msg) from error
    statements = [statement for statement in statements if statement is not None]
    if not statements:
        msg = "there is no query"
        raise QueryError(msg)
    if len(statements) > 1:
        msg = "one SELECT query at a time; there are several statements"
        raise QueryError(msg, query.find(";"))
    (tree,) = statements
    if isinstance(tree, exp.Subquery):
        tree = tree.unnest()
    if not isinstance(tree, exp.Query):
        raise QueryError(ONLY_QUERIES, tokens[0].start)
    for node in tree.walk():
        if type(node) not in KNOWN_NODES:
            raise QueryError(_refusal(node), offset_of(node))
    return tree


def _refusal(node: exp.Expr) -> str:
    for kind, hint in HINTS.items():
        if isinstance(node, kind):
            return hint
    text = node.sql("bigquery")
    return f"the local store does not support this: {text[:60]}{'…' if len(text) > 60 else ''}"


def _open_quote(query: str) -> int | None:
    """Where a quote or comment starts that has no end."""
    for match in QUOTED.finditer(query):
        if match[0] in {"'", '"', "`", "/*"}:
            return match.start()
    return None


def _syntax_error(query: str, error: ParseError) -> QueryError:
    details = error.errors[0] if error.errors else {}
    reason = str(details.get("description") or error).rstrip(".")
    word = str(details.get("highlight") or "")
    line, last_column = details.get("line"), details.get("col")
    if not isinstance(line, int) or not isinstance(last_column, int):
        return QueryError(reason)
    starts = [0]
    for text in query.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    # sqlglot counts columns to the end of the token, here they count to its start.
    offset = starts[min(line, len(starts)) - 1] + last_column - max(len(word), 1)
    offset = min(max(offset, 0), len(query))
    if "Required" in reason or not query[offset + len(word) :].strip():
        return QueryError(f"syntax error: something is missing after {word!r}", offset)
    reason = reason.replace("Invalid expression / Unexpected token", "this was not expected here")
    return QueryError(f"syntax error: {reason[:1].lower()}{reason[1:]}", offset)


def offset_of(node: exp.Expr) -> int | None:
    """Where a node starts in the query: its own place, or the first of those inside it."""
    places = [part.meta["start"] for part in node.walk() if "start" in (part._meta or {})]
    if places:
        return int(min(places))
    while node.parent is not None:
        node = node.parent
        if "start" in (node._meta or {}):
            return int(node.meta["start"])
    return None
