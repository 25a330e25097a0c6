"""The archive: what is written of placed readings, and into which files."""

from __future__ import annotations

import datetime

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.local_archive import WriteArchive
from connectors.local_store import (
    LocalStore,
    RunRecord,
    StoreError,
    archive,
    archive_files,
    rows_by_date,
)
from connectors.local_store.archive import ArchiveWriter, archive_rows
from connectors.local_store.archive_entries import entries_of_rows
from connectors.local_store.dates import DELETIONS, SEVERAL, day_of, partition_of
from schemas.tables import arrow_schema
from tests.support.pipelines import assert_elements, many_workers, one_thread
from tests.support.placed_rows import DAY, NOON, placed_rows, reading, readings
from transforms.versions import entries_of

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)


def rows_in(folder, files):
    found = []
    for file in files:
        table = pq.ParquetFile(folder / file.path).read()
        assert table.num_rows == file.rows
        assert table.schema.equals(arrow_schema("readings"), check_metadata=False)
        found += table.to_pylist()
    return found


def written(folder, *batches, run_id="run"):
    writer = ArchiveWriter(folder, run_id)
    files = [file for batch in batches for file in writer.add(batch)]
    return files + writer.flush()


def test_a_row_holds_all_that_is_known_of_a_reading():
    row = reading(
        3,
        arrived_at=NOON + 5,
        version=17,
        version_kind=3,
        in_france=True,
        source="topic/0@7",
        too_late=True,
    )
    (found,) = archive_rows(placed_rows([row], too_late=True), "run-1", NOW).to_pylist()
    noon = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
    assert found == {
        "format": "regional",
        "id": "reading-3",
        "sensor_id": None,
        "quantity": "temperature",
        "event_time": noon + datetime.timedelta(microseconds=3),
        "longitude": 2.35,
        "latitude": 48.86,
        "value": 4.5,
        "in_france": True,
        "region_code": "11",
        "region": "Île-de-France",
        "version": 17,
        "version_kind": "version",
        "deleted": False,
        "too_late": True,
        "source": "topic/0@7",
        "arrived_at": noon + datetime.timedelta(microseconds=5),
        "ingested_at": NOW,
        "run_id": "run-1",
    }


def test_a_reading_without_a_version_has_none_whatever_others_have():
    rows = [reading(kind, version=kind * 7, version_kind=kind) for kind in range(4)]
    found = archive_rows(placed_rows(rows), "run", NOW).to_pylist()
    assert [(row["version_kind"], row["version"]) for row in found] == [
        ("none", None),
        ("arrival", 7),
        ("updated_at", 14),
        ("version", 21),
    ]
    (alone,) = archive_rows(placed_rows(rows[:1]), "run", NOW).to_pylist()
    assert (alone["version_kind"], alone["version"], alone["too_late"]) == ("none", None, False)


@given(st.integers(-(10**15), 10**15))
def test_a_value_says_exactly_how_many_millionths_it_has(micros):
    row = placed_rows([reading(value_micros=micros)])
    (found,) = archive_rows(row, "run", NOW).to_pylist()
    assert found["value"] == micros / 10**6
    assert round(found["value"] * 10**6) == micros
    beside_a_deletion = placed_rows([reading(value_micros=micros), reading(deleted=True)])
    both = archive_rows(beside_a_deletion, "run", NOW).to_pylist()
    assert [row["value"] for row in both] == [found["value"], None]


def test_readings_lie_in_the_folder_of_their_date_and_deletions_apart(tmp_path):
    rows = [reading(0), reading(1, event_time=NOON + DAY), reading(2, deleted=True), reading(3)]
    files = written(tmp_path, placed_rows(rows))
    assert {file.path.rpartition("/")[0]: file.rows for file in files} == {
        "readings/event_date=none": 1,
        "readings/event_date=2019-02-19": 2,
        "readings/event_date=2019-02-20": 1,
    }
    assert [(file.first, file.last) for file in files] == [
        (None, None),
        (NOON, NOON + 3),
        (NOON + DAY, NOON + DAY),
    ]
    for file in files:
        assert file.path.endswith(f"/{file.sha256}.parquet")
        assert file.table == "readings"


@settings(max_examples=60)
@given(
    batches=st.lists(st.lists(readings(), max_size=12), max_size=5),
    most_bytes=st.sampled_from([1, 2000, 1 << 30]),
    most_dates=st.integers(1, 4),
)
def test_every_row_is_in_one_file_of_its_date(tmp_path_factory, batches, most_bytes, most_dates):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "MOST_BYTES", most_bytes)
        patch.setattr(rows_by_date, "MOST_DATES", most_dates)
        patch.setattr(archive_files, "GROUP_ROWS", 3)
        files = written(folder, *[placed_rows(rows, too_late=True) for rows in batches])
    given_rows = [row for rows in batches for row in rows]
    expected = archive_rows(placed_rows(given_rows, too_late=True), "run", NOW).to_pylist()
    found = rows_in(folder, files)
    for row in [*expected, *found]:
        row.pop("ingested_at")
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    for file in files:
        day = day_of(file.path)
        times = [row["event_time"] for row in rows_in(folder, [file])]
        if day == SEVERAL:
            days = [DELETIONS if time is None else day_number(time) for time in times]
            assert days == sorted(days)
        elif day == DELETIONS:
            assert set(times) == {None}
        else:
            assert {day_number(time) for time in times} == {day}


def day_number(time):
    return (time.date() - datetime.date(1970, 1, 1)).days


def test_rows_of_very_many_dates_share_a_file(tmp_path):
    rows = [reading(day, event_time=NOON + (day * 37 % 200) * DAY) for day in range(200)]
    (file,) = written(tmp_path, placed_rows(rows))
    assert file.path.startswith("readings/event_date=several/")
    assert (file.first, file.last) == (NOON, NOON + 199 * DAY)
    one_by_one = written(tmp_path, *[placed_rows([row]) for row in rows])
    assert [file.path.split("/")[1] for file in one_by_one] == ["event_date=several"]


def test_a_date_of_many_rows_has_a_file_of_its_own_among_many_dates(tmp_path, monkeypatch):
    monkeypatch.setattr(rows_by_date, "FEW_BYTES", 50_000)
    many = placed_rows([reading(number) for number in range(1000)])
    few = [placed_rows([reading(event_time=NOON + day * DAY)]) for day in range(1, 100)]
    files = written(tmp_path, many, *few)
    assert [(file.path.split("/")[1], file.rows) for file in files] == [
        ("event_date=2019-02-19", 1000),
        ("event_date=several", 99),
    ]


def test_what_is_held_is_bounded(tmp_path, monkeypatch):
    batch = placed_rows([reading(number) for number in range(1000)])
    monkeypatch.setattr(archive, "MOST_BYTES", 4 * batch.nbytes)
    writer = ArchiveWriter(tmp_path, "run")
    counts = [len(writer.add(batch)) for _ in range(12)]
    assert 2 <= sum(counts) <= 6
    assert max(counts) == 1


def test_more_sources_than_a_batch_can_name(tmp_path):
    batches = [placed_rows([reading(number, source=f"file-{number}")]) for number in range(400)]
    (file,) = written(tmp_path, *batches)
    sources = [row["source"] for row in rows_in(tmp_path, [file])]
    assert sources == [f"file-{number}" for number in range(400)]


def test_no_batches_and_empty_ones_write_nothing(tmp_path):
    assert written(tmp_path, placed_rows([])) == []
    assert list(tmp_path.iterdir()) == []


def test_event_times_can_be_pruned_by_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_files, "GROUP_ROWS", 10)
    (file,) = written(tmp_path, placed_rows([reading(number) for number in range(25)]))
    metadata = pq.ParquetFile(tmp_path / file.path).metadata
    place = archive_files.SCHEMA.get_field_index("event_time")
    ends = [metadata.row_group(group).column(place).statistics for group in range(3)]
    assert [(end.min_raw - NOON, end.max_raw - NOON) for end in ends] == [
        (0, 9),
        (10, 19),
        (20, 24),
    ]


@pytest.mark.parametrize(
    ("micros", "folder"),
    [
        (NOON, "event_date=2019-02-19"),
        (0, "event_date=1970-01-01"),
        (-1, "event_date=1969-12-31"),
        (-62_135_596_800_000_000, "event_date=0001-01-01"),
        (253_402_300_799_999_999, "event_date=9999-12-31"),
    ],
)
def test_folders_are_named_by_the_date_in_utc(tmp_path, micros, folder):
    (file,) = written(tmp_path, placed_rows([reading(event_time=micros)]))
    assert file.path.split("/")[1] == folder
    assert day_of(file.path) == micros // DAY
    assert partition_of(day_of(file.path)) == folder


def test_a_path_without_a_date_may_hold_any():
    assert day_of("readings/abc.parquet") == SEVERAL
    assert day_of("readings/event_date=none/abc.parquet") == DELETIONS


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "readings").write_text("x")
    with pytest.raises(StoreError, match=r"cannot write to .*; name another output folder"):
        written(tmp_path, placed_rows([reading()]))


@pytest.mark.parametrize("pipeline", [one_thread(), many_workers(2)])
def test_the_files_of_a_pipeline_count_once_they_are_committed(tmp_path, pipeline):
    batches = [placed_rows([reading(number), reading(deleted=True)]) for number in range(20)]

    def commit(files):
        store = LocalStore(tmp_path)
        store.commit(RunRecord("run", 1, "", ""), files)
        with store.connect() as connection:
            rows = connection.execute("SELECT id, run_id FROM latest_readings").fetchall()
        assert sorted(rows) == sorted((f"reading-{number}", "run") for number in range(1, 20))

    with pipeline:
        files = (
            pipeline
            | beam.Create(batches)
            | beam.ParDo(WriteArchive(str(tmp_path), "run")).with_output_types(object)
        )
        assert_elements(files, commit)


def test_the_archive_reads_as_what_was_written(tmp_path):
    batch = placed_rows([reading(number) for number in range(5)])
    store = LocalStore(tmp_path)
    store.commit(RunRecord("run", 1, "", ""), written(tmp_path, batch))
    with store.connect() as connection:
        found = connection.table("readings").to_arrow_table()
    assert found.schema.names == arrow_schema("readings").names
    expected = archive_rows(batch, "run", NOW).to_pylist()
    for row in expected:
        row.pop("ingested_at")
    kept = found.drop_columns(["ingested_at"])
    assert kept.cast(pa.schema([arrow_schema("readings").field(n) for n in kept.schema.names]))
    assert sorted(map(repr, kept.to_pylist())) == sorted(map(repr, expected))


@given(st.lists(readings(), min_size=1, max_size=20))
def test_the_archive_reads_back_as_the_entries_of_its_readings(rows):
    batch = placed_rows(rows)
    expected = entries_of(batch)
    (found,) = entries_of_rows(archive_rows(batch, "run", NOW))
    assert found.schema == expected.schema
    assert found.to_pylist() == expected.to_pylist()


def test_more_quantities_than_a_batch_of_entries_can_name_are_read_in_parts():
    rows = [reading(number, quantity=f"quantity-{number}") for number in range(300)]
    parts = [archive_rows(placed_rows(rows[i : i + 100]), "run", NOW) for i in (0, 100, 200)]
    found = [
        entry["quantity"]
        for entries in entries_of_rows(archive_files.joined(parts))
        for entry in entries.to_pylist()
    ]
    assert found == [row["quantity"] for row in rows]
    # A slice needs few of the names.
    (few,) = entries_of_rows(archive_files.joined(parts).slice(5, 3))
    assert few.num_rows == 3
