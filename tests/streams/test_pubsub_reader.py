"""The polling reader of Pub/Sub, against Google's own emulator."""

from __future__ import annotations

import itertools
import pickle
import time

import numpy as np
import pytest

from connectors.input_error import InputError
from connectors.streams import pubsub_leases, pubsub_reader
from connectors.streams.pubsub import PubSubSource, outlived
from tests.support.pubsub_emulator import (  # noqa: F401 - fixtures
    emulator_fixture,
    queue_fixture,
)
from transforms.balance import tally


def opened(queue, **options):
    source = PubSubSource(queue.uri, **options)
    [part, *_] = source.parts({})
    return source.open(part)


def read(reader, count, position=0, seconds=20):
    """Polls until there are so many messages; gives the polls."""
    polls, until = [], time.monotonic() + seconds
    while sum(poll.records for poll in polls) < count:
        assert time.monotonic() < until, polls
        poll = reader.poll(position, 0.1)
        position = poll.position
        if poll.payload is not None:
            polls.append(poll)
    return polls


def texts(polls):
    return [line for poll in polls for line in poll.payload.data.split(b"\n")]


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_messages_arrive_with_their_identifier_and_publish_time(queue):
    before = time.time()
    sent = queue.publish([b'{"id": %d}' % number for number in range(250)])
    reader = opened(queue)
    try:
        polls = read(reader, 250)
    finally:
        reader.close()
    messages = [poll.payload.messages for poll in polls]
    assert sorted(place for each in messages for place in each.places) == sorted(sent)
    assert {each.unit for each in messages} == {"message"}
    assert {poll.payload.source for poll in polls} == {queue.uri}
    arrivals = np.concatenate([each.arrived_at for each in messages]) / 1e6
    assert before - 1 < arrivals.min() <= arrivals.max() < time.time() + 1
    assert sorted(texts(polls)) == sorted(b'{"id": %d}' % number for number in range(250))
    assert len(polls) < 10, "pulls of a hundred are joined"
    assert all(later.position > poll.position for poll, later in itertools.pairwise(polls))


def test_only_what_is_stored_is_acknowledged(queue):
    first = queue.publish([b"1", b"2"])
    reader = opened(queue)
    [stored] = read(reader, 2)
    queue.publish([b"3", b"4"])
    [waiting] = read(reader, 2, stored.position)
    reader.stored(stored.position)
    reader.close()
    assert len(first) == 2
    assert sorted(message.data for message in queue.left()) == [b"3", b"4"]
    assert waiting.position > stored.position


def test_what_was_read_is_kept_from_others_until_the_reader_closes(queue):
    queue.publish([b"1", b"2"])
    reader = opened(queue)
    read(reader, 2)
    assert queue.left() == []
    reader.close()
    closed = time.monotonic()
    assert sorted(message.data for message in queue.left(5)) == [b"1", b"2"]
    assert time.monotonic() - closed < 5, "they come at once, not when their deadline ends"


@pytest.mark.slow
def test_a_short_deadline_is_put_off_while_messages_wait(queue):
    queue.publish([b"%d" % number for number in range(300)])
    reader = opened(queue)
    polls = read(reader, 300)
    until = time.monotonic() + 13  # the subscription's deadline is 10 seconds
    position = polls[-1].position
    while time.monotonic() < until:
        assert reader.poll(position, 0.1).payload is None
    assert queue.left() == []
    reader.stored(position)
    reader.close()
    assert queue.left(1) == []


@pytest.mark.slow
def test_after_the_longest_lease_a_message_may_go_elsewhere(queue, monkeypatch):
    monkeypatch.setattr(pubsub_leases, "LONGEST_LEASE", 1.0)
    queue.publish([b"1"])
    reader = opened(queue)
    [poll] = read(reader, 1)
    [again] = read(reader, 1, poll.position)
    assert texts([again]) == [b"1"]
    reader.close()


def test_acknowledged_while_it_goes_on(queue):
    queue.publish([b"1"])
    reader = opened(queue)
    [poll] = read(reader, 1)
    reader.stored(poll.position)
    wait_for(lambda: not reader._leases._held and not reader._leases._stored)
    # Back where it was: there is nothing to give back.
    assert reader.poll(0, 0.1).payload is None
    reader.close()
    assert queue.left() == []


def test_what_a_bundle_gave_up_is_read_again(queue):
    queue.publish([b"1"])
    reader = opened(queue)
    [first] = read(reader, 1)
    queue.publish([b"2"])
    [second] = read(reader, 1, first.position)
    [again] = read(reader, 1, first.position)
    assert texts([first, second, again]) == [b"1", b"2", b"2"]
    assert again.position > second.position, "a number is never used twice"
    reader.stored(again.position)
    reader.close()
    assert queue.left() == []


def test_a_new_reader_counts_from_beyond_all_former_ones(queue):
    queue.publish([b"1"])
    reader = opened(queue)
    [poll] = read(reader, 1)
    reader.close()
    another = opened(queue)
    [again] = read(another, 1)
    another.close()
    assert again.position > poll.position


def test_caught_up_after_some_seconds_of_nothing_and_not_while_there_is_something(queue):
    queue.publish([b"1"])
    reader = opened(queue)
    began = time.monotonic()
    [poll] = read(reader, 1)
    found = time.monotonic()
    assert not poll.caught_up
    while not reader.poll(poll.position, 0.1).caught_up:
        assert time.monotonic() - found < 15
    assert time.monotonic() - began > pubsub_reader.QUIET_SECONDS - 0.5
    queue.publish([b"2"])
    [more] = read(reader, 1, poll.position)
    assert not more.caught_up
    assert not reader.poll(more.position, 0.1).caught_up
    reader.close()


def test_a_payload_is_bounded(queue, monkeypatch):
    monkeypatch.setattr(pubsub_reader, "PAYLOAD_MESSAGES", 300)
    queue.publish([b"%d" % number for number in range(1000)])
    reader = opened(queue)
    polls = read(reader, 1000)
    assert max(poll.records for poll in polls) <= 300
    assert len(reader._ready) == 0
    monkeypatch.setattr(pubsub_reader, "PAYLOAD_BYTES", 5000)
    queue.publish([b"x" * 500] * 40)
    bound = 5000 + 100 * 500  # and one pull
    position = polls[-1].position
    assert max(poll.payload.size for poll in read(reader, 40, position)) <= bound
    reader.close()


def test_a_message_over_several_lines_is_one(queue):
    queue.publish([b'{"id":\n1}', b'[{"id": 2},\n{"id": 3}]'])
    reader = opened(queue)
    polls = read(reader, 2)
    reader.close()
    assert sum(len(poll.payload.elements[0]) for poll in polls) == 3


def test_an_attribute_can_stand_for_the_arrival(queue):
    millis = 1_550_584_930_123
    queue.publish([b"20"], at=str(millis))
    queue.publish([b"21"], at="2019-02-19T14:02:10.5+01:00")
    queue.publish([b"22"], at="yesterday")
    queue.publish([b"23"])
    before = time.time() - 60
    reader = opened(queue, timestamp_attribute="at")
    polls = read(reader, 4)
    reader.close()
    arrivals = dict(
        zip(
            texts(polls),
            np.concatenate([p.payload.messages.arrived_at for p in polls]),
            strict=True,
        )
    )
    assert arrivals[b"20"] == millis * 1000
    assert arrivals[b"21"] == 1_550_581_330_500_000
    assert min(arrivals[b"22"], arrivals[b"23"]) > before * 1e6


def test_a_message_of_attributes_only_is_counted(queue):
    before = tally("source", "empty_messages")
    queue.publish([b"", b" \n"], kind="ping")
    reader = opened(queue)
    read(reader, 2)
    reader.close()
    assert tally("source", "empty_messages") - before == 2


def test_two_readers_share_a_subscription(queue):
    source = pickle.loads(pickle.dumps(PubSubSource(queue.uri)))  # noqa: S301
    parts = source.parts({"pubsub://old": 17})
    assert len({part.name for part in parts}) == 2
    assert len({*parts, *source.parts({})}) == 4, "each run has readers of its own"
    readers = [source.open(part) for part in parts]
    sent = {b"%d" % number for number in range(2000)}
    queue.publish(sorted(sent))
    found, positions, until = [], [0, 0], time.monotonic() + 30
    while len(found) < len(sent):
        assert time.monotonic() < until
        for number, reader in enumerate(readers):
            poll = reader.poll(positions[number], 0.1)
            positions[number] = poll.position
            if poll.payload is not None:
                found += texts([poll])
    for reader in readers:
        reader.close()
    assert sorted(found) == sorted(sent)


def test_a_topic_is_read_through_a_subscription_of_its_own(queue, tmp_path):
    source = PubSubSource(queue.topic_uri, output=str(tmp_path))
    said = source.prepare()
    assert source.subscription.name in said
    assert "made now: messages published before are not read" in said
    assert "7 days" in said
    made = queue.subscriber.get_subscription(subscription=source.subscription.path)
    assert made.expiration_policy.ttl.days == 7
    again = PubSubSource(queue.topic_uri, output=str(tmp_path))
    assert again.subscription == source.subscription
    assert "goes on where the last run stopped" in again.prepare()
    assert PubSubSource(queue.topic_uri, output="x").subscription != source.subscription
    queue.publish([b"1"])
    reader = again.open(again.parts({})[0])
    [poll] = read(reader, 1)
    reader.stored(poll.position)
    reader.close()
    assert poll.payload.source == queue.topic_uri


def test_old_readers_can_be_forgotten():
    now = time.time() * 1e6
    positions = {
        "pubsub://projects/p/topics/t#old": round(now - 2 * 86400e6),
        "pubsub://projects/p/topics/t#new": round(now - 3600e6),
        "kafka://host/topic/0": 17,
    }
    assert outlived(positions) == ["pubsub://projects/p/topics/t#old"]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("pubsub://my-topic", "write pubsub://projects/PROJECT/subscriptions/SUBSCRIPTION or"),
        ("pubsub://projects/p1/topics/", "is not understood"),
        ("pubsub://projects/p1/topics/ab", "3 to 255"),
        ("pubsub://projects/p1/subscriptions/goog-x", "not with goog"),
    ],
)
def test_an_address_that_is_none_is_refused(uri, said):
    with pytest.raises(InputError, match=said):
        PubSubSource(uri)
