"""The paths that a JSON Schema knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["paths_of"]

DEPTH = 12
"""How deep a JSON Schema is looked through."""


def paths_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """All paths that a JSON Schema names, of whatever alternative: `a.b`, `list[].c`."""
    return _paths_of(schema, schema, "", DEPTH)


def _paths_of(schema: Any, whole: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or not depth:
        return
    target = schema.get("$ref")
    if isinstance(target, str) and target.startswith("#/"):
        found: Any = whole
        for key in target[2:].split("/"):
            found = found.get(key, {}) if isinstance(found, dict) else {}
        yield from _paths_of(found, whole, path, depth - 1)
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for key, inner in properties.items():
            deeper = f"{path}.{key}" if path else key
            yield deeper
            yield from _paths_of(inner, whole, deeper, depth - 1)
    yield from _paths_of(schema.get("items"), whole, f"{path}[]", depth - 1)
    for word in ("if", "then", "else"):
        yield from _paths_of(schema.get(word), whole, path, depth - 1)
    for word in ("allOf", "anyOf", "oneOf"):
        alternatives = schema.get(word)
        for inner in alternatives if isinstance(alternatives, list) else []:
            yield from _paths_of(inner, whole, path, depth - 1)
