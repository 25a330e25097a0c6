"""The main job over a stream, into a store: reconciled, it holds what one run over files gives."""

from __future__ import annotations

import datetime
import json

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from pipelines import reconcile
from pipelines.job import Job
from pipelines.regional_means import build
from tests.support.jobs import ask, rows_of, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, line
from tests.support.streams import START, at, stream_of_anything
from transforms.payload import Payload
from transforms.triggers import Triggers
from transforms.windows import HOURLY, SLIDING

MEANS = ("hourly_means", "sliding_means")
HOUR = 60


def text(name, minutes, value, place=PARIS, **more):
    """A message of the regional format."""
    moment = at(minutes).isoformat()
    return line(id=name, timestamp=moment, temperature=value, **place, **more)


def payload(message, minutes):
    """The message as a queue brings it, at a moment."""
    arrived = round(at(minutes).timestamp() * 1e6)
    return Payload(message + b"\n", "queue", None, arrived_at=arrived)


def stream_of(messages):
    """Messages as they arrive, the watermark five minutes behind them."""
    stream, watermark = stream_of_anything(), 0
    for minutes, message in messages:
        stream.elements(payload(message, minutes), minutes=minutes)
        if minutes - 5 > watermark:
            watermark = minutes - 5
            stream.watermark(watermark)
        else:
            stream.wait()
    return stream


def run_stream(stream, folder):
    """Runs the main job over a stream."""
    job = Job(
        output=str(folder),
        message_format="regional",
        windows=(HOURLY, SLIDING),
        duplicates="latest",
        archive=True,
        triggers=Triggers(allowed_lateness=2 * HOUR * 60),
        max_future=300,
        remember_versions=HOUR * 60,
        out_of_orderness=300,
        idle_after=60,
        stop_when_idle=None,
    )
    store = LocalStore(folder)
    store.prepare()
    windows = tuple((window.size, window.period) for window in job.windows)
    now = datetime.datetime.now(datetime.UTC)
    run = Run("stream", store.next_revision(), now, ("queue",), windows)
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=options)
    build(pipeline | "Stream" >> stream.end().with_output_types(Payload), job, run)
    pipeline.run().wait_until_finish()


def batch(messages, folder):
    """Runs the main job over a file of the same messages."""
    file = folder.parent / "all.jsonl"
    file.write_bytes(b"\n".join(messages) + b"\n")
    done = run_job("--input", file, "--output", folder, "--quiet")
    assert done.code == 0, done.err


def reconciled(folder, capsys):
    """Reconciles a store; gives how many rows differed."""
    assert reconcile.main(["--output", str(folder), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_late_twice_corrected_and_too_late(tmp_path, capsys):
    messages = [
        (1, text("a", 0, 10.0, version=1)),
        (11, text("b", 10, 20.0, TOULOUSE, version=1)),
        (12, text("b", 10, 20.0, TOULOUSE, version=1)),
        (70, text("c", 69, 5.0)),
        (71, text("a", 0, 12.0, version=2)),
        (72, text("b", 65, 21.0, AT_SEA, version=2)),
        (73, text("d", 20, 14.0)),
        (200, text("e", 30, 7.0)),
        (201, text("f", 300, 7.0)),
        (202, b"bad"),
    ]
    stream = stream_of(messages)
    store = tmp_path / "stream"
    run_stream(stream, store)
    query = "SELECT reason FROM rejected_readings ORDER BY reason"
    assert ask(store, query) == [("from_the_future",), ("not_json",), ("too_late",)]
    panes = ask(
        store,
        "SELECT count, mean, pane FROM regional_means_revisions WHERE region_code = '11' "
        f"AND window_size = window_period AND epoch(window_start) = {START.timestamp()} "
        "ORDER BY revision, emitted_at",
    )
    assert panes[-1] == (2, 13.0, "late")
    assert ask(store, "SELECT id FROM readings WHERE too_late") == [("e",)]
    assert ask(store, "SELECT id FROM outside_readings") == [("b",)]
    assert reconciled(store, capsys)["differences"]
    batch([message for _, message in messages if b'"f"' not in message], tmp_path / "batch")
    assert rows_of(store, *MEANS) == rows_of(tmp_path / "batch", *MEANS)
    assert not reconciled(store, capsys)["differences"]


@st.composite
def arrivals(draw):
    """Messages about few readings, with the minutes of their arrival."""
    minutes, found = 0, []
    for _ in range(draw(st.integers(1, 15))):
        minutes += draw(st.sampled_from([0, 1, 7, 45]))
        event = max(0, minutes - draw(st.sampled_from([0, 0, 3, 50, 180])))
        place = draw(st.sampled_from([PARIS, TOULOUSE, AT_SEA]))
        name, version = draw(st.sampled_from("abc")), draw(st.sampled_from([..., 1, 2, 3]))
        if draw(st.integers(0, 5)) == 0:
            message = line(id=name, version=version, deleted=True)
        else:
            value = draw(st.sampled_from([1.5, 2, 30.25]))
            message = text(name, event, value, place, version=version)
        found.append((minutes, message))
    return found


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(arrivals())
def test_a_reconciled_stream_equals_a_batch(tmp_path_factory, capsys, messages):
    folder = tmp_path_factory.mktemp("whole")
    stream = stream_of(messages)
    run_stream(stream, folder / "stream")
    reconciled(folder / "stream", capsys)
    # In a file a message has no arrival, which is the version of those without another one.
    stamped = []
    for minutes, message in messages:
        fields = json.loads(message)
        if "version" not in fields:
            fields["updated_at"] = at(minutes).isoformat()
        stamped.append(json.dumps(fields).encode())
    batch(stamped, folder / "batch")
    columns = "region_code, quantity, hour, count, mean, min, max, stddev, mean_3h_before"
    query = f"SELECT {columns} FROM hourly_means ORDER BY ALL"
    assert ask(folder / "stream", query) == ask(folder / "batch", query)
    assert rows_of(folder / "stream", *MEANS) == rows_of(folder / "batch", *MEANS)
