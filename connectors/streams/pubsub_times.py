"""When Pub/Sub brought a message, or the time that one of its attributes gives."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["attribute_time", "attribute_times", "publish_times"]

EARLIEST = -62_135_596_800_000
LATEST = 253_402_300_799_999
"""The years 1 to 9999, in milliseconds since the epoch."""


def publish_times(messages: Sequence[Any]) -> npt.NDArray[np.int64]:
    """When messages were published, in microseconds since the epoch.

    Args:
        messages: Pub/Sub's own (protocol buffers).
    """
    stamps = (message.publish_time for message in messages)
    return np.array([at.seconds * 1_000_000 + at.nanos // 1000 for at in stamps], np.int64)


def attribute_times(
    messages: Sequence[Any], attribute: str | None, published: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], int]:
    """The times that an attribute gives, in microseconds since the epoch.

    Args:
        messages: anything with `attributes`.
        attribute: the attribute's name; None for none.
        published: the time of each message whose attribute is missing or is no time.

    Returns:
        The times, and how many messages had none of their own.
    """
    if attribute is None:
        return published, 0
    times, without = published.copy(), 0
    for row, message in enumerate(messages):
        time = attribute_time(message.attributes, attribute)
        if time is None:
            without += 1
        else:
            times[row] = time
    return times, without


def attribute_time(attributes: Mapping[str, str], name: str) -> int | None:
    """A time as Beam and Dataflow take it from an attribute.

    Args:
        attributes: a message's.
        name: of the attribute: milliseconds since the epoch, or RFC 3339.

    Returns:
        Microseconds since the epoch; None where it is missing or no time.
    """
    text = attributes.get(name, "").strip()
    if text.removeprefix("-").isdecimal():
        # Numbers too long to be times are not worth converting.
        millis = int(text) if len(text) < 20 else LATEST + 1
        return millis * 1000 if EARLIEST <= millis <= LATEST else None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) < len("2019-02-19T14:02Z"):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return since // datetime.timedelta(microseconds=1)
