"""The mean of three hours before follows a late correction, though its own row does not change."""

from __future__ import annotations

from connectors.local_store import LocalStore
from tests.support.streams import START, Stream, at, deletion, reading, run_stream
from tests.support.summed_rows import summed_rows
from transforms import AssignRegions, HourlyMeans, KeepLatestVersion

TABLE = "regional_means_revisions"


def shown(folder, rows):
    """Mean, mean three hours before and revision by hour of the view over the first rows."""
    store = LocalStore(folder)
    store.prepare()
    stamped = [
        {**row, "revision": number, "emitted_at": START, "run_id": "stream"}
        for number, row in enumerate(rows, 1)
    ]
    written = store.write(TABLE, summed_rows(stamped))
    with store.transaction() as change:
        change.add([written], "stream")
    with store.connect() as connection:
        query = "SELECT hour, mean, mean_3h_before, revision FROM hourly_means"
        found = connection.execute(query).fetchall()
    return {f"{hour:%H}": tuple(rest) for hour, *rest in found}


def test_a_correction_shows_in_the_row_three_hours_on(tmp_path):
    def build(batches):
        latest = batches | AssignRegions() | KeepLatestVersion(remember_versions=86_400)
        return {"means": latest | HourlyMeans()}

    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 2, 20, 1))
        .watermark(180)
        .rows(reading("c", 181, 30, 1))
        .watermark(241)
        .rows(reading("a", 1, 16, 2, arrived=242))
        .wait()
        .rows(deletion("a", 3), deletion("b", 3))
        .wait()
    )
    rows = run_stream(stream, build).rows["means"]
    assert [(f"{row['window_start']:%H}", row["count"], row["mean"]) for row in rows] == [
        ("10", 2, 15.0),
        ("13", 1, 30.0),
        ("10", 2, 18.0),
        ("10", 0, None),
    ]
    assert rows[1]["window_start"] == at(180)
    before = shown(tmp_path / "before", rows[:2])
    corrected = shown(tmp_path / "corrected", rows[:3])
    emptied = shown(tmp_path / "emptied", rows)
    assert (before["13"], corrected["13"]) == ((30.0, 15.0, 2), (30.0, 18.0, 2))
    assert emptied == {"13": (30.0, None, 2)}
