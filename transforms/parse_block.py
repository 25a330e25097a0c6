"""From a block of text to readings and rejected records: ParseReadings without Beam."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.message_formats import MESSAGE_FORMATS, MessageFormat
from schemas.reasons import Causes
from transforms.fields import Field, Fields
from transforms.interpret import interpret, reading_batch
from transforms.json_fields import read_json
from transforms.record_template import RecordTemplate, unusual_rows
from transforms.records import split_lines
from transforms.rejections import place_in, rejections
from transforms.spans import PADDING, Bytes, Spans

__all__ = ["BlockParser", "Parsed"]

MAX_TEMPLATES = 4
MIN_SHARE = 0.1
"""Below this share of records that fit, templates are not worth their cost."""
RETRY_EVERY = 16


@dataclass(frozen=True)
class Parsed:
    """What a block held.

    Attributes:
        read: how many records.
        readings: batches of schema `READINGS`.
        rejected: batches of schema `REJECTED`.
    """

    read: int
    readings: list[pa.RecordBatch] = field(default_factory=list)
    rejected: list[pa.RecordBatch] = field(default_factory=list)


class BlockParser:
    """Parses blocks of one message format; it remembers the templates that fitted.

    Args:
        message_format: how the messages are written.
    """

    def __init__(self, message_format: MessageFormat = MESSAGE_FORMATS["regional"]) -> None:
        self._format = message_format
        self._causes = Causes()
        self._templates: list[RecordTemplate] = []
        self._blocks = 0
        self._use_templates = True

    def parse(self, data: bytes | Bytes, source: str, offset: int | None = 0) -> Parsed:
        """Reads a block of lines.

        Args:
            data: JSON lines, as `split_lines` takes them; a line may be an array of readings.
            source: where the block comes from.
            offset: where in the source it begins, in bytes; None where that means nothing.

        Returns:
            Every record as a reading or as a rejected record, in the order of the block except
            that readings which fitted a template come first.
        """
        return self.parse_records(split_lines(data), source, offset, lines=True)

    def parse_records(
        self, records: Spans, source: str, offset: int | None = 0, *, lines: bool = False
    ) -> Parsed:
        """Reads records that are already cut out of their text.

        Args:
            records: the records, without blanks around them, in rising order.
            source: where they come from.
            offset: where in the source the text of the spans begins, in bytes.
            lines: no record holds a newline.
        """
        parsed = Parsed(len(records))
        if not len(records):
            return parsed
        place = place_in(source, offset)
        rest = np.arange(len(records))
        self._blocks += 1
        if self._use_templates or self._blocks % RETRY_EVERY == 0:
            rest = self._by_template(records, parsed, place, lines=lines)
        if len(rest):
            self._by_json(records.take(rest), parsed, source, offset)
        return parsed

    def _by_template(
        self, records: Spans, parsed: Parsed, place: str, *, lines: bool
    ) -> npt.NDArray[np.int64]:
        """Adds the good readings that fit a template; returns the rows that are left."""
        rest = np.arange(len(records))
        enough = MIN_SHARE * len(records)
        tried = 0
        while len(rest) and (tried < len(self._templates) or len(rest) > enough):
            if tried == len(self._templates):
                template = RecordTemplate.learn(
                    records.text(int(rest[len(rest) // 2])), self._format.required
                )
                if template is None or template in self._templates or tried == MAX_TEMPLATES:
                    break
                self._templates.append(template)
            template = self._templates[tried]
            tried += 1
            left = records if len(rest) == len(records) else records.take(rest)
            fits, by_key = template.match(left, self._format.keys, self._format.value)
            if not fits.any():
                continue
            fits &= ~unusual_rows(left, fits, template.quotes, lines=lines)
            fitting = np.flatnonzero(fits)
            columns = interpret(_fields(by_key, fitting), self._format, Causes(), strict=True)
            good = np.flatnonzero(columns.causes == 0)
            if len(good):
                parsed.readings.append(reading_batch(columns, good, self._format, place))
                rest = np.delete(rest, fitting[good])
        self._use_templates = len(rest) <= len(records) - enough
        if not self._use_templates:
            self._templates.clear()
        return rest

    def _by_json(self, records: Spans, parsed: Parsed, source: str, offset: int | None) -> None:
        """Adds the records as what they are, whatever they are."""
        read = read_json(records, self._format.keys)
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
            place = place_in(source, offset)
            parsed.readings.append(reading_batch(columns, good, self._format, place))
        bad = np.flatnonzero(cause)
        if len(bad):
            offsets = None if offset is None else records.starts[bad] - PADDING + offset
            parsed.rejected.append(
                rejections(records.take(bad), cause[bad], self._causes, source, offsets)
            )


def _fields(by_key: dict[str, Field], rows: npt.NDArray[np.int64]) -> Fields:
    """The fields of some rows."""
    if all(len(rows) == len(found.kinds) for found in by_key.values()):
        return Fields(rows, by_key)
    return Fields(
        rows,
        {key: found.take(rows) for key, found in by_key.items()},
    )
