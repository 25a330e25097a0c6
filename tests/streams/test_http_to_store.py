"""From a server that is polled to the store, on Prism: what was sent is what is accounted for."""

from __future__ import annotations

import datetime
import json
import random
import time
import uuid

import apache_beam as beam
import pytest

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.streams.http import HttpSource
from connectors.streams.http_options import HttpOptions
from connectors.streams.read_stream import ReadStream
from connectors.streams.readers import finish_reading
from connectors.streams.watermarks import Watermarks
from pipelines.job import job_of
from pipelines.options import parse_options
from pipelines.regional_means import build
from pipelines.stream_runner import stream_options
from tests.support import http_server as server
from tests.support.jobs import ask, run_job
from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, message
from tests.support.prism import prism_address
from transforms.balance import CLASSES, Tallies, closes, names_in, read_balance

LATENESS = 2 * 3600
KEY = "s3cr3t-key-72"
SECOND = datetime.timedelta(seconds=1)
PLACES = (PARIS, TOULOUSE, CAYENNE)


@pytest.fixture(scope="module")
def prism():
    """Prism's address."""
    with prism_address() as address:
        yield address


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("REGIONAL_MEANS_API_KEY", KEY)


def run_stream(prism, source, folder):
    """Runs the main job over a source until it brings nothing new; gives what it counted."""
    times = [f"--allowed_lateness={LATENESS}s", "--early_every=1s", "--late_every=1s"]
    options, _ = parse_options(["--window", "hourly", "--output", str(folder), *times])
    job, store = job_of(options), LocalStore(folder)
    store.prepare()
    run = Run(
        uuid.uuid4().hex,
        store.next_revision(),
        datetime.datetime.now(datetime.UTC),
        (source.uri,),
        tuple((window.size, window.period) for window in job.windows),
    )
    read = ReadStream([source], Watermarks("regional"), str(folder), stop_when_idle=1.0)
    arguments = [f"--job_endpoint={prism}", "--environment_type=LOOPBACK"]
    with stream_options(arguments) as beam_options:
        tallies = Tallies()
        pipeline = beam.Pipeline(options=beam_options)
        try:
            build(pipeline | "Read" >> read, job, run)
            assert pipeline.run().wait_until_finish(120_000) == "DONE"
        finally:
            finish_reading(read.name, store.positions())
        return tallies


class Api:
    """System A's API, and what it has sent, class by class."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.sent = dict.fromkeys(("read", *CLASSES), 0)
        self.current = {}
        self._ids = 0

    def response(self, count):
        """New readings, corrections of old ones, old ones again, and what is none."""
        elements = [self._new() for _ in range(count)]
        for name in self._random.sample(sorted(self.current), min(len(self.current), count // 5)):
            corrected = self._random.random() < 0.5
            if corrected:
                self.current[name]["temperature"] += 1
            elements.append(dict(self.current[name]))
            self._count("superseded" if corrected else "duplicate")
        for reading in elements:
            if reading["id"] not in self.current:
                self._add(reading)
        elements += [self._bad() for _ in range(count // 10)]
        self._random.shuffle(elements)
        indent = self._random.choice([None, 2])
        return json.dumps(elements, indent=indent).encode()

    def means(self):
        """Count and sum by region's first place and hour."""
        found = {}
        for reading in self.current.values():
            place = {"lat": reading["lat"], "lon": reading["lon"]}
            if place in PLACES:
                key = PLACES.index(place), reading["timestamp"][:13]
                count, total = found.get(key, (0, 0))
                found[key] = count + 1, total + round(reading["temperature"] * 1e6)
        return sorted(found.values())

    def _new(self):
        self._ids += 1
        place = self._random.choice([*PLACES, AT_SEA])
        moment = self._now - self._random.randrange(5000) * SECOND
        value = round(self._random.uniform(-5, 35), 4)
        return self._message(f"r{self._ids}", moment, place, value)

    def _add(self, reading):
        self.current[reading["id"]] = dict(reading)
        self._count("outside" if reading["lon"] == AT_SEA["lon"] else "counted")

    def _bad(self):
        self._ids += 1
        kind = self._random.choice(["late", "future", "text", "missing"])
        self._count("too_late" if kind == "late" else "rejected")
        name = f"x{self._ids}"
        if kind == "late":
            return self._message(name, self._now - 3 * LATENESS * SECOND, PARIS, 1.0)
        if kind == "future":
            return self._message(name, self._now + 3600 * SECOND, PARIS, 1.0)
        value = "warm" if kind == "text" else ...
        return self._message(name, self._now, PARIS, value)

    @staticmethod
    def _message(name, moment, place, value):
        return message(id=name, timestamp=f"{moment:%Y-%m-%d %H:%M:%S}", temperature=value, **place)

    def _count(self, name):
        self.sent["read"] += 1
        self.sent[name] += 1


def source_of(script, folder, **options):
    return HttpSource(
        script.url + "?token=hidden", folder / "responses", HttpOptions(interval=0.1, **options)
    )


@pytest.mark.slow
def test_what_was_sent_is_what_is_accounted_for(prism, tmp_path):
    api = Api(7)
    bodies = [api.response(count) for count in (300, 20, 1500, 0, 100)]
    answers = [
        server.status(503),
        server.text(bodies[0]),
        server.text(bodies[0]),
        server.truncated(bodies[1]),
        server.packed(bodies[1]),
        server.status(429, Retry_After="0"),
        server.chunked(bodies[2]),
        server.text(bodies[3]),
        server.tagged(bodies[4]),
    ]
    store = tmp_path / "store"
    with server.serving(*(server.with_key(KEY, answer) for answer in answers)) as script:
        source = source_of(script, store)
        metrics = run_stream(prism, source, store)
    balance = read_balance(metrics)
    assert balance == api.sent
    assert closes(balance)
    counted = names_in(metrics, "source")
    assert counted["responses"] == counted["messages"] == 5
    assert counted["responses_failed"] == 3
    assert counted["responses_unchanged"] >= 2
    query = "SELECT count, mean FROM hourly_means"
    rows = sorted((count, round(count * mean * 1e6)) for count, mean in ask(store, query))
    assert rows == api.means()
    rejected = ask(store, "SELECT count(*), count(DISTINCT source) FROM rejected_readings")
    assert rejected[0][0] == balance["rejected"] + balance["too_late"]
    sources = ask(store, "SELECT DISTINCT source FROM rejected_readings")
    assert all(text.startswith(f"{source.uri}#response=20") for (text,) in sources)
    for path in tmp_path.rglob("*"):
        assert "hidden" not in str(path)
        content = path.read_bytes() if path.is_file() else b""
        assert KEY.encode() not in content
        assert b"hidden" not in content
    _archive_gives_the_same(store, tmp_path / "again", api)


def _archive_gives_the_same(store, again, api):
    """The archived responses, read as files, hold the same readings."""
    done = run_job(
        "--input", f"{store}/responses/**/*.json.gz", "--output", again, "--format", "json"
    )
    assert done.code == 0, done.err
    balance = json.loads(done.out)["balance"]
    # Files have no arrivals: nothing in them is late, and of two versions the warmer wins.
    assert balance["read"] == api.sent["read"]
    latest = "SELECT id, value FROM latest_readings"
    found = dict(ask(again, latest))
    for name, reading in api.current.items():
        assert found[name] == pytest.approx(reading["temperature"], abs=1e-6)


@pytest.mark.slow
def test_a_second_run_goes_on_and_a_repeat_changes_no_mean(prism, tmp_path):
    api = Api(8)
    body, store = api.response(200), tmp_path / "store"
    query = "SELECT region_code, hour, count, mean, min, max FROM hourly_means ORDER BY ALL"
    with server.serving(server.tagged(body)) as script:
        source = source_of(script, store)
        first = read_balance(run_stream(prism, source, store))
        assert first == api.sent
        means = ask(store, query)
        position = LocalStore(store).positions()[source.name]
        assert position == source.parts({})[0].start
        metrics = run_stream(prism, source, store)
    second = read_balance(metrics)
    assert "responses_replayed" not in names_in(metrics, "source")
    assert closes(second)
    assert second["read"] == first["read"]
    assert LocalStore(store).positions()[source.name] > position
    assert ask(store, query) == means


@pytest.mark.slow
def test_what_was_archived_before_a_crash_is_read_by_the_next_run(prism, tmp_path):
    api = Api(9)
    lost, body, store = api.response(50), api.response(10), tmp_path / "store"
    with server.serving(server.tagged(body)) as script:
        source = source_of(script, store)
        # A run that died when it had archived a response, and nothing more.
        source._archive().add(lost, time.time_ns() // 1000)
        metrics = run_stream(prism, source, store)
    assert read_balance(metrics) == api.sent
    assert names_in(metrics, "source")["responses_replayed"] == 1


@pytest.mark.slow
def test_a_source_that_cannot_be_read_ends_the_run_with_its_sentence(prism, tmp_path):
    with server.serving(server.status(403)) as script:
        source = source_of(script, tmp_path)
        with pytest.raises(Exception, match=r"InputError: .*answers 403 Forbidden") as told:
            run_stream(prism, source, tmp_path)
    assert KEY not in str(told.value)
    assert "hidden" not in str(told.value)
