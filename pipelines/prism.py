"""Prism, Beam's local runner for streams: found, started, and gone when this process is."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.input_error import InputError
from pipelines.children import free_port, start_child, stop_child

__all__ = ["WHOLE_BUNDLES", "WITHOUT_END", "find_prism", "prism_arguments", "running_prism"]

WHOLE_BUNDLES = "prism_disable_sdf_split"
"""The experiment that every pipeline on Prism needs. Without it Prism cuts bundles that take long,
and hands the rest of their elements on while the first part is still at work on the same keys: the
rest sees state as it was before, and with timers in the bundle elements come twice
(https://github.com/apache/beam/issues/35771)."""

WITHOUT_END = f"--job_server_timeout={10 * 365 * 86_400}"
"""Beam's client listens to a job on Prism for so many seconds. By default that is five minutes:
then a job that still runs is given up."""

START_SECONDS = 30.0
ANSWER_SECONDS = 10.0
STOP_SECONDS = 5.0


def find_prism(named: str | None = None) -> str:
    """The program: the one that is named, else `PRISM`, else beside this Python, else on the path.

    Raises:
        InputError: there is none.
    """
    chosen = named or os.environ.get("PRISM")
    if chosen:
        if shutil.which(chosen) is None:
            msg = f"{chosen} is not a program; --prism_location names Prism's"
            raise InputError(msg)
        return chosen
    found = shutil.which(str(Path(sys.executable).parent / "prism")) or shutil.which("prism")
    if found is None:
        msg = (
            "the runner Prism is not installed, on which streams run: run `make prism` (it needs "
            "Go), name its program by --prism_location, or name another runner"
        )
        raise InputError(msg)
    return found


@contextlib.contextmanager
def running_prism(program: str) -> Iterator[str]:
    """Runs Prism while the block does.

    An interrupt at the terminal, which is for us, must not end it while a stream gives out its last
    results; see `start_child`.

    Args:
        program: what `find_prism` found.

    Yields:
        Its address: what `--job_endpoint` takes.

    Raises:
        InputError: it does not start.
    """
    port = free_port()
    command = [program, "--job_port", str(port), "--serve_http=false", "--log_level", "error"]
    try:
        process = start_child(command)
    except OSError as error:
        msg = f"Prism cannot be started from {program}: {error.strerror or error}"
        raise InputError(msg) from error
    try:
        _wait(process, port, program)
        yield f"127.0.0.1:{port}"
    finally:
        stop_child(process, STOP_SECONDS)


@contextlib.contextmanager
def prism_arguments(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Beam's options for Prism, complete, while it runs.

    A Prism that the options name is used as it is; else one is started, and stopped after the
    block.

    Args:
        arguments: Beam's options as the user gave them.

    Raises:
        InputError: it is not there, or does not start.
    """
    from pipelines.flink_options import given_options  # noqa: PLC0415 - Beam takes a second

    given = given_options(arguments)
    complete = [*arguments, f"--experiments={WHOLE_BUNDLES}"]
    if "job_server_timeout" not in given:
        complete.append(WITHOUT_END)
    if "job_endpoint" in given:
        _ask(given["job_endpoint"] or "")
        yield complete
        return
    with running_prism(find_prism(given.get("prism_location"))) as address:
        here = [] if "environment_type" in given else ["--environment_type=LOOPBACK"]
        yield [*complete, f"--job_endpoint={address}", *here]


def _ask(endpoint: str) -> None:
    """Refuses an address at which nobody answers: Beam would wait for as long as for a job."""
    host, _, port = endpoint.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        msg = f"no Prism answers at --job_endpoint {endpoint}: {error}"
        raise InputError(msg) from error


def _wait(process: subprocess.Popen[bytes], port: int, program: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    msg = f"Prism does not start; try {program} by itself to see why"
    raise InputError(msg)
