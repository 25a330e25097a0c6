"""The cases run on a runner: over files, over a topic while it is filled, or event by event."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import io
import json
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from pipelines import reconcile
from pipelines.job import job_of
from pipelines.options import parse_options
from pipelines.regional_means import build
from schemas.groupings import GROUPINGS, SENSOR
from tests.runners.cases import ACTS, CASES, Act, Case, Row, at
from tests.runners.expected import LARGE, batch_lines, messages_of
from tests.support.jobs import ROOT, ask, command, rows_of, run_command, run_job
from tests.support.kafka_server import KafkaServer
from tests.support.streams import counted
from transforms.balance import CLASSES
from transforms.payload import Payload, Reached, join_messages

__all__ = ["TABLES", "make_inputs", "run_files", "run_test_stream", "run_topic", "tables_of"]

TABLES = (
    "hourly_means",
    "sliding_means",
    "sensor_means",
    "latest_readings",
    "outside_readings",
    "rejected_readings",
)
SECONDS = 240.0
ROWS_SECONDS = 60.0
"""How long rows may take once all their messages are stored."""

Missing: TypeAlias = tuple[str, str, str]
"""Of a row that is not there: its case, the timing of its pane, and what it says."""

WRITTEN = re.compile(r", 'ingested_at': \d+")
TIMES = ("--early_every", "15s", "--late_every", "1s", "--idle_after", "1h")
"""A reading that comes with what moves the watermark must not be given out before it has."""

SHOWN = (
    "SELECT region_code, quantity, epoch(window_start)::BIGINT, window_period, pane, count, mean "
    "FROM regional_means_revisions"
)


def make_inputs(folder: Path) -> None:
    """Files of all messages: plain, compressed, and one with a record that is too large."""
    folder.mkdir()
    lines = batch_lines()
    half = len(lines) // 2
    (folder / "first.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[:half]))
    with gzip.open(folder / "second.jsonl.gz", "wb") as file:
        file.write(b"".join(line + b"\n" for line in lines[half:]))
    (folder / "large.jsonl").write_bytes(b'"' + b"a" * (LARGE - 2) + b'"\n')


def tables_of(store: Path, source: str = "") -> dict[str, list[str]]:
    """All rows of the final tables, as text, without what only says when and by whom.

    Args:
        store: the store's folder.
        source: what names the source in them, and is another one in each run.
    """
    found = rows_of(store, *TABLES)
    return {
        name: sorted(WRITTEN.sub("", row).replace(source or "\0", "SOURCE") for row in rows)
        for name, rows in found.items()
    }


def run_files(
    arguments: Sequence[str],
    groupings: Sequence[str],
    inputs: Path,
    folder: Path,
    *,
    here: bool,
) -> dict[str, Any]:
    """Runs the main job over the files, once for each grouping.

    Args:
        arguments: those that name the runner.
        groupings: how means are grouped.
        inputs: what `make_inputs` filled.
        folder: gets the stores.
        here: in this process, which is quicker, and not as a command of its own.
    """
    found = {}
    for group_by in groupings:
        store = folder / group_by
        words = ["--input", *sorted(inputs.iterdir()), "--output", store, "--group_by", group_by]
        words += ["--format", "json", *arguments]
        done = run_job(*words) if here else run_command(*words, timeout=SECONDS)
        assert done.code == 0, done.err
        found[group_by] = {"balance": json.loads(done.out)["balance"], **reconciled(store)}
    return found


def reconciled(store: Path, source: str = "") -> dict[str, Any]:
    """The final tables before and after `python -m pipelines.reconcile`, and what that found."""
    before = tables_of(store, source)
    found, after, again = _reconcile(store), tables_of(store, source), _reconcile(store)
    return {"before": before, "differences": found, "after": after, "again": again}


def _reconcile(store: Path) -> list[dict[str, Any]]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert reconcile.main(["--output", str(store), "--format", "json"]) == 0
    told = json.loads(out.getvalue())
    assert told["left_alone"] == []
    differences: list[dict[str, Any]] = told["differences"]
    return differences


def missing_rows(store: Path, act: Act) -> list[Missing]:
    """The rows that an act should have led to and that are not there."""
    wanted = [(case, row) for case in CASES for row in case.gives.get(act.name, ())]
    if not wanted:
        return []
    found = set(ask(store, SHOWN)) if (store / "manifest.json").exists() else set()
    return [
        (case.name, row.pane, f"{act.name}: {row}")
        for case, row in wanted
        if _as_shown(case, row) not in found
    ]


def _as_shown(case: Case, row: Row) -> tuple[Any, ...]:
    region, start = row.region or case.place.region, round(at(row.start).timestamp())
    return region, row.quantity, start, row.period, row.pane, row.count, row.mean


class _Job:
    """The command over a topic, for one grouping."""

    def __init__(self, arguments: Sequence[str], uri: str, folder: Path, group_by: str) -> None:
        self.store, self.group_by = folder / group_by, group_by
        words = command(
            *("--input", uri, "--output", self.store, "--group_by", group_by),
            *("--format", "json", *TIMES, *arguments),
        )
        self._log = (folder / f"{group_by}.log").open("w+")
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    def alive(self) -> None:
        """Fails where the command has ended."""
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        """What it wrote to standard error."""
        self._log.seek(0)
        return self._log.read()[-3000:]

    def missing(self, act: Act, read: int) -> list[Missing] | None:
        """As `missing_rows`; None while not all messages are stored."""
        self.alive()
        if not (self.store / "manifest.json").exists():
            return None
        if sum(LocalStore(self.store).positions().values()) < read:
            return None
        return [] if self.group_by == SENSOR else missing_rows(self.store, act)

    def end(self) -> dict[str, int]:
        """Interrupts it, as at a terminal; gives its balance."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 0, self.said()
        balance: dict[str, int] = json.loads(out)["balance"]
        return balance

    def kill(self) -> None:
        """Ends it if it still runs."""
        self.process.kill()
        self.process.communicate()
        self._log.close()


def run_topic(
    arguments: Sequence[str], groupings: Sequence[str], server: KafkaServer, folder: Path
) -> dict[str, Any]:
    """Runs the command over a topic, a job for each grouping, while the acts are played.

    An act begins when all jobs have given the rows that the one before leads to. At the end the
    jobs are interrupted.

    Args:
        arguments: those that name the runner.
        groupings: how means are grouped.
        server: the broker.
        folder: gets the stores.
    """
    topic = server.topic(1)
    uri, producer, read = server.uri(topic), server.producer(), 0
    missing: list[tuple[str, Missing]] = []
    with contextlib.ExitStack() as stack:
        jobs = []
        for group_by in groupings:
            jobs.append(_Job(arguments, uri, folder, group_by))
            stack.callback(jobs[-1].kill)
        for act in ACTS:
            stamp = round(at(act.now).timestamp() * 1000)
            for message in messages_of(act):
                server.put(producer, topic, message, timestamp=stamp)
                read += 1
            assert producer.flush(60) == 0
            for job in jobs:
                missing += [(job.group_by, each) for each in _wait(job, act, read)]
        balances = {job.group_by: job.end() for job in jobs}
    return {
        group_by: {
            "balance": balances[group_by],
            "missing": [each for of, each in missing if of == group_by],
            **reconciled(folder / group_by, uri),
        }
        for group_by in groupings
    }


def _wait(job: _Job, act: Act, read: int) -> list[Missing]:
    until, stored = time.monotonic() + SECONDS, False
    while (missing := job.missing(act, read)) is None or missing:
        if missing is not None and not stored:
            until, stored = time.monotonic() + ROWS_SECONDS, True
        if time.monotonic() > until:
            assert missing is not None, f"{act.name}: not all is stored: {job.said()}"
            return missing
        time.sleep(0.2)
    return []


def run_test_stream(folder: Path) -> dict[str, Any]:
    """Runs the whole job over the acts event by event, for every grouping."""
    return {group_by: _run_test_stream(folder, group_by) for group_by in GROUPINGS}


def _run_test_stream(folder: Path, group_by: str) -> dict[str, Any]:
    uri, store = "kafka://host:1/topic", LocalStore(folder / group_by)
    options, _ = parse_options(
        ["--input", uri, "--output", str(store.folder), "--group_by", group_by]
    )
    job = job_of(options)
    store.prepare()
    windows = tuple((window.size, window.period) for window in job.windows)
    now = datetime.datetime.now(datetime.UTC)
    run = Run("test-stream", store.next_revision(), now, (uri,), windows, group_by)
    beam_options = PipelineOptions([])
    beam_options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=beam_options)
    build(pipeline | "Stream" >> _events(uri).with_output_types(Payload), job, run)
    with counted() as balance:
        pipeline.run().wait_until_finish()
    missing = [each for act in ACTS for each in missing_rows(store.folder, act)]
    return {
        "balance": {name: balance[name] for name in ("read", *CLASSES)},
        "missing": missing,
        **reconciled(store.folder, uri),
    }


def _events(uri: str) -> TestStream:
    """The acts; the clock goes with the watermark, and between acts by what panes wait for."""
    from apache_beam.coders import FastPrimitivesCoder  # noqa: PLC0415

    events, clock, read = TestStream(coder=FastPrimitivesCoder()), 0.0, 0

    def wait(seconds: float) -> None:
        nonlocal clock
        clock += seconds
        events.advance_processing_time(seconds)

    before = at(-10_000).timestamp()
    wait(before)
    events.advance_watermark_to(before)
    for act in ACTS:
        texts = messages_of(act)
        arrived = np.full(len(texts), round(at(act.now).timestamp() * 1e6), np.int64)
        offsets = np.arange(read, read + len(texts))
        read += len(texts)
        reached = Reached(f"{uri}/0", read)
        payload = join_messages(texts, f"{uri}/0", offsets, arrived, reached=reached)
        events.add_elements([TimestampedValue(payload, before)])
        after = at(act.watermark).timestamp()
        if after > before:
            events.advance_watermark_to(after)
            before = after
            wait(max(after - clock, 0))
        wait(31)
    wait(3600)
    return events.advance_watermark_to_infinity()
