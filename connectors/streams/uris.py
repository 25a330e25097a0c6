"""From the URIs of the command line to sources that do not end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from connectors.streams.source import Source

__all__ = ["STREAM_SCHEMES", "is_stream", "open_source", "split_inputs"]

STREAM_SCHEMES = ("kafka", "pubsub", "http", "https")


def is_stream(uri: str) -> bool:
    """Whether the URI names a source that does not end."""
    scheme, found, _ = uri.partition("://")
    return bool(found) and scheme.lower() in STREAM_SCHEMES


def split_inputs(uris: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files, and the sources that do not end, each in their order."""
    streams = [uri for uri in uris if is_stream(uri)]
    return [uri for uri in uris if not is_stream(uri)], streams


def open_source(uri: str, options: argparse.Namespace, store: str | None) -> Source:
    """The source that a URI names.

    Args:
        uri: with one of `STREAM_SCHEMES`.
        options: the command line's, of which the source takes those of its kind.
        store: the folder of the local store that the results go to.

    Raises:
        InputError: the URI or an option is wrong.
    """
    del options, store
    msg = uri
    raise NotImplementedError(msg)
