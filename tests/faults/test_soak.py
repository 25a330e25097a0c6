"""Streams with random faults; `make soak` runs more of them."""

from __future__ import annotations

import pytest

from tests.faults.plan import Plan
from tests.faults.play import SECONDS, play
from tests.faults.servers import faulty_servers  # noqa: F401 - a fixture
from tests.support.flink import job_server_jar  # noqa: F401 - a fixture


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("job_server_jar")
@pytest.mark.parametrize("seed", [7, 10, 17])
def test_a_stream_with_random_faults_comes_to_what_a_batch_comes_to(
    seed,
    faulty_servers,  # noqa: F811
    tmp_path,
):
    play(Plan.of(seed, SECONDS), tmp_path / "scene", *faulty_servers)


def test_a_seed_gives_one_plan_and_all_faults_come_up():
    plans = [Plan.of(seed, SECONDS) for seed in range(40)]
    assert plans == [Plan.of(seed, SECONDS) for seed in range(40)]
    assert len({name for plan in plans for name in plan.faults}) == 10
    assert {plan.pool for plan in plans} == {True, False}
    for plan in plans:
        assert [event.at for event in plan.events] == sorted(event.at for event in plan.events)
        assert not {"workers", "pool"} & set(plan.faults) or plan.pool
