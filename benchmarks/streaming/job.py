"""The main job as a user runs it, on a terminal of its own: each second it says what it has."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["LOG", "RUNNERS", "Job", "JobFailedError", "running_job"]

ROOT = Path(__file__).parents[2]
RUNNERS = {"flink": "FlinkRunner", "prism": "PrismRunner"}
READ = re.compile(rb"read ([\d,]+) readings")
AMOUNT = re.compile(r"([\d,]+) ([a-z ]+)")
SUMMARY, LOG = "summary.txt", "job.log"
CUT = 4096
LISTEN_SECONDS = 5.0


class JobFailedError(Exception):
    """The main job has failed, or does not end."""


class Job:
    """The job while it runs.

    Args:
        process: its command.
        terminal: the other end of its terminal.
        folder: where its output is.

    Attributes:
        read: readings that it says it has read.
        store: the folder of its store.
        temporary: where it keeps what does not last: checkpoints among it.
    """

    def __init__(self, process: subprocess.Popen[bytes], terminal: int, folder: Path) -> None:
        self._process, self._terminal = process, terminal
        self._output, self._log = folder / SUMMARY, folder / LOG
        self.read = 0
        self.store, self.temporary = folder / "store", folder / "tmp"
        self._said = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process id of its command."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def check(self) -> None:
        """Makes sure that it runs.

        Raises:
            JobFailedError: it has ended.
        """
        if not self.running:
            msg = f"the job has ended with code {self._process.returncode}: {self._last_words()}"
            raise JobFailedError(msg)

    def stop(self) -> None:
        """Asks it to give out what it has, and to end."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def balance(self, seconds: float) -> dict[str, int]:
        """The balance that it prints at its end: `read` and each class.

        Args:
            seconds: how long it may take to end.

        Raises:
            JobFailedError: it takes longer, or has failed.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            msg = f"the job does not end within {seconds:.0f} s: {self._last_words()}"
            raise JobFailedError(msg) from error
        if code:
            msg = f"the job has ended with code {code}: {self._last_words()}"
            raise JobFailedError(msg)
        text = self._output.read_text("utf-8")
        found = {}
        for amount, name in AMOUNT.findall(text.partition("\n")[0]):
            found[name.strip().replace(" ", "_")] = int(amount.replace(",", ""))
        return {"read": found.pop("readings", 0), **found}

    def close(self) -> None:
        """Leaves its terminal."""
        self._listener.join(LISTEN_SECONDS)
        os.close(self._terminal)

    def _listen(self) -> None:
        # A terminal whose other end is closed is an error, not an end.
        with contextlib.suppress(OSError), self._log.open("wb", buffering=0) as log:
            while said := os.read(self._terminal, CUT):
                log.write(said)
                self._said = (self._said + said)[-CUT:]
                found = READ.findall(self._said)
                if found:
                    self.read = int(found[-1].replace(b",", b""))

    def _last_words(self) -> str:
        lines = [line.strip() for line in re.split(rb"[\r\n]|\x1b\[2K", self._said) if line.strip()]
        said = [line for line in lines if not READ.match(line)] or [b"it says nothing"]
        return said[-1].decode(errors="replace")


@contextlib.contextmanager
def running_job(folder: Path, runner: str, arguments: Sequence[object]) -> Iterator[Job]:
    """Runs the job while the block does; it and all that it has started end with it.

    Args:
        folder: for its store, its output and its temporary files.
        runner: `flink` or `prism`.
        arguments: of the job, but for `--output` and `--runner`.
    """
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pipelines.regional_means", "--runner", RUNNERS[runner]]
    command += ["--output", str(folder / "store"), "--format", "table"]
    command += list(map(str, arguments))
    terminal, end = pty.openpty()
    with (folder / SUMMARY).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=end,
            env={**os.environ, "TMPDIR": str(folder / "tmp")},
        )
    os.close(end)
    job = Job(process, terminal, folder)
    try:
        yield job
    finally:
        # What it has started ends with it.
        process.kill()
        process.wait()
        job.close()
