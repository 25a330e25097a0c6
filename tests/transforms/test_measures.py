"""Gauges, distributions and latencies: what a runner and this process get of them."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics.metric import MetricsFilter
from hypothesis import given
from hypothesis import strategies as st

from schemas.metrics import BOUNDS
from tests.support.pipelines import one_thread
from tests.support.streams import deletion, reading
from transforms.balance import Tallies, names_in
from transforms.batches import batch_rows
from transforms.measures import (
    ARRIVAL_TO_RESULT,
    EVENT_TO_ARRIVAL,
    LATENCY,
    gauges,
    measure_arrivals,
    observe,
    set_gauge,
    update_distribution,
)


def histogram(found, name):
    """The cumulative buckets, with the sum as the last."""
    return [found.get(f"{name}_{end}", 0) for end in (*ends(), "sum")]


def ends():
    return [f"le_{bound}" for bound in (*BOUNDS, "inf")]


@given(
    st.lists(st.one_of(st.sampled_from([*BOUNDS, 0, -1]), st.integers(-(10**6), 10**9)), min_size=1)
)
def test_a_bucket_holds_what_is_at_or_below_its_bound(milliseconds):
    tallies = Tallies()
    observe(ARRIVAL_TO_RESULT, np.array(milliseconds, np.int64))
    found = histogram(tallies.names_in(LATENCY), ARRIVAL_TO_RESULT)
    counts = [sum(value <= bound for value in milliseconds) for bound in BOUNDS]
    assert found == [*counts, len(milliseconds), sum(max(0, value) for value in milliseconds)]


def test_readings_are_measured_that_have_an_arrival_and_an_event_time():
    rows = [
        reading("a", 10, 1, arrived=10.05),
        reading("b", 10, 1, arrived=12),
        reading("c", 10, 1, arrived=None),
        reading("d", 10, 1, arrived=9.9),
        deletion("e"),
    ]
    tallies = Tallies()
    measure_arrivals(batch_rows(rows))
    found = tallies.names_in(LATENCY)
    assert found[f"{EVENT_TO_ARRIVAL}_sum"] == 123_000
    assert found[f"{EVENT_TO_ARRIVAL}_le_inf"] == 3
    assert found[f"{EVENT_TO_ARRIVAL}_le_250"] == 1
    assert found[f"{EVENT_TO_ARRIVAL}_le_5000"] == 2
    assert found[f"{EVENT_TO_ARRIVAL}_le_300000"] == 3


def test_readings_of_files_and_deletions_alone_are_not_measured():
    tallies = Tallies()
    measure_arrivals(batch_rows([reading("a", 1, 1, arrived=None)]))
    measure_arrivals(batch_rows([deletion("a")]))
    measure_arrivals(batch_rows([reading("a", 1, 1)]).slice(1))
    assert tallies.names_in(LATENCY) == {}


class Measure(beam.DoFn):
    def process(self, element: int) -> None:
        set_gauge("state", "versions", element)
        update_distribution("source", "lag", element)
        observe(EVENT_TO_ARRIVAL, np.array([element, 700], np.int64))


def test_the_runner_of_this_process_reports_all_of_them():
    tallies = Tallies()
    pipeline = one_thread()
    pipeline | beam.Create([400]) | beam.ParDo(Measure())
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter())
    assert [one.result.value for one in found["gauges"]] == [400]
    (lag,) = [one for one in found["distributions"] if one.key.metric.name == "lag"]
    assert (lag.result.count, lag.result.max) == (1, 400)
    (longest,) = [one for one in found["distributions"] if one.key.metric.name == EVENT_TO_ARRIVAL]
    assert (longest.result.count, longest.result.max) == (1, 700)
    for metrics in (result.metrics(), tallies):
        buckets = histogram(names_in(metrics, LATENCY), EVENT_TO_ARRIVAL)
        assert buckets == [0, 1, *[2] * (len(BOUNDS) - 1), 1100]
    assert gauges()["state", "versions"] == 400
    assert tallies.counters()[LATENCY, f"{EVENT_TO_ARRIVAL}_le_inf"] == 2


def test_a_batch_is_not_changed():
    batch = batch_rows([reading("a", 1, 1)])
    before = pa.Table.from_batches([batch]).to_pylist()
    measure_arrivals(batch)
    assert pa.Table.from_batches([batch]).to_pylist() == before
