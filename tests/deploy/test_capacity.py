"""What a stream needs by its rate: lines through measurements, and what is said of other sizes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.streaming.results import Result
from benchmarks.streaming.scale import write_capacity
from deploy.capacity import main
from deploy.capacity_model import WORKER_VCPUS, Capacity, Line, Point, measured
from deploy.cost_model import Volume, items_of

LINES = Capacity(Line(0.1, 1e-5), Line(4e8, 1e4))


def points(*rates):
    """Measurements that lie on the lines."""
    return [
        Point(rate, rate * 60, LINES.cores.at(rate), LINES.memory.at(rate) + 24 * rate * 60)
        for rate in rates
    ]


def test_lines_go_through_what_was_measured():
    fitted = Capacity.fitted(points(20_000, 40_000, 80_000))
    assert fitted.cores.slope == pytest.approx(1e-5)
    assert fitted.cores.base == pytest.approx(0.1)
    assert fitted.memory.slope == pytest.approx(1e4)
    (held_out,) = points(110_000)
    assert fitted.predicted(held_out) == pytest.approx({"cores": 1, "memory": 1})
    twice = Point(110_000, 110_000 * 60, held_out.cores * 2, held_out.memory)
    assert fitted.predicted(twice)["cores"] == pytest.approx(0.5)


def test_nothing_costs_no_less_than_nothing():
    line = Line.through([(1, 0.5), (2, 2), (3, 3.5)])
    assert line.base == 0
    assert line.slope > 0


@pytest.mark.parametrize("rates", [(), (1000,), (1000, 1000)])
def test_one_rate_makes_no_line(rates):
    with pytest.raises(ValueError, match="measure two rates at least"):
        Capacity.fitted(points(*rates))


def test_workers_are_as_many_as_work_or_memory_asks_for():
    # 4 vCPU half busy less 0.1 of a core each: 190,000 readings a second.
    assert LINES.need(189_000, remember=1).workers == 1
    assert LINES.need(191_000, remember=1).workers == 2
    # 15 GB, three quarters of them less 0.4 and 0.1 for the readings at work: 104 bytes a version
    # with its state.
    need = LINES.need(10_000, remember=10_300)
    assert (need.workers, need.state, need.disk) == (1, 103e6 * 80, 103e6 * 80)
    assert LINES.need(10_000, remember=10_400).workers == 2
    assert need.memory == pytest.approx(4e8 + 1e8 + 103e6 * 24)


def test_a_million_readings_are_shuffled_as_entries_and_few_sums():
    alone = LINES.need(100_000, 3600, series=18)
    assert alone.shuffled == pytest.approx(64 * 100_000, rel=0.01)
    sensors = LINES.need(100_000, 3600, series=4000)
    assert sensors.shuffled > alone.shuffled


@given(st.floats(1, 1e8), st.floats(1, 1e5), st.floats(1, 100))
def test_more_needs_more(rate, remember, factor):
    for some, more in (
        (LINES.need(rate, remember), LINES.need(rate * factor, remember)),
        (LINES.need(rate, remember), LINES.need(rate, remember * factor)),
    ):
        for name in ("cores", "workers", "memory", "disk", "state", "shuffled"):
            assert getattr(more, name) >= getattr(some, name) * (1 - 1e-9)


def test_workers_that_memory_asks_for_are_paid():
    few = sum(item.cost for item in items_of("dataflow", Volume(1e6), "us-central1"))
    many = sum(
        item.cost for item in items_of("dataflow", Volume(1e6, least_vcpus=80), "us-central1")
    )
    vcpu = 80 * 720 * 0.069
    assert many - few > 0.9 * vcpu


def test_the_command_says_what_sizes_need(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for size in ("1 GB a minute, 108,225", "10 GB a minute", "100 GB a minute"):
        assert size in text
    assert measured()[1]["note"] in text
    assert main(["--gigabytes_per_minute", "2", "--format", "json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["sizes"]
    capacity, _ = measured()
    need = capacity.need(2e9 / 60 / 154, 3600)
    assert said["workers"] == need.workers
    assert said["cores"] == pytest.approx(need.cores)
    assert said["dollars_a_month_flink"] > 0
    assert said["workers"] * WORKER_VCPUS > said["cores"]
    assert main(["--remember_versions", "1m", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["sizes"][0]["workers"] < need.workers


@pytest.mark.parametrize(
    "words",
    [
        ["--gigabytes_per_minute", "0"],
        ["--gigabytes_per_minute", "much"],
        ["--series", "nan"],
        ["--remember_versions", "soon"],
        ["--region", "mars"],
    ],
)
def test_wrong_words_are_refused_in_one_line(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: argument --")


def test_what_was_measured_is_written_where_it_is_read(tmp_path, monkeypatch):
    found = points(20_000, 40_000, 110_000)
    values = {
        "points": [vars(point) for point in found],
        "capacity": {"cores": {"base": 0.2, "slope": 2e-5}, "memory": {"base": 1, "slope": 90}},
        "predicted": {"cores": 0.93, "memory": 1.04},
    }
    path = tmp_path / "capacity.json"
    write_capacity(Result("scale", "flink", {"runner": "flink"}, values), path)
    monkeypatch.setattr("deploy.capacity_model.FILE", path)
    capacity, said = measured()
    assert capacity == Capacity(Line(0.2, 2e-5), Line(1, 90))
    assert "20,000 to 40,000 readings a second on flink" in said["note"]
    assert "of 110,000 they said: cores -7%, memory +4%" in said["note"]
