"""Which sources are read on which runner, besides Kafka by the reader of this package."""

from __future__ import annotations

from tests.runners.runners import CLUSTER, EMBEDDED, PRISM, Runner

__all__ = ["BY_JAVA", "POLLED"]

POLLED: tuple[Runner, ...] = (PRISM, EMBEDDED, CLUSTER)
"""They read an address that is polled, and Pub/Sub; killed and started again, too."""

BY_JAVA: tuple[Runner, ...] = (PRISM,)
"""They read Kafka by KafkaIO."""
