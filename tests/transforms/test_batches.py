"""Batches and rows turn into one another."""

from __future__ import annotations

import datetime

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reading import READINGS, VersionKind
from tests.support.pipelines import assert_elements, assert_rows, one_thread
from transforms import BatchReadings, ToRows
from transforms.batches import BatchCoder, batch_rows, rows_of, stamped

NOON = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
MIDNIGHT = datetime.datetime(2019, 2, 19, tzinfo=datetime.UTC)


def row(**changes):
    return {
        "event_time": NOON,
        "longitude": 1.444,
        "latitude": 43.6,
        "value": 12.5,
        **changes,
    }


@settings(max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)),
                "sensor_id": st.one_of(st.none(), st.text(max_size=3)),
                "quantity": st.sampled_from(["temperature", "humidity"]),
                "event_time": st.datetimes(
                    datetime.datetime(1900, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
                    timezones=st.just(datetime.UTC),
                ),
                "longitude": st.one_of(st.none(), st.floats(-180, 180)),
                "latitude": st.one_of(st.none(), st.floats(-90, 90)),
                "value": st.integers(-(10**9), 10**9).map(lambda micros: micros / 10**6),
                "in_france": st.booleans(),
                "source": st.sampled_from(["a", "b"]),
                "version": st.integers(-(2**63), 2**63 - 1),
                "version_kind": st.sampled_from(list(VersionKind)),
                "deleted": st.just(False),
                "arrived_at": st.one_of(st.none(), st.just(NOON)),
                "format": st.sampled_from(["regional", "rows"]),
            }
        ),
        max_size=10,
    )
)
def test_rows_of_a_batch_are_the_rows_that_it_was_made_of(rows):
    batch = batch_rows(rows)
    assert batch.schema == READINGS
    assert list(rows_of(batch)) == rows
    assert batch_rows(rows_of(batch)).equals(batch)
    coder = BatchCoder()
    assert coder.decode(coder.encode(batch)).equals(batch)


def test_what_a_row_may_leave_out():
    found = next(rows_of(batch_rows([row()])))
    assert found["id"] is None
    assert found["quantity"] == "temperature"
    assert found["in_france"] is False
    assert found["deleted"] is False
    assert found["arrived_at"] is None
    assert (found["version"], found["version_kind"]) == (0, VersionKind.NONE)


@pytest.mark.parametrize(
    ("changes", "version", "kind"),
    [
        ({"version": 5}, 5, VersionKind.VERSION),
        ({"version": 5, "updated_at": NOON, "arrived_at": NOON}, 5, VersionKind.VERSION),
        ({"updated_at": NOON, "arrived_at": MIDNIGHT}, NOON, VersionKind.UPDATED_AT),
        ({"version": None, "updated_at": None, "arrived_at": NOON}, NOON, VersionKind.ARRIVAL),
    ],
)
def test_the_version_of_a_row(changes, version, kind):
    found = next(rows_of(batch_rows([row(**changes)])))
    if version is NOON:
        version = int(NOON.timestamp()) * 10**6
    assert (found["version"], found["version_kind"]) == (version, kind)
    assert found["arrived_at"] == changes.get("arrived_at")


def test_a_deletion_needs_an_id_alone():
    deletion = {"id": "a", "deleted": True, "version": 2}
    batch = batch_rows([deletion, {**row(value="?", longitude=500), **deletion}, row()])
    batch.validate(full=True)
    for found in list(rows_of(batch))[:2]:
        assert (found["id"], found["deleted"], found["version"]) == ("a", True, 2)
        for name in ("event_time", "longitude", "latitude", "value"):
            assert found[name] is None
    assert batch_rows(rows_of(batch)).equals(batch)


def test_a_deletion_without_an_id_needs_sensor_and_time():
    deletion = {"sensor_id": "7", "event_time": NOON, "deleted": True}
    batch = batch_rows([deletion])
    found = next(rows_of(batch))
    assert (found["id"], found["sensor_id"], found["event_time"]) == (None, "7", NOON)
    assert found["value"] is None
    assert batch_rows([found]).equals(batch)


def test_times_without_a_zone_are_utc_and_others_are_turned_to_it():
    naive = NOON.replace(tzinfo=None)
    paris = NOON.astimezone(datetime.timezone(datetime.timedelta(hours=1)))
    found = rows_of(batch_rows([row(event_time=time) for time in (naive, paris)]))
    assert [one["event_time"] for one in found] == [NOON, NOON]


def test_a_place_that_is_nan_is_no_place_and_numbers_become_text():
    found = next(rows_of(batch_rows([row(longitude=float("nan"), id=5)])))
    assert found["longitude"] is None
    assert found["id"] == "5"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"value": "warm"}, "could not convert string to float"),
        ({"value": None}, "it needs event_time, longitude, latitude, value"),
        ({"value": float("nan")}, "its value is not finite"),
        ({"value": float("inf")}, "its value is not finite"),
        ({"event_time": "2019-02-19"}, "a row is not a reading"),
        ({"event_time": None}, "a row is not a reading"),
        ({"longitude": "1.4"}, "a row is not a reading"),
        ({"value": 1.5e9}, "its value is beyond ±1e+09"),
        ({"latitude": 91.0}, "a row is not a reading"),
        ({"longitude": -180.5}, "a row is not a reading"),
        ({"version": 1.0}, "the version 1.0 is not an integer of 64 bits"),
        ({"version": True}, "the version True is not an integer of 64 bits"),
        ({"version": 2**63}, "is not an integer of 64 bits"),
        ({"version_kind": 3}, "the version None is not an integer of 64 bits"),
        ({"version": 1, "version_kind": 4}, "4 is not a valid VersionKind"),
        ({"updated_at": "2019-02-19"}, "a row is not a reading"),
        ({"arrived_at": 5}, "a row is not a reading"),
        ({"deleted": "yes"}, "deleted is 'yes', neither True nor False"),
        ({"deleted": []}, "a row is not a reading"),
        ({"deleted": True}, "a deletion has neither an id nor a sensor_id"),
    ],
)
def test_a_row_that_is_no_reading_is_refused_in_a_sentence(wrong, says):
    with pytest.raises(ValueError, match=r"^a row is not a reading: ") as error:
        batch_rows([row(), row(**wrong)])
    assert says in str(error.value)


@pytest.mark.parametrize("field", ["value", "event_time", "longitude", "latitude"])
def test_a_row_that_lacks_a_field_is_refused_in_a_sentence(field):
    short = row()
    del short[field]
    with pytest.raises(ValueError, match=f"^a row is not a reading: KeyError..{field}"):
        batch_rows([short])


def test_no_rows_are_an_empty_batch():
    assert batch_rows([]).num_rows == 0


def test_a_batch_carries_its_oldest_event_time():
    later = NOON + datetime.timedelta(hours=5)
    value = stamped(batch_rows([row(event_time=later), row(), row(event_time=later)]))
    assert value.timestamp.micros == int(NOON.timestamp()) * 10**6


def test_deletions_do_not_move_the_time_of_a_batch():
    deletion = {"id": "a", "deleted": True}
    brought = {**deletion, "arrived_at": NOON}
    later = {**deletion, "arrived_at": NOON + datetime.timedelta(hours=1)}
    for rows, micros in (
        ([deletion, row()], int(NOON.timestamp()) * 10**6),
        ([{**deletion, "arrived_at": MIDNIGHT}, row()], int(NOON.timestamp()) * 10**6),
        ([later, brought, deletion], int(NOON.timestamp()) * 10**6),
        ([deletion], 0),
    ):
        assert stamped(batch_rows(rows)).timestamp.micros == micros


def test_a_coder_is_registered_for_batches():
    assert isinstance(beam.coders.registry.get_coder(pa.RecordBatch), BatchCoder)
    assert not BatchCoder().is_deterministic()


def test_rows_are_gathered_into_batches_and_given_back():
    rows = [row(value=float(number), id=str(number)) for number in range(10)]

    def check(batches):
        assert max(batch.num_rows for batch in batches) <= 4
        assert all(batch.schema == READINGS for batch in batches)

    def check_rows(found):
        assert sorted(float(one["id"]) for one in found) == [float(n) for n in range(10)]
        assert all(one["value"] == float(one["id"]) for one in found)

    with one_thread() as pipeline:
        batches = pipeline | beam.Create(rows) | BatchReadings(size=4)
        assert_elements(batches, check)
        assert_elements(batches | ToRows(), check_rows, label="rows")
        assert_rows(batches, check_rows, label="batches")


def test_rows_of_different_windows_are_gathered_apart():
    def check(found):
        assert sorted(found) == [(0.0, 2), (60.0, 1)]

    class Window(beam.DoFn):
        def process(self, element, window=beam.DoFn.WindowParam):
            yield float(window.start), element.num_rows

    with one_thread() as pipeline:
        rows = pipeline | beam.Create([1.0, 2.0, 61.0])
        stamps = rows | beam.Map(
            lambda second: TimestampedValue(
                row(event_time=datetime.datetime.fromtimestamp(second, datetime.UTC)), second
            )
        )
        batches = stamps | beam.WindowInto(FixedWindows(60)) | BatchReadings()
        assert_elements(batches | beam.ParDo(Window()), check)
