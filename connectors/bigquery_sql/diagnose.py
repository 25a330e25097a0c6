"""DuckDB's errors, told in terms of the query that the user wrote."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from collections.abc import Mapping, Sequence

from connectors.bigquery_sql.errors import QueryError, UnexplainedError
from connectors.bigquery_sql.translate import Translation

__all__ = ["diagnose"]

MARKER = re.compile(r"/\* @(\d+) \*/")
OWN_FAILURE = re.compile(r"Could not convert string '!(.*)' to \w+", re.DOTALL)
REASONS = {
    # what DuckDB's message holds: what it means here
    "bq_number() does not support": (
        "this is not a number and cannot be compared with one; quote the value, as '11'"
    ),
    "bq_number() has multiple overloads": (
        "no table here has a column of this name; an alias of the SELECT list cannot stand here"
    ),
    "does not support the supplied arguments": "{name} does not take values of these types",
    "multiple overloads": (
        "the type of an aggregate is not known here; say it with CAST, as CAST(x AS DATE)"
    ),
    "not allowed inside the TRY": (
        "no aggregate or subquery may stand inside SAFE here; compute it in WITH first"
    ),
}
EXPLAINED = frozenset({"Binder", "Catalog", "Parser", "Conversion", "Out of Range"})
"""DuckDB's kinds of errors that are the query's."""

BIGQUERY_TYPES = {
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP": "DATETIME",
    "BIGINT": "INT64",
    "HUGEINT": "INT64",
    "INTEGER": "INT64",
    "DOUBLE": "FLOAT64",
    "VARCHAR": "STRING",
    "BOOLEAN": "BOOL",
    "STRING_LITERAL": "STRING",
    "INTEGER_LITERAL": "INT64",
}
CONVERTED = re.compile(r"CAST\(|'[^']*' /\* @|\"\w+\"(\.\"\w+\")? /\* @")
TYPE_NAME = re.compile(r"\b(" + "|".join(BIGQUERY_TYPES) + r")\b")


def diagnose(
    error: Exception, query: str, translation: Translation, columns: Mapping[str, Sequence[str]]
) -> QueryError:
    """The error of a query that DuckDB refused or could not finish.

    Args:
        error: DuckDB's, its text as JSON where the connection says so.
        query: what the user wrote.
        translation: what DuckDB was given.
        columns: the columns of each table of the store.
    """
    text = str(error)
    details: dict[str, str] = {}
    with contextlib.suppress(ValueError):
        details = json.loads(text[text.index("{") :])
    message = details.get("exception_message", text).strip()
    own = OWN_FAILURE.search(message)
    if own:
        return QueryError(own[1])
    offset = _offset(details, translation)
    if details.get("error_subtype") == "COLUMN_NOT_FOUND" or "does not have a column" in message:
        name = details.get("name") or message.rpartition('named "')[2].partition('"')[0]
        return QueryError(_no_column(name, translation, columns), offset)
    for part, reason in REASONS.items():
        if part in message:
            function = re.match(r"\w*", query[offset or 0 :])
            name = function[0].upper() if function and offset is not None else "this"
            return QueryError(reason.format(name=name), offset)
    first = re.split(r"\n\s*(?:Candidate|LINE )|\. You might need| Use TRY\(", message)[0]
    first = MARKER.sub("", " ".join(first.split())).replace("memory.main.", "")
    spelled = TYPE_NAME.sub(lambda match: BIGQUERY_TYPES[match[1]], first)
    known = details.get("exception_type") in EXPLAINED
    return (QueryError if known else UnexplainedError)(spelled[:1].lower() + spelled[1:], offset)


def _offset(details: Mapping[str, str], translation: Translation) -> int | None:
    """The place in the query of DuckDB's place in its own: that of the next name or call."""
    try:
        place = int(details["position"])
    except (KeyError, ValueError):
        return None
    # DuckDB counts bytes.
    rest = translation.sql.encode()[place:].decode(errors="replace")
    if details.get("exception_type") == "Conversion" and not CONVERTED.match(rest):
        return None  # the place is one in the text of a macro
    marker = MARKER.search(rest)
    if marker is None:
        return None
    return int(_own_marker(rest) or marker[1])


def _own_marker(rest: str) -> str | None:
    """The marker behind the brackets of a call; that of its first argument would come before."""
    name = re.match(r"\w+\(", rest)  # a call, or a CAST
    if not name:
        return None
    depth = 0
    quoted = False
    for place, letter in enumerate(rest):
        if letter == "'":
            quoted = not quoted
        elif not quoted and letter == "(":
            depth += 1
        elif not quoted and letter == ")":
            depth -= 1
            if depth == 0:
                marker = MARKER.match(rest[place + 1 :].lstrip())
                return marker[1] if marker else None
    return None


def _no_column(name: str, translation: Translation, columns: Mapping[str, Sequence[str]]) -> str:
    available = list(
        dict.fromkeys(
            column for table in sorted(translation.tables) for column in columns.get(table, ())
        )
    )
    close = difflib.get_close_matches(name.lower(), available, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = "".join(
        f" {table} has {', '.join(columns[table])}."
        for table in sorted(translation.tables)
        if table in columns
    )
    return f"no column {name}{hint or ('.' if listed else '')}{listed}"
