"""Messages that a broker does not have any more, though they have not been read."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from connectors.input_error import InputError
from transforms.balance import count

__all__ = ["GONE", "Gone"]

GONE = ("fail", "skip")
"""What becomes of a source whose messages are gone."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gone:
    """A partition that does not have the position at which reading should go on.

    Attributes:
        name: the partition.
        position: where reading should go on.
        low: the offset of the partition's oldest message.
        high: the offset after its newest.
    """

    name: str
    position: int
    low: int
    high: int

    def decide(self, policy: str) -> int:
        """Where to go on: at the oldest message that there is.

        Args:
            policy: `fail` or `skip`.

        Raises:
            InputError: the policy is to fail, or these are not the messages that were read.
        """
        if self.position > self.high:
            msg = (
                f"{self.name} has been read up to offset {self.position:,} and now ends at "
                f"{self.high:,}, so these are other messages: give the topic that was made anew "
                "another name, or use another --output"
            )
            raise InputError(msg)
        lost = self.low - self.position
        what = (
            f"{self.name} has been read up to offset {self.position:,} and now begins at "
            f"{self.low:,}: the broker has deleted up to {lost:,} messages that were not read"
        )
        if policy == "fail":
            msg = f"{what}; --kafka_gone skip goes on with the oldest message there is"
            raise InputError(msg)
        count("messages_gone", lost, "source")
        _log.warning("%s; going on at offset %d", what, self.low)
        return self.low
