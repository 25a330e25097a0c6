"""Prometheus for tests: its programs where they are installed, its rules where they are not."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import requests
import yaml

from tests.support.kafka_server import free_port

__all__ = [
    "MONITORING",
    "find_program",
    "installed",
    "metric_names",
    "relabelled",
    "running_prometheus",
    "samples",
]

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
INSTALLED = ROOT / ".cache" / "prometheus" / "usr" / "bin"
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)",?')

Series = tuple[dict[str, str], float]
"""Labels, the name among them as `__name__`, and value."""


def find_program(name: str) -> str:
    """The path of `prometheus` or `promtool`; a test is skipped where it is not installed."""
    found = installed(name)
    if found is None:
        pytest.skip(f"no {name}: run make prometheus, or install Prometheus")
    return found


def installed(name: str) -> str | None:
    """The path of the program; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}{INSTALLED}")


def samples(text: str) -> list[Series]:
    """What a page of metrics says."""
    found = (SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))
    return [
        ({"__name__": one[1], **dict(LABEL.findall(one[2] or ""))}, float(one[3]))
        for one in found
        if one
    ]


def relabelled(series: Series, rules: Sequence[Mapping[str, Any]]) -> Series | None:
    """What `metric_relabel_configs` make of a series; None where they drop it."""
    labels, value = dict(series[0]), series[1]
    for rule in rules:
        pattern = re.compile(rule["regex"])
        if rule.get("action") == "labeldrop":
            labels = {name: text for name, text in labels.items() if not pattern.fullmatch(name)}
            continue
        text = ";".join(labels.get(name, "") for name in rule["source_labels"])
        match = pattern.fullmatch(text)
        if match is None:
            continue
        if rule.get("action") == "drop":
            return None
        # As in Go, `$1_total` would name a group `1_total`.
        template = re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", rule["replacement"])
        labels[rule["target_label"]] = match.expand(template)
    return labels, value


def metric_names(expression: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """The metrics that an expression names, with the labels that it asks of them."""
    found: set[tuple[str, frozenset[tuple[str, str]]]] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            asked = {(one.name, one.value) for one in node.matchers.matchers}
            found.add((str(node.name), frozenset(asked)))
        for part in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
            inner = getattr(node, part, None)
            if isinstance(inner, promql_parser.Expr):
                visit(inner)
        args = getattr(node, "args", None)
        for inner in args if isinstance(args, (list, tuple)) else []:
            visit(inner)

    visit(promql_parser.parse(expression))
    return found


@contextlib.contextmanager
def running_prometheus(
    folder: Path, change: Callable[[dict[str, Any]], None]
) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """A Prometheus with the project's configuration, while the block runs.

    Args:
        folder: for its data.
        change: changes the configuration.

    Yields:
        A function that answers an expression.
    """
    program, port = find_program("prometheus"), free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text("utf-8"))
    config["rule_files"] = [str(MONITORING / "alerts.yml")]
    change(config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:

        def ask(expression: str) -> list[dict[str, Any]]:
            try:
                answer = requests.get(
                    f"http://127.0.0.1:{port}/api/v1/query",
                    params={"query": expression},
                    timeout=30,
                ).json()
            except (requests.ConnectionError, ValueError):
                assert process.poll() is None, (folder / "log").read_text("utf-8")[-2000:]
                return []
            assert answer["status"] == "success", answer
            return answer["data"]["result"]

        yield ask
    finally:
        process.terminate()
        process.wait(60)
