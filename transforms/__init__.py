"""Reusable Beam transforms over batches of sensor readings."""

from transforms.assign_regions import AssignRegions
from transforms.batches import BatchReadings, ToRows
from transforms.parse_readings import ParseReadings
from transforms.payload import Payload
from transforms.regional_means import HourlyMeans, RegionalMeans, SlidingMeans
from transforms.windows import HOURLY, SLIDING, SlidingWindow, parse_window

__all__ = [
    "HOURLY",
    "SLIDING",
    "AssignRegions",
    "BatchReadings",
    "HourlyMeans",
    "ParseReadings",
    "Payload",
    "RegionalMeans",
    "SlidingMeans",
    "SlidingWindow",
    "ToRows",
    "parse_window",
]
