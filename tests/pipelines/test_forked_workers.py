"""A large input is read by forked workers: same rows, same balance, and nothing hangs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.local_store import LocalStore
from pipelines.local_runner import WORTH_FORKING, LocalRunner, cores

ROOT = Path(__file__).parents[2]
COLUMNS = "* EXCLUDE (revision, emitted_at, run_id)"
linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file that is worth forking for, with some of every class of the balance."""
    path = tmp_path_factory.mktemp("large") / "readings.jsonl"
    with path.open("w") as file:
        number = 0
        while file.tell() < WORTH_FORKING * 3:
            for _ in range(10_000):
                number += 1
                place = (0.0, 0.0) if number % 50 == 0 else (2.35, 48.86)
                reading = {
                    "id": number,
                    "timestamp": 1_733_000_000 + number % 20_000,
                    "lat": place[1],
                    "lon": place[0],
                    "temperature": None if number % 70 == 0 else (number % 997) / 10,
                    "station": "a name of some length, as stations have it, and then some more",
                }
                file.write(json.dumps(reading) + "\n")
    return path


def start(arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.regional_means", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(folder):
    with LocalStore(folder).connect() as connection:
        query = f"SELECT {COLUMNS} FROM regional_means_revisions ORDER BY ALL"
        return connection.execute(query).fetchall()


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@linux
def test_forked_workers_and_one_process_give_the_same_rows_and_balance(large, tmp_path):
    balances = []
    for name, more in (
        ("forked", ["--direct_num_workers=2"]),
        ("alone", ["--direct_num_workers=1"]),
    ):
        arguments = ["--input", large, "--output", tmp_path / name, "--format", "json", *more]
        process = start(arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        balances.append(json.loads(out)["balance"])
    assert balances[0] == balances[1]
    assert balances[0]["rejected"] > 0
    assert balances[0]["outside"] > 0
    assert rows(tmp_path / "forked") == rows(tmp_path / "alone")


def test_threads_are_refused(large, tmp_path):
    arguments = ["--input", large, "--output", tmp_path / "out"]
    process = start([*arguments, "--direct_running_mode=multi_threading"])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("error: --direct_running_mode=multi_threading is refused")


@linux
def test_a_worker_that_dies_ends_the_run_with_a_sentence(large, tmp_path):
    process = start(["--input", large, "--output", tmp_path / "out", "--direct_num_workers=2"])
    while len(forks := children(process.pid)) < 2 and process.poll() is None:
        pass
    os.kill(int(forks[0]), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "worker process ended by signal 9" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "manifest.json").exists()


@linux
def test_the_workers_end_with_the_command(large, tmp_path):
    process = start(["--input", large, "--output", tmp_path / "out", "--direct_num_workers=2"])
    while len(forks := children(process.pid)) < 2 and process.poll() is None:
        pass
    process.kill()
    process.communicate(timeout=60)
    for pid in forks:
        status = Path(f"/proc/{pid}/stat")
        while status.exists() and status.read_text().split()[2] != "Z":
            pass


def test_a_small_input_is_read_by_one_process():
    assert LocalRunner([], size=1000, pieces=4).forks == 0


def test_the_users_own_choice_of_mode_and_runner_is_kept():
    mode = LocalRunner(["--direct_running_mode=multi_threading"], size=10**9, pieces=9)
    assert mode.forks == 0
    runner = LocalRunner(["--runner=PrismRunner"], size=10**9, pieces=9)
    assert runner.forks == 0
    assert runner.runner == "PrismRunner"


def test_there_are_not_more_workers_than_pieces_or_cores():
    assert LocalRunner([], size=10**9, pieces=1).forks == 0
    assert LocalRunner([], size=10**9, pieces=999).forks in {0, cores()}


@linux
def test_no_workers_means_all_cores(monkeypatch):
    monkeypatch.setattr("pipelines.local_runner.can_fork", lambda: True)
    monkeypatch.setattr("pipelines.local_runner.cores", lambda: 3)
    assert LocalRunner(["--direct_num_workers=0"], size=10**9, pieces=9).forks == 3
