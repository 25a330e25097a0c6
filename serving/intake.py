"""The way of messages from requests to the queue: checked together, published, confirmed.

Requests that come while others are being checked are checked together afterwards: the parser takes
hardly longer for a thousand messages than for one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from serving.admission import RETRY_LATER, Limits
from serving.bodies import BodyError
from serving.check_messages import MessageChecker
from serving.name_faults import Fault
from serving.normalise import normalise
from serving.publishers import Outgoing, Publisher

__all__ = ["Intake", "Taken"]

AT_ONCE = 10_000
"""Messages that are checked together, at most, unless a single request has more."""
GRACE = 5.0
"""Seconds for everything but the queue's confirmation, before a request is given up."""

LOG = logging.getLogger("serving.intake")


@dataclass(frozen=True)
class Taken:
    """What came of the messages of one request.

    Attributes:
        faults: of bad messages, by their number in the request; if there are any, nothing of the
            request was published.
        trouble: why the queue did not confirm; None where it did.
    """

    faults: dict[int, list[Fault]] = field(default_factory=dict)
    trouble: str | None = None


@dataclass(frozen=True)
class _Request:
    texts: list[bytes]
    answer: asyncio.Future[Taken]


class Intake:
    """Takes messages and says what came of them.

    Args:
        publisher: where normalised messages go.
        raw: where every message goes as it came; None for nowhere.
        limits: what is taken at most.
    """

    def __init__(self, publisher: Publisher, raw: Publisher | None, limits: Limits) -> None:
        self._publisher, self._raw, self._limits = publisher, raw, limits
        self._checker = MessageChecker(limits.max_future, limits.message)
        self._waiting: list[_Request] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="check")
        self._at_work: asyncio.Task[None] | None = None

    async def take(self, texts: list[bytes]) -> Taken:
        """Checks and publishes the messages of one request: all of them, or none if one is bad.

        Returns:
            When the queue has confirmed them, or cannot.

        Raises:
            BodyError: the queue has not confirmed in time.
        """
        answer: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(texts, answer))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(self._limits.confirm_within + GRACE):
                taken = await answer
        except TimeoutError:
            taken = Taken(trouble="it did not confirm in time")
        if taken.trouble is not None:
            msg = f"the queue has not confirmed the messages: {taken.trouble}; send them again"
            raise BodyError(503, msg, RETRY_LATER)
        return taken

    def close(self, timeout: float) -> int:
        """Waits for what is on its way; the number of messages without a confirmation."""
        self._thread.shutdown()
        until = time.monotonic() + timeout
        left = self._publisher.close(timeout)
        if self._raw is not None:
            left += self._raw.close(max(0.0, until - time.monotonic()))
        return left

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                group = self._next_group()
                try:
                    await loop.run_in_executor(self._thread, self._handle, group, loop)
                except Exception as error:
                    # What an error says may hold what a message said: it is not logged.
                    LOG.exception("fault", extra={"fields": {"error": type(error).__name__}})
                    fault = Taken(trouble="a fault of the service, which its log names")
                    _answer(group, [fault] * len(group))
        finally:
            self._at_work = None

    def _next_group(self) -> list[_Request]:
        count, size = 0, 0
        for request in self._waiting:
            size += len(request.texts)
            if count and size > AT_ONCE:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _handle(self, group: Sequence[_Request], loop: asyncio.AbstractEventLoop) -> None:
        """Checks and publishes the messages of some requests; in the thread of the checker."""
        texts = [text for request in group for text in request.texts]
        checked = self._checker.check(texts)
        faults = _by_request(group, checked.faults)
        readings = checked.readings
        if checked.faults:
            readings = self._readings_of_the_good(group, faults)
        messages = [message for batch in readings for message in normalise(batch)]
        if self._raw is not None:
            raw = [Outgoing(text) for text in texts if len(text) <= self._limits.message]
            outcome = _Outcome(2, loop, group, faults)
            self._raw.publish(raw, outcome.settle)
            self._publisher.publish(messages, outcome.settle)
            return
        # Who sent what is bad need not wait for the queue.
        for bad in (True, False):
            chosen = [number for number, wrong in enumerate(faults) if bool(wrong) == bad]
            outcome = _Outcome(
                1, loop, [group[number] for number in chosen], [faults[number] for number in chosen]
            )
            self._publisher.publish([] if bad else messages, outcome.settle)

    def _readings_of_the_good(
        self, group: Sequence[_Request], faults: list[dict[int, list[Fault]]]
    ) -> list[pa.RecordBatch]:
        pairs = zip(group, faults, strict=True)
        good = [text for request, wrong in pairs if not wrong for text in request.texts]
        checked = self._checker.check(good)
        if checked.faults or sum(len(batch) for batch in checked.readings) < len(good):
            msg = "messages that were good are so no longer"
            raise RuntimeError(msg)
        return checked.readings


class _Outcome:
    """Answers the requests of a group once all queues have spoken, from any thread."""

    def __init__(
        self,
        queues: int,
        loop: asyncio.AbstractEventLoop,
        group: Sequence[_Request],
        faults: list[dict[int, list[Fault]]],
    ) -> None:
        self._left, self._loop, self._group, self._faults = queues, loop, group, faults
        self._trouble: str | None = None
        self._lock = threading.Lock()

    def settle(self, trouble: str | None) -> None:
        with self._lock:
            self._left -= 1
            self._trouble = self._trouble or trouble
            if self._left:
                return
        taken = [Taken(wrong, self._trouble) for wrong in self._faults]
        self._loop.call_soon_threadsafe(_answer, self._group, taken)


def _answer(group: Sequence[_Request], taken: Sequence[Taken]) -> None:
    for request, one in zip(group, taken, strict=True):
        if not request.answer.done():
            request.answer.set_result(one)


def _by_request(
    group: Sequence[_Request], faults: dict[int, list[Fault]]
) -> list[dict[int, list[Fault]]]:
    """The faults of each request, by the messages' numbers in it."""
    found: list[dict[int, list[Fault]]] = []
    begin = 0
    for request in group:
        end = begin + len(request.texts)
        numbers = range(begin, end) if faults else ()
        found.append({number - begin: faults[number] for number in numbers if number in faults})
        begin = end
    return found
