"""Each fault once, on a real Flink with Kafka in and the store out; results are as without."""

from __future__ import annotations

import random
import re
import shutil
import signal

import pytest

from pipelines.savepoints import STATE_VERSION
from tests.faults.checks import (
    assert_same,
    batch_of,
    check_balance,
    contents,
    recent_means,
    reconcile,
)
from tests.faults.messages import messages, poisoned
from tests.faults.plan import FAULTS, Plan
from tests.faults.play import check, follow
from tests.faults.scene import PATIENCE, Scene
from tests.faults.servers import faulty_servers  # noqa: F401 - a fixture
from tests.support.flink import job_server_jar  # noqa: F401 - a fixture
from tests.support.jobs import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.usefixtures("job_server_jar"),
]

CODE = ("pipelines", "transforms", "connectors", "geo", "schemas", "sql", "simulation", "serving")
NUMBER = 900


def plan_of(*names):
    """A plan with these faults, one soon after the other."""
    known = {fault.name: fault for fault in FAULTS}
    chosen = [known[name] for name in names]
    return Plan.with_faults(0, False, chosen, 2.0 * len(names), random.Random(5))


def test_the_command_goes_on_whatever_ends_around_it_and_where_the_store_is(
    faulty_servers,  # noqa: F811
    tmp_path,
):
    """Each process killed, a full disk, a wrong clock, poison, silence; then the command."""
    cluster, broker = faulty_servers
    before, after = messages(11, NUMBER), messages(12, NUMBER // 3, late=0)
    poison = poisoned(before, 1)
    wanted = batch_of(tmp_path / "batch", [*before, poison])
    plan = plan_of("disk", "clock", "silence", "poison", "broker", "taskmanager", "jobmanager")
    scene = Scene(tmp_path / "scene", cluster, broker)
    try:
        scene.wait(lambda: scene.checkpoints() >= 1, "the first checkpoint")
        feeder = scene.feed(before, 12)
        follow(plan.events, scene)
        sent = feeder.finish(PATIENCE)
        assert len(sent) == NUMBER + 1
        scene.wait_stored(len(sent))
        # Panes of what was read again replace those of the attempts that failed.
        scene.wait_means(recent_means(tmp_path / "batch" / "store"))
        reconcile(scene.store)
        assert_same(contents(scene.store), wanted)
        scene.job.kill()
        both = [*sent, *scene.feed(after, 1).finish(PATIENCE)]
        scene.start_job()
        wanted = batch_of(tmp_path / "batch-of-both", both)
        check(scene, both, wanted, [], strict=False)
    finally:
        scene.close()


def test_workers_of_their_own_may_end_and_a_savepoint_is_gone_on_with(
    faulty_servers,  # noqa: F811
    tmp_path,
):
    """Workers and their pool are killed; then new code goes on with the state, then without."""
    cluster, broker = faulty_servers
    # Corrections reach from one part into the one before: the state knows what they correct.
    every = messages(21, NUMBER, late=0)
    parts = [every[begin : begin + NUMBER // 3] for begin in range(0, NUMBER, NUMBER // 3)]
    scene = Scene(tmp_path / "scene", cluster, broker, pool=True)
    sent = []
    try:
        for number, part in enumerate(parts):
            scene.wait(lambda: scene.checkpoints() >= 1, "the first checkpoint")
            feeder = scene.feed(part, 5)
            if number == 0:
                follow(plan_of("workers", "pool").events, scene)
            sent += feeder.finish(PATIENCE)
            batch = tmp_path / f"batch-{number}"
            wanted = batch_of(batch, sent)
            scene.wait_stored(len(sent))
            if number == 1:
                # Nothing counts twice, though the second run has the sums of the first.
                scene.wait_means(recent_means(batch / "store"))
            scene.stop()
            reconcile(scene.store)
            if number < 2:
                savepoint = re.search(r"--savepoint_path=\S+", scene.job.err)[0]
                new_version(scene, tmp_path / f"code-{number}", STATE_VERSION + number)
                scene.start_job(savepoint)
        assert "--savepoint_path is left out" in scene.job.err
        reconcile(scene.store)
        assert_same(contents(scene.store), wanted)
        check_balance(scene.store, sent)
    finally:
        scene.close()


def new_version(scene, folder, state):
    """The code in another folder, with its word for the layout of state; workers run it."""
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "pipelines" / "savepoints.py"
    text = module.read_text("utf-8")
    line = f"\nSTATE_VERSION = {STATE_VERSION}\n"
    assert line in text
    module.write_text(text.replace(line, f"\nSTATE_VERSION = {state}\n"), "utf-8")
    scene.pool.signal(signal.SIGTERM)
    scene.kill_pool()
    scene.code = folder
    scene.start_pool()
