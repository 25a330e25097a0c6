"""Which errors of BigQuery pass by themselves, and what an error says in one line."""

from __future__ import annotations

from typing import Any

from google.api_core import exceptions
from google.auth.exceptions import TransportError
from requests import exceptions as http_errors

__all__ = ["PASSING_REASONS", "is_passing", "one_line", "reasons_of"]

PASSING_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "timeout",
    }
)
"""Reasons, as BigQuery's answers name them, after which the same request may succeed."""

PASSING = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.ServerError,
    exceptions.TooManyRequests,
    http_errors.ChunkedEncodingError,
    http_errors.ConnectionError,
    http_errors.Timeout,
    ConnectionError,
    TimeoutError,
    TransportError,
)


def is_passing(error: BaseException) -> bool:
    """Whether an error may be gone when the request is repeated.

    A server's failure, too many requests, a quota that is used up for now, a connection that was
    cut, no answer in time.
    """
    if isinstance(error, exceptions.MethodNotImplemented):
        return False
    return isinstance(error, PASSING) or not PASSING_REASONS.isdisjoint(reasons_of(error))


def reasons_of(error: BaseException) -> list[str]:
    """The reasons that an answer of BigQuery gives."""
    found: Any = getattr(error, "errors", None)
    if not isinstance(found, (list, tuple)):
        return []
    return [str(each.get("reason")) for each in found if isinstance(each, dict)]


def one_line(error: BaseException) -> str:
    """What an error says, without its request."""
    text = str(getattr(error, "message", None) or error) or type(error).__name__
    line = " ".join(text.split())
    if line.startswith(("POST http", "GET http", "PUT http")):
        line = line.partition(": ")[2]
    return line[:500].rstrip(". ")
