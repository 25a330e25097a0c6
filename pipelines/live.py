"""All at once on one machine: simulator, queue, pipeline, store, and the means as they change.

python -m pipelines.live
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.input_error import InputError
from connectors.local_store import LocalStore
from pipelines.children import free_port, start_child, stop_child
from pipelines.console import INTERRUPTED, fail
from pipelines.prism import find_prism
from pipelines.watch import Watch, show

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "deploy" / "kafka"
TOPIC = "readings"
FIRST_SECONDS = 120.0
"""Until when the first means must be there."""

LAST_SECONDS = 60.0
"""How long the pipeline may take to give out what it has."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 when it was interrupted or the time is over, 1 where a part of it failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.live",
        description=(
            "Start a simulator of sensors, a Kafka broker and the pipeline on this machine, and "
            "show the means of the newest hour as they change. Ctrl-C ends all of them."
        ),
    )
    parser.add_argument(
        "--output", default="results-live", metavar="DIR", help="the store's folder"
    )
    parser.add_argument("--rate", type=float, default=200, help="readings a second")
    parser.add_argument("--sensors", type=int, default=500, help="how many sensors send")
    parser.add_argument("--seconds", type=float, help="end after so long; else on Ctrl-C")
    parser.add_argument("--seed", type=int, default=1, help="of the simulator")
    options = parser.parse_args(arguments)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 0
    except (InputError, OSError) as error:
        return fail(str(error))
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace) -> int:
    folder = Path(options.output).absolute()
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    find_prism()
    _say("starting a broker, the pipeline and the simulator; Ctrl-C ends them")
    with _broker(logs) as address:
        queue = f"kafka://{address}/{TOPIC}"
        simulator = _python(
            logs,
            "simulate",
            *("--output", queue, "--partitions", "2", "--format", "regional", "--quiet"),
            *("--rate", str(options.rate), "--sensors", str(options.sensors)),
            *("--seed", str(options.seed), "--late", "0.05", "--corrections", "0.02"),
        )
        pipeline = _python(
            logs,
            "regional_means",
            *("--input", queue, "--output", str(folder), "--early_every", "2s", "--quiet"),
        )
        try:
            with contextlib.suppress(KeyboardInterrupt):
                _watch(folder, options.seconds, {"simulate": simulator, "regional_means": pipeline})
        finally:
            _say("stopping")
            # First the simulator: the pipeline gives out what it was sent.
            stop_child(simulator, 10.0, signal.SIGINT)
            code = stop_child(pipeline, LAST_SECONDS, signal.SIGINT)
    if code not in {0, INTERRUPTED}:
        msg = f"the pipeline ended with code {code}: {_last_line(logs / 'regional_means.log')}"
        raise InputError(msg)
    _say(f"the results are in {folder}: python -m pipelines.query --output {folder} 'SELECT …'")
    return 0


def _watch(folder: Path, seconds: float | None, parts: dict[str, subprocess.Popen[bytes]]) -> None:
    """Shows the means until the time is over, the user interrupts, or a part ends."""
    until = None if seconds is None else time.monotonic() + seconds
    give_up = time.monotonic() + FIRST_SECONDS
    watch = Watch(LocalStore(folder))
    for rows in show(watch, 2.0):
        for name, process in parts.items():
            if process.poll() is not None:
                msg = f"{name} has ended: {_last_line(folder / 'logs' / f'{name}.log')}"
                raise InputError(msg)
        now = time.monotonic()
        if not rows and now > give_up:
            msg = f"no means have come in {FIRST_SECONDS:.0f} s; the logs are in {folder / 'logs'}"
            raise InputError(msg)
        if until is not None and now > until:
            return


def _python(logs: Path, module: str, *arguments: str) -> subprocess.Popen[bytes]:
    log = logs / f"{module}.log"
    log.unlink(missing_ok=True)
    return start_child([sys.executable, "-m", f"pipelines.{module}", *arguments], log)


@contextlib.contextmanager
def _broker(logs: Path) -> Iterator[str]:
    """A broker of its own, on free ports, with its data beside the logs."""
    port, controller = free_port(), free_port()
    environment = {
        **os.environ,
        "KAFKA_DATA": str(logs / "kafka"),
        "KAFKA_PORT": str(port),
        "KAFKA_CONTROLLER_PORT": str(controller),
    }
    started = subprocess.run(  # noqa: S603 - our own script
        [SCRIPTS / "start.sh"], env=environment, capture_output=True, check=False, text=True
    )
    if started.returncode:
        words = started.stderr.strip().splitlines() or ["it says nothing"]
        msg = f"the broker cannot be started: {words[-1]}"
        raise InputError(msg)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run(  # noqa: S603 - our own script
            [SCRIPTS / "stop.sh"], env=environment, capture_output=True, check=False
        )


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it says nothing"


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
