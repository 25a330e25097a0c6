"""Options of Kafka's clients: TLS, SASL and whatever else librdkafka has a name for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.input_error import InputError

__all__ = ["KafkaOptions"]

FROM_ENVIRONMENT = "env:"
HIDDEN = "(hidden)"
SECRETS = frozenset(
    {
        "sasl.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
"""What a command line must not hold: everybody on the machine can read it there."""

OURS = {
    "bootstrap.servers": "the address kafka://HOST:PORT/TOPIC names the brokers",
    "metadata.broker.list": "the address kafka://HOST:PORT/TOPIC names the brokers",
    "auto.offset.reset": "--kafka_start says where to begin",
    "enable.auto.commit": "what is stored is committed, and nothing else",
    "enable.auto.offset.store": "what is stored is committed, and nothing else",
    "enable.partition.eof": "the reader needs it",
    "enable.idempotence": "the writer needs it",
    "delivery.report.only.error": "the writer needs it",
}


@dataclass(frozen=True)
class KafkaOptions:
    """Options of Kafka's clients, by librdkafka's names.

    They are pickled with the pipeline, and shown nowhere. A value `env:NAME` stands for the
    environment variable NAME of the process that connects: of each worker.

    Args:
        given: the options as they were written, in order; of a name, the last counts.
    """

    given: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> KafkaOptions:
        """Reads options as the command line gives them.

        Args:
            texts: each `name=value` or `name=env:NAME`.

        Raises:
            InputError: one is none, is not the user's to set, or is a secret in the open.
        """
        return cls(tuple(_parse(text) for text in texts))

    @property
    def names(self) -> tuple[str, ...]:
        """Which options are given."""
        return tuple(dict.fromkeys(name for name, _ in self.given))

    def settings(self) -> dict[str, str]:
        """What librdkafka is given, with the values from the environment.

        Raises:
            InputError: an environment variable is missing.
        """
        return {name: _value(name, value) for name, value in self.given}

    def hide(self, text: str) -> str:
        """The text without values that came from the environment."""
        for _, value in self.given:
            secret = os.environ.get(value.removeprefix(FROM_ENVIRONMENT), "")
            if value.startswith(FROM_ENVIRONMENT) and secret:
                text = text.replace(secret, HIDDEN)
        return text


def _parse(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name:
        # What has no name may be a value that should not be seen.
        msg = "--kafka_option takes NAME=VALUE, and one of them has no name or no value"
        raise InputError(msg)
    if name in OURS:
        msg = f"--kafka_option {name} cannot be set: {OURS[name]}"
        raise InputError(msg)
    if name in SECRETS and not value.startswith(FROM_ENVIRONMENT):
        msg = (
            f"--kafka_option {name} is a secret: put it into an environment variable and write "
            f"{name}=env:VARIABLE"
        )
        raise InputError(msg)
    return name, value


def _value(name: str, value: str) -> str:
    if not value.startswith(FROM_ENVIRONMENT):
        return value
    variable = value.removeprefix(FROM_ENVIRONMENT)
    found = os.environ.get(variable)
    if not found:
        msg = f"--kafka_option {name}: the environment variable {variable} is not set"
        raise InputError(msg)
    return found
