"""The classes of a run's balance: every reading that is read is in exactly one of them."""

from __future__ import annotations

__all__ = ["CLASSES"]

CLASSES = (
    "counted",
    "duplicate",
    "superseded",
    "deleted",
    "outside",
    "no_place",
    "rejected",
    "too_late",
)
