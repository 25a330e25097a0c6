"""Writing a run's results: all of them at once, or none."""

from __future__ import annotations

import datetime

import apache_beam as beam
import pyarrow as pa
import pytest

from connectors import local_sink
from connectors.local_sink import (
    TABLES,
    Run,
    WriteToStore,
    means_table,
    outside_table,
    rejected_table,
)
from connectors.local_store import LocalStore, StoreError
from geo import RegionIndex
from schemas.reading import MEANS
from schemas.tables import arrow_schema
from tests.support.fast_parser import block_parser
from tests.support.pipelines import many_threads, one_thread
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.window_means import window_rows
from transforms.windows import HOURLY

NOON = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
RUN = Run("run-1", 7, NOON, ("a.jsonl",))


def placed(count=3):
    rows = [
        {
            "id": str(number),
            "event_time": NOON + datetime.timedelta(minutes=number),
            "longitude": 1.444 if number % 3 else -30.0,
            "latitude": 43.6,
            "value": number / 4,
        }
        for number in range(count)
    ]
    rows.append({**rows[0], "id": "nowhere", "longitude": None})
    return assign_regions(batch_rows(rows), RegionIndex.default())


def means(count=3):
    statistics = [make() for make in STATISTICS.values()]
    slices = SliceAccumulator(3600, statistics)
    slices.add(placed(count))
    return window_rows([batch for _, batch in slices.flush(1)], [HOURLY], 3600, statistics)


def rejected(*texts):
    return block_parser().parse(b"\n".join(texts), "a.jsonl").rejected[0]


def asked(folder, query):
    with LocalStore(folder).connect() as connection:
        return connection.execute(query).fetchall()


def everything(folder):
    return sorted(
        (str(path.relative_to(folder)), path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    )


def test_batches_become_rows_of_their_tables():
    for to_table, batch, table in (
        (means_table, means(), "regional_means_revisions"),
        (rejected_table, rejected(b"bad"), "rejected_readings"),
        (outside_table, placed(), "outside_readings"),
    ):
        rows = to_table(batch, RUN)
        assert rows.schema == arrow_schema(table)
        rows.validate(full=True)
        assert set(rows.column("run_id").to_pylist()) == {"run-1"}
    assert set(means_table(means(), RUN).column("revision").to_pylist()) == {7}


def test_outside_readings_are_those_in_no_region_with_their_values():
    rows = outside_table(placed(5), RUN).to_pylist()
    assert [(row["id"], row["longitude"], row["value"]) for row in rows] == [
        ("0", -30.0, 0.0),
        ("3", -30.0, 0.75),
        ("nowhere", None, 0.0),
    ]
    assert {row["source"] for row in rows} == {"rows"}


def write(pipeline, folder, run=RUN, **batches):
    pcolls = {name: pipeline | name >> beam.Create(found) for name, found in batches.items()}
    for pcoll in pcolls.values():
        pcoll.element_type = pa.RecordBatch
    return pcolls | WriteToStore(str(folder), run, TABLES)


@pytest.mark.parametrize("file_bytes", [1, 64 << 20])
def test_all_tables_are_committed_with_their_run(tmp_path, monkeypatch, file_bytes):
    monkeypatch.setattr(local_sink, "FILE_BYTES", file_bytes)
    with many_threads(2) as pipeline:
        write(
            pipeline,
            tmp_path / "store",
            regional_means_revisions=[means(), means(9)],
            rejected_readings=[rejected(b"bad", b"worse"), rejected(b"worst")],
            outside_readings=[placed(), placed(9)],
        )
    manifest = LocalStore(tmp_path / "store").manifest()
    (run,) = manifest.runs
    assert (run.run_id, run.revision, run.inputs) == ("run-1", 7, ["a.jsonl"])
    assert run.counts == {
        "regional_means_revisions": 2,
        "rejected_readings": 3,
        "outside_readings": 6,
    }
    assert asked(tmp_path / "store", "SELECT raw FROM rejected_readings ORDER BY raw") == [
        ("bad",), ("worse",), ("worst",),
    ]  # fmt: skip
    assert asked(tmp_path / "store", "SELECT count(*), min(revision) FROM hourly_means") == [(1, 7)]


def test_a_run_that_found_nothing_leaves_no_trace(tmp_path):
    with one_thread() as pipeline:
        write(pipeline, tmp_path, regional_means_revisions=[], rejected_readings=[])
    assert everything(tmp_path) == []
    with one_thread() as pipeline:
        inside = placed(3).slice(1, 2)
        write(pipeline, tmp_path, outside_readings=[inside])
    assert everything(tmp_path) == []


def test_a_run_that_fails_leaves_the_store_as_it_was(tmp_path):
    with one_thread() as pipeline:
        write(pipeline, tmp_path, regional_means_revisions=[means()])
    manifest = (tmp_path / "manifest.json").read_bytes()
    wrong = means().rename_columns([*MEANS.names[:-1], "pain"])
    pipeline = one_thread()
    write(
        pipeline,
        tmp_path,
        Run("run-2", 8, NOON, ()),
        regional_means_revisions=[means(9), wrong],
        rejected_readings=[rejected(b"bad")],
    )
    with pytest.raises(Exception, match=r"pane"):
        pipeline.run()
    assert (tmp_path / "manifest.json").read_bytes() == manifest
    assert asked(tmp_path, "SELECT count(*) FROM rejected_readings") == [(0,)]
    assert asked(tmp_path, "SELECT sum(count) FROM hourly_means") == [(2,)]


def test_a_folder_that_cannot_be_written_stops_the_pipeline_with_a_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    pipeline = one_thread()
    write(pipeline, tmp_path / "file" / "store", regional_means_revisions=[means()])
    with pytest.raises((StoreError, RuntimeError), match=r"cannot write to .*not a directory"):
        pipeline.run()
