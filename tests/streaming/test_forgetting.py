"""How long a stream remembers versions, and what comes after it has forgotten them."""

from __future__ import annotations

import pytest

from tests.streaming.test_corrections import messages, not_zero, panes, run
from tests.support.streams import Stream, deletion, reading
from transforms import shard_images
from transforms.keep_latest import KeepLatestVersion

HOUR = {"remember_versions": 3600}


def test_within_the_time_a_repeat_is_a_duplicate():
    stream = Stream().rows(reading("a", 1, 10, 1)).watermark(60).rows(reading("a", 1, 10, 1))
    assert not_zero(run(stream, **HOUR).balance) == {"counted": 1, "duplicate": 1}


def test_after_it_a_repeat_is_counted_again():
    stream = Stream().rows(reading("a", 1, 10, 1)).watermark(80).rows(reading("a", 1, 10, 1))
    seen = run(stream, **HOUR)
    assert not_zero(seen.balance) == {"counted": 2}
    assert len(seen.rows["entries"]) == 2


def test_after_it_a_version_above_the_first_waits_for_reconciliation():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .watermark(80)
        .rows(reading("a", 1, 20, 2, arrived=81), reading("b", 1, 30, 1, arrived=81))
        .wait()
    )
    seen = run(stream, **HOUR)
    assert panes(seen)[-1] == ("11", "10:00", "late", 2, 20.0)
    assert [row["version"] for row in seen.rows["entries"]] == [1, 1]
    assert not_zero(seen.balance) == {"counted": 2, "too_late": 1}


def test_a_version_above_the_first_of_a_young_reading_is_counted():
    """Had there been an earlier one, it would still be remembered."""
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .watermark(80)
        .rows(reading("b", 79, 30, 2, arrived=81))
        .wait()
    )
    assert not_zero(run(stream, shards=1, **HOUR).balance) == {"counted": 2}


def test_how_young_depends_on_how_far_ahead_a_clock_may_be():
    """It may have arrived before its event time, and be forgotten."""
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .watermark(80)
        .rows(reading("b", 79, 30, 2, arrived=81))
        .wait()
    )
    seen = run(stream, shards=1, max_future=7200, **HOUR)
    assert not_zero(seen.balance) == {"counted": 1, "too_late": 1}


def test_before_anything_was_forgotten_a_version_above_the_first_is_counted():
    """Another run may have brought the first one: the store settles that."""
    stream = Stream().rows(reading("a", 1, 10, 7, arrived=50)).wait()
    assert not_zero(run(stream, **HOUR).balance) == {"counted": 1}


def test_arrival_and_times_of_change_do_not_wait():
    """Of them nobody knows whether there was one before."""
    late = {**reading("a", 1, 20, arrived=81), "version": 5, "version_kind": 2}
    stream = Stream().rows(reading("b", 1, 10, 1)).watermark(80).rows(late)
    assert not_zero(run(stream, shards=1, **HOUR).balance) == {"counted": 2}


def test_deletions_of_what_is_forgotten_wait_too_if_they_have_a_version():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1), reading("b", 1, 10, 1))
        .watermark(80)
        .rows(deletion("a", 2, arrived=81), {**deletion("b", arrived=81)})
        .wait()
    )
    seen = run(stream, shards=1, **HOUR)
    assert not_zero(seen.balance) == {"counted": 2, "too_late": 1, "deleted": 1}


@pytest.mark.parametrize("shards", [1, 4])
def test_a_deletion_that_has_overtaken_its_reading_takes_it_away(shards):
    """Of two partitions one may be behind, at any time."""
    stream = (
        Stream()
        .rows(reading("b", 1, 10, 1))
        .watermark(80)
        .rows(deletion("a", 2, arrived=82))
        .rows(reading("a", 79, 20, 1, arrived=80))
        .rows(reading("a", 79, 30, 3, arrived=83), reading("b", 80, 40, 1, arrived=83))
        .wait()
    )
    seen = run(stream, shards=shards, **HOUR)
    late = not_zero(seen.balance)
    assert (late.pop("counted"), late.pop("superseded")) == (3, 1)
    assert sum(late.values()) == 1
    assert [row["version"] for row in seen.rows["entries"]].count(3) == 1


def test_a_newer_version_is_remembered_from_its_own_arrival():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1))
        .watermark(50)
        .rows(reading("a", 1, 20, 2, arrived=50))
        .watermark(100)
        .rows(reading("a", 1, 30, 3, arrived=100))
        .wait()
    )
    seen = run(stream, **HOUR)
    assert panes(seen)[-1][3:] == (1, 30.0)
    assert not_zero(seen.balance) == {"counted": 1, "superseded": 2}


def test_an_older_arrival_does_not_shorten_the_memory():
    """Of two partitions one may be behind: the newer version came first."""
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1, arrived=50))
        .rows(reading("a", 1, 20, 2, arrived=2))
        .watermark(90)
        .rows(reading("a", 1, 10, 1, arrived=50))
        .wait()
    )
    assert not_zero(run(stream, **HOUR).balance) == {"counted": 1, "superseded": 2}


def test_without_an_arrival_the_event_time_counts():
    stream = (
        Stream()
        .rows(reading("a", 1, 10, 1, arrived=None))
        .watermark(59)
        .rows(reading("a", 1, 10, 1, arrived=None))
        .watermark(80)
        .rows(reading("a", 1, 10, 1, arrived=None))
    )
    assert not_zero(run(stream, **HOUR).balance) == {"counted": 2, "duplicate": 1}


def test_one_reading_from_far_ahead_does_not_hold_up_the_others():
    ahead = reading("b", 60 * 24 * 365, 1, 1)
    stream = (
        Stream()
        .rows(ahead)
        .rows(reading("a", 1, 10, 1))
        .watermark(80)
        .rows(reading("a", 1, 10, 1), ahead)
    )
    seen = run(stream, shards=1, **HOUR)
    assert not_zero(seen.balance) == {"counted": 3, "duplicate": 1}


@pytest.mark.parametrize("shards", [1, 64])
def test_a_worker_that_has_no_image_makes_it_from_the_state(monkeypatch, shards):
    monkeypatch.setattr(shard_images.ShardImages, "take", lambda *_: None)
    stream = Stream()
    for minute in range(0, 130, 10):
        stream.rows(
            reading("a", 1, minute, minute + 1, arrived=minute),
            reading(str(minute), minute, 10, 1),
        )
        stream.rows(reading(str(minute), minute, 10, 1), reading("a", 1, 5, 0, arrived=minute))
        stream.watermark(minute + 1)
    seen = run(stream, shards=shards, **HOUR)
    # Each time a newer version of the one reading, and one that is new, each twice.
    assert messages(seen) == 13 * 4
    assert not_zero(seen.balance) == {"counted": 14, "superseded": 12 + 13, "duplicate": 13}


@pytest.mark.parametrize("from_state", [False, True])
def test_more_generations_than_there_are_bags_lose_nothing(monkeypatch, from_state):
    """The watermark is far behind the arrivals: what is remembered moves to the newest bag."""
    if from_state:
        monkeypatch.setattr(shard_images.ShardImages, "take", lambda *_: None)
    steps = [reading(str(step), step * 15, 10, 1, arrived=step * 15 + 200) for step in range(36)]
    stream = Stream()
    for step, row in enumerate(steps):
        stream.rows(row)
        stream.watermark(step * 15 + 1)
    # It is 8:46 after the start; what arrived from 7:50 on (step 18) is still remembered.
    stream.rows(*steps[18:])
    seen = run(stream, shards=1, **HOUR)
    assert not_zero(seen.balance) == {"counted": 36, "duplicate": 18}


def test_no_time_to_remember_is_refused():
    with pytest.raises(ValueError, match=r"^versions must be remembered for a second at least"):
        KeepLatestVersion(remember_versions=0)


@pytest.mark.parametrize("shards", [0, 65_537])
def test_another_number_of_shards_is_refused(shards):
    with pytest.raises(ValueError, match=rf"^there can be 1 to 65536 shards, not {shards}$"):
        KeepLatestVersion(shards=shards)
