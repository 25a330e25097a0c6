"""What must hold for the job and the alerts in Terraform's files."""

from __future__ import annotations

import re

from pipelines.option_table import OPTIONS
from tests.support.counter_names import counter_names
from tests.support.terraform_files import Configuration, literal, texts
from tests.support.terraform_policies import POLICIES, Found, policy

__all__ = ["PLATFORM_METRICS", "POLICIES", "counters_of", "metrics_of"]

PLATFORM_METRICS = {
    "dataflow.googleapis.com/job/current_num_vcpus": "dataflow_job",
    "dataflow.googleapis.com/job/data_watermark_age": "dataflow_job",
    "dataflow.googleapis.com/job/is_failed": "dataflow_job",
    "dataflow.googleapis.com/job/system_lag": "dataflow_job",
    "pubsub.googleapis.com/subscription/num_undelivered_messages": "pubsub_subscription",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": "pubsub_subscription",
    "pubsub.googleapis.com/topic/send_request_count": "pubsub_topic",
    "run.googleapis.com/job/completed_execution_count": "cloud_run_job",
}
"""Metrics of Google Cloud as its documentation lists them, and the resource they are about."""

WATCHED = {"failed", "read", "rejected", "too_late"}
"""Counters of the pipeline that alerts are about."""

ALERTS = {
    "dataflow.googleapis.com/job/data_watermark_age",
    "dataflow.googleapis.com/job/is_failed",
    "dataflow.googleapis.com/job/system_lag",
    "pubsub.googleapis.com/subscription/num_undelivered_messages",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age",
    "pubsub.googleapis.com/topic/send_request_count",
    "run.googleapis.com/job/completed_execution_count",
}


@policy
def metrics_exist(given: Configuration) -> Found:
    metrics: set[str] = set()
    counters: set[str] = set()
    for text in texts([given.local_values, *given.resources.values()]):
        metrics |= set(metrics_of(text))
        counters |= set(counters_of(text))
    yield from (f"there is no metric {each}" for each in sorted(metrics - set(PLATFORM_METRICS)))
    yield from (f"no alert is about {each}" for each in sorted(ALERTS - metrics))
    yield from (f"the pipeline counts no {each}" for each in sorted(counters - counter_names()))
    yield from (f"no alert is about {each}" for each in sorted(WATCHED - counters))


def metrics_of(text: str) -> list[str]:
    """The metrics that a filter of Monitoring names."""
    return re.findall(r'metric\.type = \\*"([^"\\]+)', text)


def counters_of(text: str) -> list[str]:
    """The counters of the pipeline that a query names."""
    named = re.findall(r'(?:metric_name=~?|local\.counter\})\\*"([a-z_|]+)', text)
    return [name for each in named for name in each.split("|")]


@policy
def the_job_is_run_as_agreed(given: Configuration) -> Found:
    for address, body in given.of_type("google_dataflow_flex_template_job"):
        wanted = {
            "enable_streaming_engine": True,
            "on_delete": "drain",
            "autoscaling_algorithm": "THROUGHPUT_BASED",
            "max_workers": "${var.workers.max}",
            "num_workers": "${var.workers.initial}",
            "parameters": "${local.parameters}",
            "sdk_container_image": "${var.image}",
            "service_account_email": "${google_service_account.pipeline.email}",
        }
        for name, value in wanted.items():
            if literal(body.get(name)) != value:
                yield f"{address}: {name} is {body.get(name)}, not {value}"
        if "use_runner_v2" not in map(literal, body.get("additional_experiments", [])):
            yield f"{address} does not run on Runner v2"


@policy
def parameters_are_options(given: Configuration) -> Found:
    options = {option.name for option in OPTIONS}
    text = given.local_values["parameters"]
    names = re.findall(r"[{,\n]\s*(\w+)\s*[=:]\s", text)
    if not names:
        yield "the job has no parameters"
    yield from (f"the pipeline has no option {name}" for name in names if name not in options)
