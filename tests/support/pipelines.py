"""Running transforms in a test: what a pipeline gives, as rows, and what it counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from transforms.batches import rows_of


def one_thread() -> TestPipeline:
    """A pipeline on the FnApiRunner of this process."""
    return TestPipeline(runner="FnApiRunner")


def many_workers(workers: int) -> TestPipeline:
    """A pipeline on the FnApiRunner with several processes.

    Its threads would be quicker, but under load they break what is grouped, or never end.
    """
    options = PipelineOptions(direct_running_mode="multi_processing", direct_num_workers=workers)
    return TestPipeline(runner="FnApiRunner", options=options)


def assert_rows(
    batches: beam.PCollection, check: Callable[[list[dict[str, Any]]], None], label: str = "check"
) -> None:
    """Has `check` look at the rows of all batches when the pipeline runs."""

    def look(found: list[Any]) -> None:
        check([row for batch in found for row in rows_of(batch)])

    assert_that(batches, look, label=label)


def assert_elements(
    elements: beam.PCollection, check: Callable[[list[Any]], None], label: str = "check"
) -> None:
    """Has `check` look at all elements when the pipeline runs."""

    def look(found: list[Any]) -> None:
        check(list(found))

    assert_that(elements, look, label=label)
