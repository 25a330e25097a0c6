"""How much the service takes on at a time: what is beyond is refused at once, with a hint."""

from __future__ import annotations

from dataclasses import dataclass

from serving.bodies import BodyError

__all__ = ["Admission", "Limits"]

RETRY_SOON, RETRY_LATER = 1, 5
"""Seconds to wait where the service has its hands full, and where the queue is away."""


@dataclass(frozen=True)
class Limits:
    """What the service takes, at most.

    Attributes:
        in_flight: messages that wait for the queue's confirmation, all requests together.
        in_flight_bytes: bytes of the bodies of these requests and of those that are being read.
        body: bytes of one request's body.
        message: bytes of one message.
        body_within: seconds in which a body must have come.
        confirm_within: seconds in which the queue must have confirmed a message.
        max_future: seconds that an event time may be ahead of the arrival.
    """

    in_flight: int = 20_000
    in_flight_bytes: int = 64 << 20
    body: int = 1 << 20
    message: int = 64 << 10
    body_within: float = 30.0
    confirm_within: float = 10.0
    max_future: int = 300


class Admission:
    """Counts what is in flight. It lives in one event loop.

    Args:
        limits: how much that may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.messages = 0
        self.bytes = 0

    def add_bytes(self, size: int) -> None:
        """Takes on a piece of a body.

        Raises:
            BodyError: it is too much for now.
        """
        if self.bytes + size > self._limits.in_flight_bytes:
            raise _busy()
        self.bytes += size

    def add_messages(self, count: int) -> None:
        """Takes on messages.

        Raises:
            BodyError: they are too many for now, or for ever.
        """
        most = self._limits.in_flight
        if count > most:
            msg = f"the array holds {count:,} messages; at most {most:,} can be sent at once"
            raise BodyError(413, msg)
        if self.messages + count > most:
            raise _busy()
        self.messages += count

    def leave(self, messages: int, size: int) -> None:
        """Lets go of what has been taken on."""
        self.messages -= messages
        self.bytes -= size


def _busy() -> BodyError:
    msg = "too many messages are waiting for the queue's confirmation; send again later"
    return BodyError(429, msg, RETRY_SOON)
