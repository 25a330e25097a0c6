"""Rejected records as payloads: with the places and arrivals that they had."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from connectors.dead_letters.letter import Letter
from transforms.payload import Messages, Payload

__all__ = ["payloads_of"]

IN_QUEUE = re.compile(r"(?P<source>.+)#(?P<unit>offset|message)=(?P<place>[^#]+)", re.DOTALL)
IN_FILE = re.compile(r"(?P<source>.+)#byte=(?P<place>\d+)", re.DOTALL)
TOGETHER = 10_000


def payloads_of(records: Sequence[tuple[Letter, bytes]]) -> Iterator[Payload]:
    """Records as the source brought them.

    So a record that has no identifier of its own, and is told apart by its place, is the same
    reading however often it is replayed, or read from its source again.

    Args:
        records: rejected records and their texts.

    Yields:
        Payloads: of messages of one queue together, else of one record each.
    """
    ordered = sorted(records, key=lambda record: _queue(record[0]))
    for queue, group in groupby(ordered, key=lambda record: _queue(record[0])):
        if not queue[0]:
            yield from (_alone(letter, text) for letter, text in group)
            continue
        members = list(group)
        for at in range(0, len(members), TOGETHER):
            yield _together(members[at : at + TOGETHER], *queue)


def _queue(letter: Letter) -> tuple[str, str]:
    """The partition or subscription, and what its places are; two empty texts for a file."""
    found = IN_QUEUE.fullmatch(letter.record_source)
    if found is None or letter.arrived_at is None:
        return "", ""
    return found["source"], found["unit"]


def _together(records: Sequence[tuple[Letter, bytes]], source: str, unit: str) -> Payload:
    texts = [text for _, text in records]
    skipped = len(source) + len(unit) + 2
    places = [letter.record_source[skipped:] for letter, _ in records]
    arrivals = np.array([letter.rejected_at for letter, _ in records], np.int64)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    starts = np.cumsum(lengths + 1) - lengths - 1
    messages = Messages(starts, places, arrivals, unit)
    return Payload(b"\n".join(texts), source, None, (starts, lengths), messages=messages)


def _alone(letter: Letter, text: bytes) -> Payload:
    elements = (np.zeros(1, np.int64), np.array([len(text)], np.int64))
    found = IN_FILE.fullmatch(letter.record_source)
    if found is None:
        return Payload(text, letter.record_source, None, elements, arrived_at=letter.arrived_at)
    offset = int(found["place"])
    return Payload(text, found["source"], offset, elements, arrived_at=letter.arrived_at)
