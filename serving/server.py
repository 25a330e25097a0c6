"""Runs the service until it is told to stop, and then ends what has begun."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Sequence

import uvicorn
from fastapi import APIRouter

from serving.app import create_app

__all__ = ["listen", "serve"]

LOG = logging.getLogger("serving.server")
BACKLOG = 2048
MOST_CONNECTIONS = 2000
"""Connections at a time; beyond, uvicorn answers 503 at once."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        OSError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def serve(routers: Sequence[APIRouter], opened: socket.socket, stop_within: float) -> None:
    """Answers requests until SIGINT or SIGTERM, then those that have begun.

    Args:
        routers: the routes.
        opened: listens.
        stop_within: seconds that requests have to end after the signal.
    """
    config = uvicorn.Config(
        create_app(routers),
        log_config=None,
        access_log=False,
        server_header=False,
        http="httptools",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(stop_within)),
    )
    server = uvicorn.Server(config)

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn raises the signal again when it has ended: that shall not kill the process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    host, port = opened.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    LOG.info("listening", extra={"fields": {"url": f"http://{shown}:{port}"}})
    server.run(sockets=[opened])
