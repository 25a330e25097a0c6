"""From an output URI to the publisher that it names."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.input_error import InputError
from serving.publishers.publisher import Publisher

__all__ = ["open_publisher", "sibling"]


def open_publisher(
    uri: str,
    *,
    confirm_within: float,
    kafka_options: Iterable[str] = (),
) -> Publisher:
    """Opens a publisher. It connects by itself, and again whenever the queue was away.

    Args:
        uri: `kafka://HOST:PORT[,HOST:PORT]/TOPIC` or `pubsub://projects/P/topics/T`.
        confirm_within: seconds that the queue has to confirm a message.
        kafka_options: further options of the Kafka client, as `connectors.kafka_options` reads
            them.

    Raises:
        InputError: the URI names no queue, or an option of the client is wrong.
        OutputError: there are no credentials.
    """
    scheme = uri.partition("://")[0]
    if scheme == "kafka":
        from connectors.kafka_client import Cluster, parse_address  # noqa: PLC0415 - a client each
        from connectors.kafka_options import KafkaOptions  # noqa: PLC0415
        from serving.publishers.kafka import KafkaPublisher  # noqa: PLC0415

        cluster = Cluster(*parse_address(uri), KafkaOptions.parse(kafka_options))
        return KafkaPublisher(cluster, confirm_within)
    if scheme == "pubsub":
        from connectors.pubsub_client import TOPIC, parse_pubsub_uri  # noqa: PLC0415
        from serving.publishers.pubsub import PubSubPublisher  # noqa: PLC0415

        return PubSubPublisher(parse_pubsub_uri(uri, (TOPIC,)), confirm_within)
    shown = uri.rpartition("@")[2] if "@" in uri else uri
    msg = (
        f"the output {shown} names no queue; write kafka://HOST:PORT/TOPIC or "
        "pubsub://projects/PROJECT/topics/TOPIC"
    )
    raise InputError(msg)


def sibling(uri: str, topic: str) -> str:
    """The URI of another topic beside one."""
    return f"{uri.rpartition('/')[0]}/{topic}"
