"""The one error of the local store."""

from __future__ import annotations

__all__ = ["StoreError"]


class StoreError(Exception):
    """The store cannot do what was asked; the message is one sentence that says what to do."""
