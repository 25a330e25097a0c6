"""Records that all look alike, read by their pattern: the fast way for what sensors really send.

A sender writes its records with one serialiser, so they differ in their values alone. A template
is learnt from one record: the literal text between the values. Reading a record is then checking
the literals and finding each value's end, for thousands of records at once. What does not fit is
left to the general way (`transforms.json_fields`), which decides; the two agree on every record
that a template takes (`tests/transforms/test_record_template.py`).
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.message_formats import MessageFormat
from transforms.fields import MISSING, NUMBER, STRING, Field
from transforms.record_matching import (
    INTEGER_WINDOW,
    MAX_RECORD,
    Matching,
    Step,
    Value,
    add_literal,
)
from transforms.spans import Spans

__all__ = ["RecordTemplate"]

VALUE = re.compile(
    r'"(?P<string>[^"\\\x00-\x1f]*)"|(?P<number>-?\d[\d.]*)|(?P<word>true|false|null)'
)
KEY = re.compile(r'\s*"(?P<key>[^"\\\x00-\x1f]*)"\s*:\s*')


@dataclass(frozen=True)
class RecordTemplate:
    """The pattern of a flat JSON object.

    Attributes:
        literals: the text before each value, and the text after the last one.
        values: the values, in order.
    """

    literals: tuple[bytes, ...]
    values: tuple[Value, ...]

    @classmethod
    def learn(cls, text: str, form: MessageFormat) -> RecordTemplate | None:
        """The template of one record.

        Args:
            text: the record.
            form: its required keys must be there, as a string or a number.

        Returns:
            The template; None where the record is not a flat object that has these keys once,
            or is a deletion, or has a version that is neither a string nor a number.
        """
        if len(text) > MAX_RECORD or not text.startswith("{") or not _is_object(text):
            return None
        literals, values, keys = [], [], []
        since, at = 0, 1
        while match := KEY.match(text, at):
            value = VALUE.match(text, match.end())
            if value is None:
                return None
            at = value.end()
            key = match["key"]
            keys.append(key)
            if not _is_usual(key, value["word"], form):
                return None
            if value["word"] is None:
                kind = NUMBER if value["string"] is None else STRING
                begin, end = value.span("number" if kind == NUMBER else "string")
                literals.append(text[since:begin].encode())
                if key == form.version and kind == NUMBER:
                    values.append(Value(key, kind, INTEGER_WINDOW, varies=True))
                else:
                    values.append(Value(key, kind, len(text[begin:end].encode())))
                since = end
            comma = re.compile(r"\s*,").match(text, at)
            if comma is None:
                break
            at = comma.end()
        literals.append(text[since:].encode())
        if re.fullmatch(r"\s*}", text[at:]) is None or len(set(keys)) < len(keys):
            return None
        return (
            cls(tuple(literals), tuple(values))
            if set(form.required) <= {value.key for value in values}
            else None
        )

    def is_like(self, other: RecordTemplate) -> bool:
        """Whether the same records fit both: only the usual lengths of strings differ."""
        return self.literals == other.literals and [
            (value.key, value.kind) for value in self.values
        ] == [(value.key, value.kind) for value in other.values]

    def joined(self, other: RecordTemplate) -> RecordTemplate:
        """The pattern of both, which are alike."""
        values = (one.joined(two) for one, two in zip(self.values, other.values, strict=True))
        return RecordTemplate(self.literals, tuple(values))

    @property
    def quotes(self) -> int:
        """How many quotation marks stand in a record of this pattern."""
        return sum(literal.count(b'"') for literal in self.literals)

    def match(
        self, records: Spans, form: MessageFormat
    ) -> tuple[npt.NDArray[np.int64], dict[str, Field]]:
        """Tries the pattern on every record.

        Args:
            records: the records.
            form: its keys are the fields wanted.

        Returns:
            The rows that fit (their strings may still hold marks that are not allowed there:
            `unusual_rows`), and the wanted fields of these rows.
        """
        matching, keys = Matching(records), form.keys
        for step in self._steps:
            matching.take(step, keys, form.value)
        rows = matching.end()
        nothing = Spans(records.buffer, records.starts[rows], np.zeros(len(rows), np.int64))
        missing = Field(nothing, np.full(len(rows), MISSING, np.uint8))
        return rows, {key: matching.fields.get(key, missing) for key in keys}

    @functools.cached_property
    def _steps(self) -> tuple[Step, ...]:
        """The pattern cut into pieces of known width: one gather each, whatever the width."""
        steps = [Step()]
        for literal, value, following in zip(
            self.literals, self.values, self.literals[1:], strict=False
        ):
            add_literal(steps, literal)
            if value.kind == STRING and not value.varies:
                steps[-1].strings.append((value.key, steps[-1].width, value.length))
                steps[-1].width += value.length
            else:
                steps[-1].last, steps[-1].stop = value, following[0]
                steps.append(Step())
        add_literal(steps, self.literals[-1])
        return tuple(steps)


def _is_usual(key: str, word: str | None, form: MessageFormat) -> bool:
    """Whether a reading is one whatever text or number stands in this place of its record."""
    if key == form.deleted:
        return word in {"false", "null"}
    return key not in {form.version, form.updated} or word in {None, "null"}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
