"""Google Cloud Pub/Sub: names, clients, and what its errors mean in one sentence."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import google.auth.exceptions
from google.api_core import exceptions as errors
from google.api_core.retry import Retry, if_exception_type
from google.cloud import pubsub_v1  # type: ignore[import-untyped,attr-defined]

from connectors.input_error import InputError
from connectors.secrets import shown

__all__ = [
    "FAILURES",
    "SUBSCRIPTION",
    "TOPIC",
    "PubSubName",
    "ask",
    "client_of",
    "is_passing",
    "parse_pubsub_uri",
    "reason_of",
    "subscriber_client",
]

SUBSCRIPTION, TOPIC = "subscription", "topic"
EMULATOR = "PUBSUB_EMULATOR_HOST"

ANSWER_SECONDS = 6.0
"""How long a call at the start may take, tried again as often as that allows."""

URI = re.compile(
    r"pubsub://projects/(?P<project>[a-z0-9.:-]+)/(?P<kind>subscription|topic)s/(?P<name>[^/?#]+)"
)
NAME = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")

PASSING = (
    errors.Aborted,
    errors.Cancelled,
    errors.DeadlineExceeded,
    errors.InternalServerError,
    errors.RetryError,
    errors.ServiceUnavailable,
    errors.TooManyRequests,
    errors.Unknown,
)
"""Errors that another try may not meet."""

FAILURES = (errors.GoogleAPICallError, errors.RetryError, google.auth.exceptions.GoogleAuthError)
"""What a call may raise."""

AT_START = Retry(
    predicate=if_exception_type(errors.ServiceUnavailable, errors.InternalServerError),
    initial=0.2,
    maximum=1.0,
    timeout=ANSWER_SECONDS,
)


@dataclass(frozen=True)
class PubSubName:
    """A subscription or a topic.

    Attributes:
        project: the project that it is in.
        kind: `SUBSCRIPTION` or `TOPIC`.
        name: its name in the project.
    """

    project: str
    kind: str
    name: str

    @property
    def path(self) -> str:
        """As Pub/Sub writes it: `projects/P/topics/T`."""
        return f"projects/{self.project}/{self.kind}s/{self.name}"

    @property
    def uri(self) -> str:
        """As an input or output is written: `pubsub://projects/P/topics/T`."""
        return f"pubsub://{self.path}"


def parse_pubsub_uri(uri: str, kinds: tuple[str, ...] = (SUBSCRIPTION, TOPIC)) -> PubSubName:
    """Reads `pubsub://projects/P/subscriptions/S` or `pubsub://projects/P/topics/T`.

    Args:
        uri: what the user wrote.
        kinds: what it may be.

    Raises:
        InputError: it is neither, or its name is none that Pub/Sub allows.
    """
    found = URI.fullmatch(uri)
    if found is None or found["kind"] not in kinds:
        ways = {SUBSCRIPTION: "subscriptions/SUBSCRIPTION", TOPIC: "topics/TOPIC"}
        wanted = " or ".join(f"pubsub://projects/PROJECT/{ways[kind]}" for kind in kinds)
        msg = f"{shown(uri)} is not understood; write {wanted}"
        raise InputError(msg)
    if not NAME.fullmatch(found["name"]):
        msg = (
            f"{uri}: {found['name']!r} cannot be the name of a {found['kind']}; it has 3 to 255 "
            "letters, digits and -_.~+%, begins with a letter, and not with goog"
        )
        raise InputError(msg)
    return PubSubName(found["project"], found["kind"], found["name"])


def subscriber_client(error: type[Exception] = InputError) -> pubsub_v1.SubscriberClient:
    """A client that reads: of the emulator where PUBSUB_EMULATOR_HOST names one, else of Google.

    Raises:
        InputError: there are no credentials.
    """
    return client_of(pubsub_v1.SubscriberClient, error)


def client_of(client: Callable[[], Any], error: type[Exception]) -> Any:
    """A client, or the sentence that says why there is none."""
    try:
        return client()
    except google.auth.exceptions.GoogleAuthError as cause:
        msg = (
            "there are no Google credentials for Pub/Sub; run "
            f"`gcloud auth application-default login`, or set {EMULATOR} to use the emulator"
        )
        raise error(msg) from cause


def ask(
    call: Callable[..., Any],
    target: PubSubName,
    doing: str,
    error: type[Exception] = InputError,
    **request: Any,
) -> Any:
    """Calls Pub/Sub once at the start of something, and waits for no longer than is bearable.

    Args:
        call: a client's method.
        target: what it is about.
        doing: what is tried, after "cannot be": `read`, `published to`.
        error: the exception for what the user has to mend.
        **request: the call's request.

    Raises:
        InputError: it failed, or no answer came within `ANSWER_SECONDS`.
    """
    try:
        return call(request=request, retry=AT_START, timeout=ANSWER_SECONDS)
    except FAILURES as cause:
        raise error(reason_of(cause, target, doing)) from cause


def is_passing(error: Exception) -> bool:
    """Whether another try may go well."""
    return isinstance(error, PASSING)


def reason_of(error: Exception, target: PubSubName, doing: str) -> str:
    """One sentence that says what is wrong, and what to do.

    Args:
        error: of Google's libraries.
        target: the subscription or topic.
        doing: as for `ask`.
    """
    text = _first_line(error)
    failed = f"{target.uri} cannot be {doing}"
    if isinstance(error, errors.NotFound):
        return _missing(text, target)
    if isinstance(error, errors.PermissionDenied):
        role = "publisher" if doing == "published to" else "subscriber"
        remedy = f"give it the role roles/pubsub.{role}"
        if target.kind == TOPIC and doing == "read":
            remedy = "name a subscription of the topic, or give it the role roles/pubsub.editor"
        return f"{failed}: this account is not allowed to; {remedy}"
    if isinstance(error, (errors.Unauthenticated, google.auth.exceptions.GoogleAuthError)):
        return (
            f"{failed}: Google refused the credentials; renew them with "
            "`gcloud auth application-default login`"
        )
    emulator = os.environ.get(EMULATOR)
    if is_passing(error) and emulator:
        return (
            f"{failed}: the emulator at {emulator} does not answer; start it, or correct {EMULATOR}"
        )
    return f"{failed}: {'Pub/Sub does not answer: ' if is_passing(error) else ''}{text}"


def _missing(text: str, target: PubSubName) -> str:
    if "project" in text.lower():
        return f"there is no project {target.project}, or this account may not use it"
    missing = f"the topic of {target.uri}" if "topic" in text.lower() else target.uri
    missing = target.uri if target.kind == TOPIC else missing
    return f"{missing} does not exist; create it, or correct its name"


def _first_line(error: Exception) -> str:
    """What the service said, without the pages that a library adds."""
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(said).splitlines()[0][:300].rstrip(".")
