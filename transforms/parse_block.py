"""From a block of text to readings and rejected records: ParseReadings without Beam."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.message_formats import MESSAGE_FORMATS, MessageFormat
from schemas.reasons import Causes
from transforms.check_arrival import ArrivalRule
from transforms.fields import Fields
from transforms.interpret import UNSURE, Columns, interpret, reading_batch
from transforms.json_fields import read_json
from transforms.payload import Messages, Payload
from transforms.record_template import RecordTemplate
from transforms.records import split_lines
from transforms.rejections import place_in, places_in, rejections
from transforms.spans import PADDING, Bytes, Ints, Spans, padded
from transforms.unusual_rows import unusual_rows

__all__ = ["BlockParser", "Parsed"]

MAX_TEMPLATES = 4
SAMPLES = 8
MIN_SHARE = 0.2
"""A template that takes a smaller share of the records it is tried on is not worth its cost."""
RARE = 0.1
"""For a smaller share of a block's records no template is learnt."""
LEARN_EVERY = 16
"""Blocks from one vain attempt to learn a template to the next."""
ROWS = 8192
"""Records that a template reads at a time: their columns stay in the processor's caches."""


@dataclass(frozen=True)
class Parsed:
    """What a block held.

    Attributes:
        read: how many records.
        readings: batches of schema `READINGS`.
        rejected: batches of schema `REJECTED`, with those that are too late.
        too_late: batches of schema `READINGS`.
    """

    read: int
    readings: list[pa.RecordBatch] = field(default_factory=list)
    rejected: list[pa.RecordBatch] = field(default_factory=list)
    too_late: list[pa.RecordBatch] = field(default_factory=list)


@dataclass(frozen=True)
class _Origin:
    """Where a block comes from.

    Attributes:
        source: the file, topic or address.
        offset: where in it the block begins, in bytes; None where that means nothing.
        arrived_at: when it was brought, in microseconds since the epoch; None for files.
        messages: the messages that it joins; None where it is one piece.
    """

    source: str
    offset: int | None
    arrived_at: int | None
    messages: Messages | None = None

    @property
    def place(self) -> str:
        """Where the block begins, as one text."""
        if self.messages is None or not len(self.messages.starts):
            return place_in(self.source, self.offset)
        return place_in(self.source, self.messages.places[0], self.messages.unit)

    def arrivals(self, starts: Ints) -> int | Ints | None:
        """When the records that begin there, in the padded text, were brought."""
        if self.messages is None:
            return self.arrived_at
        return self.messages.arrived_at[self._numbers(starts)]

    def places(self, starts: Ints) -> pa.Array:
        """Where the records that begin there, in the padded text, stand in the source."""
        if self.messages is not None:
            known = self.messages.places
            texts = pa.array(known).take(pa.array(self._numbers(starts)))
            return places_in(self.source, texts, self.messages.unit)
        if self.offset is None:
            return pa.repeat(self.source, len(starts))
        return places_in(self.source, pa.array(starts - PADDING + self.offset))

    def _numbers(self, starts: Ints) -> Ints:
        """The number of the message that holds each place of the padded text."""
        assert self.messages is not None  # noqa: S101 - the callers have looked
        return np.searchsorted(self.messages.starts, starts - PADDING, side="right") - 1


class BlockParser:
    """Parses blocks of one message format; it remembers the templates that fitted.

    Args:
        message_format: how the messages are written.
        hash_raw: as for `ParseReadings`.
        arrival_rule: which readings are too late or from the future; None: none is.
    """

    def __init__(
        self,
        message_format: MessageFormat = MESSAGE_FORMATS["regional"],
        *,
        hash_raw: bool = True,
        arrival_rule: ArrivalRule | None = None,
    ) -> None:
        self._format = message_format
        self._hash_raw, self._arrival_rule = hash_raw, arrival_rule
        self._causes = Causes()
        self._templates: list[RecordTemplate] = []
        self._learn_in = 0

    def parse_payload(self, payload: Payload) -> Parsed:
        """Reads what a source has brought.

        Args:
            payload: lines, or records that are already cut out.

        Returns:
            As `parse`.
        """
        origin = _Origin(payload.source, payload.offset, payload.arrived_at, payload.messages)
        if payload.elements is None:
            return self._parse(split_lines(payload.data), origin, lines=True)
        starts, lengths = payload.elements
        text = padded(payload.data) if isinstance(payload.data, bytes) else payload.data
        records = Spans(text, np.asarray(starts) + PADDING, np.asarray(lengths))
        return self._parse(records, origin, lines=False)

    def parse(
        self,
        data: bytes | Bytes,
        source: str,
        offset: int | None = 0,
        *,
        arrived_at: int | None = None,
    ) -> Parsed:
        """Reads a block of lines.

        Args:
            data: JSON lines, as `split_lines` takes them; a line may be an array of readings.
            source: where the block comes from.
            offset: where in the source it begins, in bytes; None where that means nothing.
            arrived_at: when it was brought, in microseconds since the epoch; None for files.

        Returns:
            Every record as a reading or as a rejected record, in the order of the block except
            that those which fitted a template come first.
        """
        return self._parse(split_lines(data), _Origin(source, offset, arrived_at), lines=True)

    def parse_records(
        self,
        records: Spans,
        source: str,
        offset: int | None = 0,
        *,
        arrived_at: int | None = None,
        lines: bool = False,
    ) -> Parsed:
        """Reads records that are already cut out of their text.

        Args:
            records: the records, without blanks around them, in rising order.
            source: where they come from.
            offset: where in the source the text of the spans begins, in bytes.
            arrived_at: as for `parse`.
            lines: no record holds a newline.
        """
        return self._parse(records, _Origin(source, offset, arrived_at), lines=lines)

    def _parse(self, records: Spans, origin: _Origin, *, lines: bool) -> Parsed:
        parsed = Parsed(len(records))
        if not len(records):
            return parsed
        rest = self._by_template(records, parsed, origin, lines=lines)
        if len(rest) == len(records):
            self._by_json(records, records, parsed, origin)
        elif len(rest):
            left = records.take(rest)
            self._by_json(left, left.compact(), parsed, origin)
        return parsed

    def _by_template(
        self, records: Spans, parsed: Parsed, origin: _Origin, *, lines: bool
    ) -> npt.NDArray[np.int64]:
        """Adds what fits a template and is surely good or bad; returns the rows that are left."""
        rest = np.arange(len(records))
        useful = []
        for template in self._templates:
            before = len(rest)
            rest = self._read(template, records, rest, parsed, origin, lines=lines)
            if before - len(rest) >= MIN_SHARE * before:
                useful.append(template)
        self._learn_in -= 1
        while len(rest) and self._learn_in <= 0:
            rare = len(rest) <= RARE * len(records)
            new = self._learn(records, rest, useful, rare=rare)
            if new is None:
                self._learn_in = LEARN_EVERY
                break
            before = len(rest)
            rest = self._read(new, records, rest, parsed, origin, lines=lines)
            alike = [number for number, old in enumerate(useful) if new.is_like(old)]
            if alike:
                useful[alike[0]] = new
            elif before - len(rest) >= MIN_SHARE * before:
                useful.append(new)
            else:
                self._learn_in = LEARN_EVERY
        self._templates = useful[:MAX_TEMPLATES]
        return rest

    def _learn(
        self,
        records: Spans,
        rows: npt.NDArray[np.int64],
        known: list[RecordTemplate],
        *,
        rare: bool,
    ) -> RecordTemplate | None:
        """A wider form of a known template, else the commonest new one, of a few of the rows."""
        sample = rows[np.linspace(0, len(rows) - 1, SAMPLES).astype(np.int64)]
        learnt: list[RecordTemplate] = []
        counts = Counter[int]()
        for row in sample.tolist():
            template = RecordTemplate.learn(records.text(row), self._format)
            if template is None:
                continue
            alike = [n for n, other in enumerate(learnt) if template.is_like(other)]
            place = alike[0] if alike else len(learnt)
            learnt[place : place + 1] = [learnt[place].joined(template) if alike else template]
            counts[place] += 1
        for old in known:
            for template in learnt:
                if template.is_like(old) and old.joined(template) != old:
                    return old.joined(template)
        new = [n for n in counts if not any(learnt[n].is_like(old) for old in known)]
        if rare or not new or len(known) == MAX_TEMPLATES:
            return None
        return learnt[max(new, key=counts.__getitem__)]

    def _read(
        self,
        template: RecordTemplate,
        records: Spans,
        rows: npt.NDArray[np.int64],
        parsed: Parsed,
        origin: _Origin,
        *,
        lines: bool,
    ) -> npt.NDArray[np.int64]:
        """Adds the rows that fit the template and are surely good or bad; returns the others."""
        form = self._format
        left = records if len(rows) == len(records) else records.take(rows).compact()
        found, pieces = [], []
        for begin in range(0, len(left), ROWS):
            part = left.take(np.s_[begin : begin + ROWS])
            fits, by_key = template.match(part, form)
            if len(fits):
                found.append(fits + begin)
                pieces.append(interpret(Fields(fits, by_key), form, self._causes, strict=True))
        if not found:
            return rows
        fitting, columns = np.concatenate(found), Columns.join(pieces)
        unusual = unusual_rows(left, fitting, template.quotes, lines=lines)
        sure = (columns.causes != UNSURE) & ~unusual[fitting]
        starts = records.starts if left is records else records.starts[rows]
        good = np.flatnonzero((columns.causes == 0) & sure)
        if len(good):
            arrivals = origin.arrivals(starts[fitting[good]])
            batch = reading_batch(columns, good, form, origin.place, arrivals)
            self._take(batch, left, starts, fitting[good], parsed, origin)
        if len(good) == len(rows):
            return rows[:0]
        bad = np.flatnonzero((columns.causes != 0) & sure)
        if len(bad):
            which = fitting[bad]
            self._reject(left.take(which), columns.causes[bad], starts[which], parsed, origin)
        others = np.ones(len(rows), bool)
        others[fitting[sure]] = False
        return rows[others]

    def _by_json(self, records: Spans, texts: Spans, parsed: Parsed, origin: _Origin) -> None:
        """Adds the records, whose text may stand elsewhere too, as what they are."""
        read = read_json(texts, self._format.keys)
        columns = interpret(read.fields, self._format, self._causes)
        cause = np.zeros(len(records), np.uint8)
        cause[read.fields.rows] = columns.causes
        for wrong, reason, detail in (
            (~read.is_utf8, "not_json", "the record is not valid UTF-8"),
            (read.is_utf8 & ~read.is_json, "not_json", "the record is not valid JSON"),
            (read.is_json & ~read.is_object, "not_an_object", "the record is not a JSON object"),
        ):
            if wrong.any():
                cause[wrong] = self._causes.number(reason, detail)
        good = np.flatnonzero(columns.causes == 0)
        if len(good):
            rows = read.fields.rows[good]
            arrivals = origin.arrivals(records.starts[rows])
            batch = reading_batch(columns, good, self._format, origin.place, arrivals)
            self._take(batch, texts, records.starts, rows, parsed, origin)
        bad = np.flatnonzero(cause)
        if len(bad):
            self._reject(texts.take(bad), cause[bad], records.starts[bad], parsed, origin)

    def _take(
        self,
        batch: pa.RecordBatch,
        texts: Spans,
        starts: Ints,
        rows: Ints,
        parsed: Parsed,
        origin: _Origin,
    ) -> None:
        """Adds the readings of some rows of the texts, as what their arrival makes of them."""
        rule = self._arrival_rule
        cause = None if rule is None else rule.causes(batch, self._causes)
        if cause is None:
            parsed.readings.append(batch)
            return
        wrong = np.flatnonzero(cause)
        self._reject(texts.take(rows[wrong]), cause[wrong], starts[rows[wrong]], parsed, origin)
        reasons = np.array(["", *self._causes.reasons])
        late = reasons[cause] == "too_late"
        for kept, batches in ((cause == 0, parsed.readings), (late, parsed.too_late)):
            if kept.any():
                batches.append(batch.filter(pa.array(kept)))

    def _reject(
        self, texts: Spans, cause: Bytes, starts: Ints, parsed: Parsed, origin: _Origin
    ) -> None:
        """Adds rejected records; they begin at the starts, which count the padding."""
        places = origin.places(starts)
        parsed.rejected.append(
            rejections(texts, cause, self._causes, places, hashed=self._hash_raw)
        )
