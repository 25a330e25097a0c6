"""Publishes to a Pub/Sub topic, in no order.

An ordering key would make the client try for ever: a queue that is away would never be told of. The
results do not depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from google.api_core.exceptions import PermissionDenied
from google.api_core.retry import Retry
from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]
from google.cloud.pubsub_v1.types import (  # type: ignore[import-untyped]
    BatchSettings,
    LimitExceededBehavior,
    PublisherOptions,
    PublishFlowControl,
)

from connectors.output_error import OutputError
from connectors.pubsub_client import FAILURES, PubSubName, client_of, is_passing, reason_of
from serving.publishers.publisher import Confirmation, Done, Outgoing, Unconfirmed

__all__ = ["PubSubPublisher"]

LINGER = 0.01
"""Seconds that a message waits for others to go with it."""
AT_ONCE = 1000
"""Messages that Pub/Sub takes in one request, at most."""
DOING = "published to"


class PubSubPublisher:
    """A Pub/Sub topic.

    Args:
        topic: the topic.
        confirm_within: seconds that Pub/Sub has to confirm a message.

    Raises:
        OutputError: there are no credentials.
    """

    def __init__(self, topic: PubSubName, confirm_within: float) -> None:
        self.uri = topic.uri
        self._name = topic
        self._unconfirmed = Unconfirmed()
        options = PublisherOptions(
            # The service itself bounds what is in flight.
            flow_control=PublishFlowControl(limit_exceeded_behavior=LimitExceededBehavior.IGNORE),
            retry=Retry(predicate=_may_pass, initial=0.1, maximum=2.0, timeout=confirm_within),
            timeout=confirm_within,
        )
        batches = BatchSettings(max_messages=AT_ONCE, max_latency=LINGER)
        self._client: Any = client_of(
            lambda: PublisherClient(batches, publisher_options=options), OutputError
        )

    def check(self, timeout: float) -> None:
        """As `Publisher.check`. Who may publish but not look at the topic passes."""
        request = {"topic": self._name.path}
        try:
            self._client.get_topic(request=request, retry=None, timeout=timeout)
        except PermissionDenied:
            return
        except FAILURES as error:
            raise OutputError(reason_of(error, self._name, DOING)) from error

    def publish(self, messages: list[Outgoing], done: Done) -> None:
        """As `Publisher.publish`."""
        if not messages:
            done(None)
            return
        confirmation = Confirmation(len(messages), done, self._unconfirmed)
        for message in messages:
            try:
                future = self._client.publish(self._name.path, message.value)
            except (*FAILURES, RuntimeError, ValueError) as error:
                confirmation.settle(reason_of(error, self._name, DOING))
                continue
            future.add_done_callback(self._settler(confirmation))

    def close(self, timeout: float) -> int:
        """As `Publisher.close`."""
        self._client.stop()
        left = self._unconfirmed.wait(timeout)
        self._client.transport.close()
        return left

    def _settler(self, confirmation: Confirmation) -> Callable[[Future[str]], None]:
        def settle(future: Future[str]) -> None:
            error = future.exception()
            trouble = None
            if isinstance(error, Exception):
                trouble = reason_of(error, self._name, DOING)
            confirmation.settle(trouble)

        return settle


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, Exception) and is_passing(error)
