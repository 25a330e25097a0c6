"""What a queue is to the service: messages go in, and a confirmation comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Confirmation", "Done", "Outgoing", "Publisher", "Unconfirmed"]

Done = Callable[[str | None], None]
"""Called once, from any thread: with None when the queue has confirmed all messages, else with a
sentence that says why not."""


@dataclass(frozen=True)
class Outgoing:
    """A message on its way to a queue.

    Attributes:
        value: its text.
        key: messages of one key keep their order; None where that means nothing.
    """

    value: bytes
    key: str | None = None


class Publisher(Protocol):
    """A topic of a queue.

    Attributes:
        uri: as the user wrote it.
    """

    uri: str

    def check(self, timeout: float) -> None:
        """Asks the queue whether it is there and has the topic.

        Args:
            timeout: seconds to wait for an answer, at most.

        Raises:
            OutputError: it is not, or has not.
        """
        ...

    def publish(self, messages: list[Outgoing], done: Done) -> None:
        """Hands messages over without waiting for the queue.

        Args:
            messages: any number; with none, `done` is called at once.
            done: hears when all are confirmed, or that they were not in time. What was not
                confirmed may still arrive.
        """
        ...

    def close(self, timeout: float) -> int:
        """Waits for what is on its way, then lets go of the connection.

        Args:
            timeout: seconds to wait, at most.

        Returns:
            How many messages are still without a confirmation.
        """
        ...


class Unconfirmed:
    """Counts the messages that are on their way, over all threads."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def add(self, count: int) -> None:
        """Changes the count by a number, which may be negative."""
        with self._changed:
            self._count += count
            if self._count == 0:
                self._changed.notify_all()

    def wait(self, timeout: float) -> int:
        """Waits until there is none.

        Args:
            timeout: seconds to wait, at most.

        Returns:
            How many there still are.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, timeout)
            return self._count


class Confirmation:
    """Waits for the confirmations of several messages; any thread may bring them.

    Args:
        count: of how many messages.
        done: hears the outcome.
        unconfirmed: counts the messages of all confirmations together.
    """

    def __init__(self, count: int, done: Done, unconfirmed: Unconfirmed) -> None:
        self._left, self._done, self._unconfirmed = count, done, unconfirmed
        self._trouble: str | None = None
        self._lock = threading.Lock()
        unconfirmed.add(count)

    def settle(self, trouble: str | None) -> None:
        """One message is confirmed, or has failed for a reason."""
        with self._lock:
            self._left -= 1
            self._trouble = self._trouble or trouble
            last = self._left == 0
        self._unconfirmed.add(-1)
        if last:
            self._done(self._trouble)
