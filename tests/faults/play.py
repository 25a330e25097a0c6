"""Plays a plan: a stream has its faults, and its results are compared with those of a batch run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.checks import (
    Contents,
    assert_same,
    batch_of,
    check_balance,
    contents,
    recent_means,
    reconcile,
)
from tests.faults.messages import Message, messages, poisoned
from tests.faults.plan import Event, Plan
from tests.faults.scene import PATIENCE, Scene
from tests.support.flink import FlinkCluster
from tests.support.kafka_server import KafkaServer

__all__ = ["happen", "play"]

NUMBER, SECONDS = 1500, 12.0
"""Messages of a run, and how long they take."""


def play(
    plan: Plan,
    folder: Path,
    cluster: FlinkCluster,
    broker: KafkaServer,
    *,
    strict: bool = False,
) -> None:
    """Runs a stream that has the faults of a plan.

    Args:
        plan: the faults.
        folder: for all files; not there yet.
        cluster: with high availability.
        broker: a broker that nobody else uses.
        strict: the means are compared before reconciliation, too. A pane that a failed attempt has
            given out may stay until then (docs/faults.md).

    Raises:
        AssertionError: something differs from a run without faults, or does not come to an end.
    """
    scene = Scene(folder, cluster, broker, pool=plan.pool)
    try:
        sent = messages(plan.seed, NUMBER)
        for event in plan.events:
            if event.name == "poison":
                sent.append(poisoned(sent, event.value))
        batch = folder / "batch"
        wanted = batch_of(batch, sent)
        recently = recent_means(batch / "store")
        # There is nothing to survive before the job runs.
        scene.wait(lambda: scene.checkpoints() >= 1, "the first checkpoint")
        feeder = scene.feed([each for each in sent if each.kind != "poison"], SECONDS)
        follow(plan.events, scene)
        assert len(feeder.finish(PATIENCE)) == len(sent)
        check(scene, sent, wanted, recently, strict=strict and "command" not in plan.faults)
    finally:
        scene.close()


def follow(events: Sequence[Event], scene: Scene) -> None:
    """Has everything happen at its time."""
    began = time.monotonic()
    for event in events:
        time.sleep(max(0.0, began + event.at - time.monotonic()))
        happen(event, scene)


def happen(event: Event, scene: Scene) -> None:
    """Has a fault begin or end."""
    find: dict[tuple[str, bool], Callable[[], object]] = {
        ("taskmanager", True): lambda: scene.cluster.kill("taskmanager"),
        ("taskmanager", False): scene.cluster.start,
        ("jobmanager", True): lambda: scene.cluster.kill("jobmanager"),
        ("jobmanager", False): scene.cluster.start,
        ("broker", True): scene.broker.kill,
        ("broker", False): scene.broker.start,
        ("disk", True): lambda: scene.disk.fill(scene.python),
        ("disk", False): lambda: scene.disk.free(scene.python),
        ("clock", True): lambda: scene.shift_clock(event.value),
        ("clock", False): lambda: scene.shift_clock(0),
        ("silence", True): lambda: scene.feeder.silence(event.value),
        ("silence", False): lambda: scene.feeder.resume(event.value),
        ("poison", True): lambda: scene.feeder.poison(event.value),
        ("workers", True): scene.kill_workers,
        ("pool", True): scene.kill_pool,
        ("pool", False): scene.start_pool,
        ("command", True): scene.job.kill,
        ("command", False): scene.start_job,
    }
    find[event.name, event.begins]()


def check(
    scene: Scene,
    sent: Sequence[Message],
    wanted: Contents,
    recently: Sequence[str],
    *,
    strict: bool,
) -> None:
    """Waits until all is stored, stops the job, and compares.

    Args:
        scene: whose job runs.
        sent: what is in the topic.
        wanted: what a batch run makes of it.
        recently: the same, of `recent_means`.
        strict: the means are compared before reconciliation, too.
    """
    scene.wait_stored(len(sent))
    if scene.pool is not None and strict:
        # These workers cannot be told that the sources end: what is given out early must do.
        scene.wait_means(recently)
    scene.stop()
    # A savepoint may be one of a new attempt that is still reading again.
    if strict and scene.pool is None:
        assert_same({"recent": recent_means(scene.store)}, {"recent": recently})
    reconcile(scene.store)
    assert_same(contents(scene.store), wanted)
    check_balance(scene.store, sent)
