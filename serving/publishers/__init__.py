"""Where received messages are published, and how an output URI names it."""

from __future__ import annotations

from serving.publishers.open_publisher import open_publisher, sibling
from serving.publishers.publisher import Outgoing, Publisher

__all__ = ["Outgoing", "Publisher", "open_publisher", "sibling"]
