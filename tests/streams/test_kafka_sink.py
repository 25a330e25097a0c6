"""Writing to Kafka: what a bundle has written, a real broker has."""

from __future__ import annotations

import apache_beam as beam
import pytest

from connectors.input_error import InputError
from connectors.kafka_options import KafkaOptions
from connectors.kafka_sink import WriteToKafka
from connectors.output_error import OutputError
from tests.support.kafka_server import KafkaServer, kafka_server  # noqa: F401 - a fixture
from tests.support.pipelines import one_thread
from transforms.balance import names_in


@pytest.fixture
def server(kafka_server) -> KafkaServer:  # noqa: F811
    return kafka_server


def write(uri, elements, **more):
    """Runs a pipeline that writes elements; gives what it counted."""
    pipeline = one_thread()
    pipeline | beam.Create(elements, reshuffle=False) | WriteToKafka(uri, **more)
    result = pipeline.run()
    result.wait_until_finish()
    return names_in(result.metrics(), "sink")


def test_keys_and_values_in_order(server):
    topic = server.topic()
    elements = [(b"k%d" % (n % 3) if n % 3 else None, b"%d" % n) for n in range(5000)]
    counts = write(server.uri(topic), elements)
    assert server.values(topic, 5000) == elements
    size = sum(len(value) for _, value in elements)
    assert counts == {"messages": 5000, "bytes_written": size}


def test_one_key_stays_in_one_partition(server):
    topic = server.topic(3)
    write(server.uri(topic), [(b"a", b"%d" % n) for n in range(100)])
    lengths = []
    for partition in range(3):
        low, high = _ends(server, topic, partition)
        lengths.append(high - low)
    assert sorted(lengths) == [0, 0, 100]


def _ends(server, topic, partition):
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415

    client = Consumer({"bootstrap.servers": server.address, "group.id": "test"})
    try:
        return client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    finally:
        client.close()


def test_no_such_topic_and_none_is_made(server):
    with pytest.raises(Exception, match="there is no topic nowhere at "):
        write(server.uri("nowhere"), [(None, b"1")])
    assert "nowhere" not in server.admin.list_topics(timeout=10).topics


def test_an_address_that_is_none():
    with pytest.raises(InputError, match="is no Kafka address"):
        WriteToKafka("kafka://host")


def test_a_message_that_the_topic_does_not_take(server):
    topic = server.topic(max_message_bytes="1000")
    options = KafkaOptions.parse(["compression.type=none"])
    with pytest.raises(Exception, match="a message is too large for kafka://") as caught:
        write(server.uri(topic), [(None, b"1"), (None, b"x" * 5000)], options=options)
    assert OutputError.__name__ in repr(caught.value) or isinstance(caught.value, OutputError)


def test_a_message_that_the_client_does_not_take(server):
    with pytest.raises(Exception, match="a message is too large for kafka://"):
        write(server.uri(server.topic()), [(None, b"x" * (2 << 20))])


def test_more_messages_than_the_client_holds(server):
    topic = server.topic()
    options = KafkaOptions.parse(["queue.buffering.max.messages=100"])
    elements = [(None, b"%d" % n) for n in range(3000)]
    write(server.uri(topic), elements, options=options)
    assert server.values(topic, 3000) == elements


@pytest.mark.slow
def test_a_broker_that_goes_away_fails_the_bundle(server):
    from connectors.kafka_sink import _Write  # noqa: PLC0415

    topic = server.topic()
    writer = WriteToKafka(server.uri(topic), timeout=3.0)
    do_fn = _Write(writer._cluster, writer._timeout)
    do_fn.setup()
    do_fn.start_bundle()
    do_fn.process((None, b"before"))
    do_fn.finish_bundle()
    server.stop()
    try:
        do_fn.start_bundle()
        do_fn.process((None, b"lost"))
        with pytest.raises(OutputError, match="has not confirmed all messages in 3 s"):
            do_fn.finish_bundle()
    finally:
        server.start()
    # The runner tries the bundle again, with the same DoFn.
    do_fn.start_bundle()
    do_fn.process((None, b"again"))
    do_fn.finish_bundle()
    do_fn.teardown()
    assert server.values(topic, 2) == [(None, b"before"), (None, b"again")]
