"""Google's client of BigQuery, opened as the environment says, and its errors as sentences."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectors.output_error import OutputError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud import bigquery

__all__ = ["EMULATOR", "TIMEOUT", "explained", "open_client", "retry"]

EMULATOR = "BIGQUERY_EMULATOR_HOST"
"""Names an emulator in the environment, as Google's client reads it: `http://127.0.0.1:9050`."""

TIMEOUT = 60.0
"""Seconds for one request; a job may take longer and is asked about again."""

RETRY_SECONDS = 60.0
REQUEST = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: ")
"""What the client puts before the message of a request that was refused."""


def open_client(project: str) -> bigquery.Client:
    """Opens a client.

    Args:
        project: the project that pays for queries.

    Returns:
        A client with the credentials of the environment; without any where `EMULATOR` names an
        emulator.

    Raises:
        OutputError: there are no credentials.
    """
    # A run that writes to a folder has no need of these, and they take long to import.
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.cloud import bigquery  # noqa: PLC0415

    if os.environ.get(EMULATOR):
        return bigquery.Client(project=project, credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    try:
        return bigquery.Client(project=project)
    except GoogleAuthError as error:
        msg = (
            "there are no credentials for BigQuery; run gcloud auth application-default login, or "
            f"name a service account's key file in GOOGLE_APPLICATION_CREDENTIALS ({_line(error)})"
        )
        raise OutputError(msg) from error


def retry() -> Retry:
    """How transient errors are retried: as Google's client does, for `RETRY_SECONDS`.

    `Client.query` takes `job_retry=None` beside it: else it tries for ten minutes, even where
    nobody listens.
    """
    from google.cloud.bigquery import DEFAULT_RETRY  # noqa: PLC0415

    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns what Google's client raises into one sentence.

    Args:
        what: is not possible, such as `the table p.d.readings cannot be created`.

    Raises:
        OutputError: an error of BigQuery or of the way to it.
    """
    import requests  # noqa: PLC0415
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, TimeoutError) as error:
        msg = f"{what}: {_line(error)}"
        raise OutputError(msg) from error


def _line(error: BaseException) -> str:
    """What an error says first."""
    # What was retried in vain is told, not only that it was.
    error = getattr(error, "cause", None) or error
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    # A job's error is told twice, the second time with its reason.
    line = str(message).strip().partition("\n")[0].partition("; reason: ")[0]
    return REQUEST.sub("", line).rstrip(".")
