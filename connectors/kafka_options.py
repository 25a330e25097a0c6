"""Options of Kafka's clients: TLS, SASL and whatever else librdkafka has a name for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.input_error import InputError
from connectors.secrets import is_reference, known_secret, secret_of

__all__ = ["KafkaOptions"]

HIDDEN = "(hidden)"
SECRET = re.compile(
    r".*(?:password|passphrase|client\.secret|key\.pem|ssl_key)"
    r"|sasl\.oauthbearer\.config|sasl\.jaas\.config"
)
"""What a command line must not hold: everybody on the machine can read it there."""

UNSAFE = {
    ("enable.ssl.certificate.verification", "false"): "the broker could be anybody",
    ("ssl.endpoint.identification.algorithm", "none"): "the broker could be anybody",
}
"""Options that would give up what TLS is for. A certificate of one's own is ssl.ca.location."""

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
    environment variable NAME of the process that connects: of each worker; and one
    `secret:projects/P/secrets/S` for a secret of Secret Manager, which each worker asks for.

    Args:
        given: the options as they were written, in order; of a name, the last counts.
    """

    given: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> KafkaOptions:
        """Reads options as the command line gives them.

        Args:
            texts: each `name=value`, `name=env:NAME` or `name=secret:projects/P/secrets/S`.

        Raises:
            InputError: one is none, is not the user's to set, or is a secret in the open.
        """
        found = cls(tuple(_parse(text) for text in texts))
        chosen = dict(found.given)
        login = chosen.get("sasl.mechanisms", chosen.get("sasl.mechanism", "")).upper()
        if chosen.get("security.protocol", "").upper() == "SASL_PLAINTEXT" and login == "PLAIN":
            msg = (
                "--kafka_option security.protocol=SASL_PLAINTEXT would send the password as it is: "
                "use SASL_SSL, or a mechanism such as SCRAM-SHA-512"
            )
            raise InputError(msg)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Which options are given."""
        return tuple(dict.fromkeys(name for name, _ in self.given))

    def settings(self) -> dict[str, str]:
        """What librdkafka is given, with the values that references stand for.

        Raises:
            InputError: an environment variable is missing, or Secret Manager does not answer.
        """
        return {name: _value(name, value) for name, value in self.given}

    def hide(self, text: str) -> str:
        """The text without values that references stood for."""
        for _, value in self.given:
            secret = known_secret(value) if is_reference(value) else ""
            if secret:
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
    if SECRET.fullmatch(name.lower()) and not is_reference(value):
        msg = (
            f"--kafka_option {name} is a secret: put it into an environment variable and write "
            f"{name}=env:VARIABLE, or into Secret Manager and write "
            f"{name}=secret:projects/PROJECT/secrets/SECRET"
        )
        raise InputError(msg)
    if (name.lower(), value.lower()) in UNSAFE:
        why = UNSAFE[name.lower(), value.lower()]
        msg = (
            f"--kafka_option {name}={value} is refused, for {why}: name the authority that vouches "
            "for the broker by ssl.ca.location"
        )
        raise InputError(msg)
    return name, value


def _value(name: str, value: str) -> str:
    if not is_reference(value):
        return value
    try:
        return secret_of(value)
    except InputError as error:
        msg = f"--kafka_option {name}: {error}"
        raise InputError(msg) from error
