"""The error for everything wrong with an input."""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(Exception):
    """An input cannot be read; the message is one sentence that says which and why."""
