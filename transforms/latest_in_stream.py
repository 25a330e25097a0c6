"""KeepLatestVersion on a stream: versions are remembered in keyed state, a shard of them a key.

State that is read and written reading by reading manages some thousand readings a second. Here a
key is a shard, an element a bundle's rows of it, packed; the state is written once an element and
only appended to, and a worker keeps the shard's image in memory, checked by a token in the state.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.entries import ENTRIES
from transforms.allocator import keep_freed_memory
from transforms.balance import count
from transforms.pack_by_identity import PackByIdentity, oldest_event_time
from transforms.packed_entries import arrow_entries
from transforms.packed_rows import Name, Packed, Rows, pack, unpack
from transforms.packed_series import joined_packed
from transforms.shard_images import ShardImages
from transforms.shard_state import GENERATIONS, ShardState
from transforms.triggers import all_at_once
from transforms.version_memory import Decision, VersionMemory

__all__ = ["WEIGHTED", "RememberVersions", "latest_in_stream"]

ENTRIES_TAG = "entries"
FLUSH_FROM = 1 << 18
"""Rows that a bundle holds before it passes them on: bounds its memory."""
STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("state", BytesCoder()))
BAGS = [
    beam.DoFn.StateParam(BagStateSpec(f"generation_{number}", BytesCoder()))
    for number in range(GENERATIONS)
]
RELEASE = TimerSpec("release", TimeDomain.WATERMARK)
TIMER = beam.DoFn.TimerParam(RELEASE)
WEIGHTED = ENTRIES.append(pa.field("weight", pa.int8(), nullable=False))
"""Columns of the readings that come out."""


def latest_in_stream(
    readings: beam.PCollection[pa.RecordBatch],
    shards: int,
    remember: int,
    max_future: int,
    group_by: str,
    *,
    retell: bool = False,
    durable: bool = True,
) -> tuple[beam.PCollection[pa.RecordBatch], beam.PCollection[pa.RecordBatch]]:
    """Applies the steps of `KeepLatestVersion` to an unbounded input.

    Args:
        readings: batches of schema `PLACED_READINGS`.
        shards: how many shards there are.
        remember: for how many seconds of event time after its arrival a version is remembered.
        max_future: by how many seconds an event time may be ahead of its arrival.
        group_by: what means are grouped by.
        retell: also give out, with weight 0, what changes nothing and may have been told before.
        durable: what is remembered is in the runner's state, too.

    Returns:
        Batches of schema `WEIGHTED`, and batches of schema `ENTRIES` with the accepted versions.
    """
    latest = (
        readings
        | "AllTime" >> all_at_once()
        | "PackByIdentity"
        >> beam.ParDo(PackByIdentity(shards, group_by)).with_output_types(tuple[int, bytes])
        | "RememberVersions"
        >> beam.ParDo(
            RememberVersions(remember, max_future, retell=retell, durable=durable)
        ).with_outputs(ENTRIES_TAG, main="readings")
    )
    for output in (latest.readings, latest[ENTRIES_TAG]):
        output.element_type = pa.RecordBatch
    return latest.readings, latest[ENTRIES_TAG]


class RememberVersions(beam.DoFn):
    """Decides which messages are new versions, by what the state of their shard remembers.

    Elements in are pairs of a shard and packed rows. Elements out are batches of schema `ENTRIES`
    with a column `weight`; the output `ENTRIES_TAG` has the accepted versions, of schema
    `ENTRIES`. Both carry the oldest event time in them, which may be older than that of the
    element in: what is taken away then comes late, as it is.

    Args:
        remember: for how many seconds of event time after its arrival a version is remembered.
        max_future: by how many seconds an event time may be ahead of its arrival.
        retell: also give out, with weight 0, what changes nothing: see `Decision.touched`.
        durable: what is remembered is in the runner's state, too, from which another worker or
            another attempt goes on. Else it is in this process alone.
    """

    def __init__(
        self, remember: int, max_future: int, *, retell: bool = False, durable: bool = True
    ) -> None:
        self._remember, self._max_future, self._retell = remember, max_future, retell
        self._durable = durable
        self._images = ShardImages(uuid.uuid4().hex)

    def setup(self) -> None:
        keep_freed_memory()
        self._images.keep(only=not self._durable)

    def teardown(self) -> None:
        self._images.keep(only=False)

    def start_bundle(self) -> None:
        ShardImages.drop_unused()
        self._decided: list[tuple[Decision, Sequence[Name]]] = []
        self._rows = 0
        self._oldest = MAX_TIMESTAMP

    def process(
        self,
        element: tuple[int, bytes],
        timestamp: Any = beam.DoFn.TimestampParam,
        small: Any = STATE,
        bag_0: Any = BAGS[0],
        bag_1: Any = BAGS[1],
        bag_2: Any = BAGS[2],
        bag_3: Any = BAGS[3],
        bag_4: Any = BAGS[4],
        bag_5: Any = BAGS[5],
        bag_6: Any = BAGS[6],
        bag_7: Any = BAGS[7],
        timer: Any = TIMER,
    ) -> Iterator[Any]:
        bags = (bag_0, bag_1, bag_2, bag_3, bag_4, bag_5, bag_6, bag_7)
        shard, data = element
        state = ShardState.read(small.read())
        memory = self._memory(shard, state, bags)
        decision = memory.offer(unpack(data))
        kept = decision.accepted
        if len(decision.waiting):
            kept = np.concatenate([kept, decision.waiting])
        if len(kept):
            arrival = kept["arrival"]
            if self._durable:
                bags[state.bag_for(int(arrival.max()))].add(_logged(kept, memory))
            if state.schedule(int(arrival.min()), self._remember):
                timer.set(Timestamp(state.next_release))
            state.renew()
            small.write(state.write())
        self._images.put(shard, state.token, memory)
        count("duplicate", decision.duplicates)
        count("superseded", decision.superseded)
        count("too_late", decision.too_late)
        self._decided.append((decision, memory.names))
        self._rows += sum(map(len, (decision.accepted, decision.taken, decision.touched)))
        self._oldest = min(self._oldest, timestamp)
        if self._rows >= FLUSH_FROM:
            for tag, batch, at in self._flush():
                output = TimestampedValue(batch, at)
                yield TaggedOutput(tag, output) if tag else output

    def finish_bundle(self) -> Iterator[Any]:
        ShardImages.measure()
        for tag, batch, at in self._flush():
            output = WindowedValue(batch, at, (GlobalWindow(),))
            yield TaggedOutput(tag, output) if tag else output

    @on_timer(RELEASE)
    def release(
        self,
        shard: Any = beam.DoFn.KeyParam,
        fired: Any = beam.DoFn.TimestampParam,
        small: Any = STATE,
        bag_0: Any = BAGS[0],
        bag_1: Any = BAGS[1],
        bag_2: Any = BAGS[2],
        bag_3: Any = BAGS[3],
        bag_4: Any = BAGS[4],
        bag_5: Any = BAGS[5],
        bag_6: Any = BAGS[6],
        bag_7: Any = BAGS[7],
        timer: Any = TIMER,
    ) -> None:
        bags = (bag_0, bag_1, bag_2, bag_3, bag_4, bag_5, bag_6, bag_7)
        state = ShardState.read(small.read())
        if state.next_release is None:
            return
        if fired < state.next_release:
            # A runner may let a timer that was set again fire at its former time, too.
            timer.set(Timestamp(state.next_release))
            return
        memory = self._memory(shard, state, bags)
        until, state.next_release = state.next_release, None
        memory.release(until)
        for ended in state.release(until, self._remember):
            bags[ended].clear()
        oldest = state.seal() if not state.sealed else None
        if oldest is not None:
            held = [memory.holds(unpack(data)) for data in bags[oldest].read()]
            bags[oldest].clear()
            for rows in held:
                if len(rows):
                    bags[state.bag_for(int(rows["arrival"].max()))].add(_logged(rows, memory))
        if memory.oldest is not None:
            state.schedule(memory.oldest, self._remember)
            timer.set(Timestamp(state.next_release))
        self._images.put(shard, state.renew(), memory)
        small.write(state.write())

    def _memory(self, shard: int, state: ShardState, bags: tuple[Any, ...]) -> VersionMemory:
        """The shard's image: the one that a bundle here left, else made from the state."""
        image = self._images.take(shard, state.token)
        if image is not None:
            return image
        if state.token and not self._durable:
            msg = (
                "the worker that remembered the versions of readings is gone, and they with it: "
                "start the command again; it goes on where the store is"
            )
            raise RuntimeError(msg)
        memory = VersionMemory(
            self._remember, self._max_future, self._images.series, touched=self._retell
        )
        logged = [unpack(data) for bag, _ in state.generations for data in bags[bag].read()]
        memory.restore(logged, state.released)
        return memory

    def _flush(self) -> Iterator[tuple[str | None, pa.RecordBatch, Timestamp]]:
        decided, self._decided, self._rows = self._decided, [], 0
        accepted = _joined(decided, "accepted")
        if len(accepted.rows):
            entries = arrow_entries(accepted)
            at = oldest_event_time(accepted.rows, self._oldest)
            yield ENTRIES_TAG, entries, at
            if all(_adds_only(each) for each, _ in decided):
                yield None, with_weights(entries, len(entries), 0), at
                return
        parts = [_joined(decided, part) for part in ("added", "taken", "touched")]
        added, taken, touched = (len(part.rows) for part in parts)
        if added or taken or touched:
            changes = joined_packed(parts)
            batch = with_weights(arrow_entries(changes), added, taken, touched)
            yield None, batch, oldest_event_time(changes.rows, self._oldest)


def _adds_only(decision: Decision) -> bool:
    """Whether all that was accepted is added, and nothing else is said."""
    few = not len(decision.taken) and not len(decision.touched)
    return decision.added is decision.accepted and few


def _joined(decided: list[tuple[Decision, Sequence[Name]]], part: str) -> Packed:
    return joined_packed([Packed(getattr(decision, part), names) for decision, names in decided])


def with_weights(
    entries: pa.RecordBatch, added: int, taken: int, touched: int = 0
) -> pa.RecordBatch:
    """Entries with a column `weight`: 1 in the rows that come first, then -1, and 0 at the end."""
    weights = np.repeat(np.array([1, -1, 0], np.int8), [added, taken, touched])
    return pa.RecordBatch.from_arrays([*entries.columns, pa.array(weights)], schema=WEIGHTED)


def _logged(rows: Rows, memory: VersionMemory) -> bytes:
    return pack(Packed(rows, memory.names))
