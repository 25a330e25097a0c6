"""Terraform's files, parsed."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2

__all__ = ["Configuration", "blocks", "literal", "read_configuration", "texts"]

REFERENCE = re.compile(r"(?<![\w.\"-])(var|local|data|module|google_\w+)((?:\.[a-z_][a-z0-9_]*)+)")


@dataclass
class Configuration:
    """What the files of a folder declare. Values are as python-hcl2 gives them.

    Attributes:
        variables: bodies by name.
        local_values: expressions by name.
        resources: bodies by address, `TYPE.NAME`, or `data.TYPE.NAME`.
        outputs: bodies by name.
        providers: bodies by name.
        settings: the terraform block.
    """

    variables: dict[str, Any] = field(default_factory=dict)
    local_values: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def of_type(self, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The resources of these types with their addresses."""
        for address, body in self.resources.items():
            if address.split(".")[0] in types:
                yield address, body

    def everything(self) -> Iterator[tuple[str, Any]]:
        """All that is declared, with its address."""
        for kind in ("variables", "local_values", "resources", "outputs", "providers"):
            for name, body in getattr(self, kind).items():
                yield (
                    {"local_values": f"local.{name}", "variables": f"var.{name}"}.get(kind, name),
                    body,
                )

    def references(self) -> Iterator[tuple[str, str]]:
        """Every reference, such as `var.region` or `google_x.y`, with the address it stands in."""
        for address, body in self.everything():
            for text in texts(body):
                for kind, rest in REFERENCE.findall(text):
                    parts = rest[1:].split(".")
                    yield address, ".".join([kind, *parts[: 2 if kind == "data" else 1]])


def read_configuration(folder: Path) -> Configuration:
    """Parses the `.tf` files of a folder."""
    found = Configuration()
    for path in sorted(folder.glob("*.tf")):
        parsed = _parse(path.read_text("utf-8"))
        for block in parsed.get("locals", []):
            found.local_values.update(_own(block))
        for kind, place in (
            ("variable", found.variables),
            ("output", found.outputs),
            ("provider", found.providers),
        ):
            for block in parsed.get(kind, []):
                place.update({literal(name): body for name, body in block.items()})
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for block in parsed.get(kind, []):
                for label, named in _own(block).items():
                    for name, body in _own(named).items():
                        found.resources[f"{prefix}{literal(label)}.{literal(name)}"] = body
        for block in parsed.get("terraform", []):
            found.settings.update(block)
    return found


@functools.cache
def _parse(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.loads(text)
    return parsed


def _own(block: dict[str, Any]) -> dict[str, Any]:
    """A block without what the parser adds."""
    return {name: value for name, value in block.items() if not name.startswith("__")}


def literal(value: Any) -> Any:
    """A quoted text without its quotes; anything else as it is."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def texts(value: Any) -> Iterator[str]:
    """Every text in a body: keys that are expressions, and values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in _own(value).items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def blocks(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The blocks of a name in a body, also those that `dynamic` makes."""
    found = [each for each in body.get(name, []) if isinstance(each, dict)]
    for dynamic in body.get("dynamic", []):
        for label, made in _own(dynamic).items():
            if literal(label) == name:
                found += made["content"]
    return found
