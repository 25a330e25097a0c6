"""The procedures of docs/operations.md, as far as this machine can run them."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import re
from pathlib import Path

import pytest

from pipelines.replay import main
from tests.support.dead_letters import broken_store, fix, replay
from tests.support.jobs import ask, rows_of, run_job
from tests.support.messages import PARIS, TOULOUSE, line
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    emulator_fixture,
    prism_fixture,
    queue_fixture,
)
from tests.support.pubsub_job import balance_of, started

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
MEANS = ("hourly_means", "sliding_means")


def readings(count, first=0):
    return [
        line(
            id=f"reading {number}",
            timestamp=f"2019-02-19 {10 + number % 3}:{number % 60:02}:00",
            temperature=number % 40,
            version=1,
            **(PARIS, TOULOUSE)[number % 2],
        )
        for number in range(first, first + count)
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("prism")
@pytest.mark.parametrize("by", ["time", "snapshot"])
def test_a_seek_brings_the_same_means_and_counts_nothing_twice(queue, tmp_path, by):
    """Into the store that had it all, and into a new one."""
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
    where = {"subscription": queue.subscription}
    if by == "time":
        retained = {"name": queue.subscription, "retain_acked_messages": True}
        mask = {"paths": ["retain_acked_messages"]}
        queue.subscriber.update_subscription(
            request={"subscription": retained, "update_mask": mask}
        )
        target = {**where, "time": before}
    else:
        name = queue.subscription.replace("/subscriptions/", "/snapshots/")
        queue.subscriber.create_snapshot(request={**where, "name": name})
        target = {**where, "snapshot": name}
    queue.publish(readings(300))
    first = balance_of(started(queue.uri, tmp_path / "store"))
    assert first["counted"] == 300
    means = rows_of(tmp_path / "store", *MEANS)
    for store, counted in ((tmp_path / "store", 0), (tmp_path / "new", 300)):
        queue.subscriber.seek(request=target, timeout=20)
        balance = balance_of(started(queue.uri, store))
        assert balance["read"] == 300
        assert balance["counted"] == counted
        assert rows_of(store, *MEANS) == means


def test_a_backfill_beside_what_is_there_counts_once(tmp_path):
    """Files of a month, some of whose readings a former run has had, given twice."""
    month = [tmp_path / f"2026-10-{day:02}.jsonl" for day in (1, 2, 3)]
    for number, path in enumerate(month):
        path.write_bytes(b"\n".join(readings(100, 100 * number)) + b"\n")
    store, pattern = tmp_path / "store", str(tmp_path / "2026-10-*.jsonl")
    assert run_job("--input", month[1], "--output", store, "--quiet").code == 0
    for _ in range(2):
        assert run_job("--input", pattern, "--output", store, "--quiet").code == 0
    assert run_job("--input", pattern, "--output", tmp_path / "once", "--quiet").code == 0
    assert rows_of(store, *MEANS) == rows_of(tmp_path / "once", *MEANS)


def test_after_a_fix_the_rejected_records_are_in_the_means(tmp_path):
    """Dry run, replay, and the questions that a person asks afterwards."""
    store = broken_store(tmp_path)
    fixed = ("--input", store, "--message_format", f"auto,{fix(tmp_path)}")
    assert json.loads(replay(*fixed, "--dry_run", "--format", "json").out)["good"] == 2
    assert replay(*fixed).code == 0
    assert ask(store, "SELECT count FROM hourly_means") == [(3,)]
    assert ask(store, "SELECT reason FROM open_rejections") == [("not_json",)]
    sent = ask(store, "SELECT DISTINCT destination FROM replayed_records")
    assert sent == [(str(store),)]


def test_the_page_names_options_and_files_that_exist():
    for name in re.findall(r"`((?:deploy|tests|sql|docs)/[^` ]+)", PAGE):
        assert (ROOT / name).exists(), name
    helped = replay_help()
    section = PAGE.split("## After a fix")[1].split("\n## ")[0]
    for option in re.findall(r"--[a-z_]+", section):
        assert option in helped, option


def replay_help() -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit):
        main(["--help"])
    return out.getvalue()
