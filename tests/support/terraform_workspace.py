"""A copy of the Terraform files that tests work on, and what an apply makes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.terraform_provider import run_terraform

__all__ = ["ROOT", "Workspace", "resources", "the_one"]

ROOT = Path(__file__).parents[2]
PARTS = ("deploy/terraform", "deploy/dataflow", "schemas/bigquery", "sql/views")


class Workspace:
    """A copy of what Terraform reads, initialised; the provider is served beside it."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        for part in PARTS:
            ignored = shutil.ignore_patterns("__pycache__", ".terraform*")
            shutil.copytree(ROOT / part, root / part, ignore=ignored)
        self._states: dict[tuple[str, ...], dict[str, Any]] = {}
        self.folder, self._environment = root / "deploy" / "terraform", environment
        done = self.run("init", "-backend=false", "-input=false")
        assert done.returncode == 0, done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_terraform(self.folder, self._environment, *arguments)

    def apply(self, *arguments: str) -> dict[str, Any]:
        """The state after an apply to mocked resources."""
        if arguments in self._states:
            return self._states[arguments]
        done = self.run("test", "-json", "-verbose", *arguments)
        assert done.returncode == 0, done.stdout[-3000:]
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self._states[arguments] = next(
            line["test_state"] for line in lines if line["type"] == "test_state"
        )
        return self._states[arguments]


def resources(state: dict[str, Any], label: str) -> dict[str, dict[str, Any]]:
    """The resources of a type in a state: values by address."""
    return {
        each["address"]: each["values"]
        for each in state["root_module"]["resources"]
        if each["type"] == label and each["mode"] == "managed"
    }


def the_one(state: dict[str, Any], label: str) -> dict[str, Any]:
    """The only resource of a type in a state."""
    (found,) = resources(state, label).values()
    return found
