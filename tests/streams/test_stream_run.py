"""The main job on a stream, live on Prism: what it shows, stores, survives and goes on from."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.local_store import LocalStore
from pipelines import prism as prism_module
from pipelines.reconcile import main as reconcile
from tests.support.jobs import ask, rows_of, run_job
from tests.support.stream_job import append, counted, messages, stream_job, wait_for

pytest_plugins = ["tests.support.prism"]
pytestmark = pytest.mark.slow
FAST = ("--early_every", "1s", "--late_every", "1s", "--out_of_orderness", "1m")
MEANS = ("hourly_means", "sliding_means")


def finished(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.usefixtures("prism")
def test_a_stream_ends_when_it_is_silent_and_equals_a_run_over_the_same_files(tmp_path):
    lines = messages(range(6000))
    bad = ['{"id": "x"}', "no JSON"]
    append(tmp_path / "in" / "a.jsonl", lines[:4000] + bad)
    # Some come twice, in the other part.
    append(tmp_path / "in" / "b.jsonl", lines[3500:])
    job = stream_job(tmp_path / "in", tmp_path / "out", "--stop_when_idle", "2s", *FAST)
    with job as process:
        out, err = finished(process)
    assert "read 6,502 readings = 6,000 counted + 500 duplicate + 2 rejected" in out
    assert "Ctrl-C ends it" in err
    run_job("--input", tmp_path / "in" / "*.jsonl", "--output", tmp_path / "files", "--quiet")
    assert rows_of(tmp_path / "out", *MEANS) == rows_of(tmp_path / "files", *MEANS)
    sources = ask(tmp_path / "out", "SELECT source FROM rejected_readings ORDER BY source")
    name = tmp_path / "in" / "a.jsonl"
    assert sources == [(f"{name}#offset=4000",), (f"{name}#offset=4001",)]
    positions = {str(tmp_path / "in" / "a.jsonl"): 4002, str(tmp_path / "in" / "b.jsonl"): 2500}
    assert LocalStore(tmp_path / "out").positions() == positions
    assert (tmp_path / "in" / "a.stored").read_text().endswith("4002\nclosed\n")


@pytest.mark.usefixtures("prism")
def test_means_come_early_and_an_interrupt_lets_the_rest_be_given_out(tmp_path):
    file = tmp_path / "in" / "a.jsonl"
    append(file, messages(range(1000)))
    with stream_job(tmp_path / "in", tmp_path / "out", "--format", "json", *FAST) as process:
        wait_for(lambda: counted(tmp_path / "out") == 1000, process, 60)
        append(file, messages(range(1000, 1500)))
        wait_for(lambda: counted(tmp_path / "out") == 1500, process, 30)
        process.send_signal(signal.SIGINT)
        out, _ = finished(process)
    assert json.loads(out)["balance"]["counted"] == 1500
    assert [run.status for run in LocalStore(tmp_path / "out").manifest().runs] == ["finished"]
    # The next run goes on where this one has ended.
    append(file, messages(range(1500, 1700)))
    again = stream_job(tmp_path / "in", tmp_path / "out", "--stop_when_idle", "1s", *FAST)
    with again as process:
        out, _ = finished(process)
    assert "read 200 readings = 200 counted" in out
    assert counted(tmp_path / "out") == 1700


@pytest.mark.usefixtures("prism")
def test_a_run_that_is_killed_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("AT_ONCE", "50")
    lines = messages(range(40_000), step=0.15)
    file = tmp_path / "in" / "a.jsonl"
    append(file, lines)
    out = tmp_path / "out"
    with stream_job(tmp_path / "in", out, *FAST) as process:
        positions = LocalStore(out).positions
        wait_for(lambda: 0 < positions().get(str(file), 0) < 40_000, process, 60)
        process.kill()
        process.wait()
    assert 0 < positions()[str(file)] < 40_000
    monkeypatch.setenv("AT_ONCE", "5000")
    with stream_job(tmp_path / "in", out, "--stop_when_idle", "2s", *FAST) as process:
        finished(process)
    assert ask(out, "SELECT count(DISTINCT id), count(*) FROM latest_readings") == [(40_000,) * 2]
    # What the killed run had counted and not given out yet is known from the archive.
    reconcile(["--output", str(out)])
    run_job("--input", file, "--output", tmp_path / "files", "--quiet")
    assert rows_of(out, *MEANS) == rows_of(tmp_path / "files", *MEANS)


@pytest.mark.usefixtures("prism")
def test_two_interrupts_end_it_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("AT_ONCE", "1")
    append(tmp_path / "in" / "a.jsonl", messages(range(5000)))
    with stream_job(tmp_path / "in", tmp_path / "out", *FAST) as process:
        wait_for(lambda: LocalStore(tmp_path / "out").positions(), process, 60)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("error: interrupted; the store holds what was committed")
    assert "Traceback" not in err


@pytest.mark.usefixtures("prism")
def test_a_source_that_is_wrong_is_said_in_a_sentence(tmp_path):
    (tmp_path / "in").mkdir()
    with stream_job(tmp_path / "in", tmp_path / "out", "--stop_when_idle", "1s") as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == f"error: no files in {tmp_path / 'in'}"


@pytest.mark.usefixtures("prism")
def test_prism_does_not_outlive_a_killed_run():
    script = (
        "import sys, time; from pipelines.prism import *\n"
        "with running_prism(find_prism()) as address:\n"
        "    print(address, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    port = process.stdout.readline().strip().rpartition(":")[2]
    pids = (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit())
    found = [pid for pid in pids if port in arguments_of(pid)]
    assert len(found) == 1
    process.kill()
    process.communicate()
    wait_for(lambda: port not in arguments_of(found[0]), _Alive(), 10)


class _Alive:
    @staticmethod
    def poll():
        return None


def arguments_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def test_what_is_not_prism_does_not_start(monkeypatch):
    monkeypatch.setattr(prism_module, "START_SECONDS", 0.5)
    with (
        pytest.raises(prism_module.InputError, match="Prism does not start"),
        prism_module.running_prism("/bin/true"),
    ):
        pass
    with (
        pytest.raises(prism_module.InputError, match="cannot be started from /nowhere"),
        prism_module.running_prism("/nowhere"),
    ):
        pass


@pytest.mark.parametrize("runner", ["FnApiRunner", "BundleBasedDirectRunner"])
def test_a_runner_without_streams_is_refused(tmp_path, runner):
    append(tmp_path / "in" / "a.jsonl", messages(range(3)))
    with stream_job(tmp_path / "in", tmp_path / "out", "--runner", runner) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: {runner} runs no streams" in err


def test_without_prism_one_is_told_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.delenv("PRISM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(prism_module.InputError, match="run `make prism`"):
        prism_module.find_prism()
    with pytest.raises(prism_module.InputError, match="/nowhere is not a program"):
        prism_module.find_prism("/nowhere")


def test_files_and_streams_have_runs_of_their_own(tmp_path):
    done = run_job("--input", "http://one", "a.jsonl", "--output", tmp_path / "out")
    assert done.code == 2
    assert "give them runs of their own" in done.err
