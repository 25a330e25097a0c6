"""Prism does not cut bundles of a keyed step that takes long: see `pipelines.prism`."""

from __future__ import annotations

import time

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import DebugOptions
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from pipelines.batch_runner import batch_arguments
from pipelines.prism import WHOLE_BUNDLES
from pipelines.stream_runner import stream_options
from tests.support.kafka_job import need_prism

KEYS, EACH, SECONDS = 2, 6, 0.6
SEEN: list[tuple[int, int]] = []
NUMBER = beam.DoFn.StateParam(ReadModifyWriteStateSpec("number", VarIntCoder()))


class Slow(beam.DoFn):
    """Numbers the elements of a key, and takes its time."""

    def process(self, element, number=NUMBER):
        key, _ = element
        mine = number.read() or 0
        number.write(mine + 1)
        time.sleep(SECONDS)
        SEEN.append((key, mine))


@pytest.mark.slow
def test_each_element_of_a_slow_step_sees_the_state_that_the_one_before_has_left():
    need_prism()
    SEEN.clear()
    elements = [(key, number) for number in range(EACH) for key in range(KEYS)]
    with stream_options([]) as options, beam.Pipeline(options=options) as pipeline:
        _ = pipeline | beam.Create(elements, reshuffle=False) | beam.ParDo(Slow())
    assert sorted(SEEN) == [(key, number) for key in range(KEYS) for number in range(EACH)]


def test_batches_on_prism_have_whole_bundles_too(listener):
    given = ["--runner=PrismRunner", f"--job_endpoint={listener}"]
    with batch_arguments(given) as arguments:
        assert f"--experiments={WHOLE_BUNDLES}" in arguments
    with batch_arguments(["--runner=FnApiRunner"]) as arguments:
        assert arguments == ["--runner=FnApiRunner"]


def test_a_prism_that_runs_elsewhere_is_told_too(listener):
    given = ["--runner=PrismRunner", f"--job_endpoint={listener}", "--experiments=other"]
    with stream_options(given) as options:
        assert set(options.view_as(DebugOptions).experiments) == {"other", WHOLE_BUNDLES}
