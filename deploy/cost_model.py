"""What a month of the pipeline costs, line by line. Plain arithmetic over the price file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["DAYS", "WAYS", "Item", "Volume", "items_of", "price_file", "sizing"]

HERE = Path(__file__).parent
DAYS, HOURS = 30, 720
"""Of a month."""

GB, GIB, TIB = 1e9, 2.0**30, 2.0**40
ACTIVE_DAYS = 90
"""After so long without a change BigQuery's storage costs half."""

NODE_VCPUS = 4


@dataclass(frozen=True)
class Volume:
    """What is sent, kept and asked.

    Attributes:
        readings_per_day: how many readings.
        bytes_per_reading: of JSON text.
        readings_per_message: of the queue.
        messages_per_request: published together.
        keep_days: how long the archive is kept.
        raw_days: how long the raw messages are kept in Cloud Storage, compressed.
        queries_per_day: questions to the views, each of one day.
        reconciled_days: days of the archive that are reconciled each day.
        least_vcpus: processors of a stream's workers at least: their memory may ask for more of
            them than the work does.
    """

    readings_per_day: float
    bytes_per_reading: float = 154
    readings_per_message: float = 1
    messages_per_request: float = 100
    keep_days: float = 365
    raw_days: float = 30
    queries_per_day: float = 1000
    reconciled_days: float = 2
    least_vcpus: float = 0

    @property
    def per_second(self) -> float:
        """Readings a second."""
        return self.readings_per_day / 86_400

    @property
    def bytes_per_day(self) -> float:
        """Of JSON text."""
        return self.readings_per_day * self.bytes_per_reading

    def request_bytes(self) -> float:
        """What Pub/Sub bills for one day's publishing, or for one day's delivery."""
        messages = self.readings_per_day / self.readings_per_message
        size = self.readings_per_message * self.bytes_per_reading + _size("message_overhead_bytes")
        requests = messages / self.messages_per_request
        least = price_file()["least"]["pubsub_request_bytes"]
        return requests * max(least, size * self.messages_per_request)


@dataclass(frozen=True)
class Item:
    """One line of the bill.

    Attributes:
        name: what is paid for.
        amount: how much of it in a month, after what is free.
        unit: of the amount.
        price: in dollars for one unit.
    """

    name: str
    amount: float
    unit: str
    price: float

    @property
    def cost(self) -> float:
        """Dollars a month."""
        return self.amount * self.price


@cache
def price_file() -> dict[str, Any]:
    """The prices: of the newest file."""
    newest = max(HERE.glob("prices-*.json"))
    return dict(json.loads(newest.read_text("utf-8")))


@cache
def sizing() -> dict[str, dict[str, Any]]:
    """How much of everything a reading needs, and from where that is known."""
    return dict(json.loads((HERE / "sizing.json").read_text("utf-8")))


def _size(name: str) -> float:
    return float(sizing()[name]["value"])


def vcpus(volume: Volume, *, streaming: bool) -> float:
    """Processors that are kept busy, before rounding to machines."""
    rate = _size("readings_per_cpu_second") * _size("utilisation")
    if not streaming:
        return volume.per_second / rate
    return max(volume.least_vcpus, volume.per_second / (rate / _size("stream_factor")))


class _Bill:
    """Makes items with the prices of a region."""

    def __init__(self, volume: Volume, region: str) -> None:
        self.volume, self._region = volume, region

    def item(self, name: str, amount: float, unit: str, price: str) -> Item:
        """An item; what is free each month is taken off."""
        free = price_file()["free_a_month"].get(price, 0.0)
        dollars = price_file()["prices"][price][self._region]
        return Item(name, max(amount - free, 0.0), unit, dollars)


def _pubsub(bill: _Bill) -> Iterator[Item]:
    billed = bill.volume.request_bytes() * DAYS
    yield bill.item(
        "Pub/Sub, published and delivered", 2 * billed / TIB, "TiB", "pubsub_throughput_tib"
    )
    kept = bill.volume.request_bytes() * _size("kafka_days")
    yield bill.item(
        "Pub/Sub, kept for replay 7 days", kept / GIB, "GiB months", "pubsub_retained_gib_month"
    )


def _bigquery_rows(bill: _Bill, method: str) -> Iterator[Item]:
    rows = {
        "readings": (bill.volume.readings_per_day, _size("archive_bytes_per_reading")),
        "means": (_size("means_rows_per_day"), _size("means_bytes_per_row")),
    }
    if method == "file_loads":
        return
    if method == "storage_write_api":
        size = sum(count * each for count, each in rows.values()) * DAYS
        yield bill.item("BigQuery, Storage Write API", size / GB, "GB", "bigquery_storage_write_gb")
        return
    least = price_file()["least"]["bigquery_streaming_row_bytes"]
    size = sum(count * max(least, each) for count, each in rows.values()) * DAYS
    yield bill.item(
        "BigQuery, streaming inserts (a row counts as 1 KB at least)",
        size / GB,
        "GB",
        "bigquery_streaming_inserts_gb",
    )


def _bigquery(bill: _Bill) -> Iterator[Item]:
    volume = bill.volume
    means = _size("means_rows_per_day") * _size("means_bytes_per_row")
    daily = volume.readings_per_day * _size("archive_bytes_per_reading") + means
    active = min(volume.keep_days, ACTIVE_DAYS) * daily
    old = max(volume.keep_days - ACTIVE_DAYS, 0) * daily
    yield bill.item(
        "BigQuery, newest 90 days", active / GB, "GB months", "bigquery_active_storage_gb_month"
    )
    yield bill.item("BigQuery, older", old / GB, "GB months", "bigquery_long_term_storage_gb_month")
    asked = volume.queries_per_day * means
    archived = volume.readings_per_day * _size("archive_bytes_per_reading")
    reconciled = volume.reconciled_days * archived * _size("reconciled_share")
    yield bill.item(
        "BigQuery, bytes that queries of the views and reconciliation read",
        (asked + reconciled) * DAYS / TIB,
        "TiB",
        "bigquery_scanned_tib",
    )


def _storage(bill: _Bill) -> Iterator[Item]:
    size = bill.volume.raw_days * bill.volume.bytes_per_day / _size("gzip_ratio")
    yield bill.item("Cloud Storage, raw messages", size / GB, "GB months", "storage_gb_month")
    yield bill.item(
        "Cloud Storage, a file a minute", DAYS * 1440 / 1000, "1,000 writes", "storage_writes_1000"
    )


def _workers(bill: _Bill, busy: float, hours: float, vcpu: str) -> Iterator[Item]:
    """Workers of two processors each, for so many hours."""
    workers = max(1, math.ceil(busy / 2))
    cores = 2 * workers * hours
    yield bill.item(f"Dataflow, {2 * workers} vCPU", cores, "vCPU hours", vcpu)
    memory = cores * _size("memory_gb_per_vcpu")
    yield bill.item("Dataflow, memory", memory, "GB hours", "dataflow_memory_gb_hour")
    disk = workers * hours * _size("disk_gb_per_worker")
    yield bill.item("Dataflow, disks", disk, "GB hours", "dataflow_disk_gb_hour")


def _dataflow_stream(bill: _Bill) -> Iterator[Item]:
    busy = vcpus(bill.volume, streaming=True)
    yield from _workers(bill, busy, HOURS, "dataflow_streaming_vcpu_hour")
    shuffled = bill.volume.readings_per_day * _size("shuffled_bytes_per_reading")
    through = (bill.volume.bytes_per_day + shuffled) * DAYS
    yield bill.item(
        "Dataflow, Streaming Engine data", through / GB, "GB", "dataflow_streaming_engine_gb"
    )
    yield from _pubsub(bill)
    yield from _bigquery_rows(bill, "storage_write_api")
    yield from _bigquery(bill)
    yield from _storage(bill)


def _dataflow_batch(bill: _Bill) -> Iterator[Item]:
    # One run a day, in an hour, with a worker's start of a few minutes in it.
    busy = vcpus(bill.volume, streaming=False) * 24
    yield from _workers(bill, busy, DAYS, "dataflow_batch_vcpu_hour")
    shuffled = bill.volume.readings_per_day * _size("shuffled_bytes_per_reading") * DAYS
    yield bill.item("Dataflow, shuffled", shuffled / GB, "GB", "dataflow_shuffle_gb")
    yield from _bigquery_rows(bill, "file_loads")
    yield from _bigquery(bill)
    yield from _storage(bill)


def _flink(bill: _Bill) -> Iterator[Item]:
    busy = vcpus(bill.volume, streaming=True)
    brokers = _size("kafka_brokers")
    usable = NODE_VCPUS - _size("vcpu_overhead_per_node")
    # A JobManager beside the workers; a node a zone at least, for the brokers.
    nodes = max(int(brokers), math.ceil((max(1.0, busy) + 1 + 2 * brokers) / usable))
    yield bill.item("GKE, the cluster", HOURS, "hours", "gke_cluster_hour")
    yield bill.item(f"GKE, {nodes} nodes of 4 vCPU", nodes * HOURS, "node hours", "node_hour")
    kept = bill.volume.bytes_per_day * _size("kafka_days") * brokers / _size("utilisation")
    yield bill.item("Disks of Kafka, half full", kept / GB, "GB months", "disk_gb_month")
    # Two replicas lie in other zones, and two of three readers and writers do.
    moved = bill.volume.bytes_per_day * DAYS * (2 + 4 / 3)
    yield bill.item("Between zones", moved / GB, "GB", "between_zones_gb")
    yield from _bigquery_rows(bill, "streaming_inserts")
    yield from _bigquery(bill)
    yield from _storage(bill)


WAYS: dict[str, tuple[str, Callable[[_Bill], Iterator[Item]]]] = {
    "dataflow": ("Dataflow, streaming from Pub/Sub", _dataflow_stream),
    "dataflow_batch": ("Dataflow, one batch a day from files", _dataflow_batch),
    "flink": ("Flink and Kafka on Kubernetes (GKE)", _flink),
}
"""Ways of running the pipeline."""


def items_of(way: str, volume: Volume, region: str) -> list[Item]:
    """The bill of one way.

    Args:
        way: one of `WAYS`.
        volume: what is sent, kept and asked.
        region: one of the price file's.

    Raises:
        KeyError: there is no such way or region.
    """
    return list(WAYS[way][1](_Bill(volume, region)))
