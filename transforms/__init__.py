"""Reusable Beam transforms over batches of sensor readings."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.assign_regions import AssignRegions
    from transforms.batches import BatchReadings, ToRows
    from transforms.keep_latest import KeepLatestVersion
    from transforms.parse_readings import ParseReadings
    from transforms.payload import Payload
    from transforms.place_devices import PlaceDevices
    from transforms.regional_means import HourlyMeans, RegionalMeans, SlidingMeans
    from transforms.rejected_messages import RejectedToMessages
    from transforms.result_messages import ToMessages
    from transforms.triggers import Triggers
    from transforms.windows import HOURLY, SLIDING, SlidingWindow, parse_window

__all__ = [
    "HOURLY",
    "SLIDING",
    "AssignRegions",
    "BatchReadings",
    "HourlyMeans",
    "KeepLatestVersion",
    "ParseReadings",
    "Payload",
    "PlaceDevices",
    "RegionalMeans",
    "RejectedToMessages",
    "SlidingMeans",
    "SlidingWindow",
    "ToMessages",
    "ToRows",
    "Triggers",
    "parse_window",
]

HOMES = {
    "assign_regions": ("AssignRegions",),
    "batches": ("BatchReadings", "ToRows"),
    "keep_latest": ("KeepLatestVersion",),
    "parse_readings": ("ParseReadings",),
    "payload": ("Payload",),
    "place_devices": ("PlaceDevices",),
    "rejected_messages": ("RejectedToMessages",),
    "result_messages": ("ToMessages",),
    "triggers": ("Triggers",),
    "regional_means": ("HourlyMeans", "RegionalMeans", "SlidingMeans"),
    "windows": ("HOURLY", "SLIDING", "SlidingWindow", "parse_window"),
}
"""Where each name is defined. It is imported when it is first asked for: Beam takes a second, and
the functions that stand beside the transforms do without it."""


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"transforms.{home}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
