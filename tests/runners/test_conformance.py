"""The same cases on all runners: they come to the same tables, byte for byte."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from schemas.groupings import GROUPINGS, SENSOR
from schemas.reasons import REASONS
from tests.runners.cases import CASES
from tests.runners.expected import final_means, reasons, sensors_of
from tests.runners.outcomes import common_folder, means_in, once, plain_rows
from tests.runners.runners import BUNDLES, CLUSTER, IN_PROCESS, RUNNERS, Runner
from tests.runners.running import make_inputs, run_files, run_test_stream, run_topic
from tests.support.flink import flink_cluster, job_server_jar  # noqa: F401 - fixtures
from tests.support.kafka_server import kafka_server  # noqa: F401 - a fixture
from tests.support.plain_means import assert_same_means
from tests.support.prism import prism  # noqa: F401 - a fixture
from transforms.balance import closes

MEANS = ("hourly_means", "sliding_means", "sensor_means")
OTHERS = ("latest_readings", "outside_readings", "rejected_readings")
CONTENT = (
    *("format", "id", "sensor_id", "quantity", "event_time", "longitude", "latitude", "value"),
    *("in_france", "region_code", "region", "deleted"),
)
"""What a reading says, wherever it came from and when."""

THE_PARSERS_OWN = {"parser_failed"}
"""No message is known that the parser fails at."""


def runs(*kinds: str) -> list[Any]:
    """Every runner with every kind of input that it takes, or only with these."""
    found = []
    for runner in RUNNERS:
        for kind in runner.kinds:
            if kinds and kind not in kinds:
                continue
            slow = [pytest.mark.slow] if runner.is_slow(kind) else []
            found.append(pytest.param((runner, kind), id=f"{runner.name}-{kind}", marks=slow))
    return found


RUNS = pytest.mark.parametrize("run", runs())


class Made:
    """Makes the outcome of a run where nobody has."""

    def __init__(self, request: pytest.FixtureRequest, factory: pytest.TempPathFactory) -> None:
        self._request, self._folder = request, common_folder(factory)

    def of(self, run: tuple[Runner, str]) -> dict[str, Any]:
        """By grouping, what `tests.runners.running` gives."""
        runner, kind = run
        make = self._files if kind == "batch" else self._stream
        return once(self._folder / f"{runner.name}-{kind}", lambda folder: make(runner, folder))

    def _files(self, runner: Runner, folder: Any) -> dict[str, Any]:
        inputs = self._folder / "inputs" / "files"
        once(inputs.parent, lambda _: make_inputs(inputs))
        here = not runner.is_slow("batch")
        arguments, groupings = self._arguments(runner), runner.groupings("batch")
        return run_files(arguments, groupings, inputs, folder, here=here)

    def _stream(self, runner: Runner, folder: Any) -> dict[str, Any]:
        if runner.fed == "test_stream":
            return run_test_stream(folder)
        arguments, groupings = self._arguments(runner), runner.groupings("stream")
        server = self._request.getfixturevalue("kafka_server")
        found = run_topic(arguments, groupings, server, folder)
        missing = [row for each in found.values() for row in each["missing"]]
        # A machine that stands still for a while may give rows early: then it is tried once more.
        assert not (runner.punctual and missing), missing
        return found

    def _arguments(self, runner: Runner) -> list[str]:
        for fixture in runner.needs:
            self._request.getfixturevalue(fixture)
        words = [f"--runner={runner.option}"]
        if runner is CLUSTER:
            cluster = self._request.getfixturevalue("flink_cluster")
            words.append(f"--flink_master={cluster.address}")
        return words


@pytest.fixture
def made(request, tmp_path_factory):
    return Made(request, tmp_path_factory)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@RUNS
def test_a_case_comes_to_what_it_says(made, run, case):
    outcome = made.of(run)
    for group_by, found in outcome.items():
        regions, sensors = final_means(group_by, [case])
        means = of_case(means_in(found["after"]), case)
        assert_same_means(means, {**regions, **sensors})
        assert_three_hours_before(means)
        differed = [row for row in found["differences"] if is_of(row, case)]
        if case.waits and run[1] == "stream":
            assert any(not only_extremes(row) for row in differed)
        else:
            assert all(only_extremes(row) for row in differed)
        assert run[1] == "stream" or not differed


@pytest.mark.parametrize("run", runs("stream"))
def test_a_punctual_runner_gives_every_row_when_it_is_due(made, run):
    for group_by, found in made.of(run).items():
        assert group_by == SENSOR or not run[0].punctual or not found["missing"]


@pytest.mark.parametrize("run", runs("stream"))
def test_rows_of_every_timing_come_while_the_stream_runs(made, run):
    rows = [row for case in CASES for each in case.gives.values() for row in each]
    wanted = Counter(row.pane for row in rows)
    for group_by, found in made.of(run).items():
        if group_by != SENSOR:
            missing = Counter(pane for _, pane, _ in found["missing"])
            assert all(2 * missing[pane] <= number for pane, number in wanted.items()), missing


@RUNS
def test_the_final_tables_are_those_of_all_other_runners(made, run):
    outcome = made.of(run)
    batch = made.of((IN_PROCESS, "batch"))
    same = batch if run[1] == "batch" else made.of((BUNDLES, "stream"))
    for group_by in outcome:
        found, expected = outcome[group_by]["after"], batch[group_by]["after"]
        assert {name: found[name] for name in MEANS} == {name: expected[name] for name in MEANS}
        regions, sensors = final_means(group_by)
        assert means_in(found).keys() == {**regions, **sensors}.keys()
        assert contents(found["latest_readings"]) == contents(expected["latest_readings"])
        for name in OTHERS:
            assert found[name] == same[group_by]["after"][name]
        assert outcome[group_by]["again"] == []


@RUNS
def test_all_is_accounted_for_and_nothing_else(made, run):
    kind = run[1]
    outcome = made.of(run)
    same = made.of((IN_PROCESS, "batch") if kind == "batch" else (BUNDLES, "stream"))
    for group_by in outcome:
        assert closes(outcome[group_by]["balance"])
        assert outcome[group_by]["balance"] == same[group_by]["balance"]
        rejected = plain_rows(outcome[group_by]["after"]["rejected_readings"])
        found = Counter(row["reason"] for row in rejected)
        assert found == reasons(stream=kind == "stream")


@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.name)
def test_every_grouping_is_run_on_every_runner(runner):
    assert {each for kind in runner.kinds for each in runner.groupings(kind)} == {*GROUPINGS}


def test_there_is_a_record_for_every_reason():
    found = {*reasons(stream=True), *reasons(stream=False)}
    assert found == {*REASONS} - THE_PARSERS_OWN


def test_no_case_has_another_ones_regions_or_sensors():
    regions = [code for case in CASES for code in case.regions]
    sensors = [name for case in CASES for name in sensors_of(case)]
    assert len(regions) == len(set(regions))
    assert len(sensors) == len(set(sensors))


def of_case(means, case):
    owners = case.regions | sensors_of(case)
    return {key: row for key, row in means.items() if key[0] in owners}


def is_of(difference, case):
    owners = case.regions | sensors_of(case)
    return (difference["region_code"] or difference["sensor_id"]) in owners


def only_extremes(difference):
    """Whether a window lacked nothing but an extreme that a stream cannot know."""
    before, after = difference["before"], difference["after"]
    unlike = {name for name in before if before[name] != after[name]}
    return unlike <= {"min", "max"} and all(before[name] is None for name in unlike)


def assert_three_hours_before(means):
    for (owner, quantity, start, size, period), row in means.items():
        if "mean_3h_before" in row:
            before = means.get((owner, quantity, start - 3 * 3600, size, period))
            assert row["mean_3h_before"] == (before and before["mean"])


def contents(rows):
    return sorted(repr([row[name] for name in CONTENT]) for row in plain_rows(rows))
