"""Everything at once, as `make live` starts it; and nothing of it left when it has ended."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines import live
from pipelines.children import kill_children, start_child, stop_child
from tests.support.jobs import ROOT, ask

pytest_plugins = ["tests.support.prism"]


@pytest.fixture
def broker():
    from tests.support.kafka_server import missing  # noqa: PLC0415 - needs the client library

    reason = missing()
    if reason is not None:
        pytest.skip(f"no Kafka broker: {reason}")


def running(word):
    """The command lines of programs that name the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in line:
                found.append(line)
    return found


def shown(screen, word, seconds):
    """What a terminal shows until the word stands there, or nothing more comes."""
    until, text = time.monotonic() + seconds, b""
    while word.encode() not in text and time.monotonic() < until:
        if select.select([screen], [], [], 1)[0]:
            try:
                text += os.read(screen, 4096)
            except OSError:
                break
    return text.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.usefixtures("broker", "prism")
def test_the_means_change_until_it_is_interrupted_and_nothing_is_left(tmp_path):
    output = tmp_path / "live"
    command = [sys.executable, "-m", "pipelines.live", "--output", output, "--rate", "100"]
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"},
    )
    os.close(terminal)
    try:
        out = shown(screen, "Île-de-France", 120)
        counted = ask(output, "SELECT coalesce(sum(count), 0)::BIGINT FROM hourly_means")[0][0]
        process.send_signal(signal.SIGINT)
        threading.Thread(target=shown, args=(screen, "never", 120), daemon=True).start()
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert counted > 0
    assert "Île-de-France" in out
    assert "the results are in" in err
    later = ask(output, "SELECT sum(count)::BIGINT FROM hourly_means")[0][0]
    assert later >= counted
    assert running(str(output)) == []


def test_without_a_broker_one_is_told_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KAFKA_LIBS", str(tmp_path))
    monkeypatch.setattr(live, "find_prism", lambda: "prism")
    assert live.main(["--output", str(tmp_path / "out")]) == 1
    assert "error: the broker cannot be started: " in capsys.readouterr().err


def test_a_part_that_ends_ends_all(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "simulate.log").write_text("one\nerror: the last line\n")
    with start_child([sys.executable, "-c", ""]) as ended:
        ended.wait()
        with pytest.raises(live.InputError, match="simulate has ended: error: the last line"):
            live._watch(tmp_path, None, {"simulate": ended})


def test_time_that_is_over_ends_it(tmp_path, monkeypatch):
    assert live._watch(tmp_path, 0.0, {}) is None
    monkeypatch.setattr(live, "FIRST_SECONDS", -1.0)
    with pytest.raises(live.InputError, match="no means have come"):
        live._watch(tmp_path, None, {})


def test_a_child_that_does_not_listen_is_ended(tmp_path, monkeypatch):
    # What other tests of this process have started goes on.
    monkeypatch.setattr("pipelines.children._children", [])
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
    log = tmp_path / "log"
    child = start_child([sys.executable, "-c", stubborn + "signal.pause()"], log)
    until = time.monotonic() + 30
    while not log.read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert stop_child(child, 0.2) == -signal.SIGKILL
    other = start_child([sys.executable, "-c", "import time; time.sleep(60)"])
    kill_children()
    assert other.wait(10) == -signal.SIGKILL


def test_a_child_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        start_child([tmp_path / "nowhere"])


def test_what_a_child_says_goes_to_a_log(tmp_path):
    log = tmp_path / "log"
    start_child([sys.executable, "-c", "print('hello')"], log).wait(20)
    assert log.read_text() == "hello\n"
    assert live._last_line(log) == "hello"
    assert live._last_line(tmp_path / "none") == "it says nothing"
