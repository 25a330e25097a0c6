"""Writing a run's results: all of them at once, or none."""

from __future__ import annotations

import datetime

import apache_beam as beam
import pyarrow as pa
import pytest

from connectors import local_writers
from connectors.local_sink import (
    Run,
    WriteToStore,
    means_table,
    rejected_table,
)
from connectors.local_store import LocalStore, StoreError
from connectors.local_store.means_files import FILE_SCHEMA, read_file
from geo import RegionIndex
from schemas.tables import arrow_schema
from tests.support.fast_parser import block_parser
from tests.support.pipelines import many_workers, one_thread
from transforms.assign_regions import assign_regions
from transforms.balance import read_balance
from transforms.batches import batch_rows
from transforms.keep_latest import deal_out
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.versions import entries_of, newest
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
    batches = [batch for _, batch in slices.flush(1)]
    return window_rows(batches, [HOURLY], 3600, statistics, partials=True)


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
    ):
        rows = to_table(batch, RUN)
        assert rows.schema.equals(FILE_SCHEMA if to_table is means_table else arrow_schema(table))
        rows.validate(full=True)
        assert set(rows.column("run_id").to_pylist()) == {"run-1"}
    assert set(means_table(means(), RUN).column("revision").to_pylist()) == {7}


def test_panes_of_a_window_are_stamped_one_after_the_other():
    twice = pa.Table.from_batches([means(9), means(3)]).combine_chunks().to_batches()[0]
    stamps = []
    for _ in range(2):
        stamps += means_table(twice, RUN).column("emitted_at").cast(pa.int64()).to_pylist()
    assert stamps == sorted(set(stamps))
    given = twice.append_column("emitted_at", pa.array([NOON] * 2, pa.timestamp("us", "UTC")))
    assert means_table(given, RUN).column("emitted_at").to_pylist() == [NOON] * 2


def test_means_without_their_sums_are_refused():
    names = [name for name in means().schema.names if name != "partial_sum"]
    with pytest.raises(StoreError, match="needs their columns partial_sum"):
        means_table(means().select(names), RUN)


def entries(count=3):
    return newest(entries_of(placed(count))).entries


def write(pipeline, folder, run=RUN, **batches):
    pcolls = {name: pipeline | name >> beam.Create(found) for name, found in batches.items()}
    for pcoll in pcolls.values():
        pcoll.element_type = pa.RecordBatch
    return pcolls | WriteToStore(str(folder), run)


@pytest.mark.parametrize("file_bytes", [1, 64 << 20])
def test_all_tables_are_committed_with_their_run(tmp_path, monkeypatch, file_bytes):
    monkeypatch.setattr(local_writers, "FILE_BYTES", file_bytes)
    with many_workers(2) as pipeline:
        write(
            pipeline,
            tmp_path / "store",
            regional_means_revisions=[means(9)],
            rejected_readings=[rejected(b"bad", b"worse"), rejected(b"worst")],
        )
    manifest = LocalStore(tmp_path / "store").manifest()
    (run,) = manifest.runs
    assert (run.run_id, run.revision, run.inputs) == ("run-1", 1, ["a.jsonl"])
    assert (run.kind, run.status, run.duplicates) == ("batch", "finished", "keep")
    assert run.counts == {
        "regional_means_revisions": 1,
        "rejected_readings": 3,
    }
    assert asked(tmp_path / "store", "SELECT raw FROM rejected_readings ORDER BY raw") == [
        ("bad",), ("worse",), ("worst",),
    ]  # fmt: skip
    assert asked(tmp_path / "store", "SELECT count(*), min(revision) FROM hourly_means") == [(1, 1)]


def test_a_run_that_found_nothing_leaves_no_trace(tmp_path):
    with one_thread() as pipeline:
        write(pipeline, tmp_path, regional_means_revisions=[], rejected_readings=[])
    assert everything(tmp_path) == []
    with one_thread() as pipeline:
        inside = placed(3).slice(1, 2)
        write(pipeline, tmp_path, entries=[entries_of(inside).slice(0, 0)])
    assert everything(tmp_path) == []


def test_a_run_that_fails_leaves_the_store_as_it_was(tmp_path):
    with one_thread() as pipeline:
        write(pipeline, tmp_path, regional_means_revisions=[means()])
    manifest = (tmp_path / "manifest.json").read_bytes()
    names = ["pain" if name == "pane" else name for name in means().schema.names]
    wrong = means().rename_columns(names)
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


@pytest.mark.parametrize("few", [0, 1 << 17])
def test_a_run_that_repeats_another_counts_only_duplicates(tmp_path, monkeypatch, few):
    monkeypatch.setattr(local_writers, "FEW_ENTRIES", few)
    shards = [batch for _, batch in deal_out(entries(9), 4)]
    for run, batches in (("a", shards), ("b", shards[::-1])):
        pipeline = many_workers(2)
        write(
            pipeline,
            tmp_path,
            Run(run, LocalStore(tmp_path).next_revision(), NOON, ()),
            regional_means_revisions=[means(9)],
            entries=batches,
        )
        result = pipeline.run()
        result.wait_until_finish()
        changed = read_balance(result.metrics())
    assert asked(tmp_path, "SELECT sum(count) FROM hourly_means") == [(6,)]
    found = {name: amount for name, amount in changed.items() if amount}
    assert found == {"counted": -6, "outside": -3, "no_place": -1, "duplicate": 10}
    assert LocalStore(tmp_path).manifest().runs[1].changes == found
    assert sum(file.rows for file in LocalStore(tmp_path).manifest().index) == 10


def test_a_run_without_entries_counts_all_that_it_brings(tmp_path):
    for run in "ab":
        with one_thread() as pipeline:
            revision = LocalStore(tmp_path).next_revision()
            write(
                pipeline,
                tmp_path,
                Run(run, revision, NOON, ()),
                regional_means_revisions=[means(9)],
            )
    assert asked(tmp_path, "SELECT sum(count) FROM hourly_means") == [(12,)]


def test_tables_can_be_left_out_or_written_otherwise(tmp_path):
    def nothing(batch, run):
        return rejected_table(batch, run).slice(0, 0)

    with one_thread() as pipeline:
        pcoll = pipeline | beam.Create([rejected(b"bad")]).with_output_types(pa.RecordBatch)
        pcolls = {"rejected_readings": pcoll, "regional_means_revisions": pcoll}
        pcolls | WriteToStore(str(tmp_path), RUN, {"rejected_readings": nothing}, {})
    assert everything(tmp_path) == []


def test_rows_keep_their_partial_sums(tmp_path):
    with one_thread() as pipeline:
        write(pipeline, tmp_path, regional_means_revisions=[means(9)])
    (file,) = LocalStore(tmp_path).manifest().files["regional_means_revisions"]
    rows = read_file(tmp_path, file).to_pylist()
    assert [row["partial_count"] for row in rows] == [row["count"] for row in rows] == [6]
    assert [row["own_emitted_at"] for row in rows] == [None]
