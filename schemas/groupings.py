"""What means can be grouped by: the words of `--group_by`."""

from __future__ import annotations

__all__ = ["BOTH", "GROUPINGS", "REGION", "SENSOR"]

REGION, SENSOR, BOTH = "region", "sensor", "both"
GROUPINGS = (REGION, SENSOR, BOTH)
"""All of them."""
