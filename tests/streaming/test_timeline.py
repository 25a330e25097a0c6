"""The timeline of docs/corrections.md, as it is told there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.messages import TOULOUSE, lines
from tests.support.streams import START, at, run_stream, stream_of_anything
from transforms import AssignRegions, HourlyMeans, KeepLatestVersion, ParseReadings, Payload

PAGE = Path(__file__).parents[2] / "docs" / "corrections.md"
ROW = re.compile(r"`(early|on_time|late)`: count (\d+), mean ([\d.]+)")
HOUR = 4 * 60
"""The window begins at 14:00, four hours after the start of the tests."""


def arrives(minutes, name, measured, value, version=...):
    """A message of a reading, which a queue brought some minutes after 14:00."""
    moment = f"{at(HOUR + measured):%FT%TZ}"
    text = lines(
        {"id": name, "timestamp": moment, "temperature": value, "version": version, **TOULOUSE}
    )
    arrived = round((START.timestamp() + (HOUR + minutes) * 60) * 10**6)
    return Payload(text, "queue", arrived_at=arrived)


def test_the_rows_are_those_of_the_page():
    stream = stream_of_anything().watermark(HOUR)
    stream.elements(arrives(11, "a", 10, 12), minutes=HOUR + 10).wait(60)
    stream.watermark(HOUR + 47)
    stream.elements(arrives(52, "b", 50, 14), minutes=HOUR + 50).wait(60)
    stream.elements(arrives(64.8, "c", 58, 16), minutes=HOUR + 58)
    stream.watermark(HOUR + 60)
    stream.watermark(HOUR + 95)
    stream.elements(arrives(100, "d", 30, 10), minutes=HOUR + 30).wait(60)
    stream.watermark(HOUR + 110)
    stream.elements(arrives(120, "b", 50, 18, version=2), minutes=HOUR + 50).wait(60)
    stream.watermark(HOUR + 24 * 60)
    stream.elements(arrives(25.5 * 60, "e", 20, 11), minutes=HOUR + 20).wait(60)

    def build(blocks):
        parsed = blocks | ParseReadings(allowed_lateness=86_400, max_future=300)
        means = parsed | AssignRegions() | KeepLatestVersion() | HourlyMeans()
        return {"means": means, "rejected": parsed.rejected, "too_late": parsed.too_late}

    seen = run_stream(stream, build)
    told = [
        (pane, int(count), float(mean))
        for pane, count, mean in ROW.findall(PAGE.read_text("utf-8"))
    ]
    assert len(told) == 5
    assert [(row["pane"], row["count"], row["mean"]) for row in seen.rows["means"]] == told
    assert {f"{row['window_start']:%H:%M}" for row in seen.rows["means"]} == {"14:00"}
    assert [row["reason"] for row in seen.rows["rejected"]] == ["too_late"]
    assert [row["id"] for row in seen.rows["too_late"]] == ["e"]
