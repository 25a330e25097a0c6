"""Writes tables.json, which Terraform reads: `python -m deploy.terraform.write_tables`.

It says how each table lies in BigQuery, as `connectors/bigquery/tables.py` has it. A test fails
where it is stale.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from connectors.bigquery.tables import LAYOUTS

__all__ = ["PATH", "as_json", "main"]

PATH = Path(__file__).with_name("tables.json")


def as_json() -> str:
    """The layouts of all tables by name, as the text of tables.json."""
    layouts = {name: dataclasses.asdict(layout) for name, layout in sorted(LAYOUTS.items())}
    return json.dumps(layouts, indent=2) + "\n"


def main() -> int:
    """Writes the file; returns 0."""
    PATH.write_text(as_json(), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
