"""The steps of KeepLatestVersion on a stream, bundle by bundle, without a runner."""

from __future__ import annotations

import pytest
from apache_beam.pvalue import TaggedOutput
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from geo import RegionIndex
from schemas.entries import ENTRIES
from tests.support.streams import PARIS, TOULOUSE, at, counted, deletion, reading
from transforms import latest_in_stream, pack_by_identity, shard_images, state_images
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows, stamped
from transforms.latest_in_stream import WEIGHTED, RememberVersions
from transforms.pack_by_identity import PackByIdentity
from transforms.packed_rows import unpack
from transforms.shard_state import GENERATIONS, ShardState

HOUR = 3600


class Value:
    def __init__(self):
        self.value = None

    def read(self):
        return self.value

    def write(self, value):
        self.value = value


class Bag:
    def __init__(self):
        self.values = []

    def read(self):
        return iter(list(self.values))

    def add(self, value):
        self.values.append(value)

    def clear(self):
        self.values = []


class Timer:
    def __init__(self):
        self.moment = None

    def set(self, moment):
        self.moment = moment


class Shard:
    """A runner's state of one key."""

    def __init__(self):
        self.small, self.timer = Value(), Timer()
        self.bags = [Bag() for _ in range(GENERATIONS)]


class Worker:
    """One key's bundles on one worker."""

    def __init__(self, shard=None, **options):
        self.shard = shard or Shard()
        self.remember = RememberVersions(HOUR, 300, **options)
        self.remember.setup()

    def bundle(self, *batches):
        """Readings, entries and their timestamps that a bundle of batches of rows gives."""
        pack = PackByIdentity(1)
        pack.start_bundle()
        for rows in batches:
            stamp = stamped(assign_regions(batch_rows(rows), RegionIndex.default()))
            assert list(pack.process(stamp.value, stamp.timestamp)) == []
        self.remember.start_bundle()
        outputs = []
        for packed in pack.finish_bundle():
            shard = self.shard
            outputs += self.remember.process(
                packed.value, packed.timestamp, shard.small, *shard.bags, shard.timer
            )
        return self.sorted([*outputs, *self.remember.finish_bundle()])

    def sorted(self, outputs):
        readings, entries = [], []
        for output in outputs:
            tagged = isinstance(output, TaggedOutput)
            stamp = output.value if tagged else output
            (entries if tagged else readings).append((stamp.value, stamp.timestamp))
            assert stamp.value.schema == (ENTRIES if tagged else WEIGHTED)
        return readings, entries

    def release(self, fired=MAX_TIMESTAMP):
        shard = self.shard
        self.remember.release(0, fired, shard.small, *shard.bags, shard.timer)


def micros(minutes):
    return Timestamp(micros=round(at(minutes).timestamp() * 10**6))


def test_batches_carry_their_oldest_event_time_also_of_what_is_taken_away():
    worker = Worker()
    worker.bundle([reading("a", 5, 1, 1), reading("b", 30, 1, 1)])
    ((readings, at_readings),), ((entries, at_entries),) = worker.bundle(
        [reading("a", 40, 1, 2), reading("c", 50, 1, 1)]
    )
    assert readings.column("weight").to_pylist() == [1, 1, -1]
    assert at_readings == micros(5)
    assert (entries.num_rows, at_entries) == (2, micros(40))


def test_deletions_alone_carry_the_time_of_their_batch():
    ((readings, moment),), _ = Worker().bundle([deletion("a", 1, arrived=7)])
    assert readings.column("deleted").to_pylist() == [True]
    assert moment == micros(7)


def test_what_changes_nothing_gives_entries_only():
    worker = Worker()
    worker.bundle([reading("a", 5, 1, 1)])
    readings, entries = worker.bundle([reading("a", 5, 1, 2)])
    assert readings == []
    assert len(entries) == 1
    assert worker.bundle([reading("a", 5, 1, 2)]) == ([], [])


def test_large_bundles_are_given_out_in_parts(monkeypatch):
    monkeypatch.setattr(latest_in_stream, "FLUSH_FROM", 3)
    monkeypatch.setattr(pack_by_identity, "FLUSH_FROM", 3)
    rows = [reading(str(number), number, number, 1) for number in range(10)]
    pack = PackByIdentity(2)
    pack.start_bundle()
    pieces = []
    for begin in range(0, 10, 2):
        stamp = stamped(assign_regions(batch_rows(rows[begin : begin + 2]), RegionIndex.default()))
        pieces += pack.process(stamp.value, stamp.timestamp)
    assert len(pieces) >= 2
    pieces += pack.finish_bundle()
    assert sum(len(unpack(piece.value[1]).rows) for piece in pieces) == 10
    assert all(piece.timestamp < MAX_TIMESTAMP for piece in pieces)
    worker = Worker()
    worker.remember.start_bundle()
    shard = worker.shard
    outputs = [
        output
        for piece in pieces
        for output in worker.remember.process(
            piece.value, piece.timestamp, shard.small, *shard.bags, shard.timer
        )
    ]
    assert outputs
    readings, entries = worker.sorted(
        [
            TaggedOutput(output.tag, output.value) if isinstance(output, TaggedOutput) else output
            for output in [*outputs, *worker.remember.finish_bundle()]
        ]
    )
    assert sum(batch.num_rows for batch, _ in readings) == 10
    assert sum(batch.num_rows for batch, _ in entries) == 10


def test_an_empty_batch_gives_nothing():
    assert Worker().bundle([]) == ([], [])


def test_a_bundle_that_is_tried_again_decides_the_same():
    """The first try has changed the image in memory, but not the state."""
    worker = Worker()
    worker.bundle([reading("a", 1, 1, 1)])
    shard = worker.shard
    saved = shard.small.value, [list(bag.values) for bag in shard.bags]
    first = worker.bundle([reading("a", 1, 2, 2)])
    shard.small.value = saved[0]
    for bag, values in zip(shard.bags, saved[1], strict=True):
        bag.values = values
    again = worker.bundle([reading("a", 1, 2, 2)])
    assert [batch.to_pylist() for batch, _ in again[0]] == [
        batch.to_pylist() for batch, _ in first[0]
    ]
    assert len(again[0][0][0]) == 2


def test_a_worker_that_was_away_does_not_trust_its_image():
    first = Worker()
    first.bundle([reading("a", 1, 1, 1)])
    second = Worker(first.shard)
    second.bundle([reading("a", 1, 2, 2)])
    with counted() as found:
        first.bundle([reading("a", 1, 2, 2), reading("a", 1, 1, 1)])
    assert found == {"duplicate": 1, "superseded": 1}


def test_images_that_nobody_asks_for_are_dropped(monkeypatch):
    worker = Worker()
    worker.bundle([reading("a", 1, 1, 1)])
    images = shard_images.ShardImages
    mine = [key for key in images._all if key[0] == worker.remember._images._owner]
    assert len(mine) == 1
    now = state_images.time.monotonic()
    monkeypatch.setattr(state_images.time, "monotonic", lambda: now + 100_000)
    Worker().remember.start_bundle()
    assert mine[0] not in images._all
    with counted() as found:
        worker.bundle([reading("a", 1, 1, 1)])
    assert found == {"duplicate": 1}


def test_a_worker_that_is_the_only_one_leaves_nothing_in_the_state(monkeypatch):
    worker, images = Worker(durable=False), shard_images.ShardImages
    worker.bundle([reading("a", 1, 1, 1), reading("b", 2, 1, 1)])
    assert not any(bag.values for bag in worker.shard.bags)
    # So what is in memory may not be dropped, however long nobody asks for it.
    now = state_images.time.monotonic()
    monkeypatch.setattr(state_images.time, "monotonic", lambda: now + 100_000)
    Worker().remember.start_bundle()
    with counted() as found:
        worker.bundle([reading("a", 1, 1, 1)])
    assert found == {"duplicate": 1}
    fired = []
    while worker.shard.timer.moment is not None:
        fired.append(worker.shard.timer.moment)
        worker.shard.timer.moment = None
        worker.release()
    assert fired == [micros(75)]
    mine = [each for key, each in images._all.items() if key[0] == worker.remember._images._owner]
    assert [len(memory) for _, memory, _ in mine] == [0]
    worker.remember.teardown()
    assert worker.remember._images._owner not in images._only


def test_what_only_another_worker_remembers_is_not_forgotten_silently():
    worker = Worker(durable=False)
    worker.bundle([reading("a", 1, 1, 1)])
    other = Worker(worker.shard, durable=False)
    with pytest.raises(RuntimeError, match="start the command again"):
        other.bundle([reading("a", 1, 1, 1)])


def test_the_timer_releases_and_is_set_until_nothing_is_remembered():
    worker = Worker()
    worker.bundle([reading("a", 1, 1, 1)])
    fired = []
    while worker.shard.timer.moment is not None:
        fired.append(worker.shard.timer.moment)
        worker.shard.timer.moment = None
        worker.release()
    # At first to seal the bag, then when the reading need not be remembered any more.
    assert fired == [micros(15), micros(75)]
    assert all(bag.values == [] for bag in worker.shard.bags)
    state = ShardState.read(worker.shard.small.value)
    assert (state.generations, state.next_release) == ([], None)
    assert state.released == int(at(75).timestamp())


def test_a_timer_that_fires_without_need_does_nothing():
    worker = Worker()
    worker.release()
    assert worker.shard.small.value is None


def test_a_timer_that_fires_at_a_time_that_it_had_before_does_nothing():
    worker = Worker()
    worker.bundle([reading("a", 1, 1, 1)])
    due, worker.shard.timer.moment = worker.shard.timer.moment, None
    before = ShardState.read(worker.shard.small.value)
    worker.release(due - 1)
    # It is set again: the runner may take it for fired.
    assert worker.shard.timer.moment == due
    assert ShardState.read(worker.shard.small.value) == before


def test_few_rows_are_logged_with_their_own_names_only():
    worker = Worker()
    worker.bundle([reading("a", 1, 1, 1), reading("b", 1, 1, 1, place=TOULOUSE)])
    worker.bundle([reading("c", 1, 1, 1, place=TOULOUSE)])
    first, second = (unpack(data) for data in worker.shard.bags[0].values)
    assert len(first.names) == 2
    assert second.names == (("temperature", "76", "Occitanie", None),)


@pytest.mark.parametrize("place", [PARIS, TOULOUSE])
def test_regions_are_those_of_the_readings(place):
    ((readings, _),), _ = Worker().bundle([reading("a", 1, 1, 1, place=place)])
    expected = {PARIS: "Île-de-France", TOULOUSE: "Occitanie"}[place]
    assert readings.column("region").to_pylist() == [expected]
