"""The time before which a store has dropped its readings and windows."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from connectors.local_store.dates import DAY

__all__ = ["FOREVER", "KEPT_FROM", "horizon_of", "kept_from"]

KEPT_FROM = "kept_from"
"""The key of the manifest. A window that begins earlier is never written again."""

FOREVER = -(2**63)


def kept_from(document: Mapping[str, Any]) -> int:
    """The time from which on a store holds windows, in microseconds since the epoch."""
    return int(document.get(KEPT_FROM, FOREVER))


def horizon_of(keep: datetime.timedelta, now: datetime.datetime) -> int:
    """The midnight in UTC from which on things are kept, in microseconds since the epoch.

    Args:
        keep: how long they are kept at least.
        now: the present.
    """
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    micros = (now - keep - epoch) // datetime.timedelta(microseconds=1)
    return micros // DAY * DAY
