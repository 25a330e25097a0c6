"""Configurations as texts that are the same each time."""

from __future__ import annotations

import json
from typing import Any

import yaml  # type: ignore[import-untyped]

__all__ = ["as_json", "as_yaml"]

EDIT = "# Made by python -m deploy.monitoring from schemas/metrics.py; do not edit.\n"


def as_yaml(document: Any) -> str:
    """A document as YAML, with a line that says where it comes from."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return EDIT + text


def as_json(document: Any) -> str:
    """A document as JSON."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
