"""Places points in the regions of France, or in other boundaries."""

from geo.boundaries import BoundariesError
from geo.index import RegionIndex

__all__ = ["BoundariesError", "RegionIndex"]
