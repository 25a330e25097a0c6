"""The options of the main job, each declared once: type, default, help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.bigquery.options import METHODS
from schemas.groupings import GROUPINGS

__all__ = ["OPTIONS", "SAMPLE", "Option"]

SAMPLE = Path(__file__).parent / "data" / "sample.jsonl.gz"


@dataclass(frozen=True)
class Option:
    """One option of the job.

    Attributes:
        name: without the dashes.
        help: one sentence.
        default: what it is when it is not given.
        many: it takes several values.
        choices: the only values it takes.
        flag: it takes no value.
        metavar: what stands for the value in the help.
    """

    name: str
    help: str
    default: Any = None
    many: bool = False
    choices: tuple[str, ...] | None = None
    flag: bool = False
    metavar: str | None = None


STREAMS = (
    Option(
        "early_every",
        "streams: how often a window is written before it is complete; 0s: not before",
        default="30s",
        metavar="TIME",
    ),
    Option(
        "late_every",
        "streams: how often corrections of a complete window are written",
        default="30s",
        metavar="TIME",
    ),
    Option(
        "allowed_lateness",
        "streams: how long after its event time a reading may arrive and count at once",
        default="1d",
        metavar="TIME",
    ),
    Option(
        "max_future",
        "streams: how far a reading's event time may lie ahead of its arrival",
        default="5m",
        metavar="TIME",
    ),
    Option(
        "out_of_orderness",
        "streams: how far the watermark stays behind the newest event time",
        default="5m",
        metavar="TIME",
    ),
    Option(
        "idle",
        "streams: what the watermark of a silent part of a source does: it follows the clock, or "
        "holds all windows back",
        default="clock",
        choices=("clock", "hold"),
    ),
    Option(
        "idle_after",
        "streams: how long a part that is read to its end must be silent for that",
        default="1m",
        metavar="TIME",
    ),
    Option(
        "stop_when_idle",
        "streams: end when every source is read to its end and silent for so long; 0s: never",
        default="0s",
        metavar="TIME",
    ),
    Option(
        "remember_versions",
        "streams: how long after its arrival a reading can be replaced by a newer version",
        default="1h",
        metavar="TIME",
    ),
    Option(
        "metrics_port",
        "streams on Prism: serve metrics for Prometheus at this port of this machine, or at "
        "HOST:PORT; by default not",
        metavar="PORT",
    ),
)

HTTP = (
    Option("http_interval", "https: how often it is asked", default="10s", metavar="TIME"),
    Option("http_header", "https: the header of the key", default="X-API-Key", metavar="NAME"),
    Option(
        "http_key_env",
        "https: the environment variable that holds the key; not set: no key is sent",
        default="REGIONAL_MEANS_API_KEY",
        metavar="NAME",
    ),
    Option("http_timeout", "https: how long a response may take", default="60s", metavar="TIME"),
    Option(
        "http_give_up",
        "https: after how long without a good response the run ends",
        default="15m",
        metavar="TIME",
    ),
)

KAFKA = (
    Option(
        "kafka_option",
        "kafka: an option of librdkafka, such as security.protocol=SASL_SSL; "
        "sasl.password=env:NAME takes it from the environment",
        default=(),
        many=True,
        metavar="NAME=VALUE",
    ),
    Option(
        "kafka_start",
        "kafka: where a partition begins that the store has not read",
        default="earliest",
        choices=("earliest", "latest"),
    ),
    Option(
        "kafka_gone",
        "kafka: what to do when unread messages are not there any more",
        default="fail",
        choices=("fail", "skip"),
    ),
    Option("kafka_timeout", "kafka: how long brokers may be away", default="1m", metavar="TIME"),
    Option(
        "kafka_reader",
        "kafka: sdf: the reader of this package; java: Beam's KafkaIO, where the runner has it",
        default="sdf",
        choices=("sdf", "java"),
    ),
    Option(
        "kafka_expansion",
        "kafka: HOST:PORT of a running expansion service, for the reader java",
        metavar="HOST:PORT",
    ),
)

PUBSUB = (
    Option(
        "pubsub_timestamp_attribute",
        "pubsub: an attribute that is the time of arrival, for messages without a time",
        metavar="NAME",
    ),
    Option(
        "pubsub_id_attribute",
        "pubsub: an attribute that tells messages apart, where the runner uses it (Dataflow)",
        metavar="NAME",
    ),
)

MESSAGES = (
    Option(
        "report_format",
        "queues: how results are written: report, or sensor_result for means by sensor",
        default="report",
        choices=("report", "sensor_result"),
    ),
    Option("dead_letters", "a queue that rejected records are written to as well", metavar="URI"),
)

DEVICES = (
    Option(
        "devices",
        "a register of devices: CSV or Parquet of device_id, latitude, longitude, from, to",
        metavar="FILE",
    ),
    Option(
        "devices_every",
        "streams: how often a newer register is looked for",
        default="1m",
        metavar="TIME",
    ),
)

BIGQUERY = (
    Option(
        "bigquery_method",
        "bigquery: how rows get there; auto: load jobs for files; for streams the Storage Write "
        "API on Dataflow, and streaming inserts elsewhere",
        default="auto",
        choices=METHODS,
    ),
    Option(
        "bigquery_retry_for",
        "bigquery: for how long it may take no rows before the run fails",
        default="5m",
        metavar="TIME",
    ),
)

OPTIONS = (
    Option(
        "input",
        "files of readings: paths or globs of .jsonl, .json, .jsonl.gz, .json.gz; or streams: "
        "kafka://HOST:PORT/TOPIC, pubsub://projects/P/subscriptions/S, https://…",
        default=(str(SAMPLE),),
        many=True,
        metavar="URI",
    ),
    Option(
        "output",
        "the folder of the local store, or bigquery://PROJECT.DATASET; and queues that get every "
        "result as a message: kafka://HOST:PORT/TOPIC, pubsub://projects/P/topics/T",
        default=("results",),
        many=True,
        metavar="URI",
    ),
    Option(
        "window",
        "hourly, sliding (60 minutes every 5), or SIZE/PERIOD such as 15m/5m",
        default=("hourly", "sliding"),
        many=True,
        metavar="WINDOW",
    ),
    Option(
        "group_by",
        "region: means of regions, and of sensors without a place; sensor: means of sensors, "
        "wherever they lie; both",
        default="region",
        choices=GROUPINGS,
    ),
    Option(
        "message_format",
        "how the messages are written: auto (each is recognised), a format's name, the path of a "
        "format's file, or integers:QUANTITY",
        default="auto",
        metavar="FORMAT",
    ),
    Option(
        "duplicates",
        "latest: of each reading the newest version counts; keep: every message counts",
        default="latest",
        choices=("latest", "keep"),
    ),
    Option(
        "archive",
        "on: every version of every reading is kept in the table readings; none: it is not",
        default="on",
        choices=("on", "none"),
    ),
    *DEVICES,
    *MESSAGES,
    *STREAMS,
    *KAFKA,
    *PUBSUB,
    *HTTP,
    *BIGQUERY,
    Option("format", "how the summary is printed", default="table", choices=("table", "json")),
    Option("quiet", "print nothing but errors", flag=True, default=False),
    Option("verbose", "show Beam's log and, when the job fails, where", flag=True, default=False),
)
