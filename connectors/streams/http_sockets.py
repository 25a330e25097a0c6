"""A `requests` session whose connections can be cut from outside, whatever they are waiting for."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["Sockets", "session_over"]


class Sockets:
    """The connections of one request.

    A time-out of a socket begins anew with each byte, also in the midst of a handshake or of a
    header. A socket that is shut down ends all of that at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._cut = False

    def add(self, connection: socket.socket) -> None:
        """Takes note of a connection that has just been made.

        Raises:
            OSError: the request has been cut meanwhile.
        """
        # TLS takes the socket itself over; a second name of the connection stays valid.
        twin = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._open.append(twin)
            cut = self._cut
        if cut:
            self.cut()
            msg = "cut"
            raise OSError(msg)

    def cut(self) -> None:
        """Ends all connections: whoever reads from them gets an error or an end."""
        with self._lock:
            self._cut = True
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Forgets the connections; the request is over."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


def session_over(sockets: Sockets) -> requests.Session:
    """A session that tells of each connection that it makes.

    It goes by the environment's proxies and certificates, as `requests` does, but takes no
    passwords from `.netrc`, and follows no redirects.

    Args:
        sockets: whom it tells.
    """
    session = _Session()
    session.auth = _as_it_is
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(sockets))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # Even one that shall not be followed would be looked at, and its text be read whole.
        return None


class _Adapter(HTTPAdapter):
    def __init__(self, sockets: Sockets) -> None:
        self._pools = _pools(sockets)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            sockets.add(connection)
            return connection

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            connection = super()._new_conn()
            sockets.add(connection)
            return connection

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
