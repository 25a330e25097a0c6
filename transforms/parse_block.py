"""From a block of text to readings and rejected records: ParseReadings without Beam."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from schemas.message_formats import AUTO, MessageFormat, open_formats
from schemas.reasons import Causes
from transforms.bare_numbers import read_bare_numbers
from transforms.blame import UNSURE
from transforms.check_arrival import ArrivalRule
from transforms.columns import Columns
from transforms.fields import Field, Fields
from transforms.interpret import interpret
from transforms.json_entries import read_entries
from transforms.json_fields import JsonPart, read_json
from transforms.layouts import FormatSet
from transforms.origin import Origin
from transforms.outcome import Outcome, Rules
from transforms.parsed import Parsed, Records
from transforms.payload import Payload
from transforms.piecemeal import read_piecemeal
from transforms.record_template import RecordTemplate
from transforms.records import split_lines
from transforms.spans import PADDING, Bytes, Ints, Spans, padded
from transforms.template_memory import OrderMemory, TemplateMemory
from transforms.template_tree import match_templates
from transforms.unusual_rows import unusual_rows

__all__ = ["BlockParser", "Parsed"]

ROWS, TEXT = 8192, 5 << 18
"""Records, and bytes of them, that a template reads at a time: they stay in the processor's
caches."""
FEWEST = 1024
MOST_AT_ONCE = 4
"""So many times more are read at a time, at most, where there are many templates."""
MOST = 0.8
"""Where so many of the records are of one layout, it is cheaper to read all by it."""

_log = logging.getLogger(__name__)


class BlockParser:
    """Parses blocks of messages; it remembers the templates that fitted.

    Args:
        message_format: how the messages are written: as `schemas.message_formats.open_formats`
            takes it, or what that gives.
        hash_raw: as for `ParseReadings`.
        arrival_rule: which readings are too late or from the future; None: none is.

    Raises:
        ValueError: there is no such message format.
    """

    def __init__(
        self,
        message_format: str | MessageFormat | Sequence[MessageFormat] = AUTO,
        *,
        hash_raw: bool = True,
        arrival_rule: ArrivalRule | None = None,
    ) -> None:
        if isinstance(message_format, str):
            message_format = open_formats(message_format)
        elif isinstance(message_format, MessageFormat):
            message_format = (message_format,)
        self._formats = FormatSet(message_format)
        self._causes = Causes()
        self._rules = Rules(self._formats, self._causes, arrival_rule, hash_raw)
        self._memory = TemplateMemory(self._formats)
        self._orders = OrderMemory(self._formats)

    def parse_payload(self, payload: Payload) -> Parsed:
        """Reads what a source has brought.

        Args:
            payload: lines, or records that are already cut out.

        Returns:
            As `parse`.
        """
        if payload.elements is None:
            records, lines = split_lines(payload.data), True
        else:
            starts, lengths = payload.elements
            text = padded(payload.data) if isinstance(payload.data, bytes) else payload.data
            records, lines = Spans(text, np.asarray(starts) + PADDING, np.asarray(lengths)), False
        origin = Origin(
            payload.source, payload.offset, payload.arrived_at, payload.messages, records.starts
        )
        return self._parse(records, origin, lines=lines)

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
            data: JSON lines, as `split_lines` takes them; a line may be an array of messages.
            source: where the block comes from.
            offset: where in the source it begins, in bytes; None where that means nothing.
            arrived_at: when it was brought, in microseconds since the epoch; None for files.

        Returns:
            Every record as readings or as rejected ones, in the order of the block except
            that those which fitted a template come first.
        """
        records = split_lines(data)
        origin = Origin(source, offset, arrived_at, None, records.starts)
        return self._parse(records, origin, lines=True)

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
        origin = Origin(source, offset, arrived_at, None, records.starts)
        return self._parse(records, origin, lines=lines)

    def _parse(self, records: Spans, origin: Origin, *, lines: bool) -> Parsed:
        outcome = Outcome(self._rules, origin)
        if not len(records):
            return outcome.parsed
        try:
            self._read_all(records, outcome, lines=lines)
        except MemoryError:
            raise
        except Exception as error:
            _log.exception("%s: the parser fails; the records are read one by one", origin.place)
            return read_piecemeal(
                records, error, lambda: Outcome(self._rules, origin), self._read_any, self._causes
            )
        return outcome.parsed

    def _read_all(self, records: Spans, outcome: Outcome, *, lines: bool) -> None:
        if self._formats.formats[0].bare:
            self._by_value(records, outcome)
            return
        rest = self._by_template(records, outcome, lines=lines)
        if not len(rest):
            return
        left = Records(records, records.starts).take(rest)
        left = left.take(self._by_order(left, outcome, lines=lines))
        if len(left):
            self._by_json(left, outcome)

    def _read_any(self, records: Spans, outcome: Outcome) -> None:
        """Adds records of any kind by the general way."""
        if self._formats.formats[0].bare:
            self._by_value(records, outcome)
        else:
            self._by_json(Records(records.compact(), records.starts), outcome)

    def _by_template(
        self, records: Spans, outcome: Outcome, *, lines: bool
    ) -> npt.NDArray[np.int64]:
        """Adds what fits a template and is surely good or bad; returns the rows that are left."""

        def read(templates: Sequence[RecordTemplate], rows: Ints) -> tuple[Ints, Mapping[int, int]]:
            return self._read(templates, records, rows, outcome, lines=lines)

        return self._memory.read(records, read)

    def _read(
        self,
        templates: Sequence[RecordTemplate],
        records: Spans,
        rows: Ints,
        outcome: Outcome,
        *,
        lines: bool,
    ) -> tuple[Ints, Mapping[int, int]]:
        """Adds the rows that fit a template and are surely good or bad.

        Returns:
            The other rows, and how many each template took.
        """
        whole = len(rows) == len(records)
        left = records if whole else records.take(rows).compact()
        starts = records.starts if whole else records.starts[rows]
        numbers = {id(template): number for number, template in enumerate(templates)}
        quotes = [template.quotes for template in templates]
        fitting, by, pieces = [], [], []
        rows_of_text = TEXT * len(left) // max(int(left.lengths.sum()), 1)
        at_once = max(min(ROWS, rows_of_text), FEWEST) * min(len(templates), MOST_AT_ONCE)
        for begin in range(0, len(left), at_once):
            part = left.take(np.s_[begin : begin + at_once])
            places = np.arange(begin, begin + len(part))
            for template, fields in match_templates(templates, part, places):
                pieces.append(interpret(fields, template.known, self._causes, strict=True))
                fitting.append(fields.rows)
                by.append(np.full(len(fields.rows), numbers[id(template)]))
        if not pieces:
            return rows, {}
        columns, fits, template_of = Columns.join(pieces), _joined(fitting), _joined(by)
        expected = np.array(quotes).take(template_of)
        unsure = unusual_rows(left, fits, expected, lines=lines)
        unsure[columns.rows[columns.causes == UNSURE]] = True
        kept = np.flatnonzero(~unsure[columns.rows]) if unsure.any() else np.arange(len(columns))
        outcome.add(columns, kept, Records(left, starts))
        fitting_and_sure = ~unsure[fits]
        taken = np.bincount(template_of[fitting_and_sure], minlength=len(templates))
        others = np.delete(rows, fits[fitting_and_sure])
        return others, dict(enumerate(taken.tolist()))

    def _by_order(self, records: Records, outcome: Outcome, *, lines: bool) -> Ints:
        """Adds the flat objects whose keys come in the usual order; returns the rows left."""
        every, read = np.arange(len(records)), self._orders.read(records.texts)
        if read is None:
            return every
        fitting = read.rows[read.fits]
        unusual = unusual_rows(records.texts, fitting, read.quotes[read.fits], lines=lines)
        sure = read.fits & ~unusual[read.rows]
        missing = Field.missing(len(read.rows), records.texts.buffer)
        by_path = {path: read.fields.get(path, missing) for path in self._formats.keys}
        self._by_layout(JsonPart(Fields(read.rows, by_path), sure), outcome, records)
        return np.delete(every, read.rows[sure])

    def _by_json(self, records: Records, outcome: Outcome) -> None:
        """Adds records of any kind as what they are."""
        texts = records.texts
        read = read_json(texts, self._formats.keys, self._formats.likely_keys(texts))
        cause = np.zeros(len(texts), np.uint16)
        for wrong, reason, detail in (
            (~read.is_utf8, "not_json", "the record is not valid UTF-8"),
            (read.is_utf8 & ~read.is_json, "not_json", "the record is not valid JSON"),
            (read.is_json & ~read.is_object, "not_an_object", "the record is not a JSON object"),
        ):
            if wrong.any():
                cause[wrong] = self._causes.number(reason, detail)
        outcome.refuse(np.flatnonzero(cause), cause[cause > 0], records)
        for part in read.parts:
            self._by_layout(part, outcome, records)

    def _by_layout(self, part: JsonPart, outcome: Outcome, records: Records) -> None:
        layouts = self._formats.recognise(part.fields)
        for number in np.unique(layouts[part.known]).tolist():
            rows = np.flatnonzero((layouts == number) & part.known)
            if number < 0:
                one = self._formats.formats[-1 - number]
                detail = f"the field {one.version_path} is not one of {', '.join(one.layouts)}"
                cause = np.full(len(rows), self._causes.number("wrong_type", detail), np.uint16)
                outcome.refuse(part.fields.rows[rows], cause, records)
                continue
            known = self._formats.layouts[number]
            fields = part.fields.only(known.layout.keys)
            # Where most are of one layout, all are read by it: taking rows out costs more.
            most = len(rows) > MOST * len(layouts) and known.layout.entries is None
            fields = fields if most or len(rows) == len(layouts) else fields.take(rows)
            if known.layout.entries is not None:
                fields = read_entries(fields, known.layout)
            columns = interpret(fields, known, self._causes)
            outcome.add(columns, rows if most else np.arange(len(columns)), records)

    def _by_value(self, records: Spans, outcome: Outcome) -> None:
        """Adds records that are bare numbers."""
        known = self._formats.layouts[0]
        whole = self._formats.formats[0].schema.get("type") == "integer"
        columns = read_bare_numbers(records, known, outcome.origin, self._causes, whole=whole)
        outcome.add(columns, np.arange(len(columns)), Records(records, records.starts))


def _joined(pieces: Sequence[Ints]) -> Ints:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
