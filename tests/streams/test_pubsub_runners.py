"""Which runner reads Pub/Sub in which way, and what it says."""

from __future__ import annotations

import pytest

from connectors.input_error import InputError
from connectors.streams.pubsub_runners import BEAM, POLLING, way_to_read


@pytest.mark.parametrize(
    "runner",
    [None, "DirectRunner", "PrismRunner", "FlinkRunner", "PortableRunner", "prism", "flinkrunner"],
)
def test_runners_that_poll(runner):
    way = way_to_read(runner)
    assert way.reader == POLLING
    assert way.line is None


@pytest.mark.parametrize(
    "runner",
    ["DataflowRunner", "apache_beam.runners.dataflow.DataflowRunner", "TestDataflowRunner"],
)
def test_dataflow_reads_by_its_own_means(runner):
    assert way_to_read(runner, "message_key").reader == BEAM
    assert way_to_read(runner).line is None


def test_the_bundle_based_runner_says_what_it_cannot_do():
    way = way_to_read("BundleBasedDirectRunner")
    assert way.reader == BEAM
    assert "before they are processed" in way.line
    assert "watermark is the clock" in way.line
    assert "1,000 messages a second" in way.line
    assert "\n" not in way.line


@pytest.mark.parametrize(
    ("runner", "said"),
    [
        ("FnApiRunner", "ends at once without having read anything"),
        ("SparkRunner", "the SparkRunner does not read Pub/Sub"),
    ],
)
def test_runners_that_cannot_read_are_refused(runner, said):
    with pytest.raises(InputError, match=said) as refused:
        way_to_read(runner)
    assert "--runner=PrismRunner" in str(refused.value)


@pytest.mark.parametrize("runner", ["PrismRunner", "BundleBasedDirectRunner", "FlinkRunner"])
def test_an_attribute_as_identity_is_dataflows(runner):
    with pytest.raises(InputError, match="works on Dataflow only"):
        way_to_read(runner, "message_key")
