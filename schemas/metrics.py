"""The metrics that a job reports: the one list from which code, pages and dashboards are made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.classes import CLASSES
from schemas.reasons import REASONS

__all__ = ["BOUNDS", "METRICS", "PREFIX", "Kind", "Metric", "listed", "metric_of", "series_label"]

PREFIX = "regional_means_"
"""How the names of all metrics begin in Prometheus."""

BOUNDS = (250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000, 86_400_000)
"""Upper bounds of the buckets of a histogram, in milliseconds."""


class Kind:
    """What a metric is to Beam."""

    COUNTER = "counter"
    """A counter that never falls."""
    BALANCE = "counter that may fall"
    """A counter of what there is now: a correction takes away from one class what another gets."""
    GAUGE = "gauge"
    DISTRIBUTION = "distribution"
    HISTOGRAM = "histogram"
    """A counter for each bucket (`NAME_le_BOUND`, which holds what lies at or below the bound),
    one of the sum (`NAME_sum`), and a distribution `NAME` of the longest of each batch."""


@dataclass(frozen=True)
class Metric:
    """A metric, or several of one namespace that differ in a label.

    Attributes:
        namespace: Beam's.
        name: Beam's; where there is a label, each of its values is a name.
        kind: one of `Kind`.
        unit: of the value.
        meaning: what it says.
        advice: what to do when it is bad.
        prometheus: its name there, without `PREFIX`; None where it is not there.
        label: Prometheus' label that has Beam's names as its values.
        values: these names; empty where they are found at run time.
    """

    namespace: str
    name: str
    kind: str
    unit: str
    meaning: str
    advice: str = ""
    prometheus: str | None = None
    label: str | None = None
    values: tuple[str, ...] = ()

    @property
    def beam_names(self) -> tuple[str, ...]:
        """The names of Beam's metrics; none where they are found at run time."""
        if self.kind == Kind.HISTOGRAM:
            buckets = [f"{self.name}_le_{bound}" for bound in (*BOUNDS, "inf")]
            return (self.name, *buckets, f"{self.name}_sum")
        return self.values if self.label else (self.name,)

    @property
    def full_name(self) -> str | None:
        """Its name in Prometheus."""
        return None if self.prometheus is None else PREFIX + self.prometheus


def _counter(
    namespace: str, name: str, unit: str, meaning: str, advice: str = "", *, local: bool = False
) -> Metric:
    given = None if local else f"{namespace}_{name}_total"
    return Metric(namespace, name, Kind.COUNTER, unit, meaning, advice, given)


METRICS: tuple[Metric, ...] = (
    Metric(
        "balance",
        "read",
        Kind.COUNTER,
        "readings",
        "Readings that were read; a message that is wrong as a whole is one.",
        "None for minutes: are there messages (`source/messages`), is the job alive?",
        "readings_read_total",
    ),
    Metric(
        "balance",
        "CLASS",
        Kind.BALANCE,
        "readings",
        "What became of the readings that were read. Each is in one class, so the classes add up "
        "to `read` when all that was read has been dealt with.",
        "Many `outside` or `no_place`: coordinates, or the register of devices. Many `too_late`: "
        "see `latency/event_to_arrival`. Many `duplicate`: somebody sends again.",
        "readings",
        "class",
        CLASSES,
    ),
    Metric(
        "rejected",
        "REASON",
        Kind.COUNTER,
        "records",
        "Records that are no readings, by reason.",
        "The table `rejected_readings` has the texts. Mend the sender or the format, then "
        "`python -m pipelines.replay`.",
        "rejected_total",
        "reason",
        tuple(reason for reason in REASONS if reason != "too_late"),
    ),
    Metric(
        "latency",
        "event_to_arrival",
        Kind.HISTOGRAM,
        "ms",
        "From a reading's event time to its arrival: when the queue got it, or the response "
        "brought it.",
        "Long: the senders are slow, or their clocks wrong. Longer than `--out_of_orderness`: "
        "corrections of complete windows; than `--allowed_lateness`: too late.",
        "event_to_arrival_milliseconds",
    ),
    Metric(
        "latency",
        "arrival_to_result",
        Kind.HISTOGRAM,
        "ms",
        "From arrival to the row of a window that holds it: for each row, of the oldest arrival "
        "that is new in it. Readings with a version of their own are left out.",
        "Up to `--early_every` (`--late_every`) and a second is as it should be. Longer: the job "
        "does not keep up; see `lag`.",
        "arrival_to_result_milliseconds",
    ),
    Metric(
        "panes",
        "TIMING",
        Kind.COUNTER,
        "rows",
        "Rows of windows that were given out: before the window was complete, when it was, "
        "after that.",
        "No `on_time` for hours: the watermark stands still. Many `late`: raise "
        "`--out_of_orderness`.",
        "panes_total",
        "timing",
        ("early", "on_time", "late"),
    ),
    Metric(
        "late",
        "readings",
        Kind.COUNTER,
        "readings",
        "Late readings: that were added to a window after it had been given out as complete. "
        "Counted in the job's hourly windows, or those of its windows that overlap least.",
        "They are counted, only later. Many: raise `--out_of_orderness`.",
        "late_readings_total",
    ),
    _counter(
        "source",
        "messages",
        "messages",
        "Messages that were read.",
        "None while senders send: is the source reachable, is the job alive?",
    ),
    _counter("source", "bytes_read", "bytes", "Bytes of text that were read."),
    Metric(
        "lag",
        "PART",
        Kind.GAUGE,
        "messages",
        "Messages that wait in a part of a source behind the last one read; of Kafka.",
        "Rising for minutes: the job is too slow. Give it more workers (up to one a partition), or "
        "see which step is busy.",
        "lag_messages",
        "part",
    ),
    Metric(
        "source",
        "lag",
        Kind.DISTRIBUTION,
        "messages",
        "The same over all parts, one value a poll: for runners that show no gauges.",
    ),
    Metric(
        "watermark",
        "PART",
        Kind.GAUGE,
        "s since 1970",
        "The watermark of a part of a source. The clock less this is its age.",
        "Old: no messages, or old ones; with `--idle hold`, a silent part. While a backlog is "
        "read it is old rightly.",
        "watermark_timestamp_seconds",
        "part",
    ),
    _counter("source", "idle_polls", "polls", "How often a silent part was asked in vain."),
    _counter("source", "tombstones", "messages", "Kafka: messages without a value."),
    _counter(
        "source",
        "messages_gone",
        "messages",
        "Kafka: messages that retention took before they were read, with `--kafka_gone skip`.",
        "They are lost to the job. Raise the topic's retention.",
    ),
    _counter(
        "source",
        "commit_errors",
        "commits",
        "Kafka: offsets that the group could not take. The store's count, so nothing is lost.",
    ),
    _counter("source", "responses", "responses", "Polled addresses: responses that were read."),
    _counter(
        "source",
        "responses_unchanged",
        "responses",
        "Polled addresses: the same as the one before.",
    ),
    _counter(
        "source",
        "responses_failed",
        "responses",
        "Polled addresses: requests without a good response.",
        "The run ends after `--http_give_up` of them.",
    ),
    _counter(
        "source",
        "responses_replayed",
        "responses",
        "Polled addresses: read again from the archive.",
    ),
    _counter(
        "source",
        "without_timestamp_attribute",
        "messages",
        "Pub/Sub: taken at their publish time, for want of `--pubsub_timestamp_attribute`.",
    ),
    _counter("source", "empty_messages", "messages", "Pub/Sub: messages without a text."),
    Metric(
        "state",
        "versions",
        Kind.GAUGE,
        "readings",
        "Versions that a worker process remembers, for duplicates and corrections.",
        "About readings a second times `--remember_versions`. More: the watermark is behind.",
        "state_versions",
    ),
    Metric(
        "state",
        "bytes",
        Kind.GAUGE,
        "bytes",
        "Memory of a worker process that they take. 64 bytes each are on its disk, or in the "
        "memory as well where there is no room, and in the runner's own state.",
        "Near the worker's memory: shorten `--remember_versions`, or add workers.",
        "state_bytes",
    ),
    _counter(
        "store",
        "commits",
        "commits",
        "Commits of the local store.",
        "None while readings are read: the committer waits for the store's lock, or the disk.",
    ),
    _counter("store", "commit_milliseconds", "ms", "Time that the commits took, in all."),
    Metric(
        "store",
        "commit_time",
        Kind.DISTRIBUTION,
        "ms",
        "How long a commit takes.",
    ),
    Metric(
        "store",
        "last_commit",
        Kind.GAUGE,
        "s since 1970",
        "When the local store was last committed.",
        "Old while readings are read: see the job's log.",
        "store_last_commit_timestamp_seconds",
    ),
    _counter("bigquery", "written", "rows", "Rows that BigQuery has taken."),
    _counter("bigquery", "retried", "rows", "Rows that were sent again."),
    _counter(
        "bigquery",
        "failed",
        "rows",
        "Rows that BigQuery refused.",
        "The table `failed_rows` has them. Most often a column is missing: "
        "`python -m deploy.bigquery`.",
    ),
    _counter("sink", "messages", "messages", "Kafka: results and dead letters that were sent."),
    _counter("sink", "bytes_written", "bytes", "Kafka: their bytes."),
    _counter("sink", "published", "messages", "Pub/Sub: results and dead letters that were sent."),
    _counter("sink", "bytes_published", "bytes", "Pub/Sub: their bytes."),
    _counter("messages", "without_sensor", "rows", "Results that `sensor_result` cannot say."),
    _counter("register", "placed", "readings", "Readings that the register of devices placed."),
    _counter(
        "register",
        "unknown",
        "readings",
        "Readings of sensors that the register does not know.",
        "Add them to the register.",
    ),
    _counter("register", "reloaded", "files", "Newer registers that were taken."),
    _counter(
        "register",
        "reload_failed",
        "files",
        "Newer registers that could not be read. The old one stays.",
        "The job's log says why.",
    ),
    Metric(
        "damaged",
        "SENTENCE",
        Kind.COUNTER,
        "files",
        "Runs over files: a sentence for each file that breaks in the middle.",
    ),
)
"""In the order of the page."""


def metric_of(namespace: str, name: str) -> Metric | None:
    """The metric that a name of Beam's belongs to; None where the list has none."""
    fitting = [metric for metric in METRICS if metric.namespace == namespace]
    named = [metric for metric in fitting if name in metric.beam_names]
    free = [metric for metric in fitting if _is_free(metric)]
    return next(iter((*named, *free)), None)


def _is_free(metric: Metric) -> bool:
    return metric.name.isupper() and not metric.values


def listed(metrics: Sequence[Metric] = METRICS) -> Iterator[tuple[str, str]]:
    """Namespace and name of every metric of Beam's whose name is known beforehand."""
    for metric in metrics:
        if not _is_free(metric):
            for name in metric.beam_names:
                yield metric.namespace, name


def series_label(part: str) -> str:
    """What a part of a source is called in the name of a metric: letters, digits and `_`.

    The server, and what only one run calls it, are left out: `kafka://HOST:PORT/readings/0` is
    `readings_0`.

    Args:
        part: the part's name.
    """
    place, _, _ = part.partition("#")
    scheme, _, rest = place.partition("://")
    if rest and scheme.startswith(("kafka", "http")):
        _, _, path = rest.partition("/")
        rest = path or rest
    return re.sub(r"[^A-Za-z0-9]+", "_", rest or scheme).strip("_") or "part"
