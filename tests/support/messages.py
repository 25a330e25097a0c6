"""Messages of the regional format for tests."""

from __future__ import annotations

import json
from typing import Any

TOULOUSE = {"lat": 43.6045, "lon": 1.444}
PARIS = {"lat": 48.8566, "lon": 2.3522}
AT_SEA = {"lat": 45.0, "lon": -30.0}
CAYENNE = {"lat": 4.9224, "lon": -52.3135}


def message(**changes: Any) -> dict[str, Any]:
    """A good message with some fields changed; `...` takes a field away."""
    fields = {
        "id": "1b16b092-e8e8-490b-a9be-0db1580fb164",
        "timestamp": "2019-02-19 14:02:10",
        "lat": 45.6258385,
        "lon": 0.0629891,
        "temperature": 29.4068,
        "country": "France",
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not ...}


def line(**changes: Any) -> bytes:
    """The message as a line of JSON, without the newline."""
    return json.dumps(message(**changes), ensure_ascii=False).encode()


def lines(*messages: dict[str, Any]) -> bytes:
    """Messages as a file of JSON lines, each about a reading of its own if it names no `id`."""
    return b"".join(
        line(**{"id": f"1b16b092-e8e8-490b-a9be-{number:012x}", **changes}) + b"\n"
        for number, changes in enumerate(messages)
    )
