"""Many templates held against the same records: what they begin with in common is looked at once.

Templates are a tree: where two differ for the first time the records part, so that each record
is read along its own pattern. A stream of many kinds of messages costs little more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from transforms.fields import Fields
from transforms.record_matching import Matching, Step, stands
from transforms.record_template import RecordTemplate
from transforms.spans import Bytes, Ints, Spans

__all__ = ["match_templates"]

FEW = 0.75
"""Where a smaller share of the records still fits, the others are left behind."""


def match_templates(
    templates: Sequence[RecordTemplate], records: Spans, rows: Ints
) -> Iterator[tuple[RecordTemplate, Fields]]:
    """Tries patterns on every record.

    Args:
        templates: patterns no two of which are alike.
        records: the records.
        rows: their numbers.

    Yields:
        For each pattern that some records fit: their fields. Their strings may still hold marks
        that are not allowed there (`unusual_rows`).
    """
    ends = records.starts + records.lengths
    yield from _descend(templates, 0, Matching(records.buffer, records.starts, ends, rows))


def _descend(
    templates: Sequence[RecordTemplate], depth: int, matching: Matching
) -> Iterator[tuple[RecordTemplate, Fields]]:
    while True:
        branches: dict[str, list[RecordTemplate]] = {}
        for template in templates:
            if len(template.steps) == depth:
                rows = matching.end()
                if len(rows):
                    yield template, template.fields(rows, matching.fields)
                return
            branches.setdefault(template.steps[depth].pattern, []).append(template)
        if len(branches) > 1:
            for branch, part in _parted(list(branches.values()), depth, matching):
                yield from _descend(branch, depth + 1, part)
            return
        step = templates[0].steps[depth]
        text = matching.text(step.reach)
        if text is None:
            return
        for offset, literal in step.literals:
            matching.fits &= stands(text, offset, literal)
        fitting = np.count_nonzero(matching.fits)
        if fitting < FEW * len(matching.fits):
            if not fitting:
                return
            kept = np.flatnonzero(matching.fits)
            matching, text = matching.some(kept), _rows(text, kept)
        matching.take(step, text)
        depth += 1


def _parted(
    branches: Sequence[list[RecordTemplate]], depth: int, matching: Matching
) -> Iterator[tuple[list[RecordTemplate], Matching]]:
    """The records that go on along each branch, with the branch's step taken."""
    if not matching.fits.all():
        matching = matching.some(np.flatnonzero(matching.fits))
    steps = [branch[0].steps[depth] for branch in branches]
    width = max(step.reach for step in steps)
    text = matching.text(width)
    if text is None:
        # Too near the end of the buffer for the widest: each by itself.
        for branch, step in zip(branches, steps, strict=True):
            text = matching.text(step.reach)
            if text is not None:
                yield from _along(branch, step, matching, text, set())
        return
    common = set.intersection(*(set(step.literals) for step in steps))
    for branch, step in zip(branches, steps, strict=True):
        yield from _along(branch, step, matching, text, common)


def _along(
    branch: list[RecordTemplate], step: Step, matching: Matching, text: Bytes, common: set
) -> Iterator[tuple[list[RecordTemplate], Matching]]:
    """The records in which the literals of a step stand; those that tell it apart come first."""
    own = [literal for literal in step.literals if literal not in common]
    literals = own + [literal for literal in step.literals if literal in common]
    rows = np.flatnonzero(stands(text, *literals[0]))
    if not len(rows):
        return
    near = _rows(text, rows)
    fits = np.ones(len(rows), bool)
    for literal in literals[1:]:
        fits &= stands(near, *literal)
    if not fits.all():
        kept = np.flatnonzero(fits)
        rows, near = rows[kept], _rows(near, kept)
    if len(rows):
        part = matching.some(rows)
        part.take(step, near)
        yield branch, part


def _rows(text: Bytes, rows: Ints) -> Bytes:
    """Some rows of a matrix of bytes, moved as whole rows."""
    width = text.shape[1]
    return text.view(f"V{width}").reshape(-1)[rows].view(np.uint8).reshape(-1, width)
