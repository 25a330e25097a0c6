"""`--metrics_port`: what a stream in this process counts, for Prometheus to scrape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from connectors.input_error import InputError
from pipelines.options import UsageError
from schemas.metrics import BOUNDS, METRICS, Kind, Metric
from transforms.balance import Tallies
from transforms.measures import gauges

__all__ = ["RunMetrics", "metrics_address", "serving_metrics"]

HERE = "127.0.0.1"
JOB = "regional_means"
HIGHEST = 65_535

Found = Mapping[tuple[str, str], int]
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def metrics_address(given: str) -> tuple[str, int]:
    """Host and port of `PORT` or `HOST:PORT`; without a host, only this machine is answered.

    Raises:
        UsageError: it is neither.
    """
    host, _, port = given.rpartition(":")
    if not port.isdecimal() or not 1 <= int(port) <= HIGHEST:
        msg = f"--metrics_port is {given!r}, not a port such as 9400, or HOST:PORT"
        raise UsageError(msg)
    return host or HERE, int(port)


@contextlib.contextmanager
def serving_metrics(given: str | None, tallies: Tallies, *, here: bool) -> Iterator[None]:
    """Answers at `/metrics` while the block runs.

    Args:
        given: the value of `--metrics_port`; None serves nothing.
        tallies: what the run counts.
        here: the run's workers are in this process.

    Raises:
        InputError: the port cannot be had, or the workers are elsewhere.
        UsageError: it is no port.
    """
    if given is None:
        yield
        return
    host, port = metrics_address(given)
    if not here:
        msg = (
            "--metrics_port serves what this process counts, and this runner counts elsewhere: a "
            "Flink cluster serves its metrics itself (docs/monitoring.md)"
        )
        raise InputError(msg)
    registry = CollectorRegistry(auto_describe=False)
    for collector in (RunMetrics(tallies), PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        msg = f"--metrics_port {given}: nobody can listen there: {error.strerror or error}"
        raise InputError(msg) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class RunMetrics(Collector):
    """What a run has counted, by the names of `schemas.metrics`.

    Args:
        tallies: of its counters.
    """

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies

    def collect(self) -> Iterator[Family]:
        """The families; for Prometheus' client."""
        found = {**self._tallies.counters(), **gauges()}
        for metric in METRICS:
            if metric.full_name is not None:
                family = _family(metric, found)
                if family.samples:
                    yield family


def _family(metric: Metric, found: Found) -> Family:
    name, text = str(metric.full_name), metric.meaning
    if metric.kind == Kind.HISTOGRAM:
        return _histogram(HistogramMetricFamily(name, text, labels=["job_name"]), metric, found)
    labels = ["job_name", *([metric.label] if metric.label else [])]
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == Kind.COUNTER:
        family = CounterMetricFamily(name, text, labels=labels)
    else:
        family = GaugeMetricFamily(name, text, labels=labels)
    for (namespace, beam_name), value in sorted(found.items()):
        if namespace != metric.namespace:
            continue
        if metric.label and (not metric.values or beam_name in metric.values):
            family.add_metric([JOB, beam_name], value)
        elif not metric.label and beam_name == metric.name:
            family.add_metric([JOB], value)
    return family


def _histogram(
    family: HistogramMetricFamily, metric: Metric, found: Found
) -> HistogramMetricFamily:
    def value(end: str) -> int:
        return found.get((metric.namespace, f"{metric.name}_{end}"), 0)

    total = value("le_inf")
    if total:
        buckets = [(str(bound), float(value(f"le_{bound}"))) for bound in BOUNDS]
        family.add_metric([JOB], [*buckets, ("+Inf", float(total))], float(value("sum")))
    return family
