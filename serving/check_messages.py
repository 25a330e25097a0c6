"""Which messages are readings, and all that is wrong with those that are none.

The judge is the parser of the pipeline itself, so what is taken here is counted there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from schemas.message_formats import open_formats
from serving.name_faults import Fault, all_faults, fault_of
from transforms.check_arrival import ArrivalRule
from transforms.parse_block import BlockParser
from transforms.payload import Messages, Payload

__all__ = ["Checked", "MessageChecker"]

SOURCE = "request"
FORMATS = "device,device_message"


@dataclass(frozen=True)
class Checked:
    """What came of some messages.

    Attributes:
        readings: of the good ones, if none is bad: batches of schema `READINGS`.
        faults: what is wrong with the bad ones, by their number.
    """

    readings: list[pa.RecordBatch] = field(default_factory=list)
    faults: dict[int, list[Fault]] = field(default_factory=dict)


class MessageChecker:
    """Checks device messages. It is for one thread at a time.

    Args:
        max_future: seconds that an event time may be ahead of the arrival.
        max_message: bytes of a message, at most.
        most_named: of so many bad messages every fault is named, of more only the first.
    """

    def __init__(self, max_future: int, max_message: int, most_named: int = 1000) -> None:
        rule, formats = ArrivalRule(None, max_future), open_formats(FORMATS)
        self._examples = [example for one in formats for example in one.examples]
        self._parser = BlockParser(formats, hash_raw=False, arrival_rule=rule)
        # Bad messages are parsed apart: they shall not spoil what has been learnt of good ones.
        self._namer = BlockParser(formats, hash_raw=False, arrival_rule=rule)
        self._max_message, self._most_named = max_message, most_named

    def check(self, texts: list[bytes], arrived_at: int | None = None) -> Checked:
        """Looks at messages.

        Args:
            texts: the messages.
            arrived_at: when they came, in microseconds since the epoch; now by default.
        """
        now = time.time_ns() // 1000 if arrived_at is None else arrived_at
        large = [number for number, text in enumerate(texts) if len(text) > self._max_message]
        detail = f"the message has more than {self._max_message:,} bytes"
        faults = {number: [Fault(None, "too_large", detail)] for number in large}
        small = [number for number in range(len(texts)) if number not in faults]
        chosen = [texts[number] for number in small] if large else texts
        readings, first = _parse(self._parser, chosen, now)
        bad = sorted(first)
        named = [[first[row]] for row in bad[self._most_named :]]
        named = self._name([chosen[row] for row in bad[: self._most_named]], now) + named
        faults |= {small[row]: found for row, found in zip(bad, named, strict=True)}
        return Checked([] if faults else readings, dict(sorted(faults.items())))

    def _name(self, texts: list[bytes], now: int) -> list[list[Fault]]:
        return all_faults(texts, lambda tried: _parse(self._namer, tried, now)[1], self._examples)


def _parse(
    parser: BlockParser, texts: list[bytes], now: int
) -> tuple[list[pa.RecordBatch], dict[int, Fault]]:
    """The readings of the good messages, and the first fault of each bad one, by number."""
    if not texts:
        return [], {}
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    starts = np.cumsum(lengths + 1) - lengths - 1
    arrivals = np.full(len(texts), now)
    messages = Messages(starts, np.arange(len(texts)), arrivals, "message")
    joined = Payload(b"\n".join(texts), SOURCE, None, (starts, lengths), messages=messages)
    parsed = parser.parse_payload(joined)
    faults = {}
    for batch in parsed.rejected:
        columns = (batch.column(name).to_pylist() for name in ("source", "reason", "detail"))
        for source, reason, detail in zip(*columns, strict=True):
            faults[int(source.rpartition("=")[2])] = fault_of(reason, detail)
    return parsed.readings, faults
