"""Opens the output that an address names; what a queue needs is imported only for it."""

from __future__ import annotations

import argparse
import os
import threading

from simulation.counts import Counts
from simulation.outputs.file import FileOutput
from simulation.outputs.output import Output, OutputError

__all__ = ["is_file", "open_output", "takes_arrays"]

QUEUES = ("kafka", "pubsub")
POSTS = ("http", "https")


def is_file(options: argparse.Namespace) -> bool:
    """Whether messages go into a file that nobody waits for."""
    return options.serve is None and options.output != "-" and "://" not in options.output


def takes_arrays(options: argparse.Namespace) -> bool:
    """Whether messages are sent as elements of an array, so all of them must be JSON."""
    return options.serve is not None or options.output.startswith(("http://", "https://"))


def open_output(
    options: argparse.Namespace, start: int, counts: Counts, stop: threading.Event
) -> Output:
    """The output that the options name.

    Args:
        options: of `simulation.options`.
        start: the simulated time of now, in microseconds since the epoch.
        counts: counts what was sent.
        stop: ends waiting when it is set.

    Raises:
        OutputError: it cannot be opened; one sentence.
    """
    uri = options.output
    if options.serve is not None:
        from simulation.outputs.serve import ServeOutput  # noqa: PLC0415

        interval = int(options.interval * options.speed)
        key = _key(options.api_key_env)
        return ServeOutput(options.host, options.serve, interval, start, key, counts, stop)
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return FileOutput(uri, counts)
    if scheme in POSTS:
        from simulation.outputs.post import PostOutput  # noqa: PLC0415

        return PostOutput(uri, counts, stop)
    if scheme not in QUEUES:
        msg = f"{uri} is no output: write a file, kafka://, pubsub:// or http://"
        raise OutputError(msg)
    try:
        if scheme == "kafka":
            from simulation.outputs.kafka import KafkaOutput  # noqa: PLC0415

            return KafkaOutput(uri, counts, options.kafka_option, options.partitions)
        from simulation.outputs.pubsub import PubSubOutput  # noqa: PLC0415

        return PubSubOutput(uri, counts)
    except ImportError as error:
        package = "confluent-kafka" if scheme == "kafka" else "google-cloud-pubsub"
        msg = f"{scheme}:// needs a package that is not installed: pip install {package}"
        raise OutputError(msg) from error


def _key(name: str | None) -> str | None:
    if name is None:
        return None
    found = os.environ.get(name)
    if not found:
        msg = f"--api_key_env: the environment variable {name} is not set"
        raise OutputError(msg)
    return found
