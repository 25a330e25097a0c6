"""ReadStream: sources that do not end, as payloads for ParseReadings."""

from __future__ import annotations

import dataclasses
import gc
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Duration

from connectors.streams.event_times import EventTimes
from connectors.streams.positions import positions_of
from connectors.streams.readers import open_reader
from connectors.streams.restrictions import Restrictions
from connectors.streams.source import STOP, Part, Poll, Reader, Source
from connectors.streams.source_metrics import measure_part
from connectors.streams.watermarks import FromTheBeginning, Watermarks, advance, follow_clock
from transforms.balance import count
from transforms.payload import Payload, Reached

__all__ = ["ReadStream"]

BUNDLE_SECONDS = 0.5
"""How long a bundle goes on reading, at most: what it has read is parsed and counted then."""

FEW_BYTES = 1 << 18
"""A poll of less ends the bundle: where little comes, what comes is to be seen soon."""

GATHER_SECONDS = 0.05
"""But a bundle gathers what comes for so long: each costs a runner the same, and one that is fed a
message at a time, as fast as it takes them, never comes to its timers."""

POLL_SECONDS = 0.1
REST_SECONDS = 0.1
"""How long a reader rests that has found nothing."""


class ReadStream(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[Payload]]):
    """Reads sources that do not end.

    Elements out are `Payload`s with their arrival, which say how far their part has been read.
    Each part of a source is a restriction of a splittable DoFn of its own, with a watermark of its
    own: the newest event time in its messages, less what they may be out of order.

    Where the results go to a local store, a run goes on where the store says that former runs have
    stored all; and the source hears how far that is (a Kafka group's offsets, a subscription's
    acknowledgements). Without one, the source hears it when the runner has taken the bundle over.

    Of the namespace `source`, the counters `messages` and `bytes_read` count what was read,
    `idle_polls` how often a part was found idle, and the distribution `lag` says how many messages
    were waiting behind each poll. Gauges of the namespaces `lag` and `watermark` say how many wait
    now, and where the watermark is, for each part.

    Args:
        sources: the sources.
        watermarks: how event time follows.
        store: the folder of the local store that keeps the positions; or another output that this
            process writes to, whose sink says how far; None for none.
        stop_when_idle: end a part that is read to its end and brings nothing for so many seconds;
            None: never.

    Attributes:
        name: what `connectors.streams.readers` calls this pipeline: when it has ended,
            `finish_reading` acknowledges what is stored and closes the readers of this process.

    Raises:
        InputError: from the pipeline, when a source cannot be read.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        watermarks: Watermarks,
        store: str | None = None,
        stop_when_idle: float | None = None,
    ) -> None:
        super().__init__()
        self._sources, self._watermarks = list(sources), watermarks
        self._store, self._stop_when_idle = store, stop_when_idle
        self.name = uuid.uuid4().hex

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Payload]:
        # A runner complains of bundles that ask to be finalized and then do not.
        kind = _ReadFinalized if self._store is None else _Read
        read = kind(self.name, self._watermarks, self._store, self._stop_when_idle)
        parts: Any = tuple[Any, Part]
        return (
            pbegin
            | "Sources" >> beam.Create(self._sources).with_output_types(Any)
            | "Parts" >> beam.ParDo(_Parts(self._store)).with_output_types(parts)
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(read).with_output_types(Payload)
        )


class _Parts(beam.DoFn):
    def __init__(self, store: str | None) -> None:
        self._store = store

    def process(self, element: Source) -> Iterator[tuple[Source, Part]]:
        positions = {} if self._store is None else positions_of(self._store).read()
        for part in element.parts(positions):
            yield element, part


RESTRICTION = beam.DoFn.RestrictionParam(Restrictions())
ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(FromTheBeginning())


class _Read(beam.DoFn):
    def __init__(
        self,
        name: str,
        watermarks: Watermarks,
        store: str | None,
        stop_when_idle: float | None,
    ) -> None:
        self._watermarks, self._store, self._stop_when_idle = watermarks, store, stop_when_idle
        self._name = name

    def setup(self) -> None:
        self._positions = None if self._store is None else positions_of(self._store)
        self._event_times = EventTimes(self._watermarks.message_format, self._watermarks.max_future)
        # What is there by now stays: collections need not look at it again.
        gc.collect()
        gc.freeze()

    @beam.DoFn.unbounded_per_element()
    def process(
        self, element: tuple[Source, Part], tracker: Any = RESTRICTION, estimator: Any = ESTIMATOR
    ) -> Iterator[TimestampedValue]:
        yield from self._read(element, None, tracker, estimator)

    def _read(
        self, element: tuple[Source, Part], finalizer: Any, tracker: Any, estimator: Any
    ) -> Iterator[TimestampedValue]:
        source, part = element
        restriction = tracker.current_restriction()
        position, end = restriction.start, restriction.stop
        opened = open_reader(self._name, part.name, lambda: source.open(part))
        began, timeout, gathered = time.monotonic(), POLL_SECONDS, False
        while position < end and not self._may_end(part, position):
            poll = opened.reader.poll(position, timeout)
            if poll.payload is not None:
                if not tracker.try_claim(poll.position - 1):
                    # Whoever goes on here reads it again; this reader goes back if that is it.
                    return
                gathered, opened.busy = True, time.monotonic()
                opened.arrived = poll.payload.newest_arrival or opened.arrived
                yield self._output(poll, part, estimator)
            position = poll.position
            self._tell(opened.reader, part, poll, finalizer)
            measure_part(part.name, poll.lag, estimator.current_watermark())
            idle = time.monotonic() - opened.busy
            if poll.caught_up and self._may_stop(idle):
                break
            if poll.payload is None and poll.caught_up:
                if STOP.is_set():
                    break
                follow_clock(self._watermarks, idle, opened, estimator)
            few = poll.payload is None or poll.payload.size < FEW_BYTES
            left = began + (GATHER_SECONDS if few else BUNDLE_SECONDS) - time.monotonic()
            if (poll.payload is None or poll.wait or left <= 0) and position < end:
                rest = poll.wait or (0 if gathered else REST_SECONDS)
                tracker.defer_remainder(Duration.of(rest))
                return
            timeout = min(left, POLL_SECONDS)
        # The part is read to its end, or as far as is wanted.
        tracker.try_claim(end)

    def _output(self, poll: Poll, part: Part, estimator: Any) -> TimestampedValue:
        assert poll.payload is not None  # noqa: S101 - the caller has looked
        payload = dataclasses.replace(poll.payload, reached=Reached(part.name, poll.position))
        count("messages", poll.records, "source")
        count("bytes_read", payload.size, "source")
        newest = self._event_times.newest(payload)
        before = estimator.current_watermark()
        if newest is not None:
            advance(newest / 1e6 - self._watermarks.out_of_orderness, estimator)
        # The readings get their own event times from the parser; this holds nothing back.
        return TimestampedValue(payload, before or MIN_TIMESTAMP)

    def _may_end(self, part: Part, position: int) -> bool:
        """Whether the run is to end and this part may.

        After a failure the runner's state is that of its last checkpoint, and the store is ahead of
        it: what lies between is read again first, or the last results would lack it.
        """
        if not STOP.is_set() or self._positions is None:
            return STOP.is_set()
        return position >= self._positions.recent().get(part.name, position)

    def _may_stop(self, idle: float) -> bool:
        return self._stop_when_idle is not None and idle >= self._stop_when_idle

    def _tell(self, reader: Reader, part: Part, poll: Poll, finalizer: Any) -> None:
        if self._positions is not None:
            stored = self._positions.recent().get(part.name)
            if stored is not None:
                reader.stored(stored)
        elif poll.payload is not None and finalizer is not None:
            finalizer.register(lambda: reader.stored(poll.position))


class _ReadFinalized(_Read):
    """The same, where no store says what is stored: it is taken to be when the runner has it."""

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: tuple[Source, Part],
        # Beam passes this one by its place, and the others by name.
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
        tracker: Any = RESTRICTION,
        estimator: Any = ESTIMATOR,
    ) -> Iterator[TimestampedValue]:
        yield from self._read(element, finalizer, tracker, estimator)
