"""A stream from a savepoint goes on as the run that was stopped, or says why it cannot."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.local_store.records import FINISHED, RUNNING, STREAM
from pipelines import savepoints
from pipelines.job import job_of
from pipelines.options import parse_options
from pipelines.savepoints import from_savepoint, state_layout

NOW = datetime.datetime.now(datetime.UTC)
GIVEN = ["--runner=FlinkRunner", "--savepoint_path=file:///savepoint-1", "--parallelism=2"]


@pytest.fixture
def job(tmp_path):
    return job_of(parse_options(["--output", str(tmp_path / "store")])[0])


def run_of(name, *inputs):
    return Run(name, 1, NOW, inputs or ("kafka://b:1/t",))


@pytest.fixture
def begin(tmp_path, job):
    """Begins a run where others have been; gives it, the options that are left, what was said."""
    store = LocalStore(tmp_path / "store")

    def begin(*former, arguments=GIVEN):
        for number, (run, status) in enumerate(former):
            at = (NOW + datetime.timedelta(seconds=number)).isoformat()
            record = dataclasses.replace(run.record([], STREAM, status), finished_at=at)
            store.commit(record, [])
        said: list[str] = []
        return *from_savepoint(store, job, run_of("new"), arguments, said.append), said

    return begin


def stopped(job, name, *inputs):
    return dataclasses.replace(run_of(name, *inputs), state=state_layout(job)), RUNNING


def test_without_a_savepoint_all_stays_as_it_is(begin, job):
    run, arguments, said = begin(stopped(job, "old"), arguments=GIVEN[:1])
    assert (run.run_id, run.state, arguments, said) == ("new", state_layout(job), GIVEN[:1], [])


def test_a_run_goes_on_under_the_name_of_the_one_that_was_stopped_last(begin, job):
    former = [stopped(job, "a"), stopped(job, "b"), stopped(job, "other", "kafka://b:1/u")]
    ended = dataclasses.replace(former[0][0], run_id="ended"), FINISHED
    run, arguments, said = begin(*former, ended)
    assert (run.run_id, arguments, said) == ("b", GIVEN, [])


@pytest.mark.parametrize(
    "arguments", [GIVEN, [GIVEN[0], "--savepoint_path", "file:///savepoint-1", GIVEN[2]]]
)
def test_state_that_cannot_be_taken_over_is_left_and_the_user_is_told(
    begin, job, arguments, monkeypatch
):
    old = stopped(job, "old")
    monkeypatch.setattr(savepoints, "STATE_VERSION", 99)
    run, left, (sentence,) = begin(old, arguments=arguments)
    assert run.run_id == "new"
    assert left == [GIVEN[0], GIVEN[2]]
    assert "keep another state: the stream goes on where the store is" in sentence


def test_a_savepoint_of_no_run_of_the_store_is_left(begin, job):
    run, left, (sentence,) = begin(stopped(job, "other", "kafka://b:1/u"))
    assert (run.run_id, left) == ("new", [GIVEN[0], GIVEN[2]])
    assert "no stream of kafka://b:1/t into this store was stopped" in sentence


def test_other_windows_are_another_state(job, tmp_path):
    windows = ["--window", "15m/5m", "--output", str(tmp_path)]
    assert state_layout(job) != state_layout(job_of(parse_options(windows)[0]))
    assert state_layout(job) == state_layout(job_of(parse_options(["--output", "else"])[0]))
