"""What counts as what, beside a ledger that is as plain as can be."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reasons import REASONS
from simulation.batch import NO_REASON, make_batches
from simulation.counts import CLASSES, Counts
from simulation.messages import Writing
from simulation.outputs.output import wall_clock
from simulation.schedule import Clock, Faults, schedule
from simulation.world import make_sensors
from transforms import balance

START = 1_733_011_200_000_000
SENSORS = make_sensors(30, 0.3, 5)


def batches(name, faults, seed, block=64):
    clock = Clock(START, 10**9, len(SENSORS))
    messages = schedule(clock, faults, seed, block, 400, None)
    registered = np.arange(len(SENSORS)) % 2 == 0
    writing = Writing(SENSORS, seed, clock.turn)
    return list(make_batches(name, messages, writing, registered, json_only=False))


def plain_balance(sent):
    """One message after the other, all that was sent of a measurement kept."""
    found, by_number = Counter(dict.fromkeys(CLASSES, 0)), {}
    names = ("counted", "outside", "no_place", "deleted")
    for batch in sent:
        messages = batch.messages
        for row in range(len(batch)):
            found["rejected"] += int(batch.reasons[row] != NO_REASON)
            good = int(batch.good[row])
            after = int(messages.dues[row] - messages.times[row])
            if good and after > 86_400_000_000:
                found["too_late"] += good
            elif good and after < -300_000_000:
                found["rejected"] += good
            elif good:
                each = (int(messages.versions[row]), names[batch.classes[row]])
                by_number.setdefault((int(messages.numbers[row]), good), []).append(each)
    for (_, good), versions in by_number.items():
        distinct = sorted(set(versions))
        found["duplicate"] += good * (len(versions) - len(distinct))
        found["superseded"] += good * (len(distinct) - 1)
        found[distinct[-1][1]] += good
    return {"read": sum(found.values()), **found}


SHARES = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(["regional", "device", "air_quality", "mixed"]),
    late=SHARES, duplicates=SHARES, corrections=SHARES, deletions=SHARES,
    seed=st.integers(0, 99), stop=st.floats(0, 1),
)  # fmt: skip
def test_the_balance_is_true_wherever_it_is_cut_off(
    name, late, duplicates, corrections, deletions, seed, stop
):
    faults = Faults(late, 0.1, 0.1, duplicates, corrections, deletions, 0.1, delay=60_000_000)
    sent = batches(name, faults, seed)
    sent = sent[: round(stop * len(sent))]
    counts = Counts(86_400_000_000, 300_000_000)
    for batch in sent:
        counts.add(batch, batch.messages.dues)
    assert counts.balance == plain_balance(sent)
    assert counts.messages == sum(map(len, sent))
    assert balance.closes(counts.balance)


def test_the_classes_and_reasons_are_those_of_the_pipeline():
    assert CLASSES == balance.CLASSES
    found = batches("mixed", Faults(bad=1.0), 1)
    reasons = {REASONS[reason] for batch in found for reason in batch.reasons}
    never = {"too_large", "from_the_future", "too_late", "parser_failed"}
    assert reasons == set(REASONS) - never


def test_a_bare_integer_is_a_reading_by_its_arrival_and_none_without():
    faults = Faults(too_late=0.2, future=0.2, duplicates=0.5, corrections=0.2)
    sent = batches("integers", faults, 1)
    queue, file = Counts(10**9, 10**9), Counts(10**9, 10**9)
    for batch in sent:
        queue.add(batch, wall_clock(len(batch)))
        file.add(batch, None)
    assert queue.balance["no_place"] == queue.balance["read"] == queue.messages
    assert file.as_dict()["rejected"] == {"missing_field": file.messages}


def test_nothing_sent_is_nothing_counted():
    found = Counts(1, 1).as_dict()
    assert (found["messages"], found["readings"], found["first_event_time"]) == (0, 0, None)
