"""The dashboard and the alerts are well formed, and name only metrics that there are."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml

from deploy.monitoring.dashboard import dashboard, expressions
from schemas.metrics import METRICS, PREFIX, Kind
from tests.support.prometheus import MONITORING, find_program, metric_names

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
ALERTS = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
RATES = {"rate", "increase", "irate"}


def named():
    """Every metric that the dashboard or an alert names, with the labels that are asked of it."""
    filled = [line.replace("$__rate_interval", "5m") for line in expressions()]
    for expression in [*filled, *(rule["expr"] for rule in ALERTS)]:
        yield from metric_names(expression)


def known():
    """The names that Prometheus has of the list, and the values of their labels."""
    for metric in METRICS:
        if metric.kind == Kind.HISTOGRAM:
            yield f"{metric.full_name}_bucket", {}
            yield f"{metric.full_name}_sum", {}
        elif metric.full_name:
            yield metric.full_name, {metric.label: metric.values} if metric.label else {}


def test_only_metrics_that_there_are_get_asked_for():
    there = dict(known())
    for name, asked in named():
        if not name.startswith(PREFIX):
            assert name == "up" or name.startswith(("flink_jobmanager_job_", "flink_taskmanager_"))
            continue
        assert name in there, name
        for label, value in asked:
            values = there[name].get(label)
            if values:
                assert any(re.fullmatch(value, one) for one in values), (name, label, value)


def test_what_may_fall_is_not_asked_for_its_rate():
    """A rate takes a fall for a restart, and counts all that was before again."""
    falls = {"counted", "outside", "no_place", "deleted"}
    (balance,) = (metric.full_name for metric in METRICS if metric.kind == Kind.BALANCE)
    for expression in [*expressions(), *(rule["expr"] for rule in ALERTS)]:
        for function, asked in re.findall(rf"(\w+)\({balance}{{([^}}]*)}}", expression):
            value = re.search(r'class=~?"([^"]*)"', asked)
            classes = falls if value is None else {c for c in falls if re.fullmatch(value[1], c)}
            assert function not in RATES or not classes, expression


@pytest.mark.parametrize("expression", expressions())
def test_a_parser_takes_every_expression_of_the_dashboard(expression):
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))


def test_the_dashboard_is_one_that_grafana_imports():
    document = dashboard()
    panels = document["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in document["templating"]["list"]}
    assert variables == {"source", "job_name"}
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["datasource"]["uid"] == "${source}"
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        assert all("$job_name" in target["expr"] for target in panel["targets"])
        assert panel["description"].endswith(".")
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


def test_grafanas_own_models_know_everything_in_the_dashboard():
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415
    from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415

    register_default_plugins()
    given = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    read = models.Dashboard.from_json(given)
    again = json.loads(JSONEncoder(sort_keys=True).encode(read))
    assert list(lost(given, again, "")) == []


def lost(given, again, place):
    """What a document has that the other has not, or has otherwise."""
    if isinstance(given, dict) and isinstance(again, dict):
        for name, value in given.items():
            yield from lost(value, again.get(name), f"{place}/{name}")
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for number, (one, other) in enumerate(zip(given, again, strict=True)):
            yield from lost(one, other, f"{place}[{number}]")
    elif given != again:
        yield place, given, again


def test_every_alert_is_named_once_tested_and_explained():
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names)
    page = PAGE.read_text("utf-8")
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text("utf-8"))["tests"]
    cases = [case for one in tests for case in one["alert_rule_test"]]
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"| `{rule['alert']}` |" in page, rule["alert"]
        given = [
            bool(case.get("exp_alerts")) for case in cases if case["alertname"] == rule["alert"]
        ]
        assert set(given) == {True, False}, rule["alert"]


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=["configuration", "rules", "alerts"],
)
def test_promtool_finds_no_fault(words):
    done = subprocess.run(
        [find_program("promtool"), *words],
        cwd=MONITORING,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
