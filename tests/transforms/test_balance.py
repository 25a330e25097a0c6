"""The balance: every reading is in exactly one class."""

from __future__ import annotations

import apache_beam as beam
import pytest

from tests.support.pipelines import one_thread
from transforms import balance
from transforms.balance import CLASSES, Tallies, closes, count, names_in, read_balance


def test_classes_are_those_of_the_definition():
    assert CLASSES == (
        "counted", "duplicate", "superseded", "deleted", "outside", "no_place", "rejected",
        "too_late",
    )  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_it_closes_where_the_classes_add_up(name):
    found = dict.fromkeys(("read", *CLASSES), 0)
    assert closes(found)
    assert closes({**found, "read": 5, name: 5})
    assert not closes({**found, "read": 5, name: 4})
    assert not closes({**found, "read": 5, name: 6})


class Count(beam.DoFn):
    def process(self, element):
        count("read", 2)
        count("rejected", element)
        count("more", 1, "other")


def test_counters_are_added_up_over_steps_and_bundles():
    before, tallies = balance.tally("balance", "read"), Tallies()
    pipeline = one_thread()
    numbers = pipeline | beam.Create([0, 1, 2])
    for step in "AB":
        numbers | step >> beam.ParDo(Count())
    result = pipeline.run()
    result.wait_until_finish()
    # All workers are in this process.
    for metrics in (result.metrics(), tallies):
        found = read_balance(metrics)
        assert found == {**dict.fromkeys(("read", *CLASSES), 0), "read": 12, "rejected": 6}
        assert names_in(metrics, "other") == {"more": 6}
    assert Tallies().names_in("other") == {}
    assert balance.tally("balance", "read") - before == 12
