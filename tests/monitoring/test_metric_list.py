"""The list of metrics is what the code counts, what the page says and what Prometheus gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.monitoring import __main__ as command
from deploy.monitoring.page import metrics_table
from deploy.monitoring.scraping import FLINK, relabelings
from schemas.metrics import BOUNDS, METRICS, PREFIX, Kind, listed, metric_of, series_label
from tests.support.metric_calls import calls
from tests.support.prometheus import MONITORING, relabelled

ROOT = Path(__file__).parents[2]
FUNCTIONS = {
    Kind.COUNTER: "count",
    Kind.BALANCE: "count",
    Kind.GAUGE: "set_gauge",
    Kind.DISTRIBUTION: "update_distribution",
    Kind.HISTOGRAM: "observe",
}
AT_RUN_TIME = {
    "connectors/streams/pubsub_payload.py": {"without_timestamp_attribute", "empty_messages"},
    "transforms/place_devices.py": {"reloaded", "reload_failed"},
}
"""Names that are counted in a loop, by file."""


def test_everything_that_the_code_updates_is_in_the_list_as_what_it_is():
    for call in calls():
        file = call.place.partition(":")[0]
        names = {call.name} if call.name else AT_RUN_TIME.get(file, {"any"})
        for name in names:
            metric = metric_of(call.namespace, name)
            if metric is None and call.name is None:
                labelled = [one for one in METRICS if one.namespace == call.namespace and one.label]
                metric = labelled[0] if labelled else None
            assert metric is not None, f"{call} is not in schemas/metrics.py"
            assert FUNCTIONS[metric.kind] == call.function, call


def test_everything_in_the_list_is_updated_by_the_code():
    updated = {(call.function, call.namespace, call.name) for call in calls()}
    for call in calls():
        for name in AT_RUN_TIME.get(call.place.partition(":")[0], ()):
            updated.add((call.function, call.namespace, name))
    for metric in METRICS:
        function = FUNCTIONS[metric.kind]
        if metric.name.isupper():
            assert any(call[:2] == (function, metric.namespace) for call in updated), metric
        else:
            assert (function, metric.namespace, metric.name) in updated, metric


def test_names_are_told_apart():
    names = [metric.full_name for metric in METRICS if metric.full_name]
    assert len(set(names)) == len(names)
    pairs = list(listed())
    assert len(set(pairs)) == len(pairs)
    assert all(metric_of(*pair) is not None for pair in pairs)
    assert metric_of("balance", "no such class") is None
    assert metric_of("no such", "namespace") is None
    found = metric_of("lag", "readings_0")
    assert found is not None
    assert found.label == "part"


def test_what_is_made_from_the_list_is_fresh():
    for path, text in command.files().items():
        assert path.read_text("utf-8") == text, f"run python -m deploy.monitoring: {path.name}"


def test_the_command_writes_the_files(tmp_path, monkeypatch, capsys):
    page = tmp_path / "monitoring.md"
    page.write_text("Before.\n<!-- metrics -->\nnot fresh\n<!-- end of metrics -->\nAfter.\n")
    monkeypatch.setattr(command, "PAGE", page)
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    assert command.main() == 0
    assert "prometheus.yml" in capsys.readouterr().out
    text = page.read_text("utf-8")
    assert text.startswith("Before.")
    assert text.endswith("<!-- end of metrics -->\nAfter.\n")
    assert "not fresh" not in text
    assert (tmp_path / "dashboard.json").read_bytes() == (
        MONITORING / "dashboard.json"
    ).read_bytes()


def test_the_page_has_a_row_for_each_metric_and_no_cell_breaks_it():
    rows = metrics_table().splitlines()[2:]
    assert len(rows) == len(METRICS)
    for metric, row in zip(METRICS, rows, strict=True):
        assert row.startswith(f"| `{metric.namespace}/{metric.name}` |")
        assert row.count(" | ") == 5, row


def expected(metric, name):
    """Name and label in Prometheus of one of the metric's names; None where it is not there."""
    if metric.kind == Kind.HISTOGRAM:
        _, found, bound = name.rpartition("_le_")
        if found:
            labels = {"le": "+Inf" if bound == "inf" else bound}
            return {"__name__": f"{metric.full_name}_bucket", **labels}
        return {"__name__": f"{metric.full_name}_sum"} if name.endswith("_sum") else None
    if metric.full_name is None:
        return None
    return {"__name__": metric.full_name, **({metric.label: name} if metric.label else {})}


@pytest.mark.parametrize("file", ["prometheus.yml", "podmonitor.yaml"])
def test_the_rules_turn_flinks_names_into_those_of_the_list(file):
    config = yaml.safe_load((MONITORING / file).read_text("utf-8"))
    if file == "prometheus.yml":
        rules = config["scrape_configs"][0]["metric_relabel_configs"]
    else:
        given = config["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]
        back = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
        rules = [{back.get(key, key): value for key, value in rule.items()} for rule in given]
    assert rules == relabelings()
    for metric in METRICS:
        if metric.namespace == "damaged":
            continue  # of runs over files, which nobody scrapes
        for name in metric.beam_names or ("readings_0",):
            labels = {"__name__": f"{FLINK}{metric.namespace}_{name}", "task_name": "long"}
            found = relabelled(({**labels, "subtask_index": "3"}, 1.0), rules)
            wanted = expected(metric, name)
            if wanted is None:
                assert found is None, name
            else:
                assert found == ({**wanted, "subtask_index": "3"}, 1.0), name
    # What is Flink's stays as it is.
    own = {"__name__": f"{FLINK}numRecordsIn", "job_name": "j"}
    assert relabelled((own, 2.0), rules) == (own, 2.0)


def test_pods_are_scraped_at_the_port_that_they_have():
    monitor = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text("utf-8"))
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    for name in ("session.yaml", "application.yaml"):
        text = (ROOT / "deploy" / "flink" / "kubernetes" / name).read_text("utf-8")
        cluster = yaml.safe_load(text)
        assert monitor["spec"]["selector"]["matchLabels"]["app"] == cluster["metadata"]["name"]
        (container,) = cluster["spec"]["podTemplate"]["spec"]["containers"]
        (port,) = [one for one in container["ports"] if one["name"] == endpoint["port"]]
        settings = cluster["spec"]["flinkConfiguration"]
        assert settings["metrics.reporter.prom.port"] == str(port["containerPort"])


def test_the_cluster_of_this_machine_has_the_reporter():
    text = (ROOT / "deploy" / "flink" / "cluster" / "flink-conf.yaml").read_text("utf-8")
    assert yaml.safe_load(text.replace("@", ""))["metrics.reporter.prom.port"] == "METRICS_PORTS"
    assert "flink-metrics-prometheus" in (
        ROOT / "deploy" / "flink" / "cluster" / "pom.xml"
    ).read_text("utf-8")


@pytest.mark.parametrize(
    ("part", "label"),
    [
        ("kafka://broker:9092/readings/0", "readings_0"),
        ("kafka://a:9092,b:9092/my-topic.v2/11", "my_topic_v2_11"),
        ("https://api.example/v1/readings#0a1b2c3d", "v1_readings"),
        ("https://api.example", "api_example"),
        ("pubsub://projects/P/subscriptions/S#0123456789ab", "projects_P_subscriptions_S"),
        ("/data/in/a.jsonl", "data_in_a_jsonl"),
        ("//", "part"),
    ],
)
def test_a_part_is_called_by_what_stays_the_same(part, label):
    assert series_label(part) == label


def test_bounds_rise():
    assert sorted(set(BOUNDS)) == list(BOUNDS)
    assert PREFIX.endswith("_")
