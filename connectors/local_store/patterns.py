"""Paths as DuckDB takes them: every path is a pattern to it."""

from __future__ import annotations

import re

__all__ = ["literal_pattern"]


def literal_pattern(path: str) -> str:
    """The pattern that only this path matches."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)
