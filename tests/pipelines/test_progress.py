"""The progress bar: on a terminal only, and gone at the end."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from pipelines.progress import progress_bar


@pytest.fixture
def terminal(monkeypatch):
    """A terminal in place of standard error; gives what was written to it."""
    ours, theirs = os.openpty()
    stream = os.fdopen(theirs, "w")
    monkeypatch.setattr(sys, "__stderr__", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    written = []

    def read():
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                return
            if not data:
                return
            written.append(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def text():
        stream.close()
        reader.join(10)
        return b"".join(written).decode()

    yield text
    if not stream.closed:
        stream.close()
    os.close(ours)


def run_bar(total, *, shown=True):
    """Keeps a bar until it asked for its state some times; returns how often."""
    asked, enough = [], threading.Event()

    def state():
        asked.append(None)
        if len(asked) > 3:
            enough.set()
        return 50_000_000, 123_456

    with progress_bar(total, state, shown=shown):
        if shown:
            assert enough.wait(30)
    return len(asked)


def test_on_a_terminal_it_shows_bytes_of_bytes_and_readings_a_second(terminal):
    assert run_bar(100_000_000) > 3
    text = terminal()
    assert "reading" in text
    assert "50.0/100.0 MB" in text
    assert "readings/s" in text


def test_where_the_size_cannot_be_known_it_shows_bytes_only(terminal):
    run_bar(None)
    assert "50.0/? MB" in terminal()


def test_it_is_gone_when_the_body_fails(terminal):
    with pytest.raises(ZeroDivisionError), progress_bar(5, lambda: (0, 0), shown=True):
        5 // len(())
    assert not any("(watch)" in thread.name for thread in threading.enumerate())
    terminal()


def test_hidden_it_writes_nothing(terminal):
    assert run_bar(5, shown=False) == 0
    assert terminal() == ""


def test_without_a_terminal_it_writes_nothing(capfd):
    with progress_bar(5, lambda: (0, 0), shown=True):
        pass
    assert capfd.readouterr() == ("", "")
