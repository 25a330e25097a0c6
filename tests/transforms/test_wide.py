"""Sums and sums of squares are exact beyond 64 bits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.wide import SQUARE_LIMBS, SUM_LIMBS, carried, square_sums, sums, to_ints

LARGEST = 10**15  # 1e9 in millionths

values_in_groups = st.lists(
    st.lists(
        st.one_of(st.integers(-LARGEST, LARGEST), st.sampled_from([LARGEST, -LARGEST, 0, 2**32])),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=6,
)


def joined(groups):
    values = np.array([value for group in groups for value in group], np.int64)
    starts = np.cumsum([0] + [len(group) for group in groups[:-1]])
    return values, starts


@settings(max_examples=150)
@given(values_in_groups)
def test_sums_are_exact(groups):
    values, starts = joined(groups)
    assert to_ints(sums(values, starts)) == [sum(group) for group in groups]
    assert to_ints(square_sums(values, starts)) == [
        sum(value * value for value in group) for group in groups
    ]


@settings(max_examples=100)
@given(values_in_groups)
def test_wide_columns_add_up_and_take_away_without_loss(groups):
    values, starts = joined(groups)
    for column, power in ((sums(values, starts), 1), (square_sums(values, starts), 2)):
        total = carried(column.sum(axis=0, keepdims=True))
        expected = sum(value**power for group in groups for value in group)
        assert to_ints(total) == [expected]
        rest = carried(total - column[:1])
        assert to_ints(rest) == [expected - sum(value**power for value in groups[0])]


def test_a_sum_may_leave_64_bits():
    values = np.full(20_000, LARGEST)
    starts = np.array([0])
    assert to_ints(sums(values, starts)) == [20_000 * LARGEST]
    assert 20_000 * LARGEST > 2**63
    assert to_ints(sums(-values, starts)) == [-20_000 * LARGEST]
    assert to_ints(square_sums(values, starts)) == [20_000 * LARGEST**2]


def test_all_limbs_but_the_last_fit_into_32_bits():
    values = np.array([-1, LARGEST, -LARGEST, 3])
    for column, limbs in (
        (sums(values, np.arange(4)), SUM_LIMBS),
        (square_sums(values, np.arange(4)), SQUARE_LIMBS),
    ):
        assert column.shape == (4, limbs)
        assert ((column[:, :-1] >= 0) & (column[:, :-1] < 2**32)).all()
