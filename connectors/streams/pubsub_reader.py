"""Reads a Pub/Sub subscription as the polled reader that `ReadStream` wants."""

from __future__ import annotations

import random
import threading
import time
from collections import deque

from google.api_core import exceptions as errors
from google.pubsub_v1 import types

from connectors.input_error import InputError
from connectors.pubsub_client import FAILURES, PubSubName, is_passing, reason_of, subscriber_client
from connectors.streams.pubsub_leases import Leases, Pulled
from connectors.streams.pubsub_payload import payload_of
from connectors.streams.pubsub_times import publish_times
from connectors.streams.source import Poll
from transforms.payload import Payload

__all__ = ["PubSubReader"]

PULL_MESSAGES = 1000
"""The most that Pub/Sub gives for one pull."""

PULL_SECONDS = 2.0
"""How long a pull waits for a first message: so long closing may take, too."""

PULLS = 2
"""Pulls at a time."""

PAYLOAD_MESSAGES = 20_000
PAYLOAD_BYTES = 4 << 20
PAYLOAD_SECONDS = 0.1

QUIET_SECONDS = 3.0
"""Without a message for so long, though Pub/Sub answers, the reader is taken to have caught up."""

ANSWERED_LATELY = 3 * PULL_SECONDS + 2
LONGEST_PAUSE = 5.0


class PubSubReader:
    """Reads a subscription, beside any number of other readers of it.

    Threads pull while the pipeline works, as far ahead as one payload. The numbers of messages are
    the reader's own: never less than the clock's microseconds, so they are greater than those of
    any former reader. What is polled is kept from coming again until `stored`; what a closed reader
    has not heard to be stored comes again at once.

    Args:
        subscription: what to read.
        source: what payloads call it.
        deadline: seconds that the subscription gives for an acknowledgement.
        timestamp_attribute: as for `PubSubSource`.
        patience: seconds that Pub/Sub may fail to answer.

    Raises:
        InputError: from `poll`: the subscription cannot be read.
    """

    def __init__(
        self,
        subscription: PubSubName,
        source: str,
        deadline: int,
        timestamp_attribute: str | None = None,
        patience: float = 300.0,
    ) -> None:
        self._subscription, self._source = subscription, source
        self._deadline, self._attribute = deadline, timestamp_attribute
        self._patience = patience
        self._client = subscriber_client()
        self._leases = Leases(self._client, subscription.path)
        self._next = 0
        self._ready: deque[Pulled] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: str | None = None
        now = time.monotonic()
        self._found, self._answered, self._found_none = now, now, now
        self._acknowledged = 0
        self._threads = [
            threading.Thread(target=self._pull_on, name="pubsub-pull", daemon=True)
            for _ in range(PULLS)
        ]
        for thread in self._threads:
            thread.start()

    def poll(self, position: int, timeout: float) -> Poll:
        """See `Reader.poll`."""
        if position < self._next:
            self._leases.give_back(position)
        pulls = self._take(timeout)
        if not pulls:
            return Poll(position, caught_up=self._has_caught_up())
        first = number = max(self._next, position, time.time_ns() // 1000)
        for each in pulls:
            each.first = number
            number += each.count
        self._next = number
        payload = self._payload(pulls)
        for each in pulls:
            each.messages = ()
        return Poll(number, payload, number - first)

    def stored(self, position: int) -> None:
        """See `Reader.stored`."""
        if position > self._acknowledged:
            self._leases.stored(position)
            self._acknowledged = position

    def close(self) -> None:
        """See `Reader.close`. Takes some seconds at most."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            # A pull that is under way may still bring messages.
            thread.join(2 * PULL_SECONDS)
        self._leases.close()
        self._client.close()

    def _payload(self, pulls: list[Pulled]) -> Payload:
        messages = [message for each in pulls for message in each.messages]
        return payload_of(messages, self._source, publish_times(messages), self._attribute)

    def _take(self, timeout: float) -> list[Pulled]:
        """What has been pulled, up to a payload; waits for the first of it, then a little more."""
        now = time.monotonic()
        until, taken, messages, size = now + timeout, list[Pulled](), 0, 0
        with self._changed:
            while True:
                while self._ready and messages < PAYLOAD_MESSAGES and size < PAYLOAD_BYTES:
                    if messages + self._ready[0].count > PAYLOAD_MESSAGES:
                        break
                    if not taken:
                        until = time.monotonic() + PAYLOAD_SECONDS
                    taken.append(self._ready.popleft())
                    messages += taken[-1].count
                    size += taken[-1].size
                    self._changed.notify_all()
                if self._error is not None and not taken:
                    raise InputError(self._error)
                left = until - time.monotonic()
                if self._ready or left <= 0 or self._error is not None:
                    return taken
                self._changed.wait(left)

    def _has_caught_up(self) -> bool:
        """Whether there has been nothing for a while, and Pub/Sub has said so lately."""
        quiet = self._found_none - self._found >= QUIET_SECONDS
        return quiet and time.monotonic() - self._found_none < ANSWERED_LATELY

    def _pull_on(self) -> None:
        failures = 0
        while self._wait_for_room():
            try:
                self._pull()
            except FAILURES as error:
                if not is_passing(error) or self._out_of_patience():
                    self._fail(reason_of(error, self._subscription, "read"))
                    return
                pause = min(LONGEST_PAUSE, 0.1 * 2**failures) * random.uniform(0.5, 1.0)  # noqa: S311
                failures = min(failures + 1, 10)
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, pause)
            except Exception as error:
                self._fail(f"{self._subscription.uri} cannot be read: {error!r}")
                return
            else:
                failures = 0

    def _out_of_patience(self) -> bool:
        return time.monotonic() - self._answered > self._patience

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._error = reason
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        """Waits while a payload is ready; False when the reader closes."""
        with self._changed:
            while not self._closing:
                messages = sum(each.count for each in self._ready)
                size = sum(each.size for each in self._ready)
                if messages < PAYLOAD_MESSAGES and size < PAYLOAD_BYTES:
                    return True
                self._changed.wait(1.0)
        return False

    def _pull(self) -> None:
        """Pulls once. A pull that waited in vain is repeated as one that is answered at once.

        Else silence could not be told from a service that does not answer.
        """
        request = {"subscription": self._subscription.path, "max_messages": PULL_MESSAGES}
        asked = time.monotonic()
        try:
            answer = self._client.pull(request=request, retry=None, timeout=PULL_SECONDS)
        except errors.DeadlineExceeded:
            if self._closing:
                return
            asked = time.monotonic()
            request["return_immediately"] = True
            answer = self._client.pull(request=request, retry=None, timeout=PULL_SECONDS)
        self._answered = time.monotonic()
        received = types.PullResponse.pb(answer).received_messages
        if not received:
            self._found_none = asked
            return
        self._found = self._answered
        messages = [each.message for each in received]
        pulled = Pulled(
            messages,
            [each.ack_id for each in received],
            lease=self._deadline,
            until=asked + self._deadline,
            since=asked,
            count=len(messages),
            size=sum(len(message.data) for message in messages),
        )
        self._leases.hold(pulled)
        with self._changed:
            self._ready.append(pulled)
            self._changed.notify_all()
