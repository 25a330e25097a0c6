"""What can go wrong with a request, in words that repeat neither its key nor its query."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ProtocolError, ReadTimeoutError

from connectors.streams.http_options import HttpOptions

__all__ = ["Failure", "failure_of"]


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Attributes:
        sentence: what the server did, as what follows its address in a sentence.
        final: whether asking again is of no use.
        typed: asking again is of no use if the server has never answered: then its name is wrong.
        retry_after: how many seconds the server asks to wait; None where it says nothing.
    """

    sentence: str
    final: bool = False
    typed: bool = False
    retry_after: float | None = None


def failure_of(error: Exception, options: HttpOptions) -> Failure:
    """What an error of the connection means.

    Args:
        error: of `requests` or what it is made of. Its text is not used.
        options: the time-outs that may have been exceeded.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or "it is not for this host"
            return Failure(f"has a certificate that is not trusted: {why}", final=True)
        if isinstance(cause, NameResolutionError | socket.gaierror):
            return Failure("has a host whose name is not known", typed=True)
    kinds: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
        ((ConnectionRefusedError,), "refuses the connection"),
        ((requests.ConnectTimeout,), f"was not reached within {options.connect_timeout:g} s"),
        (
            (requests.ReadTimeout, ReadTimeoutError, TimeoutError),
            f"sent nothing for {options.read_timeout:g} s",
        ),
        ((requests.exceptions.ProxyError,), "was not reached through the proxy"),
        ((ssl.SSLError,), "does not speak TLS as it should"),
        ((ProtocolError,), "broke the response off"),
    )
    for types, sentence in kinds:
        if any(isinstance(cause, types) for cause in causes):
            return Failure(sentence)
    name = type(error).__name__
    if not isinstance(error, OSError | HTTPError | HTTPException) or isinstance(error, ValueError):
        return Failure(f"cannot be asked ({name})", final=True)
    reasons = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    return Failure(f"was not reached ({[*reasons, name][0]})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that stand behind it."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        found = todo.pop()
        if isinstance(found, BaseException) and found not in seen:
            seen.append(found)
            yield found
            todo += [found.__cause__, found.__context__, getattr(found, "reason", None)]
            todo += found.args
