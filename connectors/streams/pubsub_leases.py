"""Messages that were pulled and are not acknowledged: their deadlines are put off until they are.

A thread of its own does it, because a reader is not asked while its messages wait to be stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.pubsub_client import FAILURES, is_passing

__all__ = ["LEASE_SECONDS", "Leases", "Pulled"]

LEASE_SECONDS = 30
"""How long a message is put off at a time: so late it comes again after the process was killed."""

LONGEST_LEASE = 3600.0
"""A message that is not stored for so many seconds may go to another reader."""

TICK = 1.0
IDS = 1000
"""Acknowledgements in one request: Pub/Sub takes requests of 512 KiB."""

CALL_SECONDS = 5.0
CLOSE_SECONDS = 6.0


@dataclass(eq=False)
class Pulled:
    """The answer to one pull.

    Attributes:
        messages: Pub/Sub's messages; emptied once they are handed on.
        ack_ids: what they are acknowledged by.
        lease: seconds of the deadline that was given last.
        until: when that ends, by `time.monotonic`.
        since: when they were pulled.
        first: the reader's number of the first message; None while it waits to be polled.
        count: how many messages there are.
        size: bytes of their texts.
    """

    messages: Sequence[Any]
    ack_ids: list[str]
    lease: float
    until: float
    since: float
    count: int
    size: int
    first: int | None = None

    @property
    def after(self) -> int:
        """The number after the last message; none of them has one while they wait."""
        return 0 if self.first is None else self.first + self.count


class Leases:
    """Keeps what was pulled from coming again, acknowledges it, or gives it back.

    Args:
        client: a `SubscriberClient`, which this does not close.
        subscription: its path.
        lease: seconds by which deadlines are put off.
    """

    def __init__(self, client: Any, subscription: str, lease: int = LEASE_SECONDS) -> None:
        self._client, self._subscription, self._lease = client, subscription, lease
        self._held: dict[int, Pulled] = {}
        self._stored: list[Pulled] = []
        self._given_back: list[Pulled] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._keep, name="pubsub-leases", daemon=True)
        self._thread.start()

    def hold(self, pulled: Pulled) -> None:
        """Puts the deadlines of these messages off from now on."""
        with self._changed:
            self._held[id(pulled)] = pulled

    def stored(self, position: int) -> None:
        """Acknowledges what was numbered below the position, soon."""
        self._move(self._stored, lambda each: each.first is not None and each.after <= position)

    def give_back(self, position: int) -> None:
        """Lets what was numbered from the position on come again, at once."""
        self._move(self._given_back, lambda each: each.first is not None and each.first >= position)

    def _move(self, to: list[Pulled], chosen: Callable[[Pulled], bool]) -> None:
        with self._changed:
            moved = [each for each in self._held.values() if chosen(each)]
            if moved:
                to += moved
                for each in moved:
                    del self._held[id(each)]
                self._changed.notify()

    def close(self) -> None:
        """Acknowledges what is stored and gives the rest back. Takes a few seconds at most."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CALL_SECONDS + TICK)
        until = time.monotonic() + CLOSE_SECONDS
        self._acknowledge(until)
        with self._changed:
            self._given_back += self._held.values()
            self._held.clear()
        self._release(until)

    def _keep(self) -> None:
        while True:
            with self._changed:
                if not (self._closing or self._stored or self._given_back):
                    self._changed.wait(TICK)
                if self._closing:
                    return
            self._acknowledge()
            self._release()
            self._put_off()
            if self._stored or self._given_back:
                # The last call failed; the next may not.
                time.sleep(TICK / 10)

    def _acknowledge(self, until: float = float("inf")) -> None:
        self._finish(self._stored, self._client.acknowledge, until)

    def _release(self, until: float = float("inf")) -> None:
        self._finish(self._given_back, self._client.modify_ack_deadline, until, deadline=0)

    def _finish(
        self, queue: list[Pulled], call: Any, until: float, deadline: int | None = None
    ) -> None:
        """Sends what is queued; what cannot be sent before its lease ends is left to come again."""
        with self._changed:
            pulls = queue[:]
        for some in _in_requests(pulls):
            if time.monotonic() < until:
                sent = self._send(call, some, deadline)
                lapsed = [each for each in some if each.until < time.monotonic()]
            else:
                sent, lapsed = False, some
            done = {id(each) for each in (some if sent else lapsed)}
            with self._changed:
                queue[:] = [each for each in queue if id(each) not in done]
            if not sent and until == float("inf"):
                return

    def _put_off(self) -> None:
        now = time.monotonic()
        with self._changed:
            due = [
                each
                for each in self._held.values()
                if each.until - now < each.lease / 2 and now - each.since < LONGEST_LEASE
            ]
        for some in _in_requests(due):
            asked = time.monotonic()
            if self._send(self._client.modify_ack_deadline, some, self._lease):
                for each in some:
                    each.lease, each.until = self._lease, asked + self._lease
            else:
                return

    def _send(self, call: Any, pulls: Sequence[Pulled], deadline: int | None) -> bool:
        """Whether nothing more is to be done: it went well, or never will."""
        request: dict[str, Any] = {
            "subscription": self._subscription,
            "ack_ids": [ack_id for each in pulls for ack_id in each.ack_ids],
        }
        if deadline is not None:
            request["ack_deadline_seconds"] = deadline
        try:
            call(request=request, retry=None, timeout=CALL_SECONDS)
        except FAILURES as error:
            return not is_passing(error)
        return True


def _in_requests(pulls: Iterable[Pulled]) -> Iterator[list[Pulled]]:
    """As many pulls together as one request takes."""
    some: list[Pulled] = []
    count = 0
    for each in pulls:
        if some and count + each.count > IDS:
            yield some
            some, count = [], 0
        some.append(each)
        count += each.count
    if some:
        yield some
