"""The main job over files that grow, as a command: `python -m tests.support.stream_job FOLDER …`.

Everything is the command's own but the source, which needs no server.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipelines import stream_sources
from pipelines.regional_means import leave, main
from tests.support.jobs import ROOT, ask
from tests.support.tailed import TailedSource

__all__ = ["append", "messages", "stream_job", "wait_for"]


def messages(numbers: range, step: float = 1.0) -> list[str]:
    """Readings at three places, every `step` seconds from two hours ago on."""
    places = ((48.86, 2.35), (43.6, 1.44), (48.58, 7.75))
    first = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=2)
    return [
        json.dumps(
            {
                "id": f"r{number}",
                "timestamp": (first + datetime.timedelta(seconds=number * step)).isoformat(),
                "lat": places[number % 3][0],
                "lon": places[number % 3][1],
                "temperature": number % 17,
            }
        )
        for number in numbers
    ]


def append(file: Path, lines: list[str]) -> None:
    """Adds messages to a part of the source, all at once."""
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as opened:
        opened.write("".join(f"{line}\n" for line in lines))


@contextlib.contextmanager
def stream_job(folder: Path, output: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The job over a folder's files, while the block runs; it does not outlive it."""
    command = [sys.executable, "-m", "tests.support.stream_job", folder, "--output", output]
    process = subprocess.Popen(
        [str(word) for word in [*command, *arguments]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str], seconds: float) -> Any:
    """What the condition gives once it is true; the job must be running until then."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        if process.poll() is not None:
            raise AssertionError(process.communicate())
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.1)
    return found


def counted(output: Path) -> int:
    """How many readings the hourly means of a store hold."""
    if not (output / "manifest.json").exists():
        return 0
    return ask(output, "SELECT coalesce(sum(count), 0)::BIGINT FROM hourly_means")[0][0]


if __name__ == "__main__":
    source = TailedSource(sys.argv[1], int(os.environ.get("AT_ONCE", "1000")))
    stream_sources.open_source = lambda *_: source  # type: ignore[assignment]
    leave(main(["--input", "http://tailed", *sys.argv[2:]]))
