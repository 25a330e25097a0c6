"""What a run over files needs of its runner: that it runs, and what it has counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines.flink import flink_arguments
from pipelines.flink_options import given_options
from pipelines.prism import prism_arguments
from pipelines.runner_names import BUNDLES, PRISM
from pipelines.stream_runner import in_this_process

__all__ = ["batch_arguments", "counted_here"]


@contextlib.contextmanager
def batch_arguments(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Beam's options for files, complete, while the runner that they name runs.

    Prism, and the job server of Flink, are started here and stopped after the block, unless the
    options say where they run already.

    Args:
        arguments: Beam's options as the user gave them.

    Raises:
        InputError: the runner is not there, or the options are wrong for it.
    """
    if given_options(arguments).get("runner") == PRISM:
        with prism_arguments(arguments) as complete:
            yield complete
        return
    with flink_arguments(arguments) as complete:
        yield complete


def counted_here(options: PipelineOptions) -> bool:
    """Whether this process counts all, and better than the runner's metrics.

    Prism may lose amounts. Of the BundleBasedDirectRunner's, only the first bundle of each step is
    there.
    """
    return options.view_as(StandardOptions).runner == BUNDLES or in_this_process(options)
