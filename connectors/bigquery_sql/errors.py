"""The error of a query: what is wrong and where."""

from __future__ import annotations

__all__ = ["QueryError", "UnexplainedError", "position"]


class QueryError(Exception):
    """A query cannot be answered.

    Args:
        reason: a sentence.
        offset: where in the query, in characters from its start; None where that is not known.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset

    def describe(self, query: str) -> str:
        """The reason with line and column, the line of the query and a caret under the place."""
        if self.offset is None:
            return self.reason
        line, column = position(query, self.offset)
        lines = query.splitlines()
        text = lines[line - 1] if line <= len(lines) else ""
        # A tab before the caret must stay one, to be as wide as above.
        indent = "".join(letter if letter == "\t" else " " for letter in text[: column - 1])
        return f"line {line}, column {column}: {self.reason}\n  {text}\n  {indent}^"


class UnexplainedError(QueryError):
    """DuckDB failed, and perhaps not because of the query."""


def position(query: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset in the query."""
    before = query[:offset].splitlines(keepends=True) or [""]
    if before[-1].endswith(("\n", "\r")):
        return len(before) + 1, 1
    return len(before), len(before[-1]) + 1
