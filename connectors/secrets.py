"""Where secrets come from: the environment, or Google's Secret Manager. Never a command line."""

from __future__ import annotations

import functools
import os
import re
from typing import Any

from connectors.input_error import InputError

__all__ = [
    "ENVIRONMENT",
    "MANAGER",
    "is_reference",
    "known_secret",
    "secret_of",
    "shown",
    "variable",
]

ENVIRONMENT, MANAGER = "env:", "secret:"
"""How a reference to a secret begins: `env:NAME`, `secret:projects/P/secrets/S`."""

NAME = re.compile(
    r"projects/(?P<project>[a-z0-9.:-]{1,63})/secrets/(?P<secret>[A-Za-z0-9_-]{1,255})"
    r"(?:/versions/(?P<version>[1-9]\d{0,18}|[A-Za-z][A-Za-z0-9_-]{0,62}))?"
)
ANSWER_SECONDS = 20.0


def shown(uri: str) -> str:
    """An address as it may be repeated to the user: without a user and password before an @."""
    scheme, found, rest = uri.rpartition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def is_reference(text: str) -> bool:
    """Whether a text says where a secret is, and is none itself."""
    return text.startswith((ENVIRONMENT, MANAGER))


def secret_of(reference: str) -> str:
    """The secret that a reference stands for.

    Args:
        reference: `env:NAME`, an environment variable of this process, which may itself hold a
            reference of the other kind; or `secret:projects/P/secrets/S[/versions/V]`, of Secret
            Manager, the newest version where none is named.

    Returns:
        The secret. Secret Manager is asked once a process.

    Raises:
        InputError: it cannot be had; the sentence holds no secret.
    """
    if reference.startswith(MANAGER):
        return _from_manager(reference)
    name = reference.removeprefix(ENVIRONMENT)
    found = variable(name)
    if not found:
        msg = f"the environment variable {name} is not set"
        raise InputError(msg)
    return found


def variable(name: str) -> str:
    """The secret in an environment variable, or in Secret Manager where it says so; may be empty.

    Raises:
        InputError: Secret Manager does not give it.
    """
    found = os.environ.get(name, "")
    return _from_manager(found) if found.startswith(MANAGER) else found


def known_secret(reference: str) -> str:
    """The secret as far as it is known without asking anybody: to be left out of what is said."""
    if reference.startswith(ENVIRONMENT):
        found = os.environ.get(reference.removeprefix(ENVIRONMENT), "")
        return known_secret(found) if found.startswith(MANAGER) else found
    return _known.get(reference, "")


_known: dict[str, str] = {}


def _from_manager(reference: str) -> str:
    if reference not in _known:
        name = reference.removeprefix(MANAGER)
        found = NAME.fullmatch(name)
        if found is None:
            msg = "a reference to Secret Manager is written secret:projects/PROJECT/secrets/SECRET"
            raise InputError(msg)
        _known[reference] = _access(name if found["version"] else f"{name}/versions/latest")
    return _known[reference]


def _access(name: str) -> str:
    """Asks Secret Manager.

    Raises:
        InputError: it does not answer with a text.
    """
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415 - half a second
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

    try:
        answer = client().access_secret_version(name=name, timeout=ANSWER_SECONDS)
        return str(answer.payload.data.decode())
    except (GoogleAPIError, GoogleAuthError) as error:
        said = str(getattr(error, "message", None) or error).splitlines()[0].rstrip(".")
        msg = (
            f"Secret Manager does not give {name}: {said}; this account needs the role "
            "roles/secretmanager.secretAccessor"
        )
        raise InputError(msg) from error
    except UnicodeDecodeError:
        # Neither its bytes nor where they are wrong are repeated.
        msg = f"the secret {name} is no text"
        raise InputError(msg) from None


@functools.cache
def client() -> Any:
    """Google's client of Secret Manager."""
    from google.cloud import secretmanager  # type: ignore[import-untyped,attr-defined,unused-ignore]  # noqa: PLC0415

    return secretmanager.SecretManagerServiceClient()
