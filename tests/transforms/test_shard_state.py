"""The small state of a shard: which bag is written, when one ends, when the timer fires."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transforms.shard_state import GENERATIONS, ShardState

REMEMBER = 3600


def test_it_is_read_as_it_was_written():
    state = ShardState()
    state.bag_for(100)
    state.schedule(100, REMEMBER)
    state.renew()
    assert ShardState.read(state.write()) == state
    assert ShardState.read(None) == ShardState()


def test_each_token_is_another_one():
    state = ShardState()
    assert len({state.renew() for _ in range(100)}) == 100


def test_versions_go_to_one_bag_until_it_is_sealed():
    state = ShardState()
    assert [state.bag_for(arrival) for arrival in (100, 300, 200)] == [0, 0, 0]
    assert state.generations == [(0, 300)]
    assert state.seal() is None
    assert state.bag_for(400) == 1
    assert state.generations == [(0, 300), (1, 400)]


def test_a_bag_ends_when_its_youngest_need_not_be_remembered():
    state = ShardState()
    state.bag_for(100)
    state.seal()
    state.bag_for(200)
    assert state.release(100 + REMEMBER - 1, REMEMBER) == []
    assert state.release(100 + REMEMBER, REMEMBER) == [0]
    assert not state.sealed
    assert state.release(200 + REMEMBER, REMEMBER) == [1]
    # What is cleared gets no more rows as it is: the next version begins anew.
    assert state.sealed
    assert state.bag_for(9000) == 0


def test_where_all_bags_are_in_use_the_oldest_ends():
    state = ShardState()
    for number in range(GENERATIONS):
        assert state.bag_for(1000 + number) == number
        oldest = state.seal()
    assert oldest == 0
    assert state.bag_for(5000) == 0
    assert [bag for bag, _ in state.generations] == [*range(1, GENERATIONS), 0]


def test_the_timer_is_set_where_it_must_be_earlier():
    state = ShardState()
    state.bag_for(1000)
    assert state.schedule(1000, REMEMBER)
    assert state.next_release == 1800
    assert not state.schedule(1500, REMEMBER)
    assert state.schedule(100, REMEMBER)
    assert state.next_release == 900


def test_without_an_open_bag_nothing_is_due_before_one_can_end():
    state = ShardState()
    state.bag_for(1000)
    state.seal()
    assert state.schedule(1000, REMEMBER)
    assert state.next_release == 5400


def test_the_next_release_is_after_the_last():
    state = ShardState(released=5400)
    state.bag_for(10)
    assert state.schedule(10, REMEMBER)
    assert state.next_release == 6300


@given(st.integers(1, 10), st.integers(0, 100))
def test_a_short_memory_has_steps_of_a_second_at_least(remember, arrival):
    state = ShardState()
    state.bag_for(arrival)
    state.schedule(arrival, remember)
    assert arrival < state.next_release <= arrival + max(1, remember // 4)
