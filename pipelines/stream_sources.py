"""The sources of a stream as one collection of payloads, read as the runner can."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from connectors.bigquery.uri import is_bigquery, parse
from connectors.local_store import LocalStore
from connectors.streams.read_stream import ReadStream
from connectors.streams.source import Source
from connectors.streams.uris import open_source
from connectors.streams.watermarks import Watermarks
from pipelines.job import Job
from pipelines.runner_names import DIRECT, PRISM

__all__ = ["StreamSources"]

JAVA = "java"
ON_PRISM = {None, DIRECT, PRISM}
"""What `--runner` names where a stream runs on Prism."""


@dataclass(frozen=True)
class StreamSources:
    """What a run reads.

    Attributes:
        polled: sources that `ReadStream` polls.
        others: what reads the other ones, by Beam's own transforms.
        uris: all of them, as the user wrote them, without passwords.
        lines: what the user should know of them before the run begins.
        here: they are read by the process that writes the results.
    """

    polled: tuple[Source, ...]
    others: tuple[beam.PTransform, ...]
    uris: tuple[str, ...]
    lines: tuple[str, ...]
    here: bool

    @classmethod
    def of(
        cls, uris: Sequence[str], options: argparse.Namespace, store: str, runner: str | None
    ) -> StreamSources:
        """The sources that the command line names.

        Args:
            uris: theirs.
            options: the command line's.
            store: the folder of the local store, or the URI of a dataset of BigQuery.
            runner: Beam's runner; None for the default.

        Raises:
            InputError: one is wrong, or the runner cannot read it as the options want.
        """
        dataset = is_bigquery(store)
        sources = [_open(uri, options, store) for uri in uris]
        polled: list[Source] = []
        others: list[beam.PTransform] = []
        lines = []
        for uri, source in zip(uris, sources, strict=True):
            if uri.startswith("kafka:") and options.kafka_reader == JAVA:
                from connectors.streams.java_kafka import ReadFromKafkaByJava  # noqa: PLC0415

                commit = runner not in ON_PRISM
                read: Any = ReadFromKafkaByJava
                others.append(read(source, options.kafka_expansion, commit=commit))
                continue
            if uri.startswith("pubsub:"):
                from connectors.streams.pubsub_runners import way_to_read  # noqa: PLC0415

                way = way_to_read(runner, options.pubsub_id_attribute)
                prepare: Any = source
                lines += [line for line in (way.line, prepare.prepare()) if line]
                if not dataset:
                    forget_old_readers(LocalStore(store))
            polled.append(source)
        if runner in ON_PRISM and options.idle == "hold" and polled:
            lines.append(
                "Prism keeps one watermark for all parts of a source: a silent part does not hold "
                "the windows back here, whatever --idle says"
            )
        return cls(
            tuple(polled),
            tuple(others),
            tuple(source.uri for source in sources),
            tuple(lines),
            runner in ON_PRISM,
        )

    def reading(self, job: Job, options: argparse.Namespace) -> ReadStream:
        """What polls the sources that are polled."""
        watermarks = Watermarks(
            job.message_format, job.out_of_orderness, job.max_future, options.idle, job.idle_after
        )
        # A dataset of BigQuery keeps no positions. The sources hear from its sink what is written;
        # elsewhere, from the runner what it holds for good.
        store = None if job.bigquery is not None and not self.here else job.output
        return ReadStream(self.polled, watermarks, store, job.stop_when_idle)

    def payloads(self, pipeline: beam.Pipeline, read: ReadStream) -> beam.PCollection[Any]:
        """All sources together.

        Args:
            pipeline: where they are read.
            read: what `reading` gave.
        """
        parts = [pipeline | f"Read_{number}" >> other for number, other in enumerate(self.others)]
        if self.polled:
            parts.append(pipeline | "Read" >> read)
        return parts[0] if len(parts) == 1 else parts | "All" >> beam.Flatten()


def _open(uri: str, options: argparse.Namespace, store: str) -> Any:
    """The source that a URI names.

    Where the results go to BigQuery, a restarted run goes on where the source says: a Kafka group's
    offsets, what a subscription has not heard of, and the archive of responses, which lies in a
    folder named by the dataset.

    Raises:
        InputError: the URI or an option is wrong.
    """
    if not is_bigquery(store):
        return open_source(uri, options, store)
    if uri.startswith("kafka:"):
        return dataclasses.replace(open_source(uri, options, store), from_group=True)  # type: ignore[type-var]
    if uri.startswith("pubsub:"):
        return open_source(uri, options, store)
    return open_source(uri, options, parse(store).path)


def forget_old_readers(store: LocalStore) -> None:
    """Has the store forget positions of Pub/Sub readers: each run has readers of its own."""
    from connectors.streams.pubsub import outlived  # noqa: PLC0415

    store.forget_positions(outlived(store.positions()))
