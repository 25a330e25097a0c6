"""Rejected records of BigQuery, replayed by way of a file, on the emulator."""

from __future__ import annotations

import datetime
import hashlib
import json

import pyarrow as pa
import pytest

from connectors.bigquery.uri import parse
from deploy.bigquery.__main__ import main as deploy
from schemas.tables import arrow_schema
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_tables import load
from tests.support.bigquery_tables import rows as found
from tests.support.dead_letters import fix, message, replay
from tests.support.jobs import ask, run_job

NOW = datetime.datetime(2026, 11, 22, 6, tzinfo=datetime.UTC)


def row(number, raw, reason="missing_field"):
    return {
        "reason": reason,
        "detail": "…",
        "raw": raw,
        "raw_size": len(raw.encode()),
        "raw_sha256": hashlib.sha256(raw.encode()).hexdigest(),
        "source": f"pubsub://projects/p/subscriptions/s#message={number}",
        "rejected_at": NOW,
        "run_id": "r",
    }


@pytest.mark.slow
def test_rejected_records_of_a_dataset_go_into_a_file_and_are_marked(
    bigquery_emulator,  # noqa: F811
    tmp_path,
    capsys,
):
    uri = bigquery_emulator.new_dataset()
    assert deploy([uri]) == 0
    rows = [row(n, json.dumps(message(n))) for n in (2, 4)] + [row(5, "{", "not_json")]
    # A retry may have repeated a row.
    table = pa.Table.from_pylist([*rows, rows[0]], schema=arrow_schema("rejected_readings"))
    load(bigquery_emulator.client, parse(uri), "rejected_readings", table)
    capsys.readouterr()
    fixed = ("--message_format", f"auto,{fix(tmp_path)}", "--format", "json")
    out = tmp_path / "again.jsonl"
    done = replay("--input", uri, "--output", out, *fixed)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["found"], told["sent"]) == (3, 2)
    assert told["still_rejected"] == {"not_json": 1}
    assert run_job("--input", out, "--output", tmp_path / "store", "--quiet", *fixed[:2]).code == 0
    assert ask(tmp_path / "store", "SELECT count FROM hourly_means") == [(2,)]
    again = replay("--input", uri, "--output", tmp_path / "b.jsonl", *fixed)
    assert json.loads(again.out)["found"] == 1, again.err
    whole = replay("--input", uri, "--output", tmp_path / "c.jsonl", *fixed, "--again")
    assert json.loads(whole.out)["sent"] == 2
    # And the same records straight into the dataset, as a run of its own.
    into = replay("--input", uri, *fixed, "--again")
    assert into.code == 0, into.err
    assert json.loads(into.out)["counted"] == 2
    query = "SELECT count, mean FROM hourly_means"
    assert found(bigquery_emulator.client, parse(uri), query) == [(2, 20.0)]
    repeated = replay("--input", uri, *fixed, "--again")
    assert repeated.code == 0, repeated.err
    assert found(bigquery_emulator.client, parse(uri), query) == [(2, 20.0)]
    nowhere = replay("--input", f"{uri}_none", "--output", tmp_path / "d.jsonl", *fixed)
    assert nowhere.code == 1
    assert "cannot be read" in nowhere.err
    assert nowhere.err.count("\n") == 1
