"""ReadStream, poll by poll: what it gives out, claims, says of time, and when it ends."""

from __future__ import annotations

import datetime
import json
import pickle
import time

import numpy as np
import pytest
from apache_beam.io.restriction_trackers import OffsetRange
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.streams import read_stream, readers
from connectors.streams.event_times import EventTimes
from connectors.streams.read_stream import ReadStream
from connectors.streams.readers import finish_reading
from connectors.streams.restrictions import Tracker
from connectors.streams.source import ENDLESS, STOP, Part, Poll
from connectors.streams.watermarks import Watermarks
from transforms.balance import tally
from transforms.payload import Reached, join_messages

START = datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC)
PART = Part("queue/0")


@pytest.fixture(autouse=True)
def small_polls_are_enough(monkeypatch):
    """Bundles go on, however little a poll brings, but for the tests of that."""
    monkeypatch.setattr(read_stream, "FEW_BYTES", 0)


def message(minutes, value=15.0):
    time = START + datetime.timedelta(minutes=minutes)
    place = {"lat": 48.9, "lon": 2.3}
    reading = {"id": str(minutes), "timestamp": time.isoformat(), "temperature": value}
    return json.dumps(reading | place).encode()


def payload(*minutes, arrived=100.0, first=0):
    texts = [message(each) for each in minutes]
    at = int((START + datetime.timedelta(minutes=arrived)).timestamp() * 1e6)
    places = np.arange(first, first + len(texts))
    return join_messages(texts, "queue/0", places, np.full(len(texts), at))


class Script:
    """A source of one part whose reader gives what a test wants, and remembers what it hears."""

    uri = "script://"

    def __init__(self, *polls):
        self.polls, self.heard, self.asked, self.closed, self.opened = list(polls), [], [], 0, 0

    def parts(self, positions):
        return [Part(PART.name, positions.get(PART.name, 0))]

    def open(self, _):
        self.opened += 1
        return self

    def poll(self, position, _):
        self.asked.append(position)
        return self.polls.pop(0) if self.polls else Poll(position, caught_up=True)

    def stored(self, position):
        self.heard.append(position)

    def close(self):
        self.closed += 1


def found(*minutes, first=0, **more):
    return Poll(first + len(minutes), payload(*minutes, first=first), len(minutes), **more)


def minute(watermark):
    """A watermark in minutes after the start."""
    return (float(watermark) - START.timestamp()) / 60


class Reading:
    """One copy of the step, polled by hand."""

    def __init__(self, source, watermarks=None, store=None, stop_when_idle=None, part=PART):
        watermarks = watermarks or Watermarks("regional")
        self.name = ReadStream([source], watermarks, store).name
        kind = read_stream._ReadFinalized if store is None else read_stream._Read
        self.step = kind(self.name, watermarks, store, stop_when_idle)
        self.step.setup()
        self.source, self.part = source, part
        self.estimator = ManualWatermarkEstimator(MIN_TIMESTAMP)
        self.rest, self.delay = OffsetRange(part.start, part.end), None
        self.finalized = []

    def register(self, callback):
        self.finalized.append(callback)

    def bundle(self, between=lambda *_: None):
        """The payloads of a bundle; what is left to do is in `rest`, None for nothing."""
        tracker = ThreadsafeRestrictionTracker(Tracker(self.rest))
        outputs = []
        view = RestrictionTrackerView(tracker)
        for output in self.step._read((self.source, self.part), self, view, self.estimator):
            outputs.append(output)
            between(outputs, tracker)
        tracker.check_done()
        deferred = tracker.deferred_status()
        self.rest, self.delay = (None, None) if deferred is None else deferred
        return [output.value for output in outputs]


@pytest.fixture(autouse=True)
def fresh():
    STOP.clear()
    yield
    STOP.clear()
    readers._open.clear()


def test_where_little_comes_a_bundle_ends_with_it(monkeypatch):
    """So that it is seen soon; where much comes, a bundle is large."""
    few, more = found(1, 2), found(3, 4, 5, first=2)
    monkeypatch.setattr(read_stream, "FEW_BYTES", few.payload.size + 1)
    monkeypatch.setattr(read_stream, "GATHER_SECONDS", 0)
    reading = Reading(Script(few, more, found(6, first=5)))
    assert len(reading.bundle()) == 1
    assert reading.rest.start == 2
    assert reading.delay.micros <= 0
    assert len(reading.bundle()) == 2
    assert reading.rest.start == 6


def test_what_comes_a_message_at_a_time_is_gathered(monkeypatch):
    monkeypatch.setattr(read_stream, "FEW_BYTES", 1 << 18)
    monkeypatch.setattr(read_stream, "GATHER_SECONDS", 3600)
    reading = Reading(Script(*(found(minute, first=minute) for minute in range(5))))
    assert len(reading.bundle()) == 5
    # As soon as nothing is there, what was gathered goes on its way, and more may come at once.
    assert reading.rest.start == 5
    assert reading.delay.micros <= 0
    assert reading.bundle() == []
    assert reading.delay.micros > 0


def test_a_bundle_gives_payloads_that_say_how_far_the_part_is_read():
    before = tally("source", "messages")
    reading = Reading(Script(found(1, 2), found(3, first=2)))
    first, second = reading.bundle()
    assert first.reached == Reached("queue/0", 2)
    assert second.reached == Reached("queue/0", 3)
    assert second.data == message(3)
    assert (reading.rest.start, reading.rest.stop) == (3, ENDLESS)
    assert tally("source", "messages") - before == 3
    # The same reader goes on in the next bundle.
    reading.source.polls.append(found(4, first=3))
    assert len(reading.bundle()) == 1
    assert reading.source.opened == 1
    assert reading.source.asked == [0, 2, 3, 3, 4]


def test_the_watermark_follows_the_newest_event_time_and_never_goes_back():
    reading = Reading(Script(found(30, 50, 40)), Watermarks("regional", out_of_orderness=300))
    reading.bundle()
    assert minute(reading.estimator.current_watermark()) == 45
    reading.source.polls.append(found(20, first=3))
    reading.bundle()
    assert minute(reading.estimator.current_watermark()) == 45
    reading.source.polls.append(found(60, first=4))
    reading.bundle()
    assert minute(reading.estimator.current_watermark()) == 55


def test_a_broken_clock_does_not_move_the_watermark():
    # They arrive at minute 100.
    reading = Reading(Script(found(50, 9999)), Watermarks("regional", 0, max_future=300))
    reading.bundle()
    assert minute(reading.estimator.current_watermark()) == 50


def test_a_part_that_has_said_nothing_holds_the_watermark():
    reading = Reading(Script())
    assert reading.bundle() == []
    assert reading.estimator.current_watermark() == MIN_TIMESTAMP
    assert reading.delay.micros > 0


@pytest.mark.parametrize(("idle", "moves"), [("clock", True), ("hold", False)])
def test_an_idle_part_follows_the_clock_or_holds(idle, moves):
    watermarks = Watermarks("regional", 300, idle=idle, idle_after=0.0)
    reading = Reading(Script(Poll(1, payload(50, arrived=minute(time.time())), 1)), watermarks)
    polls = tally("source", "idle_polls")
    reading.bundle()
    now = Timestamp.now()
    assert tally("source", "idle_polls") > polls
    watermark = reading.estimator.current_watermark()
    if moves:
        assert abs(float(now - watermark) - 300) < 5
    else:
        assert minute(watermark) == 45


def test_an_idle_part_of_long_ago_does_not_follow_the_clock_of_today():
    """Else the runner would drop, without a word, what comes after it from long ago."""
    watermarks = Watermarks("regional", 300, idle_after=0.0)
    reading = Reading(Script(found(50)), watermarks)
    reading.bundle()
    half_a_day = minute(reading.estimator.current_watermark()) - 100 + 5
    assert 720 <= half_a_day < 721


def test_a_part_that_is_opened_anew_is_not_sent_far_ahead_again():
    watermarks = Watermarks("regional", 300, idle_after=0.0)
    reading = Reading(Script(), watermarks)
    before = Timestamp(START.timestamp())
    reading.estimator.set_watermark(before)
    reading.bundle()
    assert 0 <= reading.estimator.current_watermark() - before - 3600 + 300 < 60


def test_a_part_that_may_have_more_is_not_idle():
    watermarks = Watermarks("regional", 300, idle_after=0.0)
    reading = Reading(Script(found(50), Poll(1)), watermarks)
    reading.bundle()
    assert minute(reading.estimator.current_watermark()) == 45


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="clock or hold, not 'sleep'"):
        Watermarks("regional", idle="sleep")


def test_what_somebody_else_goes_on_with_is_not_given_out():
    script = Script(found(1), found(2, first=1))
    reading = Reading(script)

    def split(outputs, tracker):
        if len(outputs) == 1:
            assert tracker.try_split(0.5) is None
            assert tracker.try_split(0) is not None

    assert [each.data for each in reading.bundle(split)] == [message(1)]
    # Whoever goes on does so at the right place.
    reading.rest = OffsetRange(1, ENDLESS)
    script.polls.append(found(2, first=1))
    assert [each.data for each in reading.bundle()] == [message(2)]
    assert script.asked[:3] == [0, 1, 1]
    assert script.closed == 0


def test_a_part_with_an_end_ends():
    part = Part("queue/0", 0, 3)
    reading = Reading(Script(found(1, 2), found(3, first=2), found(4, first=3)), part=part)
    assert len(reading.bundle()) == 2
    assert reading.rest is None
    assert len(reading.source.polls) == 1


def test_a_part_that_is_empty_from_the_beginning_ends():
    reading = Reading(Script(), part=Part("queue/0", 7, 7))
    assert reading.bundle() == []
    assert reading.rest is None


def test_a_run_that_is_stopped_ends_its_parts():
    reading = Reading(Script(found(1), found(2, first=1)))
    assert len(reading.bundle(lambda *_: STOP.set())) == 1
    assert reading.rest is None


class Stored:
    """What a store says that it has of the part."""

    def __init__(self, position):
        self.position = position

    def recent(self):
        return {PART.name: self.position}


def test_a_run_that_is_stopped_first_reads_again_what_the_store_has_already():
    reading = Reading(Script(found(1), found(2, first=1), found(3, first=2)))
    reading.step._positions = Stored(2)
    assert len(reading.bundle(lambda *_: STOP.set())) == 2
    assert reading.rest is None


def test_a_run_that_is_stopped_does_not_wait_for_what_the_source_has_no_more():
    reading = Reading(Script(found(1)))
    reading.step._positions = Stored(5)
    assert len(reading.bundle(lambda *_: STOP.set())) == 1
    assert reading.rest is None


def test_a_silent_part_ends_when_that_is_wanted():
    reading = Reading(Script(found(1)), stop_when_idle=0.05)
    bundles = 0
    while reading.rest is not None:
        reading.bundle()
        bundles += 1
    assert bundles > 1


def test_without_a_store_the_source_hears_when_the_runner_has_it():
    reading = Reading(Script(found(1), found(2, first=1)))
    reading.bundle()
    assert reading.source.heard == []
    for callback in reading.finalized:
        callback()
    assert reading.source.heard == [1, 2]


def test_with_a_store_the_source_hears_what_is_stored(tmp_path, monkeypatch):
    store = LocalStore(tmp_path)
    script = Script(found(1), found(2, first=1))
    reading = Reading(script, store=str(tmp_path))
    monkeypatch.setattr("connectors.streams.positions.LOOK_EVERY", 0.0)
    reading.bundle()
    assert script.heard == []
    assert reading.finalized == []
    run = Run("r", 1, START, ("queue",), ((3600, 3600),)).record([], "stream", "running")
    store.commit(run, [], {"queue/0": 1, "other": 5})
    reading.bundle()
    assert set(script.heard) == {1}
    finish_reading(reading.name, {"queue/0": 2})
    assert script.heard[-1] == 2
    assert script.closed == 1


def test_readers_are_closed_though_acknowledging_fails():
    script = Script(found(1))
    script.stored = lambda _: 1 / 0
    reading = Reading(script)
    reading.bundle()
    with pytest.raises(ZeroDivisionError):
        finish_reading(reading.name, {"queue/0": 1})
    assert script.closed == 1


def test_a_source_that_wants_to_rest_is_left_alone_so_long():
    reading = Reading(Script(found(1, lag=10, wait=7.5), found(2, first=1)))
    assert len(reading.bundle()) == 1
    assert 7 < float(reading.delay) <= 7.5


def test_the_step_can_be_sent_to_workers():
    step = read_stream._Read("n", Watermarks("regional"), None, None)
    assert pickle.loads(pickle.dumps(step))._name == "n"  # noqa: S301 - our own


@pytest.mark.parametrize("messages", [1, 300, 5000])
def test_the_newest_event_time_is_looked_for_in_a_sample(messages):
    times = EventTimes("regional", 300)
    newest = times.newest(payload(*(number / 100 for number in range(messages)), arrived=60))
    assert newest == round((START.timestamp() + (messages - 1) * 0.6) * 1e6)


def test_large_messages_are_sampled_too():
    array = b"[" + b",".join(message(minutes) for minutes in range(500)) + b"]"
    places = [str(number) for number in range(40)]
    many = join_messages([array] * 40, "queue/0", places, np.full(40, 2**51))
    assert EventTimes("regional", 300).newest(many) == int((START.timestamp() + 499 * 60) * 1e6)


@pytest.mark.parametrize("text", [b"no JSON", b"", b"[]"])
def test_what_holds_no_reading_has_no_event_time(text):
    nothing = join_messages([text], "queue/0", np.array([0]), np.array([0]))
    assert EventTimes("regional", 300).newest(nothing) is None


def test_messages_over_many_lines_have_event_times_too():
    text = message(5).replace(b",", b",\n")
    several = join_messages([text, message(3)], "q", np.arange(2), np.full(2, 2**51))
    assert EventTimes("regional", 300).newest(several) == int(START.timestamp() + 300) * 10**6


def test_sources_are_cut_into_parts_where_the_store_says(tmp_path):
    run = Run("r", 1, START, ("queue",), ((3600, 3600),)).record([], "stream", "running")
    LocalStore(tmp_path).commit(run, [], {"queue/0": 17})
    parts = read_stream._Parts(str(tmp_path)).process(Script())
    assert [part.start for _, part in parts] == [17]
    assert [part.start for _, part in read_stream._Parts(None).process(Script())] == [0]
