"""The log: one JSON object a line. It never holds what a message says."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import traceback
from typing import Any

__all__ = ["set_up_log"]


class JsonLines(logging.Formatter):
    """A record as JSON; what is in its `fields` stands beside the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line. Of an error, where it was raised is said, and not what it says."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        fields: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[2]:
            frames = traceback.extract_tb(record.exc_info[2])
            fields["where"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(fields, ensure_ascii=False)


def set_up_log(level: str) -> None:
    """Sends what this process logs to standard error.

    Args:
        level: `info`, with a line a request, or `warning`, with what went wrong only.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("serving", "uvicorn.error"):
        logging.getLogger(name).setLevel(level.upper())
