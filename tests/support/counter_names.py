"""The names of the counters that the pipeline counts, read from its code."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from schemas.classes import CLASSES

__all__ = ["counter_names"]

ROOT = Path(__file__).parents[2]


@functools.cache
def counter_names() -> frozenset[str]:
    """The names that calls of `count` and `Metrics.counter` name, and the balance's classes."""
    found = set(CLASSES)
    for package in ("connectors", "transforms"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    first = node.args[0] if node.args else None
                    if node.func.id == "count" and isinstance(first, ast.Constant):
                        found.add(str(first.value))
    return frozenset(found)
