"""Writes the templates' descriptions from the job's options: `python -m deploy.dataflow.metadata`.

`metadata.json` is the template of streams, `metadata_batch.json` the one of files. Nothing in them
is edited by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.dataflow.patterns import pattern_of
from pipelines.console import fail
from pipelines.dataflow_rules import ELSEWHERE
from pipelines.option_table import OPTIONS, PUBSUB, STREAMS, Option

__all__ = ["FILES", "main", "metadata", "options_of"]

FOLDER = Path(__file__).parent
FILES = {True: FOLDER / "metadata.json", False: FOLDER / "metadata_batch.json"}
"""The file of the template of streams, and that of the one of files."""

REQUIRED = {"input", "output"}
SETTLED = {"kafka_reader", "kafka_expansion"}
"""Options that the template's entry and image decide."""

OF_STREAMS = {option.name for option in (*STREAMS, *PUBSUB)} | {"kafka_start", "devices_every"}
NO_STREAM_METHODS, NO_BATCH_METHODS = {"file_loads"}, {"storage_write_api_cdc"}
TITLES = {
    True: (
        "Regional means of sensor readings, from a stream",
        (
            "Reads readings from Pub/Sub or Kafka, places them in the regions of France, and "
            "writes hourly and sliding means to BigQuery while they change."
        ),
    ),
    False: (
        "Regional means of sensor readings, from files",
        (
            "Reads files of readings from Cloud Storage, places them in the regions of France, and "
            "writes hourly and sliding means to BigQuery."
        ),
    ),
}
HELP = {
    (True, "input"): "What is read: pubsub://projects/P/subscriptions/S or "
    "kafka://HOST:PORT/TOPIC; several with spaces between them",
    (False, "input"): "Files of readings: gs://BUCKET/… of .jsonl, .json, .jsonl.gz, .json.gz; "
    "several with spaces between them, or a JSON list where a name holds spaces",
    (True, "output"): "bigquery://PROJECT.DATASET, and queues that get every result as a message: "
    "kafka://HOST:PORT/TOPIC, pubsub://projects/P/topics/T; with spaces between them",
}
HELP[False, "output"] = HELP[True, "output"]
IMAGE = {
    "name": "sdk_container_image",
    "label": "Image of the workers",
    "helpText": "The template's own image, with its digest; it holds all that workers need.",
    "isOptional": True,
    "paramType": "TEXT",
    "regexes": ["^[a-z0-9.-]+/[^ @]+(:[A-Za-z0-9_.-]+|@sha256:[0-9a-f]{64})$"],
}


def options_of(*, streaming: bool) -> list[Option]:
    """The options that the template has as parameters."""
    left_out = ELSEWHERE.keys() | SETTLED | (set() if streaming else OF_STREAMS)
    return [option for option in OPTIONS if option.name not in left_out]


def metadata(*, streaming: bool) -> dict[str, Any]:
    """The description of a template, as Google's `TemplateMetadata` wants it.

    Args:
        streaming: whether it is the template of streams.
    """
    name, description = TITLES[streaming]
    described: dict[str, Any] = {
        "name": name,
        "description": description,
        "streaming": streaming,
        "parameters": [
            *(
                _parameter(option, streaming=streaming)
                for option in options_of(streaming=streaming)
            ),
            IMAGE,
        ],
    }
    if streaming:
        # A step that is repeated would add its sums twice. The API takes a default mode only of
        # templates that support both.
        described |= {"supportsExactlyOnce": True, "supportsAtLeastOnce": False}
    return described


def _parameter(option: Option, *, streaming: bool) -> dict[str, Any]:
    words = HELP.get((streaming, option.name), option.help)
    described: dict[str, Any] = {
        "name": option.name,
        "label": option.name.replace("_", " ").capitalize(),
        "helpText": words[0].upper() + words[1:] + ".",
        "isOptional": option.name not in REQUIRED,
        "paramType": _type(option),
        "regexes": [pattern_of(option, streaming=streaming)],
    }
    if option.choices is not None:
        unfit = NO_STREAM_METHODS if streaming else NO_BATCH_METHODS
        fit = [value for value in option.choices if value not in unfit]
        described["enumOptions"] = [{"value": value, "label": value} for value in fit]
        described["regexes"] = [f"^({'|'.join(fit)})$"]
    default = " ".join(option.default) if option.many else option.default
    if default and option.name not in REQUIRED:
        described["defaultValue"] = default
    return described


def _type(option: Option) -> str:
    if option.flag:
        return "BOOLEAN"
    if option.choices is not None:
        return "ENUM"
    return "GCS_READ_FILE" if option.metavar == "FILE" else "TEXT"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0; with `--check`, 1 where a file is not what the options say.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deploy.dataflow.metadata",
        description="Write the descriptions of the Flex Templates from the job's options.",
    )
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    options = parser.parse_args(arguments)
    for streaming, file in FILES.items():
        text = json.dumps(metadata(streaming=streaming), indent=2, ensure_ascii=False) + "\n"
        if not options.check:
            file.write_text(text, "utf-8")
        elif not file.exists() or file.read_text("utf-8") != text:
            return fail(f"{file.name} is stale: run python -m deploy.dataflow.metadata")
    return 0


if __name__ == "__main__":
    sys.exit(main())
