"""What a replay has done, and how that is told."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.replay_options import File, destination_name

__all__ = ["Replayed", "as_json", "as_text"]

SHOWN = 20


@dataclass
class Replayed:
    """What a replay has done.

    Attributes:
        found: records that were selected.
        good: of these, those that the parser takes now.
        still_rejected: of these, those that it does not, by reason.
        not_whole: of these, those whose text is not at hand: where each is, and its bytes.
        strange: messages of a topic that were no dead letters.
        counted: readings that were new to the store; None where they went elsewhere.
    """

    found: int = 0
    good: int = 0
    still_rejected: Counter[str] = field(default_factory=Counter)
    not_whole: list[tuple[str, int]] = field(default_factory=list)
    strange: int = 0
    counted: int | None = None

    def note_strange(self, number: int) -> None:
        """Counts messages that are no dead letters."""
        self.strange += number


def as_json(done: Replayed, options: argparse.Namespace) -> str:
    """As one JSON object."""
    document = {
        "dry_run": options.dry_run,
        "found": done.found,
        "sent": 0 if options.dry_run else done.good,
        "good": done.good,
        "still_rejected": dict(sorted(done.still_rejected.items())),
        "not_whole": [{"source": place, "raw_size": size} for place, size in done.not_whole],
        "no_dead_letters": done.strange,
        "counted": done.counted,
        "output": destination_name(options),
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def as_text(done: Replayed, options: argparse.Namespace) -> str:
    """As a person reads it."""
    verb = "would be sent" if options.dry_run else "were sent"
    name = destination_name(options)
    good = f"{done.good:,} are good now and {verb} to {name}"
    lines = [f"{done.found:,} rejected records: {good}"]
    if done.counted is not None:
        lines.append(f"{done.counted:,} readings of them are new")
    if done.still_rejected:
        reasons = ", ".join(f"{each} {n:,}" for each, n in done.still_rejected.most_common())
        lines.append(f"{done.still_rejected.total():,} would be rejected again: {reasons}")
    if done.not_whole:
        lines.append(
            f"{len(done.not_whole):,} were not kept whole, and their sources do not have them:"
        )
        lines += [f"  {place} ({size:,} bytes)" for place, size in done.not_whole[:SHOWN]]
        if len(done.not_whole) > SHOWN:
            lines.append(f"  and {len(done.not_whole) - SHOWN:,} more; --format json lists all")
    if done.strange:
        lines.append(f"{done.strange:,} messages of the topic are no dead letters")
    if isinstance(options.destination, File) and done.good and not options.dry_run:
        path = Path(options.destination.path)
        lines.append(f"read them: python -m pipelines.regional_means --input {path} --output …")
    return "\n".join(lines)
