"""The error for everything wrong with an output that is no store."""

from __future__ import annotations

__all__ = ["OutputError"]


class OutputError(Exception):
    """An output cannot be written; the message is one sentence that says which and why."""
