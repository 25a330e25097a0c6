"""The registry of statistics: exact, whatever the order, and never stale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.plain_means import assert_same_means, statistics_of
from transforms.statistics import STATISTICS, Groups, Statistic

LARGEST = 10**15
values_of_a_window = st.lists(
    st.one_of(st.integers(-50_000_000, 50_000_000), st.integers(-LARGEST, LARGEST)),
    min_size=1,
    max_size=12,
)


def partials_of(statistic, groups):
    values = np.array([value for group in groups for value in group], np.int64)
    starts = np.cumsum([0] + [len(group) for group in groups[:-1]])
    return statistic.add(Groups(values, starts))


def results(partials_by_name):
    return {
        name: STATISTICS[name]().extract(partials).to_pylist()
        for name, partials in partials_by_name.items()
    }


def test_the_statistics_are_those_of_the_tables():
    assert list(STATISTICS) == ["count", "mean", "min", "max", "stddev"]
    for name, make in STATISTICS.items():
        assert make().name == name


@settings(max_examples=150)
@given(st.lists(values_of_a_window, min_size=1, max_size=5))
def test_each_statistic_is_that_of_exact_arithmetic(groups):
    found = results({name: partials_of(make(), groups) for name, make in STATISTICS.items()})
    for row, group in enumerate(groups):
        assert_same_means(
            {row: {name: column[row] for name, column in found.items()}},
            {row: statistics_of(group)},
        )


@settings(max_examples=150)
@given(st.data(), st.lists(values_of_a_window, min_size=1, max_size=6))
def test_merging_gives_the_statistic_of_all_values_in_any_order(data, groups):
    shuffled = data.draw(st.permutations(groups))
    every = [value for group in groups for value in group]
    for make in STATISTICS.values():
        statistic = make()
        merged = statistic.merge(partials_of(statistic, shuffled), np.array([0]))
        whole = partials_of(statistic, [every])
        assert {name: column.tolist() for name, column in merged.items()} == {
            name: column.tolist() for name, column in whole.items()
        }


@settings(max_examples=100)
@given(st.lists(values_of_a_window, min_size=2, max_size=6), st.integers(1, 5))
def test_merging_in_groups_keeps_groups_apart(groups, cut):
    cut = min(cut, len(groups) - 1)
    for make in STATISTICS.values():
        statistic = make()
        merged = statistic.merge(partials_of(statistic, groups), np.array([0, cut]))
        whole = partials_of(
            statistic,
            [sum(groups[:cut], []), sum(groups[cut:], [])],  # noqa: RUF017 - short lists
        )
        assert {name: column.tolist() for name, column in merged.items()} == {
            name: column.tolist() for name, column in whole.items()
        }


def without(statistic, kept, gone):
    """Partials of `kept` and `gone` together, less those of `gone`."""
    partials = partials_of(statistic, [kept + gone])
    negative = statistic.retract(partials_of(statistic, [gone]))
    joined = {key: np.concatenate([partials[key], negative[key]]) for key in partials}
    return statistic.merge(joined, np.array([0]))


@settings(max_examples=150)
@given(values_of_a_window, values_of_a_window)
def test_retracting_gives_back_what_was_before(kept, gone):
    expected = statistics_of(kept)
    for name, make in STATISTICS.items():
        statistic = make()
        left = without(statistic, kept, gone)
        found = statistic.extract(left).to_pylist()
        if name in {"min", "max"}:
            extreme = min if name == "min" else max
            lost = extreme(gone) == extreme(kept + gone)
            assert found == [None if lost else expected[name]]
        else:
            assert_same_means({0: {name: found[0]}}, {0: {name: expected[name]}})
            before = partials_of(statistic, [kept])
            assert {key: column.tolist() for key, column in left.items()} == {
                key: column.tolist() for key, column in before.items()
            }


def test_a_window_that_lost_all_its_readings_has_count_0_and_nulls():
    for name, make in STATISTICS.items():
        statistic = make()
        partials = partials_of(statistic, [[5, 7]])
        negative = statistic.retract(partials)
        joined = {key: np.concatenate([partials[key], negative[key]]) for key in partials}
        left = statistic.merge(joined, np.array([0]))
        assert statistic.extract(left).to_pylist() == [0 if name == "count" else None]


@pytest.mark.parametrize("name", ["min", "max"])
def test_a_lost_extreme_is_unknown_until_a_value_beats_it(name):
    statistic = STATISTICS[name]()
    sign = 1 if name == "min" else -1
    unknown = without(statistic, [sign * 9], [sign * 5])
    assert statistic.extract(unknown).to_pylist() == [None]
    for value, expected in [(5, None), (6, None), (4, 4)]:
        more = partials_of(statistic, [[sign * value]])
        joined = {key: np.concatenate([unknown[key], more[key]]) for key in unknown}
        found = statistic.extract(statistic.merge(joined, np.array([0]))).to_pylist()
        assert found == [None if expected is None else sign * expected / 1e6]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_an_extreme_is_right_or_null_in_any_order_of_coming_and_leaving(changes, random):
    came = [value for value, _ in changes]
    left = [value for value, leaves in changes if leaves]
    remaining = [value for value, leaves in changes if not leaves]
    for name, extreme in [("min", min), ("max", max)]:
        statistic = STATISTICS[name]()
        steps = [partials_of(statistic, [[value]]) for value in came]
        steps += [statistic.retract(partials_of(statistic, [[value]])) for value in left]
        random.shuffle(steps)
        joined = {key: np.concatenate([step[key] for step in steps]) for key in steps[0]}
        found = statistic.extract(statistic.merge(joined, np.array([0]))).to_pylist()
        assert found in ([None], [extreme(remaining) / 1e6] if remaining else [None])


def test_stddev_of_one_reading_is_null_and_of_equal_readings_zero():
    statistic = STATISTICS["stddev"]()
    partials = partials_of(statistic, [[5], [5, 5], [LARGEST] * 3])
    assert statistic.extract(partials).to_pylist() == [None, 0.0, 0.0]


def test_a_statistic_must_say_how_it_adds_and_what_it_gives():
    with pytest.raises(NotImplementedError):
        Statistic().add(Groups(np.array([1]), np.array([0])))
    with pytest.raises(NotImplementedError):
        Statistic().extract({})
