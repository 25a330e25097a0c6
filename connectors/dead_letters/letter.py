"""A dead letter: one rejected record as it was kept, and which of them are wanted."""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
import re
from dataclasses import dataclass

import orjson

__all__ = ["Letter", "Selection", "letter_of_message", "moment_of"]

ENTRY = re.compile(r"[#&]entry=\d+$")
STREAMS = ("kafka://", "pubsub://", "http://", "https://")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FIELDS = ("reason", "detail", "raw", "raw_size", "raw_sha256", "source", "rejected_at")


@dataclass(frozen=True)
class Letter:
    """A rejected record.

    Attributes:
        reason: one of `schemas.reasons.REASONS`.
        raw: the text that was kept, at most 64 KiB.
        raw_size: bytes of the whole record.
        raw_sha256: hash of the whole record, hexadecimal.
        source: where the whole record is.
        rejected_at: microseconds since the epoch.
    """

    reason: str
    raw: str
    raw_size: int
    raw_sha256: str
    source: str
    rejected_at: int

    @property
    def record_source(self) -> str:
        """Where the record is: several entries of one record may have been rejected."""
        return ENTRY.sub("", self.source)

    @property
    def key(self) -> tuple[str, str]:
        """The same for all letters about one record."""
        return self.record_source, self.raw_sha256

    @property
    def is_whole(self) -> bool:
        """Whether the text that was kept is the record, byte by byte."""
        kept = self.raw.encode("utf-8", "surrogatepass")
        return len(kept) == self.raw_size and hashlib.sha256(kept).hexdigest() == self.raw_sha256

    @property
    def arrived_at(self) -> int | None:
        """When it came, in microseconds since the epoch: for a stream, when it was rejected."""
        return self.rejected_at if self.source.startswith(STREAMS) else None


@dataclass(frozen=True)
class Selection:
    """Which dead letters are wanted.

    Attributes:
        reasons: of these reasons; empty for all but `too_late`, whose readings the archive has.
        since: rejected then or later; None for any time.
        until: rejected before then.
        source: a pattern as of file names, which the source must match; None for any.
        again: those as well that a replay has sent before.
    """

    reasons: frozenset[str] = frozenset()
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    source: str | None = None
    again: bool = False

    def wants(self, letter: Letter) -> bool:
        """Whether a letter is wanted, as far as it can tell."""
        wanted = letter.reason in self.reasons if self.reasons else letter.reason != "too_late"
        if self.since is not None:
            wanted = wanted and letter.rejected_at >= moment_of(self.since)
        if self.until is not None:
            wanted = wanted and letter.rejected_at < moment_of(self.until)
        if self.source is not None:
            # Whoever copies a whole source from a table means it, brackets and all.
            is_it = letter.source == self.source
            wanted = wanted and (is_it or fnmatch.fnmatchcase(letter.source, self.source))
        return wanted


def moment_of(time: datetime.datetime) -> int:
    """Microseconds since the epoch."""
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def letter_of_message(text: bytes) -> Letter | None:
    """The letter that a message of a dead-letter topic holds; None where it is none.

    Args:
        text: as `transforms.rejected_messages` writes it.
    """
    try:
        found = orjson.loads(text)
        reason, _, raw, size, digest, source, moment = (found[field] for field in FIELDS)
        at = moment_of(datetime.datetime.fromisoformat(moment))
    except (ValueError, KeyError, TypeError):
        return None
    texts = (reason, raw, digest, source)
    if not all(isinstance(each, str) for each in texts) or not isinstance(size, int):
        return None
    return Letter(reason, raw, size, digest, source, at)
