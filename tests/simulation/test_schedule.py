"""What comes when does not depend on how it is made, and no reading is another's double."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.schedule import BAD, FUTURE, GOOD, TOO_LATE, Clock, Faults, Messages, schedule

SHARE = st.sampled_from([0.0, 0.05, 0.3, 1.0])
START = 1_733_011_200_000_000


def everything(clock, faults, block, measurements, most=None, seed=1):
    return Messages.join(list(schedule(clock, faults, seed, block, measurements, most)))


@settings(deadline=None, max_examples=40)
@given(
    late=SHARE, duplicates=SHARE, corrections=SHARE, deletions=SHARE, block=st.integers(1, 300),
    step=st.sampled_from([1, 999, 10**6, 10**9 + 7]), most=st.none() | st.integers(1, 900),
)  # fmt: skip
def test_the_size_of_a_block_changes_nothing(
    late, duplicates, corrections, deletions, block, step, most
):
    clock = Clock(START, step, 7)
    faults = Faults(late, 0.05, 0.05, duplicates, corrections, deletions, 0.1, delay=10**6)
    whole = everything(clock, faults, 1_000, 400, most)
    pieces = everything(clock, faults, block, 400, most)
    for each in dataclasses.fields(Messages):
        assert (getattr(whole, each.name) == getattr(pieces, each.name)).all()
    assert (np.diff(whole.dues) >= 0).all()
    if most is not None:
        assert len(whole) <= most
        assert len(whole) == most or whole.numbers.max() == 399


def test_shares_are_as_asked_and_families_are_whole():
    clock = Clock(START, 10**7, 50)
    faults = Faults(0.1, 0.05, 0.04, 0.2, 0.15, 0.1, 0.03, delay=10**6)
    found = everything(clock, faults, 5_000, 60_000)
    originals = found.take(np.flatnonzero((found.versions == 0) & ~found.copies))
    assert len(originals) == 60_000
    for kind, share in ((BAD, 0.03), (TOO_LATE, 0.05), (FUTURE, 0.04)):
        assert abs((originals.kinds == kind).mean() - share) < 0.005
    good = (originals.kinds == GOOD).sum()
    for rows, share in (
        (found.copies, 0.2),
        ((found.versions == 1) & ~found.copies, 0.15),
        (found.versions == 2, 0.1),
    ):
        assert abs(rows.sum() / good - share) < 0.01
    sizes = Counter(found.numbers.tolist())
    assert all(sizes[n] == size for n, size in zip(found.numbers, found.families, strict=True))


def test_no_two_measurements_of_a_sensor_are_of_one_moment():
    clock = Clock(START, 4 * 10**8, 10)
    faults = Faults(late=0.3, too_late=0.3, future=0.3)
    found = everything(clock, faults, 4_096, 300_000)
    moments = found.times // 1_000_000 * 10 + found.numbers % 10
    assert len(np.unique(moments)) == len(moments)
    late = found.kinds == TOO_LATE
    assert (found.dues[late] - found.times[late] > faults.allowed_lateness).all()
    ahead = found.kinds == FUTURE
    assert (found.times[ahead] - found.dues[ahead] > faults.max_future).all()
    others = ~late & ~ahead
    assert (found.dues[others] - found.times[others] < faults.allowed_lateness).all()


def test_delays_are_distributed_exponentially():
    clock = Clock(START, 10**9, 10)
    found = everything(clock, Faults(late=1.0, delay=60_000_000), 4_096, 50_000)
    delays = (found.dues - found.times) / 1e6
    assert abs(delays.mean() - 60) < 2
    assert abs(delays.std() - 60) < 3
    assert abs((delays > 120).mean() - np.exp(-2)) < 0.01


@pytest.mark.parametrize("faults", [{"late": 1.1}, {"bad": 0.7, "future": 0.7}, {"delay": 10**12}])
def test_faults_that_cannot_be_are_refused(faults):
    with pytest.raises(ValueError, match="--"):
        Faults(**faults)
