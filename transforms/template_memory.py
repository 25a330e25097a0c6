"""The templates that a parser has learnt, and when it learns more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from transforms.key_order import KeyOrder
from transforms.layouts import FormatSet
from transforms.ordered_records import Ordered, read_in_order
from transforms.record_template import RecordTemplate
from transforms.spans import Ints, Spans

__all__ = ["LEARN_EVERY", "OrderMemory", "Read", "TemplateMemory"]

MAX_TEMPLATES = 48
SAMPLES, MOST_SAMPLES = 8, 32
"""Records that are looked at to learn templates: at first, and where that did not tell all."""
MIN_SHARE, SMALL_SHARE, MIN_RECORDS = 0.2, 0.02, 300
"""A template is worth its cost if it takes the first share of the records, or the second one and so
many more."""
MOST_READ, ALONE = 0.5, 0.3
"""Of a block of which templates take less than the first share, those are kept that take the
second one each."""
RARE = 0.03
"""For a smaller share of a block's records no template is learnt."""
LEARN_EVERY = 16
"""Blocks from one vain attempt to learn a template to the next."""
FEWEST = 1024
"""Fewer records are not read by an order of keys: it would cost more than it saves."""
WORTH = 0.25
"""An order of keys is worth its cost where it takes so many of the records."""
ROUNDS = 8
"""How often, at most, templates are learnt from what is left of a block."""

Read: TypeAlias = Callable[[Sequence[RecordTemplate], Ints], tuple[Ints, Mapping[int, int]]]
"""Reads rows by templates; gives those that are left, and how many each template took."""


class TemplateMemory:
    """Remembers the templates that fit what a source sends.

    Args:
        formats: the formats that its messages may be of.
    """

    def __init__(self, formats: FormatSet) -> None:
        self._formats = formats
        self._shares: dict[RecordTemplate, float] = {}
        self._learn_in = 0

    @property
    def templates(self) -> list[RecordTemplate]:
        """Those that are known now."""
        return list(self._shares)

    def read(self, records: Spans, read: Read) -> Ints:
        """Reads a block's records by templates, and learns from those that none fits.

        Args:
            records: the records.
            read: reads some of them by some templates.

        Returns:
            The rows that are left.
        """
        count = len(records)
        rest = np.arange(count)
        known = [one for one, share in self._shares.items() if _is_worth(share * count, count)]
        waiting = {one: share for one, share in self._shares.items() if one not in known}
        shares: dict[RecordTemplate, float] = {}
        if known:
            rest, taken = read(known, rest)
            shares = _useful(known, taken, count, count)
        self._learn_in -= 1
        rounds = 0
        while len(rest) and self._learn_in <= 0:
            before = len(rest)
            room = MAX_TEMPLATES - len(shares) - len(waiting) if before > RARE * count else 0
            samples = min(SAMPLES << rounds, MOST_SAMPLES)
            wider, new = self._learn(records, rest, samples, shares, [*shares, *waiting], room)
            rounds += 1
            if not (wider or new):
                self._learn_in = LEARN_EVERY
                break
            tried = [*wider.values(), *new]
            rest, taken = read(tried, rest)
            found = _useful(tried, taken, before, count)
            for old, one in wider.items():
                found[one] = found.get(one, 0.0) + shares.pop(old)
            shares |= found
            few = before - len(rest) < MIN_SHARE * before
            if few or not found or rounds == ROUNDS:
                self._learn_in = LEARN_EVERY
        if sum(shares.values()) < MOST_READ:
            # Where most goes the general way all the same, it is cheaper for the rest too.
            shares = {one: share for one, share in shares.items() if share >= ALONE}
        self._shares = {**waiting, **shares}
        return rest

    def _learn(
        self,
        records: Spans,
        rows: Ints,
        samples: int,
        used: Mapping[RecordTemplate, float],
        known: Sequence[RecordTemplate],
        room: int,
    ) -> tuple[dict[RecordTemplate, RecordTemplate], list[RecordTemplate]]:
        """Wider forms of used templates, by these, and the commonest new ones, from a few rows."""
        learnt: list[RecordTemplate] = []
        counts = Counter[int]()
        for text in _some(records, rows, samples):
            template = RecordTemplate.learn(text, self._formats)
            if template is None:
                continue
            alike = [n for n, other in enumerate(learnt) if template.is_like(other)]
            place = alike[0] if alike else len(learnt)
            learnt[place : place + 1] = [learnt[place].joined(template) if alike else template]
            counts[place] += 1
        wider = {
            old: old.joined(template)
            for old in used
            for template in learnt
            if template.is_like(old) and old.joined(template) != old
        }
        new = [n for n, _ in counts.most_common() if not any(map(learnt[n].is_like, known))]
        return wider, [learnt[n] for n in new[: max(room, 0)]]


class OrderMemory:
    """Remembers the order in which a source writes the keys of its objects.

    Args:
        formats: the formats that its messages may be of.

    Attributes:
        fewest: fewer records are left to the JSON parser.
    """

    def __init__(self, formats: FormatSet) -> None:
        self._formats = formats
        self.fewest = FEWEST
        self._order: KeyOrder | None = None
        self._learn_in = 0

    def read(self, records: Spans) -> Ordered | None:
        """Reads records that no template has taken.

        Returns:
            What was read; None where no order is known that most of such records have.
        """
        if len(records) < self.fewest:
            return None
        self._learn_in -= 1
        if self._order is None and self._learn_in <= 0:
            self._learn_in = LEARN_EVERY
            texts = _some(records, np.arange(len(records)), MOST_SAMPLES)
            self._order = KeyOrder.learn(texts, self._formats)
        if self._order is None:
            return None
        read = read_in_order(records, self._order)
        if np.count_nonzero(read.fits) < WORTH * len(records):
            self._order = None
        return read


def _some(records: Spans, rows: Ints, samples: int) -> Iterator[str]:
    """The texts of some of the rows."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, samples).astype(np.int64))]
    return map(records.text, chosen.tolist())


def _useful(
    templates: Sequence[RecordTemplate], taken: Mapping[int, int], tried: int, count: int
) -> dict[RecordTemplate, float]:
    """The templates that took enough of the records, with their shares of the block."""
    return {
        template: taken.get(number, 0) / count
        for number, template in enumerate(templates)
        if _is_worth(taken.get(number, 0), tried)
    }


def _is_worth(taken: float, tried: int) -> bool:
    return taken >= MIN_SHARE * tried or taken >= MIN_RECORDS + SMALL_SHARE * tried
