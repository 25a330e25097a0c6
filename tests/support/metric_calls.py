"""The metrics that the code updates, read from its calls."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from transforms.balance import NAMESPACE

__all__ = ["Call", "calls"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("connectors", "transforms")
PLACES = {"count": (2, 0), "set_gauge": (0, 1), "update_distribution": (0, 1)}
"""Where namespace and name stand among the arguments."""
OWN = {"transforms/measures.py", "transforms/balance.py"}
"""What these calls are made of."""


class Call(NamedTuple):
    """A call that updates a metric.

    Attributes:
        function: `count`, `set_gauge`, `update_distribution` or `observe`.
        namespace: Beam's.
        name: Beam's; None where it is found at run time.
        place: file and line.
    """

    function: str
    namespace: str
    name: str | None
    place: str


@functools.cache
def calls() -> tuple[Call, ...]:
    """Every call in the packages that pipelines are made of."""
    found: list[Call] = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            found += _calls_in(path, name)
    return tuple(found)


def _calls_in(path: Path, name: str) -> Iterator[Call]:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        place = f"{name}:{node.lineno}"
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        assert name in OWN or not (isinstance(owner, ast.Name) and owner.id == "Metrics"), (
            f"{place}: Beam's metrics are updated by transforms.balance and transforms.measures"
        )
        if not isinstance(node.func, ast.Name) or node.func.id not in {*PLACES, "observe"}:
            continue
        module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
        if name in OWN and not _is_constant(node.args[0]):
            continue
        if node.func.id == "observe":
            yield Call("observe", "latency", _text(node.args[0], module), place)
            continue
        at_namespace, at_name = PLACES[node.func.id]
        given = node.args[at_namespace] if len(node.args) > at_namespace else None
        namespace = NAMESPACE if given is None else _text(given, module)
        assert namespace is not None, f"{place}: the namespace is not known beforehand"
        yield Call(node.func.id, namespace, _text(node.args[at_name], module), place)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id.isupper() and node.id != "LATENCY"


def _text(node: ast.expr, module: ModuleType) -> str | None:
    """A literal, or a constant of the module; None for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Name) and node.id.isupper():
        return str(getattr(module, node.id))
    return None
