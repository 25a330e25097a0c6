"""The main job on Google Cloud Dataflow: what the launcher of the Flex Template starts.

The job's graph is built and handed over; nobody waits for it here, because the launcher would then
never hand it on. See deploy/dataflow/README.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    CrossLanguageOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors.input_error import InputError
from connectors.input_files import match_inputs
from connectors.output_error import OutputError
from connectors.read_globs import ReadGlobs
from connectors.streams.uris import open_source, split_inputs
from pipelines.begin_run import begin_run
from pipelines.console import fail
from pipelines.dataflow_rules import check_job, dataflow_options
from pipelines.job import Job, job_of
from pipelines.options import UsageError, parse_options
from pipelines.regional_means import FAILURE, USAGE, build
from pipelines.template_arguments import job_arguments

__all__ = ["main"]

LOG = logging.getLogger(__name__)
OUTPUT = "--output="
JARS = "BEAM_JARS"
"""The environment variable that names the folder of the expansion services' jars."""

EXPANSIONS = (
    "sdks:java:io:expansion-service:shadowJar",
    "sdks:java:io:google-cloud-platform:expansion-service:shadowJar",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the job's graph and hands it to Dataflow.

    Args:
        arguments: as the launcher gives them; those of the process by default.

    Returns:
        The exit code: 0, 1 where the job cannot be handed over, 2 where a parameter is wrong.
    """
    logging.basicConfig(level=logging.INFO)
    try:
        words = job_arguments(sys.argv[1:] if arguments is None else arguments)
        options, rest = parse_options(words)
        check_job(options, [each.removeprefix(OUTPUT) for each in words if each[:9] == OUTPUT])
        files, streams = split_inputs(options.input)
        if files and streams:
            msg = f"{files[0]} ends and {streams[0]} does not: give them jobs of their own"
            raise UsageError(msg)
        beam_options = dataflow_options(rest, streaming=bool(streams))
        launch(options, beam_options, job_of(options))
    except UsageError as error:
        return fail(str(error), USAGE)
    except (InputError, OutputError) as error:
        return fail(str(error), FAILURE)
    return 0


def launch(options: argparse.Namespace, beam_options: PipelineOptions, job: Job) -> None:
    """Builds the graph and gives it to the runner, which returns at once.

    Args:
        options: the command line's.
        beam_options: Beam's.
        job: what is made of the readings.

    Raises:
        InputError: an input is wrong or not there.
        OutputError: an output is.
        UsageError: Beam misses an option.
    """
    jars = _expansion_jars()
    files, streams = split_inputs(options.input)
    if files:
        found = match_inputs(files)
        job = job.for_size(found)
        LOG.info("%d files of %d bytes", len(found), sum(file.size for file in found))
    _, job, run = begin_run(job, options.input)
    wrong = PipelineOptionsValidator(beam_options, DataflowRunner()).validate()
    if wrong:
        raise UsageError(wrong[0])
    beam_options.view_as(CrossLanguageOptions).beam_services = jars
    # The block's end hands the job over.
    beam_options.view_as(StandardOptions).no_wait_until_finish = True
    with beam.Pipeline(options=beam_options) as pipeline:
        if streams:
            payloads = _stream(pipeline, streams, options, job)
        else:
            payloads = pipeline | "Read" >> ReadGlobs(files)
        build(payloads, job, run)
    LOG.info("the job of run %s is handed over", run.run_id)


def _expansion_jars() -> dict[str, str]:
    """Where the image keeps what expands Java transforms; without it Beam would download it.

    Raises:
        InputError: the image lacks a jar.
    """
    folder = os.environ.get(JARS)
    if not folder:
        return {}
    found = {}
    for target in EXPANSIONS:
        name = f"beam-{target.removesuffix(':shadowJar').replace(':', '-')}-{beam.__version__}.jar"
        found[target] = str(Path(folder) / name)
        if not Path(found[target]).exists():
            msg = (
                f"there is no {found[target]}: build the image anew, with deploy/dataflow/build.sh"
            )
            raise InputError(msg)
    return found


def _stream(
    pipeline: beam.Pipeline, uris: Sequence[str], options: argparse.Namespace, job: Job
) -> beam.PCollection:
    """The sources as one collection of payloads, each by the reader that Dataflow has for it."""
    parts = [
        pipeline | f"Read_{number}" >> _reader(uri, options, job) for number, uri in enumerate(uris)
    ]
    return parts[0] if len(parts) == 1 else parts | "All" >> beam.Flatten()


def _reader(uri: str, options: argparse.Namespace, job: Job) -> beam.PTransform:
    # Consumer groups are named by what the results go to.
    source: Any = open_source(uri, options, job.output)
    if uri.startswith("kafka:"):
        from connectors.streams.java_kafka import ReadFromKafkaByJava  # noqa: PLC0415

        return ReadFromKafkaByJava(source, options.kafka_expansion)
    from connectors.streams.beam_pubsub import ReadPubSubWithBeam  # noqa: PLC0415

    return ReadPubSubWithBeam(source, attribute_as_event_time=True)
