"""Sensors of air quality, more and more of them: how long it takes until a reading is seen."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from benchmarks.report import Target
from benchmarks.streaming.job import ROOT, Job, JobFailedError
from benchmarks.streaming.processes import Watched, busy_seconds
from benchmarks.streaming.results import Result, cores_between, percentiles
from benchmarks.streaming.scene import Scene, scene
from benchmarks.streaming.visible import Message, Onlooker
from benchmarks.streaming.watch import PARTS, Sample

__all__ = ["Ladder", "climb"]

RATES = (1, 10, 100, 250, 500, 1000, 1250)
SENSORS = (1, 10, 100, 1000)
"""Messages a second with a hundred sensors; sensors at the greatest rate."""

MANY = 100
START_SECONDS, LAST_SECONDS = 400.0, 60.0
SETTLING = 5.0
"""Seconds at the begin of a step whose messages are not counted."""

MOST_LATENCY = 2.0
WINDOWS = ("--group_by", "sensor", "--window", "15m/5m", "--early_every", "1s")
WORKERS = {"flink": "--parallelism", "prism": "--direct_num_workers"}


@dataclass(frozen=True)
class Ladder:
    """What is measured.

    Attributes:
        runner: `flink` or `prism`.
        workers: how many, and partitions of the topic.
        seconds: of each step.
        rates: messages a second, of a hundred sensors.
        sensors: how many, at the greatest rate.
        options: further options of the job.
        quick: it only shows that the benchmark works.
    """

    runner: str
    workers: int = 1
    seconds: float = 30.0
    rates: tuple[int, ...] = RATES
    sensors: tuple[int, ...] = SENSORS
    options: tuple[str, ...] = ()
    quick: bool = False

    @property
    def name(self) -> str:
        """What tells it from others."""
        return f"{self.runner} {self.workers} workers"

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Messages a second and sensors of each step."""
        by_sensors = [(max(self.rates), sensors) for sensors in self.sensors if sensors != MANY]
        return [*((rate, MANY) for rate in self.rates), *by_sensors]


def climb(asked: Ladder, data: Path) -> Result:
    """Measures all steps in one run of the job.

    Args:
        asked: what.
        data: the folder of the benchmarks' data.

    Raises:
        JobFailedError: the job or the simulator has failed.
        BrokerError: the broker has.
        NoSpaceError: the disk has too little room.
    """
    room = sum(rate for rate, _ in asked.steps) * asked.seconds * 1000
    arguments = [*WINDOWS, WORKERS[asked.runner], asked.workers, *asked.options]
    with scene(data, asked.workers, room) as place, place.job(asked.runner, arguments) as job:
        with _onlooker(place, job) as onlooker:
            _warm_up(place, onlooker, job)
            steps = [
                _step(asked, place, job, onlooker, number) for number in range(len(asked.steps))
            ]
        job.stop()
        balance = job.balance(300.0)
    targets = [
        Target(
            f"ladder, {asked.name}, {step['rate']:,} messages/s of {step['sensors']:,} sensors: "
            "95 % seen in a result",
            step["result"]["p95"],
            MOST_LATENCY,
            unit="s",
        )
        for step in sorted(steps, key=itemgetter("sensors"))
        if step["rate"] == max(asked.rates)
    ]
    lost = f"ladder, {asked.name}: messages whose results were not seen"
    targets.append(Target(lost, sum(step["lost"] for step in steps), 0, unit="messages"))
    settings = json.loads(json.dumps(asdict(asked)))
    values = {"steps": steps, "balance": balance}
    return Result("ladder", asked.name, settings, values, targets, asked.quick)


@contextlib.contextmanager
def _onlooker(place: Scene, job: Job) -> Iterator[Onlooker]:
    onlooker = Onlooker(
        place.broker.address, place.topic, place.partitions, job.store, size=900, period=300
    )
    try:
        yield onlooker
    finally:
        onlooker.close()


def _warm_up(place: Scene, onlooker: Onlooker, job: Job) -> None:
    """Sends until the first results are seen: the job has begun then."""
    with _simulator(place, 10, MANY, START_SECONDS, 999):
        _wait(lambda: onlooker.all_seen(onlooker.messages[:1] or [NOTHING]), job, START_SECONDS)


NOTHING = Message("", "", (), 0.0, 0.0)


def _step(asked: Ladder, place: Scene, job: Job, onlooker: Onlooker, number: int) -> dict[str, Any]:
    """One step: sends for its time, waits until all is seen, and says how long it took."""
    rate, sensors = asked.steps[number]
    before = len(onlooker.messages)
    with _simulator(place, rate, sensors, asked.seconds, number + 1) as simulator:
        parts = {"broker": place.broker.process, "job": job.pid, "producer": simulator.pid}
        watched = Watched(parts)
        time.sleep(min(SETTLING, asked.seconds / 2))
        first, skipped = _used(watched), time.time()
        last = first
        while simulator.poll() is None:
            job.check()
            time.sleep(0.2)
            last = _used(watched)
        if simulator.returncode:
            msg = f"the simulator has ended with code {simulator.returncode}"
            raise JobFailedError(msg)
    sent = time.time()
    time.sleep(0.5)
    mine = onlooker.messages[before:]
    counted = [message for message in mine if message.measured >= skipped] or mine
    seen = _wait(lambda: onlooker.all_seen(counted), job, LAST_SECONDS, must=False)
    if onlooker.failure is not None:
        msg = f"the store cannot be read: {onlooker.failure}"
        raise JobFailedError(msg)
    found = onlooker.latencies(counted)
    result = percentiles(found.results.tolist())
    step = {
        "rate": rate,
        "sensors": sensors,
        "messages": len(counted),
        "lost": found.lost,
        "ingested": percentiles(found.ingested.tolist()),
        "stored": percentiles(found.stored.tolist()),
        "result": result,
        "behind": time.time() - sent if seen else None,
        "cores": cores_between(first, last),
        "memory_peak": {part: usage.peak for part, usage in watched.usage.items()},
    }
    print(
        f"ladder {asked.name}: {rate:,} messages/s of {sensors:,} sensors: result after "
        f"{result['p50']:.2f} s, 95 % {result['p95']:.2f} s, 99 % {result['p99']:.2f} s; "
        f"{found.lost} not seen",
        file=sys.stderr,
        flush=True,
    )
    return step


def _used(watched: Watched) -> Sample:
    usage = watched.look()
    sample: Sample = {"time": time.monotonic(), "cpu_watch": time.process_time()}
    sample["cpu_machine"] = busy_seconds()
    for part in PARTS:
        sample[f"cpu_{part}"] = usage[part].cpu if part in usage else 0.0
    return sample


@contextlib.contextmanager
def _simulator(
    place: Scene, rate: float, sensors: int, seconds: float, seed: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the simulator while the block does."""
    command = [
        *(sys.executable, "-m", "pipelines.simulate", "--format", "air_quality", "--quiet"),
        *("--rate", str(rate), "--sensors", str(sensors), "--outside", "0"),
        *("--duration", f"{max(1, round(seconds))}s", "--seed", str(seed)),
        *("--output", place.broker.uri(place.topic)),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait(condition: Any, job: Job, seconds: float, *, must: bool = True) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        job.check()
        if time.monotonic() > until:
            if must:
                msg = f"the job shows no results within {seconds:.0f} s"
                raise JobFailedError(msg)
            return False
        time.sleep(0.25)
    return True
