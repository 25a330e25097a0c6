"""Pub/Sub messages as one payload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from connectors.streams.pubsub_times import attribute_times
from transforms.balance import count
from transforms.payload import Payload, join_messages

__all__ = ["payload_of"]


def payload_of(
    messages: Sequence[Any], source: str, published: npt.NDArray[np.int64], attribute: str | None
) -> Payload:
    """Joins messages.

    The counter `source/without_timestamp_attribute` says how many had to be taken at their publish
    time, `source/empty_messages` how many held no text (attributes at most), so no reading either.

    Args:
        messages: anything with `data`, `message_id` and `attributes`.
        source: what the payload calls the subscription or topic.
        published: when each was published, in microseconds since the epoch.
        attribute: the attribute that stands for that; None for none.
    """
    arrivals, without = attribute_times(messages, attribute, published)
    texts = [message.data for message in messages]
    empty = sum(not text or text.isspace() for text in texts)
    for name, amount in (("without_timestamp_attribute", without), ("empty_messages", empty)):
        if amount:
            count(name, amount, "source")
    identifiers = [message.message_id or "" for message in messages]
    return join_messages(texts, source, identifiers, arrivals, unit="message")
