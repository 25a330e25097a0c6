"""What the main job can do on Dataflow, and what it would lose there."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from pipelines.option_table import OPTIONS, SAMPLE
from pipelines.options import UsageError

__all__ = ["ELSEWHERE", "RUNNER", "check_job", "dataflow_options"]

RUNNER = "DataflowRunner"
AT_LEAST_ONCE = "streaming_mode_at_least_once"

POLLED = "it belongs to the readers of this package, and Dataflow reads streams by its own"
ELSEWHERE = {
    "idle": POLLED,
    "idle_after": POLLED,
    "out_of_orderness": POLLED,
    "stop_when_idle": "a stream on Dataflow ends when its job is drained",
    "kafka_gone": POLLED,
    "kafka_timeout": POLLED,
    "http_interval": "https is not read on Dataflow",
    "http_header": "https is not read on Dataflow",
    "http_key_env": "https is not read on Dataflow",
    "http_timeout": "https is not read on Dataflow",
    "http_give_up": "https is not read on Dataflow",
    "metrics_port": "Cloud Monitoring has the metrics",
    "format": "a template prints no summary",
    "quiet": "a template prints no summary",
    "verbose": "a template prints no summary",
}
"""Options that mean nothing on Dataflow, and why."""

DEFAULTS = {option.name: option.default for option in OPTIONS}
QUEUE_OR_DATASET = ("bigquery://", "kafka://", "pubsub://")


def check_job(options: argparse.Namespace, outputs: Sequence[str]) -> None:
    """Refuses what workers on other machines cannot do.

    Args:
        options: the command line's.
        outputs: the values of `--output`, as they were given.

    Raises:
        UsageError: an option names what only this machine has, or means nothing on Dataflow.
    """
    folders = [each for each in outputs if not each.startswith(QUEUE_OR_DATASET)]
    if folders or not outputs:
        named = f"the output {folders[0]!r} is a folder" if folders else "no output is named"
        msg = (
            f"{named}, and workers on Dataflow share no folder: "
            "use --output=bigquery://PROJECT.DATASET"
        )
        raise UsageError(msg)
    for uri in options.input:
        _check_input(uri)
    _check_kafka(options)
    if options.devices is not None and "://" not in options.devices:
        msg = f"workers cannot read --devices {options.devices}: put it where gs:// names it"
        raise UsageError(msg)
    if any(name.strip().endswith(".json") for name in options.message_format.split(",")):
        msg = (
            f"workers cannot read --message_format {options.message_format}: name one of the "
            "formats of this package, or add the file to schemas/formats and build the image anew"
        )
        raise UsageError(msg)
    for name, why in ELSEWHERE.items():
        if getattr(options, name) != DEFAULTS[name]:
            msg = f"--{name} means nothing on Dataflow: {why}"
            raise UsageError(msg)


def _check_input(uri: str) -> None:
    scheme, found, _ = uri.partition("://")
    if scheme in {"http", "https"}:
        msg = (
            f"{uri} is not read on Dataflow: nothing there keeps what was answered before it is "
            "stored; poll it on Prism or Flink, or let python -m serving publish it to Pub/Sub"
        )
        raise UsageError(msg)
    if scheme == "pubsub" and "/topics/" in uri:
        msg = (
            f"on Dataflow a subscription is read, not the topic {uri}: make one, and name "
            "pubsub://projects/P/subscriptions/S"
        )
        raise UsageError(msg)
    if not found and uri != str(SAMPLE):
        msg = f"workers cannot read {uri}: copy it to Cloud Storage, and name it by gs://"
        raise UsageError(msg)


def _check_kafka(options: argparse.Namespace) -> None:
    for given in options.kafka_option:
        name, _, value = given.partition("=")
        if value.strip().startswith("env:"):
            msg = (
                f"--kafka_option {name}=env:… cannot be: workers on Dataflow have no environment "
                "of yours; brokers there are reached by OAUTHBEARER, or within the network"
            )
            raise UsageError(msg)


def dataflow_options(rest: Sequence[str], *, streaming: bool) -> PipelineOptions:
    """Beam's options for Dataflow.

    Args:
        rest: the arguments that are Beam's.
        streaming: whether the job reads a stream.

    Raises:
        UsageError: the job would run otherwise than the template is meant.
    """
    options = PipelineOptions(list(rest))
    standard = options.view_as(StandardOptions)
    if standard.runner != RUNNER:
        msg = (
            f"this is the template's entry for --runner={RUNNER}, not for {standard.runner}; "
            "python -m pipelines.regional_means is the one for others"
        )
        raise UsageError(msg)
    standard.streaming = streaming
    # Nothing of the entry's own module is pickled.
    options.view_as(SetupOptions).save_main_session = False
    _check_image(options)
    cloud = options.view_as(GoogleCloudOptions)
    asked = [*(cloud.dataflow_service_options or ()), *_experiments(options)]
    if AT_LEAST_ONCE in asked:
        msg = (
            f"{AT_LEAST_ONCE} is refused: a step that is repeated would add its sums twice; leave "
            "it out, and Dataflow runs exactly once"
        )
        raise UsageError(msg)
    return options


def _check_image(options: PipelineOptions) -> None:
    """The image holds all that workers need; nothing is staged or downloaded beside it."""
    if not options.view_as(WorkerOptions).sdk_container_image:
        msg = (
            "--sdk_container_image is missing: workers run the template's own image, as "
            "deploy/dataflow/run.sh says"
        )
        raise UsageError(msg)
    setup = options.view_as(SetupOptions)
    for name in ("requirements_file", "setup_file", "extra_packages"):
        if getattr(setup, name):
            msg = f"--{name} is refused: the image holds all packages, and nothing is downloaded"
            raise UsageError(msg)


def _experiments(options: PipelineOptions) -> list[str]:
    return list(options.view_as(DebugOptions).experiments or ())
