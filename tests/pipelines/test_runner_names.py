"""By which names runners are known, which are refused, and what files need of theirs."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions

from connectors.input_error import InputError
from pipelines.batch_runner import batch_arguments, counted_here
from pipelines.prism import WHOLE_BUNDLES, WITHOUT_END
from pipelines.runner_names import (
    check_runner,
    check_savepoint,
    full_name,
    has_one_life,
    with_full_name,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("PrismRunner", "PrismRunner"),
        ("prism", "PrismRunner"),
        ("FLINKRUNNER", "FlinkRunner"),
        ("apache_beam.runners.direct.DirectRunner", "DirectRunner"),
        ("apache_beam.runners.portability.spark_runner.SparkRunner",) * 2,
        ("mine.PrismRunner", "mine.PrismRunner"),
        ("", ""),
    ],
)
def test_a_name_is_completed(written, name):
    assert full_name(written) == name


def test_only_the_runners_option_is_changed():
    words = ["--job_name=prism", "--runner", "prism", "flink", "--runner=flink", "--runner"]
    wanted = ["--job_name=prism", "--runner", "PrismRunner", "flink", "--runner=FlinkRunner"]
    assert with_full_name(words) == [*wanted, "--runner"]


@pytest.mark.parametrize("runner", ["DirectRunner", "FnApiRunner", "PrismRunner", "FlinkRunner"])
def test_a_known_runner_is_taken(runner):
    check_runner(runner, None)


def test_a_job_server_of_ones_own_is_taken():
    check_runner("PortableRunner", "localhost:8099")
    with pytest.raises(ValueError, match=r"name one by --job_endpoint=HOST:PORT"):
        check_runner("PortableRunner", None)


@pytest.mark.parametrize(
    "given",
    [
        {"flink_master": "127.0.0.1:8081"},
        {"job_endpoint": "localhost:8099"},
        {"output_executable_path": "job.jar"},
    ],
)
def test_a_cluster_takes_a_savepoint(given):
    check_savepoint("FlinkRunner", {"savepoint_path": "s", **given})


@pytest.mark.parametrize(
    ("runner", "given", "sentence"),
    [
        (None, {}, "PrismRunner keeps no state"),
        ("FnApiRunner", {}, "FnApiRunner keeps no state"),
        ("FlinkRunner", {}, "an embedded Flink ends with its command"),
        ("FlinkRunner", {"flink_master": "[auto]"}, "an embedded Flink ends with its command"),
    ],
)
def test_others_have_nothing_to_go_on_with(runner, given, sentence):
    check_savepoint(runner, given)
    with pytest.raises(ValueError, match=sentence):
        check_savepoint(runner, {"savepoint_path": "s", **given})


def test_files_on_other_runners_need_nothing_more():
    for given in ([], ["--runner=BundleBasedDirectRunner"], ["--direct_num_workers=1"]):
        with batch_arguments(given) as found:
            assert found == given


@pytest.mark.parametrize(
    ("given", "one_life"),
    [
        ({}, True),
        ({"environment_type": "LOOPBACK"}, True),
        ({"environment_type": "PROCESS"}, False),
        ({"number_of_execution_retries": "3"}, False),
        ({"savepoint_path": "s"}, False),
    ],
)
def test_a_runner_that_ends_with_its_only_worker_needs_no_state(given, one_life):
    assert has_one_life(given) == one_life


def test_a_prism_that_runs_is_used(listener):
    given = ["--runner=PrismRunner", f"--job_endpoint={listener}"]
    with batch_arguments(given) as found:
        assert found == [*given, f"--experiments={WHOLE_BUNDLES}", WITHOUT_END]


@pytest.mark.parametrize("address", ["localhost:1", "localhost", "nowhere.invalid:8099"])
def test_a_prism_that_does_not_answer_is_said(address):
    """Beam would wait for it as long as for a job, and that has no end."""
    given = ["--runner=PrismRunner", f"--job_endpoint={address}"]
    with pytest.raises(InputError, match=f"--job_endpoint {address}: "), batch_arguments(given):
        pass


def test_a_job_is_listened_to_for_as_long_as_the_user_wants(listener):
    given = ["--runner=PrismRunner", f"--job_endpoint={listener}"]
    with batch_arguments(given) as found:
        years = PipelineOptions(found).view_as(PortableOptions).job_server_timeout / 86_400 / 365
        assert years == 10
    with batch_arguments([*given, "--job_server_timeout=7"]) as found:
        assert WITHOUT_END not in found


def test_a_prism_that_is_not_there_is_said():
    words = ["--runner=PrismRunner", "--prism_location=/nowhere/prism"]
    with pytest.raises(InputError, match="--prism_location names"), batch_arguments(words):
        pass


@pytest.mark.parametrize(
    ("words", "here"),
    [
        (["--runner=BundleBasedDirectRunner"], True),
        (["--runner=PrismRunner", "--environment_type=LOOPBACK"], True),
        (["--runner=PrismRunner"], False),
        (["--runner=FnApiRunner"], False),
    ],
)
def test_who_counts_best(words, here):
    assert counted_here(PipelineOptions(words)) is here
