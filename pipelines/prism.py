"""Prism, Beam's local runner for streams: found, started, and gone when this process is."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from connectors.input_files import InputError

__all__ = ["find_prism", "running_prism"]

START_SECONDS = 30.0
STOP_SECONDS = 5.0
DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of Linux."""


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
            "a stream needs the runner Prism, which is not installed: run `make prism` (it needs "
            "Go), name its program by --prism_location, or name another runner"
        )
        raise InputError(msg)
    return found


@contextlib.contextmanager
def running_prism(program: str) -> Iterator[str]:
    """Runs Prism while the block does.

    Prism has a session of its own, so that an interrupt at the terminal, which is for us, does not
    end it while a stream gives out its last results. On Linux it ends with this process, however
    that ends.

    Args:
        program: what `find_prism` found.

    Yields:
        Its address: what `--job_endpoint` takes.

    Raises:
        InputError: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [program, "--job_port", str(port), "--serve_http=false", "--log_level", "error"]
    try:
        process = subprocess.Popen(  # noqa: S603 - the user names the program
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
        )
    except OSError as error:
        msg = f"Prism cannot be started from {program}: {error.strerror or error}"
        raise InputError(msg) from error
    try:
        _wait(process, port, program)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, program: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    msg = f"Prism does not start; try {program} by itself to see why"
    raise InputError(msg)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
