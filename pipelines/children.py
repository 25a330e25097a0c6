"""Programs that run beside this one: started out of the terminal's reach, and never left behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["free_port", "kill_children", "start_child", "stop_child"]

_children: list[subprocess.Popen[bytes]] = []

DIE_WITH_PARENT = (
    "import ctypes, os, sys; "
    "ctypes.CDLL(None).prctl(1, 9); "  # PR_SET_PDEATHSIG, SIGKILL
    "os.execvp(sys.argv[1], sys.argv[1:])"
)
"""Becomes another program, which ends with its parent. To call `prctl` between fork and exec
instead would run what gRPC does when a process forks, and that crashes."""


def start_child(
    command: Sequence[str | Path],
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own: an interrupt at the terminal does not reach it.

    On Linux it ends with this process, however that ends.

    Args:
        command: the program and its arguments.
        log: where its output goes; None for nowhere.
        environment: its environment, by default this one's.

    Raises:
        OSError: it cannot be started.
    """
    with open(log or "/dev/null", "ab") as output:  # noqa: PTH123 - a device too
        words = [str(word) for word in command]
        if sys.platform == "linux":
            if shutil.which(words[0]) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
            words = [sys.executable, "-ISc", DIE_WITH_PARENT, *words]
        process = subprocess.Popen(  # noqa: S603 - the caller names the program
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=None if environment is None else dict(environment),
            start_new_session=True,
        )
    _children.append(process)
    return process


def kill_children() -> None:
    """Ends all programs that were started here, for a process that is about to end itself."""
    for process in _children:
        if process.poll() is None:
            process.kill()


def stop_child(
    process: subprocess.Popen[bytes], seconds: float, number: int = signal.SIGTERM
) -> int:
    """Asks a program to end, and ends it if it does not.

    Args:
        process: the program.
        seconds: how long it may take.
        number: the signal that asks.

    Returns:
        Its exit code.
    """
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
