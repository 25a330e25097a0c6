"""How far event time has come in a source, from the messages themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.check_arrival import ArrivalRule
from transforms.parse_block import BlockParser
from transforms.payload import Messages, Payload

__all__ = ["EventTimes"]

SAMPLE_MESSAGES = 256
SAMPLE_BYTES = 64 << 10
"""So much of a poll is parsed for its event times. Which reading is late never depends on the
watermark, so a newest event time that is a little too old only makes a window wait."""


class EventTimes:
    """Finds the newest event time of payloads.

    Args:
        message_format: as for `ParseReadings`.
        max_future: seconds that an event time may be ahead of its arrival: what is farther ahead
            says nothing, for one broken clock must not move the watermark.

    Raises:
        ValueError: there is no such message format.
    """

    def __init__(self, message_format: str, max_future: int) -> None:
        self._parser = BlockParser(
            message_format,
            hash_raw=False,
            arrival_rule=ArrivalRule(None, max_future),
        )

    def newest(self, payload: Payload) -> int | None:
        """The newest event time among the readings of a payload, or of a sample of it.

        Args:
            payload: what a source has brought; not changed.

        Returns:
            Microseconds since the epoch; None where it holds no reading.
        """
        times = [
            pc.max(batch.column("event_time").view(pa.int64())).as_py()
            for batch in self._parser.parse_payload(_sample(payload)).readings
        ]
        return max((time for time in times if time is not None), default=None)


def _sample(payload: Payload) -> Payload:
    """Some of the messages, the last one among them."""
    messages = payload.messages
    if messages is None or payload.elements is not None or not isinstance(payload.data, bytes):
        return payload
    count = len(messages.starts)
    if count <= SAMPLE_MESSAGES and len(payload.data) <= SAMPLE_BYTES:
        return payload
    chosen = np.array(sorted(set(_chosen(messages, len(payload.data)))))
    ends = np.append(messages.starts[1:] - 1, len(payload.data))
    texts = [payload.data[messages.starts[row] : ends[row]] for row in chosen.tolist()]
    lengths = np.array([len(text) for text in texts], np.int64)
    places = messages.places
    return dataclasses.replace(
        payload,
        data=b"\n".join(texts),
        messages=Messages(
            np.cumsum(lengths + 1) - lengths - 1,
            places[chosen]
            if isinstance(places, np.ndarray)
            else [places[row] for row in chosen.tolist()],
            messages.arrived_at[chosen],
            messages.unit,
        ),
    )


def _chosen(messages: Messages, size: int) -> Iterator[int]:
    """Which messages to look at: spread evenly, and not too many bytes of them."""
    count = len(messages.starts)
    few = max(1, min(SAMPLE_MESSAGES, SAMPLE_BYTES * count // max(size, 1)))
    yield from np.linspace(0, count - 1, few).astype(np.int64).tolist()
    yield count - 1
