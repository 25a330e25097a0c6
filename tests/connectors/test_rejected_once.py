"""A rejected record is shown once, however often a stream has started again and written it."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from connectors.local_store import LocalStore
from schemas.tables import arrow_schema
from tests.connectors.store_runs import record
from tests.support.jobs import ask

SCHEMA = arrow_schema("rejected_readings")
PLACE = "kafka://b:1/t/0#offset=7"


def rows(minute, *sources, run="stream"):
    at = datetime.datetime(2024, 1, 1, 12, minute, tzinfo=datetime.UTC)
    fields = {"reason": "not_json", "detail": "", "raw": "{", "raw_size": 1, "raw_sha256": None}
    listed = [fields | {"source": each, "rejected_at": at, "run_id": run} for each in sources]
    return pa.Table.from_pylist(listed, schema=SCHEMA)


@pytest.mark.parametrize("kind", ["stream", "batch"])
def test_what_a_stream_writes_again_is_shown_once(kind, tmp_path):
    store = LocalStore(tmp_path)
    entry, other = f"{PLACE}&entry=1", "kafka://b:1/t/0#offset=8"
    files = [
        store.write("rejected_readings", rows(0, PLACE, entry)),
        store.write("rejected_readings", rows(1, PLACE, entry, other)),
    ]
    store.commit(record("stream", kind="stream"), files)
    if kind == "batch":
        again = store.write("rejected_readings", rows(2, PLACE, run="z"))
        store.commit(record("z", revision=2), [again])
    found = ask(tmp_path, "SELECT source, minute(rejected_at) FROM rejected_readings ORDER BY 1")
    assert found == [(PLACE, 0), (entry, 0), (other, 1)]


def test_records_of_no_told_place_are_all_shown(tmp_path):
    store = LocalStore(tmp_path)
    files = [store.write("rejected_readings", rows(minute, "message")) for minute in range(2)]
    store.commit(record("stream", kind="stream"), files)
    assert ask(tmp_path, "SELECT count(*) FROM rejected_readings") == [(2,)]
