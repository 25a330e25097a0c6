"""The cost calculator: hand-computed lines, units, and that more never costs less."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.cost import main
from deploy.cost_model import WAYS, Volume, items_of, price_file, sizing, vcpus

ROOT = Path(__file__).parents[2]
US = "us-central1"


def line(way, volume, begins):
    (found,) = [each for each in items_of(way, volume, US) if each.name.startswith(begins)]
    return found


def total(way, volume):
    return sum(each.cost for each in items_of(way, volume, US))


def test_pubsub_bills_a_thousand_bytes_a_request_at_least():
    # A billion messages of 154 + 40 bytes a day. One a request: 1,000 bytes are billed for each.
    alone = line("dataflow", Volume(1e9, messages_per_request=1), "Pub/Sub, published")
    # 1e9 * 1000 * 30 days, once in and once out, in TiB, less 10 GiB.
    assert alone.amount == pytest.approx(2 * 3e13 / 2**40 - 10 / 1024)
    assert alone.cost == pytest.approx(alone.amount * 40)
    together = line("dataflow", Volume(1e9, messages_per_request=100), "Pub/Sub, published")
    assert together.amount == pytest.approx(2 * 1e9 * 194 * 30 / 2**40 - 10 / 1024)


def test_streaming_inserts_bill_a_kilobyte_a_row_and_the_write_api_bills_bytes():
    volume = Volume(1e9)
    inserts = line("flink", volume, "BigQuery, streaming inserts")
    means = 674_000
    assert inserts.amount == pytest.approx((1e9 + means) * 1024 * 30 / 1e9)
    written = line("dataflow", volume, "BigQuery, Storage Write API")
    assert written.amount == pytest.approx((1e9 + means) * 250 * 30 / 1e9 - 2199)
    assert inserts.price == 0.05
    assert written.price == 0.025


def test_storage_costs_half_after_ninety_days():
    volume = Volume(1e9, keep_days=100)
    daily = (1e9 + 674_000) * 250 / 1e9
    assert line("dataflow", volume, "BigQuery, newest").amount == pytest.approx(90 * daily - 10)
    assert line("dataflow", volume, "BigQuery, older").amount == pytest.approx(10 * daily)
    young = Volume(1e9, keep_days=30)
    assert line("dataflow", young, "BigQuery, older").amount == 0
    assert line("dataflow", young, "BigQuery, newest").amount == pytest.approx(30 * daily - 10)


def test_workers_are_whole_machines_and_run_all_month():
    # 550,000 a processor second, a sixth of it in streams, half used.
    daily = 550_000 / 6 / 2 * 86_400
    assert vcpus(Volume(daily), streaming=True) == pytest.approx(1)
    assert vcpus(Volume(daily), streaming=False) == pytest.approx(1 / 6)
    one = line("dataflow", Volume(1000), "Dataflow, 2 vCPU")
    assert (one.amount, one.unit, one.price) == (1440, "vCPU hours", 0.069)
    more = line("dataflow", Volume(daily * 5), "Dataflow, 6 vCPU")
    assert more.amount == 6 * 720
    memory = line("dataflow", Volume(1000), "Dataflow, memory")
    assert memory.amount == pytest.approx(1440 * 3.75)


def test_a_small_cluster_has_a_node_in_each_zone():
    nodes = line("flink", Volume(1000), "GKE, 3 nodes")
    assert (nodes.amount, nodes.cost) == (3 * 720, pytest.approx(3 * 720 * 0.134))
    kafka = line("flink", Volume(1e9), "Disks of Kafka")
    # 154 GB a day, 7 days, 3 replicas, half full.
    assert kafka.amount == pytest.approx(154 * 7 * 3 * 2)
    moved = line("flink", Volume(1e9), "Between zones")
    assert moved.amount == pytest.approx(154 * 30 * (2 + 4 / 3))


def test_raw_messages_are_compressed():
    raw = line("dataflow", Volume(1e9, raw_days=10), "Cloud Storage, raw")
    assert raw.amount == pytest.approx(154 * 10 / 8)


@pytest.mark.parametrize("way", WAYS)
@given(
    readings=st.floats(1, 1e13),
    factor=st.floats(1, 1000),
    name=st.sampled_from(
        ["readings_per_day", "bytes_per_reading", "keep_days", "raw_days", "queries_per_day"]
    ),
)
def test_more_never_costs_less(way, readings, factor, name):
    volume = Volume(readings)
    more = replace(volume, **{name: getattr(volume, name) * factor})
    assert total(way, more) >= total(way, volume) * (1 - 1e-9)
    assert all(item.cost >= 0 for item in items_of(way, volume, US))


@given(st.floats(1, 1e12), st.floats(1, 1000))
def test_batching_never_costs_more(readings, factor):
    volume = Volume(readings, messages_per_request=1)
    batched = replace(volume, messages_per_request=factor)
    assert total("dataflow", batched) <= total("dataflow", volume) * (1 + 1e-9)


def test_every_price_names_its_page_and_regions():
    prices = price_file()
    assert re.fullmatch(r"2026-11-\d\d", prices["date"])
    assert (ROOT / "deploy" / f"prices-{prices['date'][:7]}.json").exists()
    for name, price in prices["prices"].items():
        assert price["page"].strip(), name
        assert price["read"] is None or price["read"] <= prices["date"], name
        assert all(price[region] > 0 for region in prices["regions"]), name
    for free in prices["free_a_month"]:
        assert free in prices["prices"]


def test_the_speed_is_that_of_the_results():
    """The number that sizes the workers is the measured one, within what machines differ."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    readings = int(re.search(r"The job on ([\d,]+) readings", results)[1].replace(",", ""))
    row = re.search(r"versions and archive \(the default\) \|[^|]*\| ([\d.]+) \|", results)
    measured = readings / float(row[1])
    assert sizing()["readings_per_cpu_second"]["value"] == pytest.approx(measured, rel=0.3)
    assert all(each["from"] for each in sizing().values())


def shown(capsys, *arguments):
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_presets_are_the_two_volumes(capsys):
    a = json.loads(shown(capsys, "--system", "A", "--format", "json"))
    volume = a["volume"]
    assert volume["readings_per_day"] * volume["bytes_per_reading"] == pytest.approx(8640 * 220e3)
    fast = json.loads(shown(capsys, "--gigabyte_a_minute", "--format", "json"))["volume"]
    assert fast["readings_per_day"] * fast["bytes_per_reading"] == pytest.approx(1440e9)
    for way in a["ways"].values():
        lines = sum(item["amount"] * item["price"] for item in way["items"])
        assert way["dollars_a_month"] == pytest.approx(lines, abs=0.01)


def test_the_table_says_what_it_rests_on_and_pretends_no_more(capsys):
    table = shown(capsys, "--readings_per_day", "12,000,000", "--region", "europe-west1")
    assert "12,000,000 readings a day" in table
    assert "list prices of 2026-11-22" in table
    assert "Check every price on its page" in table
    assert "benchmarks/RESULTS.md" in table
    assert re.search(r"about \$\d+0 a month", table)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--readings_per_day", "-1"),
        ("--readings_per_day", "many"),
        ("--readings_per_day", "nan"),
        ("--system", "A", "--gigabyte_a_minute"),
        ("--system", "B"),
        ("--readings_per_day", "1", "--region", "moon"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
