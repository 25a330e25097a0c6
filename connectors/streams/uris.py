"""From the URIs of the command line to sources that do not end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from connectors.streams.source import Source
from transforms.windows import parse_duration

__all__ = ["STREAM_SCHEMES", "is_stream", "open_source", "split_inputs"]

STREAM_SCHEMES = ("kafka", "pubsub", "http", "https")


def is_stream(uri: str) -> bool:
    """Whether the URI names a source that does not end."""
    scheme, found, _ = uri.partition("://")
    return bool(found) and scheme.lower() in STREAM_SCHEMES


def split_inputs(uris: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files, and the sources that do not end, each once and in their order."""
    streams = dict.fromkeys(uri for uri in uris if is_stream(uri))
    return [uri for uri in uris if not is_stream(uri)], list(streams)


def open_source(uri: str, options: argparse.Namespace, store: str | None) -> Source:
    """The source that a URI names.

    Args:
        uri: with one of `STREAM_SCHEMES`.
        options: the command line's, of which the source takes those of its kind.
        store: the folder of the local store that the results go to.

    Raises:
        InputError: the URI or an option is wrong.
    """
    scheme = uri.partition("://")[0].lower()
    # Each brings a client library of its own.
    if scheme == "kafka":
        from connectors.kafka_options import KafkaOptions  # noqa: PLC0415
        from connectors.streams.kafka import KafkaSource  # noqa: PLC0415

        return KafkaSource.parse(
            uri,
            KafkaOptions.parse(options.kafka_option),
            store or "",
            start=options.kafka_start,
            gone=options.kafka_gone,
            timeout=parse_duration(options.kafka_timeout),
        )
    if scheme == "pubsub":
        from connectors.streams.pubsub import PubSubSource  # noqa: PLC0415

        return PubSubSource(
            uri,
            store or "",
            options.pubsub_timestamp_attribute,
            options.pubsub_id_attribute,
        )
    from connectors.streams.http import HttpSource  # noqa: PLC0415
    from connectors.streams.http_options import HttpOptions  # noqa: PLC0415

    polling = HttpOptions.parse(
        options.http_interval,
        options.http_header,
        options.http_key_env,
        options.http_timeout,
        options.http_give_up,
    )
    return HttpSource(uri, f"{store or '.'}/responses", polling)
