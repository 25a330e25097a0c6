"""ParseReadings: from bytes to batches of readings, with every other record kept and explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.windowed_value import WindowedValue

from schemas.message_formats import AUTO, MessageFormat, open_formats
from schemas.reading import READINGS
from transforms.allocator import keep_freed_memory
from transforms.balance import REASONS, count
from transforms.batches import stamped
from transforms.check_arrival import ArrivalRule
from transforms.measures import measure_arrivals
from transforms.parse_block import BlockParser
from transforms.parsed import Parsed
from transforms.payload import Oversized, Payload
from transforms.reached import only_reached
from transforms.records import split_array
from transforms.rejections import one_rejection, place_in
from transforms.spans import PADDING, Spans, padded

__all__ = ["ParseReadings", "ParsedReadings"]

Message: TypeAlias = Payload | Oversized | bytes | str
REJECTED, TOO_LATE = "rejected", "too_late"
FLUSH_FROM = 1 << 22


@dataclass(frozen=True)
class ParsedReadings:
    """The outputs of `ParseReadings`.

    Attributes:
        readings: batches of schema `schemas.reading.READINGS`.
        rejected: batches of schema `schemas.reading.REJECTED`: records that are no readings, and
            readings that are too late or from the future.
        too_late: batches of schema `READINGS` with the readings that are too late, for an archive.
    """

    readings: beam.PCollection[pa.RecordBatch]
    rejected: beam.PCollection[pa.RecordBatch]
    too_late: beam.PCollection[pa.RecordBatch]

    def __or__(self, transform: beam.PTransform) -> Any:
        """The readings go on; `parsed | AssignRegions()` is `parsed.readings | …`."""
        return self.readings | transform


class ParseReadings(beam.PTransform[beam.PCollection[Message], ParsedReadings]):
    """Parses JSON messages into batches of readings.

    Elements in are `bytes` or `str`, each one message (an object, or an array of objects), or
    `Payload`s, each a block of JSON lines: far fewer elements, so far faster. The result has three
    outputs, `readings`, `rejected` and `too_late`; `|` goes on with the readings. Batches carry
    their oldest event time as their timestamp.

    What each field must be, and the reasons of rejection, are in docs/messages.md. The counters
    `read`, `rejected` and `too_late` of the namespace `balance` count readings; a message that is
    wrong as a whole is one. The histogram `latency/event_to_arrival` has how late they came.

    Args:
        message_format: how the messages are written: `auto` (each message is read by the format
            that fits it best), a name of `schemas.message_formats.MESSAGE_FORMATS`, or what else
            `schemas.message_formats.open_formats` takes, such as the path of a format's file.
        hash_raw: False leaves `raw_sha256` NULL where `raw` is the whole record: for a sink, such
            as the local store, that computes it when it is asked for.
        allowed_lateness: for streams: a reading that arrives more seconds after its event time is
            `too_late`. None, and a reading without an arrival: it never is.
        max_future: for streams: a reading whose event time is more seconds ahead of its arrival is
            rejected as `from_the_future`; else one broken clock could move the watermark.

    Raises:
        ValueError: there is no such message format, or a number is negative.
    """

    def __init__(
        self,
        message_format: str = AUTO,
        *,
        hash_raw: bool = True,
        allowed_lateness: int | None = None,
        max_future: int | None = None,
    ) -> None:
        super().__init__()
        self._formats, self._hash_raw = open_formats(message_format), hash_raw
        self._arrival_rule = ArrivalRule(allowed_lateness, max_future)

    def expand(self, pcoll: beam.PCollection[Message]) -> ParsedReadings:
        parse = _Parse(self._formats, hash_raw=self._hash_raw, rule=self._arrival_rule)
        parsed = pcoll | "Parse" >> beam.ParDo(parse).with_outputs(
            REJECTED, TOO_LATE, main="readings"
        )
        outputs = (parsed.readings, parsed[REJECTED], parsed[TOO_LATE])
        for output in outputs:
            output.element_type = pa.RecordBatch
        return ParsedReadings(*outputs)


class _Parse(beam.DoFn):
    """Messages of a bundle are gathered, so that the parser sees thousands at once."""

    def __init__(
        self, formats: tuple[MessageFormat, ...], *, hash_raw: bool, rule: ArrivalRule
    ) -> None:
        self._formats, self._hash_raw, self._rule = formats, hash_raw, rule

    def setup(self) -> None:
        keep_freed_memory()
        self._parser = BlockParser(
            self._formats,
            hash_raw=self._hash_raw,
            arrival_rule=self._rule,
        )

    def start_bundle(self) -> None:
        self._messages: dict[Any, _Messages] = {}

    def process(
        self,
        element: Message,
        window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        if isinstance(element, Payload):
            yield from _outputs(self._parser.parse_payload(element), window)
            if element.reached is not None:
                # After all else of the payload, so that who has stored this has stored that.
                last = only_reached(READINGS, element.reached)
                # Prism orders a bundle by time: this must come last there, too.
                yield WindowedValue(last, window.max_timestamp() - 1, (window,))
        elif isinstance(element, Oversized):
            yield from _outputs(_too_large(element), window)
        else:
            messages = self._messages.setdefault(window, _Messages())
            messages.add(element)
            if messages.size >= FLUSH_FROM:
                del self._messages[window]
                for parsed in self._parse_messages(messages):
                    yield from _outputs(parsed, window)

    def finish_bundle(self) -> Iterator[Any]:
        for window, messages in self._messages.items():
            for parsed in self._parse_messages(messages):
                for output in _outputs(parsed, window):
                    if isinstance(output, TaggedOutput) and output.tag == REJECTED:
                        at = window.max_timestamp()
                        rejected = WindowedValue(output.value, at, (window,))
                        yield TaggedOutput(REJECTED, rejected)
                    else:
                        yield output

    def _parse_messages(self, messages: _Messages) -> Iterator[Parsed]:
        if messages.on_one_line:
            yield self._parser.parse(b"\n".join(messages.on_one_line), "message", None)
        if messages.on_many_lines:
            records = _cut(messages.on_many_lines)
            yield self._parser.parse_records(records, "message", None)


class _Messages:
    """Messages of one window, those of many lines apart: they cannot be joined by line breaks."""

    def __init__(self) -> None:
        self.on_one_line: list[bytes] = []
        self.on_many_lines: list[bytes] = []
        self.size = 0

    def add(self, message: bytes | str) -> None:
        text = message if isinstance(message, bytes) else message.encode()
        self.size += len(text)
        (self.on_many_lines if b"\n" in text else self.on_one_line).append(text)


def _cut(messages: list[bytes]) -> Spans:
    """The records of messages, each an object or an array of them, over many lines."""
    texts = [text for message in messages if (text := message.strip(b" \t\r\n"))]
    buffer = padded(b"\n".join(texts))
    lengths = np.array([len(text) for text in texts], np.int64)
    starts = PADDING + np.cumsum(lengths + 1) - lengths - 1
    is_array = buffer[starts] == ord("[")
    if is_array.any():
        elements = split_array(buffer, starts[is_array], lengths[is_array])
        starts = np.concatenate([starts[~is_array], elements.starts])
        lengths = np.concatenate([lengths[~is_array], elements.lengths])
        order = np.argsort(starts, kind="stable")
        starts, lengths = starts[order], lengths[order]
    return Spans(buffer, starts, lengths)


def _too_large(record: Oversized) -> Parsed:
    rejected = one_rejection(
        reason="too_large",
        detail=f"the record has {record.size:,} bytes, more than can be held; a large array can be "
        "read from a .json file",
        raw=record.head,
        raw_size=record.size,
        raw_sha256=record.sha256,
        source=place_in(record.source, record.offset),
    )
    return Parsed(rejected=[rejected])


def _outputs(parsed: Parsed, window: Any) -> Iterator[Any]:
    """The batches as a DoFn yields them: readings stay in the window of their messages."""
    count("read", parsed.read)
    for batch in parsed.readings:
        measure_arrivals(batch)
        yield _in_window(batch, window)
    for batch in parsed.too_late:
        measure_arrivals(batch)
        yield TaggedOutput(TOO_LATE, _in_window(batch, window))
    for batch in parsed.rejected:
        for reason in batch.column("reason").value_counts().to_pylist():
            if reason["values"] == TOO_LATE:
                count("too_late", reason["counts"])
            else:
                count("rejected", reason["counts"])
                count(reason["values"], reason["counts"], REASONS)
        yield TaggedOutput(REJECTED, batch)


def _in_window(batch: pa.RecordBatch, window: Any) -> WindowedValue:
    value = stamped(batch)
    return WindowedValue(value.value, value.timestamp, (window,))
