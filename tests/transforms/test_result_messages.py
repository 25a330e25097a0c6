"""Results and rejected records as messages: what they say, and that each is as its schema says."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import threading
import uuid
from collections import defaultdict
from pathlib import Path

import apache_beam as beam
import jsonschema
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas.reading import EMITTED_AT, MEANS, REJECTED
from tests.support.pipelines import assert_elements, one_thread
from tests.support.streams import Stream, deletion, reading
from transforms import AssignRegions, HourlyMeans, KeepLatestVersion, ParseReadings, RegionalMeans
from transforms import message_values as module
from transforms.batches import batch_rows
from transforms.rejected_messages import RejectedToMessages, rejected_messages
from transforms.result_messages import (
    ToMessages,
    check_report_format,
    report_messages,
    sensor_results,
)

HOUR = datetime.datetime(2019, 2, 19, 14, tzinfo=datetime.UTC)
EMITTED = 1_550_588_400_000_005
MOMENT = pa.timestamp("us", tz="UTC")
NO_SENSORS = (
    r"^sensor_result says one sensor's mean a message: it needs --group_by sensor or both, not "
    r"means by region$"
)
SENSOR_MEANS = pa.schema(
    [*(field for field in MEANS if field.name != "sensor_id"), pa.field("sensor_id", pa.string())]
)
"""Means of regions and sensors, the columns in an order of their own."""


@functools.cache
def validator(name):
    path = Path(schemas.__file__).parent / "messages" / f"{name}.json"
    schema = json.loads(path.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def read(messages, schema):
    """The documents, each checked against the schema."""
    found = []
    for key, value, attributes in messages:
        assert isinstance(key, bytes)
        json.loads(key)
        assert all(isinstance(text, str) for each in attributes.items() for text in each)
        document = json.loads(value)
        validator(schema).validate(document)
        found.append(document)
    return found


def row(**more):
    return {
        "region_code": "76",
        "region": "Occitanie",
        "sensor_id": None,
        "quantity": "temperature",
        "window_start": HOUR,
        "window_end": HOUR + datetime.timedelta(hours=1),
        "window_size": 3600,
        "window_period": 3600,
        "count": 3,
        "mean": 20.0,
        "min": -0.1,
        "max": 40.1,
        "stddev": 1 / 3,
        "pane": "on_time",
        **more,
    }


def sensor(name="s1", **more):
    return row(region_code=None, region=None, sensor_id=name, **more)


def means(*rows):
    columns = [pa.array([each[field.name] for each in rows], field.type) for field in SENSOR_MEANS]
    # The keys may be NULL, whatever the table's schema says of the rows that it shows.
    return pa.RecordBatch.from_arrays(columns, names=SENSOR_MEANS.names)


def test_a_pane_becomes_a_message_with_all_that_its_window_holds():
    ((key, value, attributes),) = report_messages(means(row()), EMITTED, "run-1")
    assert key == b'["76",null,"temperature",3600,3600,"2019-02-19T14:00:00Z"]'
    assert value.decode() == (
        '{"region_code":"76","region":"Occitanie","sensor_id":null,"quantity":"temperature",'
        '"window":{"start":"2019-02-19T14:00:00Z","end":"2019-02-19T15:00:00Z","size":3600,'
        '"period":3600},"count":3,"mean":20.0,"min":-0.1,"max":40.1,'
        '"stddev":0.3333333333333333,"pane":"on_time",'
        '"emitted_at":"2019-02-19T15:00:00.000005Z","run_id":"run-1"}'
    )
    assert attributes == {
        "format": "report",
        "region_code": "76",
        "quantity": "temperature",
        "pane": "on_time",
    }
    read([(key, value, attributes)], "report")


def test_a_pane_that_knows_its_moment_says_it():
    moments = pa.array([5, 7]).view(EMITTED_AT.type)
    batch = means(row(), row()).append_column(EMITTED_AT, moments)
    documents = read(report_messages(batch, EMITTED), "report")
    assert [each["emitted_at"][-7:] for each in documents] == ["000005Z", "000007Z"]


def test_means_by_sensor_name_the_sensor():
    (message,) = report_messages(means(sensor('s "1"')), EMITTED)
    (document,) = read([message], "report")
    assert (document["region_code"], document["region"], document["run_id"]) == (None,) * 3
    assert document["sensor_id"] == 's "1"'
    assert message[0] == b'[null,"s \\"1\\"","temperature",3600,3600,"2019-02-19T14:00:00Z"]'
    assert message[2]["sensor_id"] == 's "1"'
    assert "region_code" not in message[2]


def test_batches_without_sensors_and_with_other_statistics_are_messages_too():
    batch = means(row()).drop_columns(["sensor_id", "min", "max", "mean", "stddev"])
    batch = batch.append_column("frost", pa.array([2.0]))
    batch = batch.append_column("partial_sum", pa.array([60]))
    (document,) = read(report_messages(batch, EMITTED), "report")
    assert document["sensor_id"] is None
    assert document["frost"] == 2.0
    assert not {"mean", "partial_sum"} & set(document)


def test_a_window_that_lost_all_its_readings_is_told_too():
    nothing = {"count": 0, "mean": None, "min": None, "max": None, "stddev": None}
    (document,) = read(report_messages(means(row(**nothing)), EMITTED), "report")
    assert {name: document[name] for name in nothing} == nothing
    (result,) = read(sensor_results(means(sensor(**nothing))), "sensor_result")
    assert result["pollution_level"] is None


def test_each_row_is_emitted_after_the_one_before():
    documents = read(report_messages(means(*[row()] * 12), EMITTED), "report")
    moments = [document["emitted_at"] for document in documents]
    assert moments[0] == "2019-02-19T15:00:00.000005Z"
    assert moments == sorted(set(moments))


def test_the_result_of_a_sensor_has_the_fields_that_its_readers_know():
    ((key, value, attributes),) = sensor_results(means(sensor("660", quantity="P1")))
    assert json.loads(value) == {
        "sensor_id": "660",
        "pollution_type": "P1",
        "pollution_level": 20.0,
        "window": {"start": "2019-02-19T14:00:00Z", "end": "2019-02-19T15:00:00Z"},
    }
    assert key == b'[null,"660","P1",3600,3600,"2019-02-19T14:00:00Z"]'
    assert attributes == {
        "format": "sensor_result", "sensor_id": "660", "quantity": "P1", "pane": "on_time",
    }  # fmt: skip
    read([(key, value, attributes)], "sensor_result")


def test_means_by_region_are_no_results_of_sensors():
    with pytest.raises(ValueError, match=NO_SENSORS):
        check_report_format("sensor_result")
    with pytest.raises(ValueError, match=NO_SENSORS):
        ToMessages("sensor_result", "region")
    with pytest.raises(ValueError, match=NO_SENSORS):
        sensor_results(means(row()).drop_columns(["sensor_id"]))
    with pytest.raises(ValueError, match=r"^sensor_result needs the statistic mean$"):
        sensor_results(means(sensor()).drop_columns(["mean"]))
    with pytest.raises(
        ValueError, match=r"^results can be written as report or sensor_result, not"
    ):
        ToMessages("avro")
    assert check_report_format("sensor_result", "both") == "sensor_result"
    assert check_report_format("report") == "report"


def test_rows_of_regions_beside_those_of_sensors_are_counted_where_they_cannot_be_said():
    pipeline = one_thread()
    batches = pipeline | beam.Create([means(sensor(), row(), sensor("s2"))])

    def check(found):
        names = [document["sensor_id"] for document in read(found, "sensor_result")]
        assert names == ["s1", "s2"]

    assert_elements(batches | ToMessages("sensor_result", "both"), check)
    result = pipeline.run()
    result.wait_until_finish()
    wanted = MetricsFilter().with_namespace("messages")
    counters = result.metrics().query(wanted)["counters"]
    assert {each.key.metric.name: each.result for each in counters} == {"without_sensor": 1}


def test_what_is_too_long_for_an_attribute_is_left_out_of_them():
    (message,) = report_messages(means(sensor("é" * 513)), EMITTED)
    assert "sensor_id" not in message[2]
    (message,) = report_messages(means(sensor("é" * 512)), EMITTED)
    assert message[2]["sensor_id"] == "é" * 512


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.none() | st.floats(-1e9, 1e9) | st.integers(-(10**15), 10**15).map(lambda n: n / 1e6)
ROWS = st.builds(
    row,
    region_code=st.none() | st.sampled_from(["01", "76"]),
    region=st.none() | TEXTS,
    sensor_id=st.none() | TEXTS,
    quantity=TEXTS,
    window_start=st.integers(-(10**5), 10**5).map(
        lambda hours: HOUR + datetime.timedelta(0, hours * 10)
    ),
    window_size=st.integers(1, 10**6),
    window_period=st.integers(1, 10**6),
    count=st.integers(1, 2**53),
    **dict.fromkeys(("mean", "min", "max", "stddev"), NUMBERS),
    pane=st.sampled_from(["early", "on_time", "late"]),
)


@given(st.lists(ROWS, min_size=1, max_size=20), st.integers(0, 5))
def test_a_message_says_exactly_what_its_row_says(rows, cut):
    batch = means(*rows).slice(min(cut, len(rows) - 1))
    rows = rows[min(cut, len(rows) - 1) :]
    messages = report_messages(batch, EMITTED)
    documents = read(messages, "report")
    same = ("region_code", "region", "sensor_id", "quantity", "count", "mean", "min", "max",
            "stddev", "pane")  # fmt: skip
    for each, document in zip(rows, documents, strict=True):
        assert {name: document[name] for name in same} == {name: each[name] for name in same}
        window = document["window"]
        assert datetime.datetime.fromisoformat(window["start"]) == each["window_start"]
        assert datetime.datetime.fromisoformat(window["end"]) == each["window_end"]
        assert (window["size"], window["period"]) == (each["window_size"], each["window_period"])
    parts = ("region_code", "sensor_id", "quantity", "window_size", "window_period", "window_start")
    assert len({key for key, _, _ in messages}) == len(
        {tuple(each[part] for part in parts) for each in rows}
    )
    by_sensor = [each for each in rows if each["sensor_id"] is not None]
    results = sensor_results(batch)
    levels = [document["pollution_level"] for document in read(results, "sensor_result")]
    assert levels == [each["mean"] for each in by_sensor]
    keys = [message[0] for message, each in zip(messages, rows, strict=True)
            if each["sensor_id"] is not None]  # fmt: skip
    assert [key for key, _, _ in results] == keys


def test_moments_are_given_out_once_whoever_asks(monkeypatch):
    monkeypatch.setattr(module, "_last_moment", 10**17)
    taken, barrier = [], threading.Barrier(4)

    def take():
        barrier.wait()
        taken.extend([module.take_moments(3) for _ in range(100)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(10**17 + 1, 10**17 + 1201, 3))


_seen = defaultdict(list)


def run_stream(stream, build):
    """The messages that a pipeline gives for a stream of batches, in their order, by name."""
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=options)
    run = uuid.uuid4().hex
    for name, messages in build(pipeline | "Stream" >> stream.end()).items():
        messages | f"See_{name}" >> beam.ParDo(_See(f"{run}/{name}"))
    pipeline.run().wait_until_finish()
    return lambda name: _seen.pop(f"{run}/{name}", [])


class _See(beam.DoFn):
    def __init__(self, label):
        self._label = label

    def process(self, element):
        _seen[self._label].append(element)


def test_early_on_time_late_and_emptied_panes_are_messages_in_their_order():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .wait()
        .rows(reading("b", 2, 20, 1))
        .watermark(61)
        .rows(reading("c", 3, 60, 1, arrived=62))
        .wait()
        .rows(deletion("a", 2, 63), deletion("b", 2, 63), deletion("c", 2, 63))
        .wait()
    )

    def build(batches):
        latest = batches | AssignRegions() | KeepLatestVersion(remember_versions=10**5)
        return {"means": latest | HourlyMeans(partials=True) | ToMessages(run_id="run-1")}

    messages = run_stream(stream, build)("means")
    documents = read(messages, "report")
    assert [(each["pane"], each["count"], each["mean"]) for each in documents] == [
        ("early", 1, 10.0),
        ("on_time", 2, 15.0),
        ("late", 3, 30.0),
        ("late", 0, None),
    ]
    assert len({key for key, _, _ in messages}) == 1
    moments = [each["emitted_at"] for each in documents]
    assert moments == sorted(set(moments))
    assert {each["run_id"] for each in documents} == {"run-1"}
    # A compacted topic keeps the last message of each key: the window is known to be empty.
    kept = {key: json.loads(value) for key, value, _ in messages}
    assert [each["count"] for each in kept.values()] == [0]


def test_a_reader_that_keeps_the_last_message_of_each_key_has_the_batch_result():
    rows = [reading(str(number), 7 * number % 300, number, 1) for number in range(60)]
    stream = Stream()
    for begin in range(0, 60, 10):
        stream.rows(*rows[begin : begin + 10]).wait().watermark(begin + 1)
    windows = RegionalMeans()
    seen = run_stream(
        stream, lambda batches: {"all": batches | AssignRegions() | windows | ToMessages()}
    )
    messages = seen("all")
    kept = {key: json.loads(value) for key, value, _ in messages}
    assert len(messages) > len(kept)
    pipeline = one_thread()

    batch = pipeline | beam.Create([batch_rows(rows)]) | AssignRegions() | RegionalMeans()
    changing = {"pane", "emitted_at"}

    def check(found):
        expected = {key: json.loads(value) for key, value, _ in found}
        assert {
            key: {name: each[name] for name in each if name not in changing}
            for key, each in kept.items()
        } == {
            key: {name: each[name] for name in each if name not in changing}
            for key, each in expected.items()
        }

    assert_elements(batch | ToMessages(), check)
    pipeline.run().wait_until_finish()


def rejected(**more):
    each = {
        "reason": "missing_field",
        "detail": "the field lon is missing",
        "raw": '{"id": 1}',
        "raw_size": 9,
        "raw_sha256": None,
        "source": "kafka://host:9092/topic/0#offset=17",
        "rejected_at": HOUR + datetime.timedelta(microseconds=7),
        **more,
    }
    return pa.RecordBatch.from_pylist([each], schema=REJECTED)


def test_a_rejected_record_is_a_message_with_its_text_and_where_it_was():
    (message,) = rejected_messages(rejected())
    (document,) = read([message], "rejected")
    digest = hashlib.sha256(b'{"id": 1}').hexdigest()
    assert document == {
        "reason": "missing_field",
        "detail": "the field lon is missing",
        "raw": '{"id": 1}',
        "raw_size": 9,
        "raw_sha256": digest,
        "source": "kafka://host:9092/topic/0#offset=17",
        "rejected_at": "2019-02-19T14:00:00.000007Z",
    }
    assert json.loads(message[0]) == ["kafka://host:9092/topic/0#offset=17", digest]
    assert message[2] == {"format": "rejected", "reason": "missing_field"}


def test_a_hash_that_is_known_is_kept():
    (document,) = read(rejected_messages(rejected(raw_sha256="0" * 64)), "rejected")
    assert document["raw_sha256"] == "0" * 64


@given(st.binary(max_size=200))
def test_whatever_is_rejected_is_a_message(raw):
    """As the parser rejects it: any bytes."""
    text = raw.decode("utf-8", "replace")
    (document,) = read(rejected_messages(rejected(raw=text, raw_size=len(raw))), "rejected")
    assert document["raw"] == text


def test_rejected_records_of_a_pipeline_become_messages():
    records = [b'{"id": 1}', b"\xff\x00", b"[1, 2]", b'{"id": "\\u0000"}']
    with one_thread() as pipeline:
        parsed = pipeline | beam.Create(records) | ParseReadings(hash_raw=False)

        def check(found):
            documents = read(found, "rejected")
            assert len(documents) == 5
            assert {each["source"] for each in documents} == {"message"}
            assert len({key for key, _, _ in found}) == 5

        assert_elements(parsed.rejected | RejectedToMessages(), check)


def test_an_empty_batch_is_no_message():
    empty = means(row()).slice(1)
    assert report_messages(empty, EMITTED) == []
    assert sensor_results(empty) == []
    assert rejected_messages(pa.RecordBatch.from_pylist([], schema=REJECTED)) == []


def test_regions_may_be_in_dictionaries_and_times_before_the_epoch():
    start = np.datetime64("1969-12-31T23:00:00")
    batch = means(row(window_start=start.item().replace(tzinfo=datetime.UTC)))
    for name in ("region_code", "quantity"):
        number = batch.schema.get_field_index(name)
        batch = batch.set_column(number, name, batch.column(name).dictionary_encode())
    (document,) = read(report_messages(batch, EMITTED), "report")
    assert document["window"]["start"] == "1969-12-31T23:00:00Z"
    assert document["region_code"] == "76"
