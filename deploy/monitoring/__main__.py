"""Writes what is made from the list of metrics: `python -m deploy.monitoring`."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.monitoring.dashboard import dashboard
from deploy.monitoring.page import with_tables
from deploy.monitoring.scraping import pod_monitor, prometheus_config
from deploy.monitoring.texts import as_json, as_yaml

__all__ = ["PAGE", "files", "main"]

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "monitoring.md"


def files() -> dict[Path, str]:
    """The files, and what they should hold."""
    return {
        FOLDER / "prometheus.yml": as_yaml(prometheus_config()),
        FOLDER / "podmonitor.yaml": as_yaml(pod_monitor()),
        FOLDER / "dashboard.json": as_json(dashboard()),
        PAGE: with_tables(PAGE.read_text("utf-8")),
    }


def main() -> int:
    """Writes the files anew; returns the exit code."""
    for path, text in files().items():
        path.write_text(text, "utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
