"""Google Cloud Pub/Sub as a source that does not end."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.api_core import exceptions as errors

from connectors.input_error import InputError
from connectors.pubsub_client import (
    SUBSCRIPTION,
    TOPIC,
    PubSubName,
    ask,
    parse_pubsub_uri,
    subscriber_client,
)
from connectors.streams.pubsub_reader import PubSubReader
from connectors.streams.source import Part

__all__ = ["PubSubSource", "outlived"]

DAY = 86_400
EXPIRES_AFTER = 7 * DAY
"""A topic's subscription is removed when nobody has read it for so many seconds."""

ACK_SECONDS = 30
LEAST_ACK_SECONDS = 10


@dataclass(frozen=True)
class PubSubSource:
    """A subscription, or a topic that is read through a subscription of the run's own.

    A topic's subscription is named by the topic and the output, so a run that is started again with
    the same output goes on where the last one stopped.

    Pub/Sub does not say how many messages are left, and does not give them in order: a reader is
    taken to have caught up when there has been no message for 3 seconds though Pub/Sub answers.

    Attributes:
        uri: `pubsub://projects/P/subscriptions/S` or `pubsub://projects/P/topics/T`.
        output: where the results go; used for a topic only.
        timestamp_attribute: an attribute, in milliseconds since the epoch or RFC 3339, that stands
            for the time of arrival. For messages that have no event time of their own, whose
            arrival is their event time. A message without it (or in which it is no time) has its
            publish time; the counter `source/without_timestamp_attribute` says how many had.
        id_attribute: an attribute that tells messages apart; only Beam's own reader on Dataflow
            knows what to do with it.
        readers: how many readers the subscription has at a time.
        patience: seconds that Pub/Sub may fail to answer before a running reader gives up.

    Raises:
        InputError: the address is not understood.
    """

    uri: str
    output: str = ""
    timestamp_attribute: str | None = None
    id_attribute: str | None = None
    readers: int = 2
    patience: float = 300.0

    def __post_init__(self) -> None:
        """Refuses an address that is none."""
        parse_pubsub_uri(self.uri)

    @cached_property
    def named(self) -> PubSubName:
        """What the address names."""
        return parse_pubsub_uri(self.uri)

    @cached_property
    def subscription(self) -> PubSubName:
        """The subscription that is read."""
        if self.named.kind == SUBSCRIPTION:
            return self.named
        told_apart = f"{self.named.path}\n{self.output}".encode()
        name = f"regional-means-{hashlib.sha256(told_apart).hexdigest()[:16]}"
        return PubSubName(self.named.project, SUBSCRIPTION, name)

    def prepare(self) -> str | None:
        """Looks whether there is something to read, and makes a topic's subscription.

        Returns:
            A line for the user about a topic's subscription; None where there is nothing to say.

        Raises:
            InputError: there is no such thing, or it cannot be read.
        """
        client = subscriber_client()
        try:
            if self.named.kind == SUBSCRIPTION:
                self._look(client)
                return None
            is_new = self._subscribe(client)
        finally:
            client.close()
        what = (
            "made now: messages published before are not read"
            if is_new
            else "which goes on where the last run stopped"
        )
        return (
            f"{self.uri} is read through the subscription {self.subscription.name}, {what}; "
            f"it is removed when it is not read for {EXPIRES_AFTER // DAY} days"
        )

    def parts(self, positions: Mapping[str, int]) -> Sequence[Part]:
        """See `Source.parts`. Positions of former readers mean nothing to new ones."""
        del positions
        self.prepare()
        return [Part(f"{self.uri}#{uuid.uuid4().hex[:12]}") for _ in range(self.readers)]

    def open(self, part: Part) -> PubSubReader:
        """See `Source.open`."""
        del part
        client = subscriber_client()
        try:
            found = self._look(client)
        finally:
            client.close()
        deadline = LEAST_ACK_SECONDS if found is None else found.ack_deadline_seconds
        return PubSubReader(
            self.subscription, self.uri, deadline, self.timestamp_attribute, self.patience
        )

    def _look(self, client: Any) -> Any:
        """The subscription; None where this account may perhaps read it but not look at it."""
        try:
            found = ask(
                client.get_subscription,
                self.subscription,
                "read",
                subscription=self.subscription.path,
            )
        except InputError as error:
            if isinstance(error.__cause__, errors.PermissionDenied):
                return None
            raise
        gone = found.topic == "_deleted-topic_"
        if self.named.kind == TOPIC and (gone or found.topic != self.named.path):
            msg = (
                f"{self.subscription.uri} belongs to another topic than {self.uri}; delete it, "
                "and it is made anew"
            )
            raise InputError(msg)
        if found.push_config.push_endpoint or found.bigquery_config or found.cloud_storage_config:
            msg = (
                f"{self.uri} cannot be read: its messages are delivered elsewhere (push, BigQuery "
                "or Cloud Storage); name a subscription of delivery type pull"
            )
            raise InputError(msg)
        return found

    def _subscribe(self, client: Any) -> bool:
        """Makes a topic's subscription; False where it was there."""
        try:
            ask(
                client.create_subscription,
                self.named,
                "read",
                name=self.subscription.path,
                topic=self.named.path,
                ack_deadline_seconds=ACK_SECONDS,
                expiration_policy={"ttl": {"seconds": EXPIRES_AFTER}},
            )
        except InputError as error:
            if not isinstance(error.__cause__, errors.AlreadyExists):
                raise
            self._look(client)
            return False
        return True


def outlived(positions: Mapping[str, int], older_than: float = DAY) -> list[str]:
    """The names of readers of subscriptions that have told nothing new for long.

    Each run has readers of its own, whose positions are worth nothing once they are closed; a store
    can forget them. A reader that is still alive has long acknowledged what it told, so that
    forgetting it changes nothing either.

    Args:
        positions: by part, as the store has them.
        older_than: seconds.
    """
    # A reader's numbers are never less than the clock's microseconds.
    before = (time.time() - older_than) * 1e6
    return [name for name, at in positions.items() if name.startswith("pubsub://") and at < before]
