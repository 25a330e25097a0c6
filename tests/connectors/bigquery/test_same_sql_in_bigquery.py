"""The same SQL on BigQuery (an emulator) and on the local store: the same rows, to the last bit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import sql
from pipelines.query import main as query_command
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_tables import fill_from_store, new_tables
from tests.support.jobs import ROOT, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, lines, message

OBSERVATIONS = Path(
    os.environ.get("REAL_OBSERVATIONS", ROOT.parent / "shared/data/synop-2024-12.jsonl.gz")
)
SAMPLE = ROOT / "pipelines" / "data" / "sample.jsonl.gz"
EXAMPLES = sorted((ROOT / "sql" / "examples").glob("*.sql"))
ONLY_BIGQUERY = {"check_geofence"}


def queries():
    """The views, whose rows have no order, and the examples."""
    for view in sql.VIEWS:
        yield pytest.param(f"SELECT * FROM {view}", id=view)
    for path in EXAMPLES:
        if path.stem not in ONLY_BIGQUERY:
            yield pytest.param(path.read_text("utf-8"), id=path.stem)


def first(folder):
    """Readings of all kinds, some of them wrong."""
    messages = [
        message(id=f"{number}", **place, temperature=number / 7, version=1)
        | {"timestamp": f"2019-02-19 {number % 24:02d}:{number % 60:02d}:00"}
        for number in range(200)
        for place in [[PARIS, TOULOUSE, AT_SEA][number % 3]]
    ]
    wrong = [message(id="x1", temperature=None), message(id="x2", lat="north")]
    path = folder / "first.jsonl"
    path.write_bytes(lines(*messages, *wrong))
    return path


def corrections(folder):
    """Newer versions, readings that moved, deletions, late ones, repeats."""
    messages = []
    for number in range(0, 200, 3):
        changed = message(id=f"{number}", version=2, temperature=number / 3, **TOULOUSE)
        changed["timestamp"] = f"2019-02-19 {(number + 3) % 24:02d}:30:00"
        messages.append(changed)
    messages += [{"id": f"{number}", "version": 2, "deleted": True} for number in range(1, 60, 6)]
    messages += [message(id=f"late-{number}", **PARIS, temperature=-1.5) for number in range(9)]
    path = folder / "corrections.jsonl"
    path.write_bytes(lines(*messages))
    return path


@pytest.fixture(scope="module", params=["month", "corrections"])
def store(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "month":
        inputs = [OBSERVATIONS if OBSERVATIONS.is_file() else SAMPLE]
    else:
        inputs = [first(folder), corrections(folder), first(folder)]
    for number, path in enumerate(inputs):
        done = run_job("--quiet", "--input", path, "--output", folder / "store")
        assert done.code == 0, (number, done.err)
    return folder / "store"


DATASETS: dict[Path, str] = {}


@pytest.fixture
def dataset(store, bigquery_emulator):  # noqa: F811
    """A dataset with the rows of the store."""
    if store not in DATASETS:
        made = new_tables(bigquery_emulator)
        fill_from_store(bigquery_emulator.client, made, store)
        DATASETS[store] = made.uri
    return DATASETS[store]


def answer(capsys, output, query):
    assert query_command(["--output", str(output), "--format", "csv", query]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("query", list(queries()))
def test_both_give_the_same_rows(query, store, dataset, capsys):
    local, remote = (answer(capsys, place, query) for place in (store, dataset))
    if query.startswith("SELECT * FROM"):
        local.sort()
        remote.sort()
    assert remote == local


@pytest.mark.slow
def test_the_rows_are_of_all_kinds(store, dataset, capsys):
    """Else the comparison would say nothing."""
    wanted = {"hourly_means", "sliding_means", "latest_readings", "outside_readings"}
    if "corrections" in str(store):
        wanted.add("open_rejections")
    for view in wanted:
        assert len(answer(capsys, dataset, f"SELECT * FROM {view}")) > 2, view
