"""Which runner a stream gets, and the options without which it would lose data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions

from pipelines.flink import FLINK, flink_arguments
from pipelines.options import UsageError
from pipelines.prism import prism_arguments
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
    runner = options.view_as(StandardOptions).runner
    if runner in {None, DIRECT}:
        runner = PRISM
    check_streams(runner)
    with contextlib.ExitStack() as stack:
        if runner == PRISM:
            named = [*arguments, f"--runner={PRISM}"]
            options = PipelineOptions(stack.enter_context(prism_arguments(named)))
        elif runner == FLINK:
            complete = flink_arguments(arguments, streaming=True, ends=ends)
            options = PipelineOptions(stack.enter_context(complete))
        options.view_as(StandardOptions).streaming = True
        yield options


def in_this_process(options: PipelineOptions) -> bool:
    """Whether Prism has all its workers in this process, and so each bundle is counted here once.

    Flink may have them here as well, but repeats bundles that fail.
    """
    runner = options.view_as(StandardOptions).runner
    return runner == PRISM and options.view_as(PortableOptions).environment_type == "LOOPBACK"
