"""Which runner a stream gets, and the options without which it would lose data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import (
    DebugOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from pipelines.flink import FLINK, flink_arguments
from pipelines.options import UsageError
from pipelines.prism import WHOLE_BUNDLES, find_prism, running_prism
from pipelines.runner_names import BUNDLES, DIRECT, IN_PROCESS, PRISM

__all__ = ["NO_STREAMS", "check_streams", "in_this_process", "stream_options"]

NO_STREAMS = {
    IN_PROCESS: "it holds every result to the end of the input, and a stream has none",
    BUNDLES: "it cannot poll a source",
}


def check_streams(runner: str | None) -> None:
    """Refuses a runner that runs no streams.

    Args:
        runner: as it stands after `--runner`; None for the default.

    Raises:
        UsageError: it runs none.
    """
    if runner in NO_STREAMS:
        msg = f"{runner} runs no streams: {NO_STREAMS[runner]}; use {PRISM} or {FLINK}"
        raise UsageError(msg)


@contextlib.contextmanager
def stream_options(arguments: Sequence[str], *, ends: bool = True) -> Iterator[PipelineOptions]:
    """The options of a stream's pipeline, while its runner runs.

    Without a runner's name it is Prism. It, and the job server of Flink, are started here and
    stopped after the block.

    Args:
        arguments: Beam's options as the user gave them.
        ends: the stream ends by itself.

    Raises:
        InputError: the runner is not there.
        UsageError: it runs no streams.
    """
    options = PipelineOptions(list(arguments))
    standard, portable = options.view_as(StandardOptions), options.view_as(PortableOptions)
    standard.streaming = True
    runner = standard.runner
    if runner in {None, DIRECT}:
        runner = standard.runner = PRISM
    check_streams(runner)
    if runner == PRISM:
        options.view_as(DebugOptions).add_experiment(WHOLE_BUNDLES)
    if runner == PRISM and not portable.job_endpoint:
        named = options.get_all_options().get("prism_location")
        with running_prism(find_prism(named)) as address:
            portable.job_endpoint = address
            portable.environment_type = portable.environment_type or "LOOPBACK"
            yield options
        return
    if runner != FLINK:
        yield options
        return
    with flink_arguments(arguments, streaming=True, ends=ends) as complete:
        options = PipelineOptions(complete)
        options.view_as(StandardOptions).streaming = True
        yield options


def in_this_process(options: PipelineOptions) -> bool:
    """Whether Prism has all its workers in this process, and so each bundle is counted here once.

    Flink may have them here as well, but repeats bundles that fail.
    """
    runner = options.view_as(StandardOptions).runner
    return runner == PRISM and options.view_as(PortableOptions).environment_type == "LOOPBACK"
