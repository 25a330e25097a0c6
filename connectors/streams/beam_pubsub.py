"""Pub/Sub by Beam's own reader, where the runner has one: the same payloads as `ReadStream`'s."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from connectors.streams.pubsub import PubSubSource
from connectors.streams.pubsub_payload import payload_of
from transforms.balance import count
from transforms.payload import Payload

__all__ = ["ReadPubSubWithBeam"]

PAYLOAD_MESSAGES = 20_000
PAYLOAD_BYTES = 4 << 20


class ReadPubSubWithBeam(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[Payload]]):
    """Reads a subscription, or a topic, by the runner's own means: Dataflow's, above all.

    Elements out are `Payload`s, of the messages of one bundle together. The watermark is the
    runner's: on Dataflow it follows the oldest message that is not acknowledged, by its publish
    time or by the source's `timestamp_attribute`; on the BundleBasedDirectRunner it is the clock.
    The runner acknowledges what it has committed itself, so payloads do not say how far they reach.

    Of the namespace `source`, the counters `messages` and `bytes_read` count what was read.

    Args:
        source: what to read; a topic's subscription must be there (`PubSubSource.prepare`).
        attribute_as_event_time: let the runner's watermark follow the source's
            `timestamp_attribute`. Dataflow can; the BundleBasedDirectRunner would fail on the first
            message whose attribute is no time.
    """

    def __init__(self, source: PubSubSource, *, attribute_as_event_time: bool = False) -> None:
        super().__init__()
        self._source = source
        self._runner_attribute = source.timestamp_attribute if attribute_as_event_time else None

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Payload]:
        read = ReadFromPubSub(
            subscription=self._source.subscription.path,
            id_label=self._source.id_attribute,
            with_attributes=True,
            timestamp_attribute=self._runner_attribute,
        )
        join = _Join(self._source.uri, self._source.timestamp_attribute)
        return pbegin | "Messages" >> read | "Join" >> beam.ParDo(join).with_output_types(Payload)


class _Join(beam.DoFn):
    """Joins the messages of a bundle."""

    def __init__(self, source: str, attribute: str | None) -> None:
        self._source, self._attribute = source, attribute

    def start_bundle(self) -> None:
        self._empty()

    def _empty(self) -> None:
        self._messages: list[PubsubMessage] = []
        self._times: list[int] = []
        self._oldest: Any = None
        self._size = 0

    def process(
        self, element: PubsubMessage, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[WindowedValue]:
        self._messages.append(element)
        self._times.append(_published(element, timestamp))
        self._size += len(element.data)
        self._oldest = timestamp if self._oldest is None else min(self._oldest, timestamp)
        if len(self._messages) >= PAYLOAD_MESSAGES or self._size >= PAYLOAD_BYTES:
            yield self._joined()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._messages:
            yield self._joined()

    def _joined(self) -> WindowedValue:
        published = np.array(self._times, np.int64)
        payload = payload_of(self._messages, self._source, published, self._attribute)
        count("messages", len(self._messages), "source")
        count("bytes_read", payload.size, "source")
        joined = WindowedValue(payload, self._oldest, (GlobalWindow(),))
        self._empty()
        return joined


def _published(message: PubsubMessage, timestamp: Timestamp) -> int:
    """When a message was published, in microseconds; where the runner does not say, its time."""
    at = message.publish_time
    return int(timestamp.micros if at is None else Timestamp.from_utc_datetime(at).micros)
