"""What a shard remembers: against a plain dictionary, with releases and restores in between."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reading import VersionKind
from transforms import row_log, version_memory
from transforms.packed_rows import (
    DELETED,
    PLACED,
    ROW,
    Packed,
    flags_of,
    kinds_of,
    labels_of,
    series_of,
)
from transforms.packed_versions import newest_rows
from transforms.version_memory import VersionMemory

REMEMBER, MAX_FUTURE = 1000, 300
PLACES = ((None, None), ("76", "Occitanie"))
SENSORS = (None, "", "a", "b")
NAMES = tuple(("temperature", *place, sensor) for sensor in SENSORS for place in PLACES)
RANK = ("kind", "version", "deleted", "event_time", "longitude", "latitude", "value", "placed")
RANK += ("sensor",)


@st.composite
def entry(draw):
    small = st.integers(0, 2)
    placed, sensor = draw(st.booleans()), draw(st.integers(0, 3))
    return {
        # Few hashes, and halves that different readings share.
        "high": draw(small),
        "low": draw(small),
        "kind": draw(st.integers(0, 3)),
        "version": draw(small),
        "deleted": draw(st.booleans()),
        "event_time": draw(st.integers(0, 3)) * 500 * 10**6,
        "longitude": float(draw(st.integers(0, 1))),
        "latitude": 0.0,
        "value": draw(st.integers(-1, 1)),
        "placed": placed,
        "sensor": sensor,
        "series": 2 * sensor + placed,
        "arrival": draw(st.integers(0, 8)) * 250,
    }


def packed(entries):
    rows = np.zeros(len(entries), ROW)
    for number, each in enumerate(entries):
        flags = each["deleted"] * DELETED + each["placed"] * PLACED
        for name in ROW.names[:-1]:
            rows[number][name] = each[name]
        label = labels_of(*(np.array([part]) for part in (each["series"], each["kind"], flags)))
        rows[number]["label"] = label[0]
    return Packed(rows, NAMES)


def identity(each):
    return each["high"], each["low"]


def rank(each):
    return tuple(each[name] for name in RANK)


def says_the_same(one, other):
    """Of versions that are only arrivals, the content decides."""
    content = [identity(each) + rank(each) for each in (one, other)]
    if one["kind"] == other["kind"] == VersionKind.ARRIVAL:
        content = [each[:3] + each[4:] for each in content]
    return content[0] == content[1]


class PlainMemory:
    """The same, one message at a time."""

    def __init__(self):
        self.remembered = {}
        self.released = None

    def offer(self, entries):
        newest = {}
        outcome = {"accepted": [], "duplicates": 0, "superseded": 0, "too_late": 0}
        for each in entries:
            kept = newest.get(identity(each))
            # Of equal ones that come together the last one stays, with its arrival.
            if kept is None or rank(each) >= rank(kept):
                newest[identity(each)] = each
        ordered = sorted(entries, key=lambda each: (identity(each), rank(each)))
        repeats = sum(itertools.starmap(says_the_same, itertools.pairwise(ordered)))
        outcome["duplicates"] += repeats
        outcome["superseded"] += len(entries) - len(newest) - repeats
        for key, each in newest.items():
            before = self.remembered.get(key)
            if before is None and self.may_have_forgotten(each):
                outcome["too_late"] += 1
                if each["deleted"]:
                    # What it deletes may be on its way.
                    arrival = max(each["arrival"], self.released)
                    self.remembered[key] = {**each, "arrival": arrival, "waits": True}
            elif before is None or rank(each) > rank(before):
                if before is not None and "waits" not in before:
                    again = says_the_same(before, each)
                    outcome["duplicates" if again else "superseded"] += 1
                arrival = max(
                    each["arrival"], before["arrival"] if before else 0, self.released or 0
                )
                self.remembered[key] = {**each, "arrival": arrival}
                outcome["accepted"].append((key, rank(each)))
            else:
                again = says_the_same(before, each)
                outcome["duplicates" if again else "superseded"] += 1
        return outcome

    def may_have_forgotten(self, each):
        return (
            self.released is not None
            and each["kind"] == 3
            and each["version"] > 1
            and each["event_time"] <= (self.released - REMEMBER + MAX_FUTURE) * 10**6
        )

    def release(self, until):
        self.released = until
        self.remembered = {
            key: each for key, each in self.remembered.items() if each["arrival"] + REMEMBER > until
        }


def plain(rows, names):
    return [
        (
            (int(row["high"]), int(row["low"])),
            (
                int(kind),
                int(row["version"]),
                bool(flags & DELETED),
                int(row["event_time"]),
                float(row["longitude"]),
                float(row["latitude"]),
                int(row["value"]),
                bool(flags & PLACED),
                SENSORS.index(names[series][3]),
            ),
        )
        for row, kind, flags, series in zip(
            rows, kinds_of(rows), flags_of(rows), series_of(rows), strict=True
        )
    ]


@pytest.fixture(params=[(20, 2**32), (1, 2**32), (2, 40)], ids=["large", "small", "few-numbers"])
def segments(request, monkeypatch):
    """Rows of a segment, so many that all are in one, or two or four; and row numbers there are."""
    bits, numbers = request.param
    monkeypatch.setattr(row_log, "BITS", bits)
    monkeypatch.setattr(version_memory, "MOST_NUMBERS", numbers)


@settings(max_examples=300)
@given(
    st.lists(
        st.lists(entry(), min_size=1, max_size=12) | st.just("release") | st.just("restore"),
        max_size=12,
    )
)
@pytest.mark.usefixtures("segments")
def test_it_decides_as_a_dictionary_does(events):
    memory, model = VersionMemory(REMEMBER, MAX_FUTURE), PlainMemory()
    log, now = [], 1000
    for event in events:
        if event == "release":
            now += 250
            memory.release(now)
            model.release(now)
        elif event == "restore":
            # The log has every accepted version, in no order that could be relied on.
            memory = VersionMemory(REMEMBER, MAX_FUTURE)
            memory.restore(log[::-1], model.released)
        else:
            decision, expected = memory.offer(packed(event)), model.offer(event)
            kept = np.concatenate([decision.accepted, decision.waiting])
            log.append(Packed(kept, memory.names))
            assert sorted(plain(decision.accepted, memory.names)) == sorted(expected["accepted"])
            for name in ("duplicates", "superseded", "too_late"):
                assert getattr(decision, name) == expected[name]
        assert sorted(plain(memory.rows, memory.names)) == sorted(
            (key, rank(each)) for key, each in model.remembered.items()
        )
        assert len(memory) == len(model.remembered)
        arrivals = [each["arrival"] for each in model.remembered.values()]
        assert (memory.oldest is None) == (not arrivals)
        assert not arrivals or memory.oldest <= min(arrivals)


@settings(max_examples=200)
@given(st.lists(st.lists(entry(), min_size=1, max_size=8), min_size=1, max_size=6))
def test_what_is_added_less_what_is_taken_is_what_is_remembered(pieces):
    """In all that a mean depends on."""
    memory, standing = VersionMemory(10**9, MAX_FUTURE), []

    def meant(rows):
        columns = rows["event_time"], rows["value"], flags_of(rows), series_of(rows)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    for piece in pieces:
        decision = memory.offer(packed(piece))
        standing += meant(decision.added)
        for each in meant(decision.taken):
            standing.remove(each)
    assert sorted(standing) == sorted(meant(memory.rows))


@settings(max_examples=200)
@given(st.lists(st.lists(entry(), min_size=1, max_size=8), min_size=1, max_size=6))
def test_whatever_order_messages_come_in_each_window_of_theirs_is_touched(pieces):
    """But for repeats, and what comes too late: somebody else may have told it in another order."""
    memory, known = VersionMemory(10**9, MAX_FUTURE, touched=True), {}

    def places(rows):
        return set(zip(rows["event_time"].tolist(), series_of(rows).tolist(), strict=True))

    for piece in pieces:
        decision = memory.offer(packed(piece))
        said = set().union(*map(places, (decision.added, decision.taken, decision.touched)))
        for each in piece:
            again = each["kind"] == VersionKind.ARRIVAL or rank(each) in known.get(
                identity(each), ()
            )
            if not again:
                assert (each["event_time"], each["series"]) in said
        for each in piece:
            known.setdefault(identity(each), set()).add(rank(each))


def test_nothing_is_touched_unless_that_is_asked_for():
    first = {"high": 1, "low": 1, "kind": 3, "version": 2, "deleted": False, "event_time": 5}
    first |= {"longitude": 0.0, "latitude": 0.0, "value": 1, "series": 0, "arrival": 9}
    first |= {"placed": False}
    memory = VersionMemory(REMEMBER, MAX_FUTURE)
    for version in (2, 1, 3):
        decision = memory.offer(packed([first | {"version": version}]))
        assert len(decision.touched) == 0


@given(st.lists(entry(), max_size=30))
def test_the_newest_rows_are_in_their_order(entries):
    kept, repeats, older = newest_rows(packed(entries).rows, NAMES)
    assert len(kept) + repeats + older == len(entries)
    assert (np.diff(kept) > 0).all()


def test_many_readings_are_remembered_however_they_come():
    chance = np.random.default_rng(1)
    memory, rows = VersionMemory(REMEMBER, MAX_FUTURE), np.zeros(50_000, ROW)
    rows["high"] = chance.integers(0, 2**63, len(rows), dtype=np.uint64)
    # Neighbours in the table, so that places are taken.
    rows["low"] = chance.integers(0, 20_000, len(rows), dtype=np.uint64)
    for begin in range(0, len(rows), 7_000):
        decision = memory.offer(Packed(rows[begin : begin + 7_000], NAMES))
        assert len(decision.accepted) == len(decision.added)
    assert len(memory) == len(rows)
    again = memory.offer(Packed(rows, NAMES))
    assert (again.duplicates, len(again.accepted)) == (len(rows), 0)
    assert len(memory.holds(Packed(rows[:100], NAMES))) == 100


def test_what_is_forgotten_is_forgotten_before_it_is_thrown_away():
    base = {**dict.fromkeys((*ROW.names, "kind", "series"), 0), "deleted": False, "placed": True}
    old, *young = [
        {**base, "high": number, "arrival": 5000 if number else 100} for number in range(10)
    ]
    memory = VersionMemory(REMEMBER, MAX_FUTURE)
    memory.offer(packed([old, *young]))
    memory.release(100 + REMEMBER)
    assert (len(memory), memory.size[0]) == (9, 10)
    assert memory.offer(packed(young)).duplicates == 9
    again = memory.offer(packed([old]))
    assert (len(again.accepted), len(again.taken)) == (1, 0)
    # It has taken the place of what was forgotten.
    assert (len(memory), memory.size[0]) == (10, 10)
    assert memory.offer(packed([old])).duplicates == 1


def test_an_empty_memory_restores_nothing():
    memory = VersionMemory(REMEMBER, MAX_FUTURE)
    memory.restore([], None)
    assert len(memory) == 0
    assert len(memory.names) == 0


@pytest.mark.parametrize("version", [1, 2])
def test_only_what_the_memory_may_have_held_waits(version):
    memory = VersionMemory(REMEMBER, MAX_FUTURE)
    memory.release(5000)
    horizon = (5000 - REMEMBER + MAX_FUTURE) * 10**6
    times = [horizon - 1, horizon, horizon + 1]
    base = {**dict.fromkeys((*ROW.names, "series"), 0), "kind": 3}
    base |= {"deleted": False, "placed": True}
    entries = [
        {**base, "high": number, "version": version, "event_time": time, "arrival": 5000}
        for number, time in enumerate(times)
    ]
    assert memory.offer(packed(entries)).too_late == (2 if version == 2 else 0)
