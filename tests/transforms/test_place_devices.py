"""PlaceDevices: readings without coordinates get those of their device at their time."""

from __future__ import annotations

import datetime
import json
import time

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from hypothesis import given
from hypothesis import strategies as st

from connectors.input_error import InputError
from connectors.streams.read_stream import ReadStream
from connectors.streams.watermarks import Watermarks
from connectors.watched_register import DeviceRegister
from geo import RegionIndex
from schemas.reading import READINGS
from tests.support.pipelines import assert_rows, one_thread
from tests.support.prism import prism_address
from tests.support.registers import PARIS, TOULOUSE, devices, register
from tests.support.tailed import TailedSource
from transforms import AssignRegions, BatchReadings, HourlyMeans
from transforms.assign_regions import assign_regions
from transforms.balance import read_balance
from transforms.batches import batch_rows
from transforms.place_devices import PlaceDevices, place_devices
from transforms.versions import entries_of, newest

START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
NOON = "2024-01-01T12:00:00Z"


def reading(sensor, hours=0.0, longitude=None, latitude=None, **more):
    return {
        "id": None if more.get("deleted") else f"{sensor}-{hours}",
        "sensor_id": sensor,
        "event_time": START + datetime.timedelta(hours=hours),
        "value": 1.0,
        "longitude": longitude,
        "latitude": latitude,
        **more,
    }


def places(batch):
    rows = batch.to_pylist()
    return [(row["longitude"], row["latitude"]) for row in rows]


def test_a_reading_without_coordinates_gets_those_of_its_device_at_its_time():
    register_of_two = devices(f"a,{PARIS},,{NOON}", f"a,{TOULOUSE},{NOON},", "b,50,3,2024-01-02,")
    batch = batch_rows(
        [reading("a"), reading("a", 11.9), reading("a", 12), reading("b", 23), reading("b", 24),
         reading("unknown"), reading(None)]
    )  # fmt: skip
    found = place_devices(batch, register_of_two)
    paris, toulouse, nowhere = (2.3522, 48.8566), (1.444, 43.6045), (None, None)
    expected = [paris, paris, toulouse, nowhere, (3.0, 50.0), nowhere, nowhere]
    assert places(found.batch) == expected
    assert (found.placed, found.unknown) == (4, 2)
    found.batch.validate(full=True)
    assert found.batch.schema == READINGS


def test_coordinates_of_the_message_win_and_half_a_place_is_none():
    known = devices(f"a,{PARIS},,")
    batch = batch_rows(
        [reading("a", 1, 5.0, 45.0), reading("a", 2, 5.0), reading("a", 3, None, 45.0),
         reading("b", 4, 5.0)]
    )  # fmt: skip
    paris = (2.3522, 48.8566)
    assert places(place_devices(batch, known).batch) == [(5.0, 45.0), paris, paris, (5.0, None)]


def test_deletions_get_no_place():
    known = devices(f"a,{PARIS},,")
    batch = batch_rows([reading("a", deleted=True), reading("a", 1, deleted=True, id="x")])
    found = place_devices(batch, known)
    assert found.batch is batch
    assert (found.placed, found.unknown) == (0, 0)


@pytest.mark.parametrize(
    "rows",
    [
        [reading("a", 1, 5.0, 45.0), reading("b", 2, 6.0, 45.0)],
        [reading(None), reading(None, 1, 5.0, 45.0)],
        [reading("unknown"), reading("a", 2, 6.0, 45.0)],
        [],
    ],
)
def test_a_batch_in_which_nothing_can_be_placed_stays_the_same_object(rows):
    batch = batch_rows(rows)
    assert place_devices(batch, devices(f"a,{PARIS},,")).batch is batch


def test_metadata_further_columns_and_pieces_of_batches_are_kept():
    known = devices(f"a,{PARIS},,", f"b,{TOULOUSE},,")
    rows = [reading("b"), reading("a", 1), reading("b", 2), reading("b", 3, 7.0, 44.0)]
    batch = batch_rows(rows).append_column("more", pa.array([1, 2, 3, 4]))
    batch = batch.replace_schema_metadata({b"reached": b"[]"}).slice(1)
    found = place_devices(batch, known).batch
    assert found.schema.metadata == {b"reached": b"[]"}
    assert found.column("more").to_pylist() == [2, 3, 4]
    assert places(found) == [(2.3522, 48.8566), (1.444, 43.6045), (7.0, 44.0)]
    assert found.drop_columns(["longitude", "latitude"]).equals(
        batch.drop_columns(["longitude", "latitude"])
    )
    assert places(batch)[0] == (None, None)


SENSORS = st.sampled_from([None, "a", "b", "c", ""])
DEGREES = st.none() | st.integers(-90, 90).map(float)


@given(
    st.lists(st.tuples(SENSORS, st.integers(0, 23), DEGREES, DEGREES, st.booleans()), max_size=30),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 11)), unique=True, min_size=1),
)
def test_each_row_is_placed_as_if_it_were_alone(rows, stays):
    """Against going through rows and stays one by one; a stay is two hours."""
    known = devices(
        *(f"{name},{hour},{-hour},{START.timestamp() + hour * 7200:.0f},"
          f"{START.timestamp() + hour * 7200 + 7200:.0f}" for name, hour in stays)
    )  # fmt: skip
    batch = batch_rows(
        [reading(sensor, hour, longitude, latitude, id="x", deleted=deleted)
         for sensor, hour, longitude, latitude, deleted in rows]
    )  # fmt: skip
    found = place_devices(batch, known)
    expected, placed, unknown = [], 0, 0
    for sensor, hour, longitude, latitude, deleted in rows:
        place = (None, None) if deleted else (longitude, latitude)
        if not deleted and None in place and sensor is not None:
            if (sensor, hour // 2) in stays:
                place = (-float(hour // 2), float(hour // 2))
                placed += 1
            else:
                unknown += 1
        expected.append(place)
    assert places(found.batch) == expected
    assert (found.placed, found.unknown) == (placed, unknown)


def test_a_reading_that_is_read_again_with_a_place_wins_over_itself_without_one():
    batch = batch_rows([reading("a", version=1)])
    placed = place_devices(batch, devices(f"a,{PARIS},,")).batch
    index = RegionIndex.default()
    for order in ([batch, placed], [placed, batch]):
        both = pa.Table.from_batches([assign_regions(each, index) for each in order])
        entries = entries_of(both.unify_dictionaries().combine_chunks().to_batches()[0])
        (kept,) = newest(entries).entries.to_pylist()
        assert (kept["longitude"], kept["region_code"]) == (2.3522, "11")


def test_only_names_that_are_used_are_looked_up():
    """A dictionary may hold far more names than a batch has rows."""
    names = pa.array([f"x{number}" for number in range(10_000)] + ["a"])
    batch = batch_rows([reading("a")])
    column = pa.DictionaryArray.from_arrays(pa.array([10_000], pa.int32()), names)
    batch = batch.set_column(1, READINGS.field("sensor_id"), column)
    known = devices(f"a,{PARIS},,")
    assert places(place_devices(batch, known).batch) == [(2.3522, 48.8566)]
    assert known.find(names)[-1] == 0
    assert np.all(known.find(names)[:-1] == -1)


def counters(result):
    found = result.metrics().query(MetricsFilter().with_namespace("register"))["counters"]
    return {each.key.metric.name: each.result for each in found if each.result}


def test_placed_readings_are_counted_in_their_region_and_the_others_as_without_a_place(tmp_path):
    path = tmp_path / "devices.csv"
    path.write_bytes(register(f"a,{PARIS},,"))
    pipeline = one_thread()
    rows = [reading("a"), reading("a", 0.1), reading("b"), reading(None)]
    batches = pipeline | beam.Create(rows) | BatchReadings()
    placed = batches | PlaceDevices(DeviceRegister(str(path))) | AssignRegions()

    def check(found):
        assert sorted(str(row["region_code"]) for row in found) == ["11", "11", "None", "None"]

    assert_rows(placed, check)
    placed | HourlyMeans()
    result = pipeline.run()
    result.wait_until_finish()
    balance = read_balance(result.metrics())
    assert (balance["counted"], balance["no_place"]) == (2, 2)
    assert counters(result) == {"placed": 2, "unknown": 1}


def test_a_register_that_is_wrong_fails_the_pipeline_with_its_sentence(tmp_path):
    path = tmp_path / "devices.csv"
    path.write_bytes(register("a,95,2,,"))
    pipeline = one_thread()
    batches = pipeline | beam.Create([reading("a")]) | BatchReadings()
    batches | PlaceDevices(DeviceRegister(str(path)))
    with pytest.raises((InputError, RuntimeError), match="line 2: the latitude 95 is beyond ±90"):
        pipeline.run().wait_until_finish()


class _ToBatch(beam.DoFn):
    """Lines `{"sensor": …, "timestamp": …}` as a batch: no more is looked at here."""

    def process(self, element):
        messages = [json.loads(line) for line in element.data.splitlines() if line.strip()]
        yield batch_rows(
            [reading(message["sensor"], number) for number, message in enumerate(messages)]
        )


class _Write(beam.DoFn):
    def __init__(self, path):
        self._path = path

    def process(self, element):
        with open(self._path, "a") as file:  # noqa: PTH123
            for row in element.to_pylist():
                file.write(json.dumps([row["sensor_id"], row["longitude"]]) + "\n")


class _Live:
    """A pipeline that runs on Prism, and the files around it."""

    def __init__(self, folder):
        self.register, self.messages, self.out = (
            folder / name for name in ("devices.csv", "messages.jsonl", "out")
        )
        self.messages.touch()
        self.out.touch()

    def send(self, *sensors):
        moment = f"{datetime.datetime.now(datetime.UTC):%FT%TZ}"
        with self.messages.open("a") as file:
            for sensor in sensors:
                file.write(json.dumps({"sensor": sensor, "timestamp": moment}) + "\n")

    def replace_register(self, *lines):
        new = self.register.with_suffix(".new")
        new.write_bytes(register(*lines))
        new.rename(self.register)

    def seen(self):
        return [tuple(json.loads(line)) for line in self.out.read_text().splitlines()]

    def wait_for(self, row, sending=None):
        """Waits for a row to come out; sends a message again and again meanwhile."""
        until = time.monotonic() + 60
        while row not in self.seen():
            assert time.monotonic() < until, f"{row} did not come; there are {self.seen()[-5:]}"
            if sending:
                self.send(sending)
            time.sleep(0.05)


@pytest.fixture
def prism():
    """The address of a Prism of the test's own."""
    with prism_address() as address:
        yield address


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_on_prism_a_new_register_is_in_use_within_moments_and_a_broken_one_is_not(tmp_path, prism):
    live = _Live(tmp_path)
    live.replace_register(f"a,{PARIS},,")
    options = PipelineOptions(
        ["--runner=PortableRunner", f"--job_endpoint={prism}", "--environment_type=LOOPBACK"]
    )
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(options=options)
    read = ReadStream(
        [TailedSource(str(tmp_path))], Watermarks("regional", idle_after=0.5), stop_when_idle=3
    )
    batches = pipeline | read | beam.ParDo(_ToBatch()).with_output_types(pa.RecordBatch)
    placed = batches | PlaceDevices(DeviceRegister(str(live.register), 0.1))
    placed | beam.ParDo(_Write(str(live.out)))
    live.send("a", "b")
    result = pipeline.run()
    live.wait_for(("a", 2.3522))
    live.wait_for(("b", None))
    live.replace_register(f"a,{TOULOUSE},,", f"b,{TOULOUSE},,")
    live.wait_for(("b", 1.444), sending="b")
    before = len(live.seen())
    live.replace_register("a,95,2,,")
    for _ in range(20):
        live.send("b", "c")
        time.sleep(0.02)
    live.wait_for(("c", None))
    live.replace_register(f"c,{PARIS},,")
    live.wait_for(("c", 2.3522), sending="c")
    result.wait_until_finish()
    after = live.seen()[before:]
    assert ("b", 1.444) in after
    sent = live.messages.read_text().count("\n")
    assert len(live.seen()) == sent
    counted = counters(result)
    assert counted["reload_failed"] == 1
    assert counted["reloaded"] == 2
    assert counted["placed"] + counted["unknown"] == sent
