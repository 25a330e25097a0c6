"""Reading Kafka's partitions from a real broker: all messages, in order, and what can go wrong."""

from __future__ import annotations

import threading
import time

import pytest

from connectors.input_error import InputError
from connectors.streams.kafka import KafkaSource, group_of
from connectors.streams.source import Part
from tests.support.kafka_server import KafkaServer, kafka_server  # noqa: F401 - a fixture
from transforms import balance

WAIT = 20.0


@pytest.fixture
def server(kafka_server) -> KafkaServer:  # noqa: F811
    return kafka_server


@pytest.fixture
def source_counts():
    """What is counted of the sources meanwhile."""
    found: dict[str, int] = {}

    def watcher(namespace, name, amount):
        if namespace == "source":
            found[name] = found.get(name, 0) + amount

    balance.watch(watcher)
    yield found
    balance._watchers.remove(watcher)


def read(reader, position, number=None, seconds=WAIT):
    """Polls until so many messages have come, or, without a number, until the end."""
    texts, places, until = [], [], time.monotonic() + seconds
    while time.monotonic() < until:
        poll = reader.poll(position, 0.1)
        if poll.payload is not None:
            starts = poll.payload.messages.starts.tolist()
            ends = [*(start - 1 for start in starts[1:]), len(poll.payload.data)]
            texts += [poll.payload.data[a:b] for a, b in zip(starts, ends, strict=True)]
            places += poll.payload.messages.places.tolist()
            assert poll.records == len(starts)
            position = poll.position
        elif poll.caught_up and number is None:
            return texts, places, poll
        if number is not None and len(texts) >= number:
            return texts, places, poll
    pytest.fail(f"{len(texts)} messages in {seconds} s")


@pytest.fixture
def reading(server):
    """Opens readers and closes them at the end."""
    opened = []

    def start(topic, partition=0, **options):
        source = KafkaSource.parse(server.uri(topic), **options)
        reader = source.open(Part(source.name_of(partition)))
        opened.append(reader)
        return reader

    yield start
    for reader in opened:
        reader.close()


def numbered(number, first=0):
    return [b'{"n": %d}' % each for each in range(first, first + number)]


def test_parts_are_the_partitions_where_they_begin(server):
    topic = server.topic(3)
    server.send(topic, numbered(10), partition=1)
    server.delete_before(topic, 4, partition=1)
    uri = server.uri(topic)
    begin = [(f"{uri}/0", 0), (f"{uri}/1", 4), (f"{uri}/2", 0)]
    assert [(part.name, part.start) for part in KafkaSource.parse(uri).parts({})] == begin
    latest = KafkaSource.parse(uri, start="latest").parts({})
    assert [part.start for part in latest] == [0, 10, 0]
    stored = KafkaSource.parse(uri, start="latest").parts({f"{uri}/1": 7, "other": 3})
    assert [part.start for part in stored] == [0, 7, 0]


def test_a_partition_that_is_added_is_found_at_the_next_start(server):
    topic = server.topic(1)
    source = KafkaSource.parse(server.uri(topic))
    server.add_partitions(topic, 2)
    server.send(topic, numbered(1), partition=1)
    assert [part.name for part in source.parts({source.name_of(0): 0})] == [
        source.name_of(0),
        source.name_of(1),
    ]


def test_brokers_are_named_in_one_order(server):
    topic = server.topic()
    port = server.address.rpartition(":")[2]
    one = KafkaSource.parse(f"kafka://localhost:{port},{server.address}/{topic}")
    other = KafkaSource.parse(f"kafka://{server.address},localhost:{port}/{topic}")
    assert [each.name for each in one.parts({})] == [each.name for each in other.parts({})]


def test_all_messages_with_places_and_arrivals(server, reading):
    topic = server.topic()
    server.send(topic, numbered(3), timestamp=1_700_000_000_123)
    reader = reading(topic)
    while (poll := reader.poll(0, 0.1)).payload is None:
        pass
    payload = poll.payload
    assert payload.data == b'{"n": 0}\n{"n": 1}\n{"n": 2}'
    assert payload.source == f"{server.uri(topic)}/0"
    assert payload.messages.unit == "offset"
    assert payload.messages.places.tolist() == [0, 1, 2]
    assert payload.messages.arrived_at.tolist() == [1_700_000_000_123_000] * 3
    assert (poll.position, poll.records, poll.lag) == (3, 3, 0)


def test_the_brokers_own_time_counts_where_it_stamps_messages(server, reading):
    topic = server.topic(message_timestamp_type="LogAppendTime")
    before = time.time()
    server.send(topic, numbered(1), timestamp=1_500_000_000_000)
    reader = reading(topic)
    while (poll := reader.poll(0, 0.1)).payload is None:
        pass
    arrived = poll.payload.messages.arrived_at[0] / 1e6
    assert before - 1 <= arrived <= time.time() + 1


def test_many_messages_come_many_at_a_time_in_order(server, reading):
    topic = server.topic()
    server.send(topic, numbered(50_000))
    texts, places, poll = read(reading(topic), 0)
    assert texts == numbered(50_000)
    assert places == list(range(50_000))
    assert (poll.caught_up, poll.lag) == (True, 0)


def test_lag_says_how_many_wait(server, reading):
    topic = server.topic()
    server.send(topic, numbered(45_000))
    reader = reading(topic)
    lags = []
    position = 0
    while position < 45_000:
        poll = reader.poll(position, 0.5)
        if poll.payload is not None:
            lags.append(poll.position + poll.lag)
        position = poll.position
    assert set(lags) == {45_000}


def test_it_goes_back_where_it_is_asked_to(server, reading):
    topic = server.topic()
    server.send(topic, numbered(100))
    reader = reading(topic)
    assert len(read(reader, 0)[0]) == 100
    assert read(reader, 40)[1] == list(range(40, 100))
    assert read(reader, 0)[1] == list(range(100))


def test_messages_without_a_value_are_counted_and_passed_over(server, reading, source_counts):
    topic = server.topic()
    server.send(topic, [b"1", None, b"", b"2"])
    reader = reading(topic)
    assert read(reader, 0)[:2] == ([b"1", b"2"], [0, 3])
    server.send(topic, [None, None])
    texts, _, poll = read(reader, 4)
    assert (texts, poll.position, poll.caught_up) == ([], 6, True)
    # The runner goes on after the last message that it has claimed: they are not read again.
    assert reader.poll(4, 0.1).payload is None
    server.send(topic, [b"3"])
    assert read(reader, 4, number=1)[1] == [6]
    assert source_counts["tombstones"] == 4


def test_gaps_of_transactions_are_no_end_and_no_fault(server, reading):
    topic = server.topic()
    producer = server.producer(transactional_id=topic)
    producer.init_transactions(30)
    for values, commit in ((numbered(3), True), (numbered(4, 10), False), (numbered(2, 20), True)):
        producer.begin_transaction()
        for value in values:
            server.put(producer, topic, value)
        producer.flush(30)
        producer.commit_transaction() if commit else producer.abort_transaction()
    texts, places, poll = read(reading(topic), 0)
    assert texts == numbered(3) + numbered(2, 20)
    # Each transaction ends with a message of the broker's own.
    assert places == [0, 1, 2, 9, 10]
    assert (poll.caught_up, poll.lag) == (True, 0)


def test_a_transaction_that_is_open_is_not_waited_for(server, reading):
    topic = server.topic()
    server.send(topic, numbered(2))
    producer = server.producer(transactional_id=topic)
    producer.init_transactions(30)
    producer.begin_transaction()
    server.put(producer, topic, b"open")
    producer.flush(30)
    reader = reading(topic, timeout=1.0)
    assert read(reader, 0)[0] == numbered(2)
    producer.commit_transaction()
    assert read(reader, 2, number=1)[0] == [b"open"]


def test_gaps_of_compaction(server, reading):
    topic = server.topic(cleanup_policy="delete")
    server.send(topic, numbered(10))
    server.delete_before(topic, 6)
    assert read(reading(topic), 6)[1] == [6, 7, 8, 9]


def test_a_large_message_and_those_after_it(server, reading):
    topic = server.topic(max_message_bytes="10485760")
    large = b'"' + b"x" * (9 << 20) + b'"'
    server.send(topic, [b"1", large, b"2"], message_max_bytes=10 << 20)
    assert read(reading(topic), 0)[0] == [b"1", large, b"2"]


def test_a_reader_is_not_caught_up_before_it_has_read(server, reading):
    topic = server.topic()
    server.send(topic, numbered(20_000))
    reader = reading(topic)
    position = 0
    while position < 20_000:
        poll = reader.poll(position, 0.001)
        assert not poll.caught_up
        position = poll.position


def test_an_empty_partition_is_caught_up(server, reading):
    assert read(reading(server.topic()), 0)[:2] == ([], [])


def test_what_is_stored_is_committed_and_nothing_else(server):
    topic = server.topic()
    server.send(topic, numbered(100))
    source = KafkaSource.parse(server.uri(topic), output="results")
    assert source.group == group_of(topic, "results")
    reader = source.open(Part(source.name_of(0)))
    read(reader, 0)
    assert server.committed(source.group, topic) < 0
    reader.stored(40)
    until = time.monotonic() + WAIT
    while server.committed(source.group, topic) != 40 and time.monotonic() < until:
        reader.poll(100, 0.05)
    assert server.committed(source.group, topic) == 40
    # So soon after the last one it waits, and the end brings it.
    reader.stored(70)
    reader.stored(60)
    reader.close()
    assert server.committed(source.group, topic) == 70


def test_commits_are_at_most_one_a_second(server):
    topic = server.topic()
    server.send(topic, numbered(100))
    source = KafkaSource.parse(server.uri(topic))
    reader = source.open(Part(source.name_of(0)))
    sent = []
    commit = reader._consumer.commit

    class Counting:
        def __getattr__(self, name):
            return getattr(consumer, name)

        def commit(self, **what):
            sent.append(what)
            return commit(**what)

    consumer, reader._consumer = reader._consumer, Counting()
    read(reader, 0)
    for position in range(100):
        reader.stored(position)
    assert len(sent) == 1
    reader.close()
    assert [each["offsets"][0].offset for each in sent] == [1, 99]


def test_messages_that_are_gone_stop_the_start(server, source_counts):
    topic = server.topic()
    server.send(topic, numbered(10))
    server.delete_before(topic, 7)
    source = KafkaSource.parse(server.uri(topic))
    positions = {source.name_of(0): 3}
    with pytest.raises(InputError, match="up to 4 messages that were not read; --kafka_gone skip"):
        source.parts(positions)
    skipping = KafkaSource.parse(server.uri(topic), gone="skip")
    assert [part.start for part in skipping.parts(positions)] == [7]
    assert source_counts == {"messages_gone": 4}


def test_messages_that_go_while_reading(server, reading, source_counts):
    topic = server.topic()
    server.send(topic, numbered(10))
    server.delete_before(topic, 6)
    reader = reading(topic)
    with pytest.raises(InputError, match="now begins at 6: the broker has deleted up to 4"):
        read(reader, 2)
    reader = reading(topic, gone="skip")
    assert read(reader, 2)[1] == [6, 7, 8, 9]
    # The runner asks for the same place until something is claimed: it is skipped once.
    reader = reading(topic, gone="skip")
    until = time.monotonic() + WAIT
    while (poll := reader.poll(2, 0.1)).payload is None and time.monotonic() < until:
        pass
    assert poll.payload.messages.places.tolist() == [6, 7, 8, 9]
    assert source_counts["messages_gone"] == 8


def test_a_topic_that_was_made_anew_is_never_taken_for_the_old_one(server):
    topic = server.topic(1)
    server.send(topic, numbered(2))
    source = KafkaSource.parse(server.uri(topic), gone="skip")
    with pytest.raises(InputError, match="ends at 2, so these are other messages"):
        source.parts({source.name_of(0): 5})
    with pytest.raises(InputError, match=r"lost partitions that were read before \(4\)"):
        source.parts({source.name_of(0): 1, source.name_of(4): 1})


@pytest.mark.slow
def test_a_broker_that_is_restarted_is_waited_for(server, reading):
    topic = server.topic()
    server.send(topic, numbered(30_000))
    reader = reading(topic)
    position, places = 0, []

    def take(poll):
        if poll.payload is not None:
            places.extend(poll.payload.messages.places.tolist())
        return poll.position

    while len(places) < 15_000:
        position = take(reader.poll(position, 0.01))
    server.stop()
    waited = []
    back = threading.Thread(target=server.start)
    back.start()
    try:
        while back.is_alive():
            poll = reader.poll(position, 0.1)
            waited.append(poll)
            position = take(poll)
    finally:
        back.join()
    server.send(topic, numbered(1000))
    while len(places) < 31_000:
        position = take(reader.poll(position, 0.1))
    assert places == list(range(31_000))


def poll_while_away(reader, position):
    """Polls for as long as a test waits; nothing comes."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        assert not reader.poll(position, 0.1).caught_up


@pytest.mark.slow
def test_a_broker_that_stays_away_ends_the_run(server):
    topic = server.topic()
    server.send(topic, numbered(10))
    source = KafkaSource.parse(server.uri(topic), timeout=3.0)
    reader = source.open(Part(source.name_of(0)))
    read(reader, 0)
    server.stop()
    try:
        began = time.monotonic()
        with pytest.raises(InputError, match=r"no Kafka broker answers at .* for 3 s") as caught:
            poll_while_away(reader, 10)
        assert time.monotonic() - began < 12
        assert "goes on at offset 10" in str(caught.value)
        reader.stored(10)
        began = time.monotonic()
        reader.close()
        assert time.monotonic() - began < 12
    finally:
        server.start()
