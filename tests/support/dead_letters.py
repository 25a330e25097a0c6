"""A store with rejected records, and the format that a fix brings."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from pipelines.replay import main
from tests.support.jobs import Outcome, run_job

RENAMED = {
    "description": "System A after its field was renamed.",
    "message": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "timestamp": {"type": "string"},
            "lat": {"type": "number"},
            "lon": {"type": "number"},
            "temp_c": {"type": "number"},
        },
        "required": ["id", "timestamp", "lat", "lon", "temp_c"],
    },
    "reading": {
        "id": "id",
        "event_time": "timestamp",
        "latitude": "lat",
        "longitude": "lon",
        "quantity": {"name": "temperature", "unit": "°C"},
        "value": "temp_c",
    },
}
TIME = "2019-02-19 14:02:10"


def message(number: int, field: str = "temp_c", value: float = 20.0, **more: object) -> dict:
    """A message whose field may be the renamed one."""
    place = {"lat": 45.6, "lon": 0.06}
    return {"id": number, "timestamp": TIME, **place, field: value, **more}


def lines(path: Path, messages: list[object]) -> Path:
    """A file with these messages, texts as they are."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in messages]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def fix(folder: Path) -> Path:
    """The format's file."""
    path = folder / "renamed.json"
    path.write_text(json.dumps(RENAMED))
    return path


def broken_store(folder: Path) -> Path:
    """A store of a run over one good reading, two of the renamed field, and one broken line."""
    read = lines(
        folder / "a.jsonl", [message(1, "temperature", 10.0), message(2), '{"id": 3', message(4)]
    )
    assert run_job("--input", read, "--output", folder / "store", "--quiet").code == 0
    return folder / "store"


def replay(*arguments: object) -> Outcome:
    """Runs the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())
