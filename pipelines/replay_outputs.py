"""Where records are sent again: a file, a topic, or the store by a run of its own."""

from __future__ import annotations

import argparse
import dataclasses
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from connectors.dead_letters.letter import Letter
from connectors.input_error import InputError
from connectors.output_error import OutputError

__all__ = ["FileOutput", "Output", "Record", "StoreOutput", "TopicOutput"]

Record = tuple[Letter, bytes]
CONFIRM_SECONDS = 60.0
SHARE = 64 << 20
"""Bytes of records of one run."""

NEWLINES = bytes.maketrans(b"\r\n", b"  ")
LONGEST_LATENESS = 10_000 * 366 * 86_400


class Output(Protocol):
    """Takes records.

    Attributes:
        name: what is remembered as the destination.
    """

    name: str

    def send(self, records: Sequence[Record]) -> None:
        """Sends records; when it returns they are safe where they belong.

        Raises:
            OutputError: they are not.
        """
        ...

    def close(self, *, complete: bool) -> None:
        """The end.

        Args:
            complete: all has been sent; else nothing of an output that is all or nothing is left.
        """
        ...


class FileOutput:
    """A new file of JSON lines, for the main job to read. It is there when all of it is written.

    Args:
        path: the file's.

    Raises:
        OutputError: there is such a file already, or it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.name = str(self._path.absolute())
        if self._path.exists():
            msg = f"{path} is there already: name a new file"
            raise OutputError(msg)
        self._part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            self._stream = self._part.open("wb")
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror}"
            raise OutputError(msg) from error

    def send(self, records: Sequence[Record]) -> None:
        """As `Output.send`.

        A record on several lines is put on one: it is JSON, where a line break is but a blank.
        """
        try:
            for _, text in records:
                self._stream.write(text.translate(NEWLINES) + b"\n")
        except OSError as error:
            msg = f"{self._path} cannot be written: {error.strerror}"
            raise OutputError(msg) from error

    def close(self, *, complete: bool) -> None:
        """As `Output.close`."""
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            if complete:
                self._part.replace(self._path)
        except OSError as error:
            msg = f"{self._path} cannot be written: {error.strerror}"
            raise OutputError(msg) from error
        finally:
            self._part.unlink(missing_ok=True)


class TopicOutput:
    """A topic of Kafka or Pub/Sub. A record arrives there when it is sent again.

    Args:
        uri: `kafka://HOST:PORT/TOPIC` or `pubsub://projects/P/topics/T`.
        kafka_options: of Kafka's client, as the command line gives them.

    Raises:
        InputError: the address is none.
        OutputError: the queue does not answer, or has no such topic.
    """

    def __init__(self, uri: str, kafka_options: Sequence[str]) -> None:
        from serving.publishers.open_publisher import open_publisher  # noqa: PLC0415 - clients

        self.name = uri
        self._publisher = open_publisher(
            uri, confirm_within=CONFIRM_SECONDS, kafka_options=kafka_options
        )
        try:
            self._publisher.check(10.0)
        except OutputError:
            self._publisher.close(0)
            raise

    def send(self, records: Sequence[Record]) -> None:
        """As `Output.send`."""
        from serving.publishers.publisher import Outgoing  # noqa: PLC0415

        done, trouble = threading.Event(), ["it has not confirmed all messages in time"]

        def hear(said: str | None) -> None:
            trouble[:] = [] if said is None else [said]
            done.set()

        self._publisher.publish([Outgoing(text) for _, text in records], hear)
        done.wait(CONFIRM_SECONDS + 5)
        if trouble:
            msg = f"{self.name}: {trouble[0]}; some of the last {len(records):,} may have arrived"
            raise OutputError(msg)

    def close(self, *, complete: bool) -> None:  # noqa: ARG002 - what is sent is sent
        """As `Output.close`."""
        self._publisher.close(CONFIRM_SECONDS)


class StoreOutput:
    """A local store, or a dataset of BigQuery, by batch runs of the main job.

    Records keep their place and their arrival.

    Args:
        options: the main job's; `--output` names the store.
        rest: Beam's options.

    Raises:
        StoreError: the store cannot be used.
        UsageError: an option is wrong.
    """

    def __init__(self, options: argparse.Namespace, rest: Sequence[str]) -> None:
        from connectors.local_store import LocalStore  # noqa: PLC0415
        from pipelines.job import job_of  # noqa: PLC0415 - Beam

        self._rest = list(rest)
        store = None if options.output.startswith("bigquery:") else LocalStore(options.output)
        if store is not None and store.manifest().runs:
            options.group_by = store.manifest().group_by
        job = job_of(options)
        # Nothing of a batch is too late.
        triggers = dataclasses.replace(job.triggers, allowed_lateness=LONGEST_LATENESS)
        self._job = dataclasses.replace(job, triggers=triggers)
        if store is not None and store.families():
            # Those that the store has, and no further ones.
            self._job = dataclasses.replace(self._job, windows=store.families())
        self.name = self._job.output
        self.counted = 0

    def send(self, records: Sequence[Record]) -> None:
        """As `Output.send`."""
        share: list[Record] = []
        size = 0
        for record in records:
            share.append(record)
            size += len(record[1])
            if size >= SHARE:
                self._run(share)
                share, size = [], 0
        if share:
            self._run(share)

    def close(self, *, complete: bool) -> None:
        """As `Output.close`; each run is whole by itself."""

    def _run(self, records: Sequence[Record]) -> None:
        from connectors.dead_letters.payloads import payloads_of  # noqa: PLC0415
        from pipelines.replay_run import run_payloads  # noqa: PLC0415 - Beam

        payloads = payloads_of(records)
        began = time.monotonic()
        outcome: Any = run_payloads(self._job, payloads, self._rest, began)
        self.counted += outcome.balance["counted"]
        if outcome.balance["rejected"]:
            msg = f"{outcome.balance['rejected']:,} records were rejected again by the run"
            raise InputError(msg)
