"""The dashboard as Grafana imports it."""

from __future__ import annotations

from typing import Any

from deploy.monitoring.panels import ROWS, Panel

__all__ = ["dashboard", "expressions"]

SOURCE = {"type": "prometheus", "uid": "${source}"}
HEIGHT, WIDTH, COLUMNS = 8, 12, 2


def expressions() -> list[str]:
    """Every expression of the dashboard."""
    return [line for _, panels in ROWS for panel in panels for _, line in panel.lines]


def dashboard() -> dict[str, Any]:
    """The dashboard: Grafana 9 or newer asks for the Prometheus to use when it is imported."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": COLUMNS * WIDTH, "x": 0, "y": top},
                "panels": [],
            }
        )
        top += 1
        for number, panel in enumerate(row):
            place = {
                "h": HEIGHT,
                "w": WIDTH,
                "x": number % COLUMNS * WIDTH,
                "y": top + number // COLUMNS * HEIGHT,
            }
            panels.append(_graph(panel, len(panels) + 1, place))
        top += -(-len(row) // COLUMNS) * HEIGHT
    return {
        "uid": "regional-means",
        "title": "Regional means",
        "description": "docs/monitoring.md says what each metric means.",
        "tags": ["beam", "regional-means"],
        "timezone": "utc",
        "editable": True,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_source(), _jobs()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    drawn = {"drawStyle": "line", "fillOpacity": 30 if panel.stacked else 0, "stacking": stacking}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": drawn},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + line),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "editorMode": "code",
                "range": True,
            }
            for line, (legend, expression) in enumerate(panel.lines)
        ],
    }


def _source() -> dict[str, Any]:
    return {
        "name": "source",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
    }


def _jobs() -> dict[str, Any]:
    values = "label_values(regional_means_readings_read_total, job_name)"
    return {
        "name": "job_name",
        "label": "Job",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": values, "refId": "A"},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
    }
