"""What the main job is to do, as the command line says it."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.bigquery.options import BigQueryOptions
from connectors.bigquery.uri import is_bigquery
from pipelines.options import UsageError
from schemas.groupings import REGION

if TYPE_CHECKING:
    from connectors.input_files import InputFile
    from connectors.kafka_options import KafkaOptions
    from connectors.watched_register import DeviceRegister
    from transforms.triggers import Triggers
    from transforms.windows import SlidingWindow

__all__ = ["Job", "job_of"]

SHARE = 96 << 20
"""Bytes of text whose readings one worker holds at a time to find their newest versions."""

PACKED = 8
"""How many times as large as a compressed file its text is taken to be."""

FEWEST_SHARES, MOST_SHARES = 16, 4096


@dataclass(frozen=True)
class Job:
    """The main job.

    Attributes:
        output: the store's folder, or `bigquery://PROJECT.DATASET`.
        message_format: how the messages are written.
        windows: the windows wanted.
        duplicates: `latest` or `keep`.
        archive: whether every version of every reading is kept.
        triggers: when the windows of a stream are written.
        max_future: seconds that a reading's event time may lie ahead of its arrival.
        remember_versions: seconds that a stream remembers a version.
        out_of_orderness: seconds that a stream's watermark stays behind the newest event time.
        idle_after: seconds after which a silent part of a source is idle.
        stop_when_idle: seconds after which such a part ends; None: never.
        shards: shares in which versions are compared; None for the transform's default.
        series_shards: shares in which a stream's windows are kept; None for the same.
        durable: what a stream remembers is in the runner's state, too.
        spill_folder: where entries are written that are shuffled; None to shuffle them themselves.
        group_by: what means are grouped by: `region`, `sensor` or `both`.
        devices: where devices without coordinates stand; None for no register.
        reports: queues that get every result as a message.
        report_format: how these messages are written.
        dead_letters: a queue that gets rejected records; None for none.
        kafka_options: of the clients of Kafka's queues.
        bigquery: how rows get into the dataset; None where the output is a folder.
    """

    output: str
    message_format: str
    windows: tuple[SlidingWindow, ...]
    duplicates: str
    archive: bool
    triggers: Triggers
    max_future: int
    remember_versions: int
    out_of_orderness: int
    idle_after: int
    stop_when_idle: int | None
    shards: int | None = None
    series_shards: int | None = None
    durable: bool = True
    spill_folder: str | None = None
    group_by: str = REGION
    devices: DeviceRegister | None = None
    reports: tuple[str, ...] = ()
    report_format: str = "report"
    dead_letters: str | None = None
    kafka_options: KafkaOptions | None = None
    bigquery: BigQueryOptions | None = None

    def with_windows(self, more: Sequence[SlidingWindow]) -> Job:
        """The job that computes these windows as well."""
        return dataclasses.replace(self, windows=tuple(dict.fromkeys([*self.windows, *more])))

    def for_size(self, files: Sequence[InputFile]) -> Job:
        """The job with as many shares as files of this size need."""
        text = sum(file.size * (PACKED if file.is_gzip else 1) for file in files)
        shards = min(max(FEWEST_SHARES, text // SHARE), MOST_SHARES)
        return dataclasses.replace(self, shards=shards)

    def for_cores(self, cores: int, *, durable: bool = True) -> Job:
        """The job, a stream, with as many shares as workers on one machine need.

        Each share costs a runner several messages a bundle: fewer of them, and results come sooner.

        Args:
            cores: of the machine.
            durable: see the attribute.
        """
        few, fewer = 4 * cores, 2 * cores
        return dataclasses.replace(self, shards=few, series_shards=fewer, durable=durable)

    @contextlib.contextmanager
    def spilling(self, *, enabled: bool) -> Iterator[Job]:
        """The job with a folder for its files that do not last, while the block runs.

        Args:
            enabled: what is shuffled goes there, too. Without, only load jobs need it.
        """
        if not enabled and self.bigquery is None:
            yield self
            return
        from connectors.local_store.manifest import TEMPORARY_PREFIX  # noqa: PLC0415

        place = self.output if self.bigquery is None else None
        folder = tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=place)
        try:
            job = dataclasses.replace(self, spill_folder=folder if enabled else None)
            if job.bigquery is not None:
                loads = dataclasses.replace(job.bigquery, folder=folder)
                job = dataclasses.replace(job, bigquery=loads)
            yield job
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def job_of(options: argparse.Namespace) -> Job:
    """The job that the options describe.

    Raises:
        UsageError: a window or a length of time is none.
    """
    from transforms.triggers import Triggers  # noqa: PLC0415 - Beam takes a second to import
    from transforms.windows import parse_duration, parse_window  # noqa: PLC0415

    def seconds(name: str) -> int:
        try:
            return parse_duration(getattr(options, name))
        except ValueError as error:
            msg = f"--{name}: {error}"
            raise UsageError(msg) from error

    try:
        windows = tuple(parse_window(text) for text in options.window)
    except ValueError as error:
        raise UsageError(str(error)) from error
    try:
        triggers = Triggers(
            early_every=seconds("early_every") or None,
            late_every=seconds("late_every"),
            allowed_lateness=seconds("allowed_lateness"),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    dataset = is_bigquery(options.output)
    if dataset and options.duplicates == "keep":
        msg = (
            "--duplicates keep is not for BigQuery: the means of a dataset are put right from the "
            "newest versions of its readings"
        )
        raise UsageError(msg)
    bigquery = BigQueryOptions(options.bigquery_method, seconds("bigquery_retry_for"))
    return Job(
        output=options.output if dataset else str(Path(options.output).absolute()),
        message_format=options.message_format,
        windows=windows,
        group_by=options.group_by,
        duplicates=options.duplicates,
        archive=options.archive == "on",
        triggers=triggers,
        max_future=seconds("max_future"),
        remember_versions=seconds("remember_versions"),
        out_of_orderness=seconds("out_of_orderness"),
        idle_after=seconds("idle_after"),
        stop_when_idle=seconds("stop_when_idle") or None,
        devices=_register(options, seconds("devices_every")),
        reports=options.reports,
        report_format=_report_format(options),
        dead_letters=options.dead_letters,
        kafka_options=_kafka_options(options),
        bigquery=bigquery if dataset else None,
    )


def _kafka_options(options: argparse.Namespace) -> KafkaOptions:
    """The options of Kafka's clients.

    Raises:
        UsageError: one is wrong.
    """
    from connectors.input_error import InputError  # noqa: PLC0415
    from connectors.kafka_options import KafkaOptions  # noqa: PLC0415

    try:
        return KafkaOptions.parse(options.kafka_option)
    except InputError as error:
        raise UsageError(str(error)) from error


def _register(options: argparse.Namespace, every: int) -> DeviceRegister | None:
    """The register that the options name; a stream looks for a newer one now and then."""
    if options.devices is None:
        return None
    from connectors.streams.uris import is_stream  # noqa: PLC0415
    from connectors.watched_register import DeviceRegister  # noqa: PLC0415

    path = options.devices if "://" in options.devices else str(Path(options.devices).absolute())
    streaming = any(map(is_stream, options.input))
    return DeviceRegister(path, (every or None) if streaming else None)


def _report_format(options: argparse.Namespace) -> str:
    """The format of messages, which must fit the grouping.

    Raises:
        UsageError: it does not.
    """
    if options.reports:
        from transforms.result_messages import check_report_format  # noqa: PLC0415

        try:
            check_report_format(options.report_format, options.group_by)
        except ValueError as error:
            raise UsageError(str(error)) from error
    chosen: str = options.report_format
    return chosen
