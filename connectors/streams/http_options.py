"""How an HTTP address is polled, and how it is named where others can read it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from connectors.input_error import InputError
from connectors.secrets import variable
from transforms.windows import parse_duration

__all__ = ["HttpOptions", "checked_url", "masked_url", "part_name", "read_key"]

MASK = "***"
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What a header may be called (RFC 9110, 5.1)."""

VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True)
class HttpOptions:
    """How an address is polled. All times are seconds.

    Attributes:
        interval: from the start of one request to the start of the next.
        header: the header that carries the key.
        key_env: the environment variable, of the process that polls, with the key; no header is
            sent where it is not set.
        connect_timeout: how long a connection may take.
        read_timeout: how long the server may send nothing.
        response_timeout: how long a request may take in all.
        give_up: for how long nothing but failures is borne.
        max_bytes: the largest response, as text, that is taken.

    Raises:
        ValueError: a number or name that cannot be; one sentence.
    """

    interval: float = 10.0
    header: str = "X-API-Key"
    key_env: str = "REGIONAL_MEANS_API_KEY"
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    response_timeout: float = 60.0
    give_up: float = 900.0
    max_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        for name in (
            "interval",
            "connect_timeout",
            "read_timeout",
            "response_timeout",
            "give_up",
            "max_bytes",
        ):
            if getattr(self, name) <= 0:
                msg = f"{name} must be more than 0, not {getattr(self, name)}"
                raise ValueError(msg)
        if not NAME.fullmatch(self.header):
            msg = f"no header can be called {self.header!r}; write a name such as X-API-Key"
            raise ValueError(msg)

    @classmethod
    def parse(
        cls,
        interval: str = "10s",
        header: str = header,
        key_env: str = key_env,
        timeout: str = "60s",
        give_up: str = "15m",
    ) -> HttpOptions:
        """Reads options as the command line gives them.

        Args:
            interval: `--http_interval`, a length of time such as `10s`.
            header: `--http_header`.
            key_env: `--http_key_env`.
            timeout: `--http_timeout`: how long a request may take in all.
            give_up: `--http_give_up`.

        Raises:
            InputError: one cannot be; the sentence says which.
        """
        times = {"http_interval": interval, "http_timeout": timeout, "http_give_up": give_up}
        seconds = {}
        for name, text in times.items():
            try:
                seconds[name] = float(parse_duration(text))
            except ValueError as error:
                msg = f"--{name}: {error}"
                raise InputError(msg) from error
            if seconds[name] == 0:
                msg = f"--{name} must be a second or more"
                raise InputError(msg)
        longest = seconds["http_timeout"]
        try:
            return cls(
                interval=seconds["http_interval"],
                header=header,
                key_env=key_env,
                connect_timeout=min(cls.connect_timeout, longest),
                read_timeout=min(cls.read_timeout, longest),
                response_timeout=longest,
                give_up=seconds["http_give_up"],
            )
        except ValueError as error:
            msg = f"--http_header: {error}"
            raise InputError(msg) from error


def checked_url(url: str) -> str:
    """The address without its fragment, which is no business of a server.

    Raises:
        InputError: it is no address that can be polled, or holds a password.
    """
    parts = _split(url)
    if "@" in parts.netloc:
        msg = (
            f"{masked_url(url)} cannot be polled with a user and password in the address; "
            "put the key into the environment variable that --http_key_env names"
        )
        raise InputError(msg)
    if parts.scheme not in {"http", "https"} or not parts.hostname or SPACE_OR_CONTROL.search(url):
        msg = f"{masked_url(url)} is no HTTP address; write one such as https://host/path"
        raise InputError(msg)
    return urlunsplit(parts._replace(fragment=""))


def masked_url(url: str) -> str:
    """The address as it may be stored and shown: without the values of its query, or a password.

    Raises:
        InputError: it cannot be taken apart.
    """
    parts = _split(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(map(_masked, parts.query.split("&"))) if parts.query else ""
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def part_name(url: str) -> str:
    """What the address is called in a store: as it is shown, and apart from others like it."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"{masked_url(url)}#{digest}" if "?" in url else masked_url(url)


def read_key(options: HttpOptions) -> str | None:
    """The key, from the environment of this process, or from Secret Manager where that says so.

    Returns:
        The key; None where there is none.

    Raises:
        InputError: no header can carry it, or Secret Manager does not give it.
    """
    key = variable(options.key_env).strip()
    if key and not VALUE.fullmatch(key):
        msg = (
            f"the key in the environment variable {options.key_env} (--http_key_env) holds "
            "characters that no HTTP header can carry"
        )
        raise InputError(msg)
    return key or None


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # What is wrong with it is not said: it would repeat what may be a password.
        msg = "the address to poll cannot be understood; write one such as https://host:8080/path"
        raise InputError(msg) from None
    return parts


def _masked(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK
