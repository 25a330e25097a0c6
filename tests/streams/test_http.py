"""Polling a real server that does what servers do on bad days."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import re
import resource
import socket
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from connectors.input_error import InputError
from connectors.streams import http, http_sockets
from connectors.streams.http import HttpSource
from connectors.streams.http_fetch import THREAD
from connectors.streams.http_schedule import Schedule
from tests.support import http_server as server
from tests.support.http_polling import PATIENCE, Polling, archived, certificate_of, parsed
from tests.support.messages import line, message
from transforms import balance

BODY = json.dumps([message(id=number) for number in range(3)]).encode()
OTHER = json.dumps([message(id=number) for number in range(2, 6)], indent=2).encode()
KEY = "s3cr3t-key-71"


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch):
    """Failures are followed by the next request at the interval; and no proxy stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(
        http, "Schedule", lambda interval: Schedule(interval, jitter=lambda low, _: low)
    )


@pytest.fixture
def counted():
    """What the source counts."""
    found = dict.fromkeys(
        ("responses", "responses_unchanged", "responses_failed", "responses_replayed"), 0
    )

    def watcher(namespace, name, amount):
        if namespace == "source":
            found[name] += amount

    balance.watch(watcher)
    yield found
    balance._watchers.remove(watcher)


@pytest.fixture
def polling(tmp_path):
    made = []

    def make(url, folder=tmp_path / "responses", **options):
        made.append(Polling(url, folder, **options))
        return made[-1]

    yield make
    for each in made:
        each.reader.close()


@pytest.mark.parametrize("answer", [server.text, server.packed, server.chunked])
@pytest.mark.parametrize(
    ("body", "names"),
    [
        (BODY, ["0", "1", "2"]),
        (OTHER, ["2", "3", "4", "5"]),
        (b"\xef\xbb\xbf" + BODY, ["0", "1", "2"]),
        (line(id=1) + b"\n" + line(id=2) + b"\n", ["1", "2"]),
        (b"[]", []),
        (b"", []),
    ],
)
def test_a_response_is_one_payload_of_its_readings(polling, tmp_path, answer, body, names):
    before = time.time()
    with server.serving(answer(body)) as script:
        reading = polling(script.url)
        payload = reading.payload()
    found, rejected = parsed(payload)
    assert found == names
    assert not rejected
    assert payload.source == script.url
    (arrived,) = payload.messages.arrived_at.tolist()
    assert before * 1e6 - 1 <= arrived <= time.time() * 1e6
    assert reading.position == arrived + 1
    (file,) = archived(tmp_path)
    assert gzip.decompress(file.read_bytes()) == body


def test_what_is_no_json_goes_on_and_is_rejected_with_its_place(polling, tmp_path):
    with server.serving(server.text(b"<html>Please log in</html>")) as script:
        names, (rejected,) = parsed(polling(script.url).payload())
    assert not names
    assert rejected["reason"] == "not_json"
    (file,) = archived(tmp_path)
    digest = file.name.split("-")[1][:16]
    place = rf"{re.escape(script.url)}#response=[-0-9]{{10}}T[:0-9]{{8}}\.\d{{6}}Z-{digest}"
    assert re.fullmatch(place, rejected["source"])


def test_half_an_array_is_read_as_far_as_it_is_whole(polling):
    # Nothing but the end of the connection says where this response ends.
    with server.serving(server.until_the_end(BODY[: len(BODY) // 2])) as script:
        names, rejected = parsed(polling(script.url).payload())
    assert names == ["0"]
    assert [row["reason"] for row in rejected] == ["not_json"]


def test_requests_are_an_interval_apart_however_long_they_take(polling):
    answer = server.text(BODY)
    with server.serving(*[answer] * 2, server.slow(0.5, answer), answer) as script:
        reading = polling(script.url, interval=0.3)
        reading.until(lambda _: len(script.requests) == 5)
    times = [request.at for request in script.requests]
    gaps = np.diff(times)
    # A request takes a moment to arrive, once more, once less.
    assert gaps.min() > 0.1
    assert gaps[2] >= 0.5
    assert script.most_at_once == 1


def test_a_slow_response_holds_nobody(polling):
    with server.serving(server.slow(0.5, server.text(BODY))) as script:
        reading = polling(script.url)
        assert parsed(reading.payload())[0] == ["0", "1", "2"]
    assert reading.polls > 3


def test_what_is_known_is_not_asked_for_again(polling, counted):
    with server.serving(server.tagged(BODY)) as script:
        reading = polling(script.url)
        reading.payload()
        reading.until(lambda poll: poll.caught_up)
        script.answers[:] = [server.tagged(OTHER)]
        assert parsed(reading.payload())[0] == ["2", "3", "4", "5"]
        reading.until(lambda poll: poll.caught_up)
    assert "If-None-Match" not in script.requests[0].headers
    assert script.requests[1].headers["If-Modified-Since"] == "Tue, 19 Feb 2019 14:02:10 GMT"
    assert counted["responses"] == len(reading.payloads) == 2
    assert counted["responses_unchanged"] >= 2


def test_the_same_response_again_is_not_split_again(polling, counted, tmp_path):
    answers = [BODY, BODY, OTHER, BODY]
    with server.serving(*map(server.text, answers)) as script:
        reading = polling(script.url)
        reading.until(lambda _: len(script.requests) == 6)
        reading.until(lambda poll: poll.caught_up)
    names = [parsed(payload)[0] for payload in reading.payloads]
    assert names == [["0", "1", "2"], ["2", "3", "4", "5"], ["0", "1", "2"]]
    assert counted["responses"] == 3 == len(archived(tmp_path))
    assert counted["responses_unchanged"] >= 3


def test_no_content_is_nothing_new(polling, counted):
    with server.serving(server.status(204)) as script:
        reading = polling(script.url)
        assert reading.until(lambda poll: poll.caught_up).payload is None
    assert counted["responses_unchanged"]


MISBEHAVIOUR = {
    "503": (server.status(503), "answers 503 Service Unavailable"),
    "429": (server.status(429), "answers 429 Too Many Requests"),
    "408": (server.status(408), "answers 408 Request Timeout"),
    "202": (server.status(202), "answers 202 Accepted"),
    "599": (server.status(599), "answers 599"),
    "truncated": (server.truncated(BODY), "broke the response off"),
    "half the chunks": (server.chunked(BODY, whole=False), "broke the response off"),
    "half a gzip": (
        server.text(gzip.compress(BODY)[:-9], Content_Encoding="gzip"),
        "broke the response off",
    ),
    "no gzip": (server.text(BODY, Content_Encoding="gzip"), "no gzip, although it says so"),
    "brotli": (server.text(BODY, Content_Encoding="br"), "packs its response as 'br'"),
    "hanging up": (server.hanging_up, "broke the response off"),
    "silent": (server.slow(30, server.text(BODY)), "sent nothing for 0.2 s"),
    "dripping": (server.dripping(BODY, 0.05), "did not finish its response within 0.5 s"),
    "dripping header": (
        server.dripping(b"x" * 1000, 0.05, in_header=True),
        "did not finish its response within 0.5 s",
    ),
    "too large": (server.oversized(300_000, says_so=True), "of more than 200,000 bytes"),
    "too large, unsaid": (server.oversized(900_000, says_so=False), "of more than 200,000 bytes"),
    "bomb": (server.bomb(64), "of more than 200,000 bytes"),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_what_may_pass_is_retried_and_nothing_of_it_is_split(
    polling, tmp_path, counted, caplog, name
):
    answer, sentence = MISBEHAVIOUR[name]
    options = {"read_timeout": 0.2, "response_timeout": 0.5, "max_bytes": 200_000}
    with server.serving(answer, answer, server.text(BODY)) as script:
        reading = polling(script.url, **options)
        poll = reading.until(lambda _: counted["responses_failed"] == 1)
        assert not poll.caught_up
        assert not archived(tmp_path)
        assert parsed(reading.payload())[0] == ["0", "1", "2"]
        _wait_until(lambda: not any(each.name == THREAD for each in threading.enumerate()))
    assert sentence in caplog.text
    assert counted["responses_failed"] == 2
    if name in {"silent", "dripping", "dripping header"}:
        assert reading.polls > 4, "the reader was held"


def test_a_bomb_is_never_unpacked_whole(polling, counted):
    with server.serving(server.bomb(200)) as script:
        reading = polling(script.url, max_bytes=1 << 20)
        tracemalloc.start()
        reading.until(lambda _: counted["responses_failed"] == 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 << 20


FINAL = {
    "redirect": (
        server.status(302, Location="https://elsewhere.example/a?token=hidden"),
        "redirects to elsewhere.example, which is not followed",
    ),
    "redirect within": (server.status(308, Location="/b"), "redirects to 127.0.0.1"),
    "redirect to nowhere": (server.status(301, Location="http://[x"), "redirects to nowhere"),
    "404": (server.status(404), "answers 404 Not Found"),
    "401": (server.status(401), "REGIONAL_MEANS_API_KEY (--http_key_env); it is sent in the"),
    "403": (server.status(403), "the header X-API-Key (--http_header)"),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_does_not_pass_ends_the_run_with_a_sentence(polling, name):
    answer, sentence = FINAL[name]
    with server.serving(answer) as script:
        reading = polling(script.url + "?key=hidden")
        with pytest.raises(InputError) as told:
            reading.until(lambda _: False)
    assert sentence in str(told.value)
    assert str(told.value).startswith(script.url + "?key=*** ")
    assert "hidden" not in str(told.value)
    assert "\n" not in str(told.value)
    assert len(script.requests) == 1


def test_a_server_that_is_not_there_is_given_up_at_last(polling, counted):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    reading = polling(url, give_up=0.3)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"refuses the connection; nothing but failures for .*"):
        reading.until(lambda _: False)
    assert time.monotonic() - began >= 0.3
    assert counted["responses_failed"] > 1


def test_one_answer_ends_the_time_of_failures(polling):
    answers = [server.status(500), server.slow(1.2, server.text(BODY)), server.status(500)]
    with server.serving(*answers, server.text(OTHER)) as script:
        reading = polling(script.url, give_up=1.0)
        reading.payload()
        reading.payload()
    assert len(reading.payloads) == 2


def test_a_name_that_nobody_knows_is_told_at_once(polling):
    reading = polling("http://no-such-host.invalid/a")
    with pytest.raises(InputError, match=r"no-such-host\.invalid/a has a host whose name"):
        reading.until(lambda _: False)


def test_retry_after_is_honoured(polling):
    answers = [server.status(429, Retry_After="1"), server.busy(2), server.text(BODY)]
    with server.serving(*answers) as script:
        reading = polling(script.url)
        reading.payload()
    first, second, third = (request.at for request in script.requests)
    assert second - first >= 1
    assert third - second >= 1.9
    assert reading.polls > 5


def test_the_key_is_sent_and_shown_nowhere(polling, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    options = {"header": "X-Access", "key_env": "MY_KEY"}
    answers = [server.status(500), server.with_key(KEY, server.text(BODY), "X-Access")]
    with server.serving(*answers, server.status(403)) as script:
        reading = polling(script.url + "?token=hidden&plain", **options)
        assert len(parsed(reading.payload())[0]) == 3
        with pytest.raises(InputError, match="it does not take the key from the environment vari"):
            reading.until(lambda _: False)
    assert {request.headers["X-Access"] for request in script.requests} == {KEY}
    assert script.requests[0].path == "/readings?token=hidden&plain"
    assert script.requests[0].headers["Accept-Encoding"] == "gzip"
    source = reading.source
    assert KEY.encode() not in pickle.dumps(source)
    assert source.uri == script.url + "?token=***&***"
    assert reading.payloads[0].source == source.uri
    assert reading.part.name.startswith(source.uri + "#")
    shown = [caplog.text, repr(source), reading.part.name, *map(str, tmp_path.rglob("*"))]
    assert "500" in caplog.text
    for secret in (KEY, "hidden", "plain"):
        assert not any(secret in each for each in shown), secret


def test_without_a_key_no_header_is_sent(polling, monkeypatch):
    monkeypatch.delenv("REGIONAL_MEANS_API_KEY", raising=False)
    with server.serving(server.text(BODY)) as script:
        polling(script.url).payload()
    assert "X-API-Key" not in script.requests[0].headers


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(polling, monkeypatch):
    monkeypatch.setenv("REGIONAL_MEANS_API_KEY", "one\r\nX-Two: ü")
    with pytest.raises(InputError, match="characters that no HTTP header can carry") as told:
        polling("http://127.0.0.1/")
    assert "Two" not in str(told.value)


def test_passwords_of_netrc_are_not_sent(polling, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with server.serving(server.text(BODY)) as script:
        polling(script.url).payload()
    assert "Authorization" not in script.requests[0].headers


def test_a_response_that_cannot_be_archived_is_not_split(polling, tmp_path, counted, caplog):
    with server.serving(server.tagged(BODY)) as script:
        reading = polling(script.url)
        # A file cannot grow any further: as on a disk that is full.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
        try:
            reading.until(lambda _: counted["responses_failed"] == 2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not reading.payloads
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        assert parsed(reading.payload())[0] == ["0", "1", "2"]
    assert "its response cannot be archived in" in caplog.text
    # Nothing of it was taken for known meanwhile.
    assert not any("If-None-Match" in request.headers for request in script.requests[:3])
    assert len(archived(tmp_path)) == 1


def test_an_archive_that_is_none_is_told(polling, tmp_path):
    folder = tmp_path / "taken"
    folder.write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"taken.* cannot be read: Not a directory"):
        polling("http://127.0.0.1:9/", folder).once()


def test_what_was_given_up_is_given_again(polling, counted):
    with server.serving(server.text(BODY), server.text(OTHER)) as script:
        reading = polling(script.url)
        first = reading.payload()
        begin = reading.part.start
        second = reading.payload()
        reading.position = begin
        again = [reading.payload(), reading.payload()]
    assert [each.data for each in again] == [first.data, second.data]
    assert again[0].messages.places == first.messages.places
    assert counted["responses_replayed"] == 2


def test_what_was_stored_can_be_asked_for_again(polling, counted):
    # A runner that goes back to a checkpoint may be behind the store.
    with server.serving(server.text(BODY), server.text(OTHER)) as script:
        reading = polling(script.url)
        given = [reading.payload(), reading.payload()]
        reading.reader.stored(reading.position)
        reading.position = reading.part.start
        again = [reading.payload(), reading.payload()]
    assert [each.data for each in again] == [each.data for each in given]
    assert counted["responses_replayed"] == 2


def test_a_restart_reads_again_what_was_archived_and_not_stored(polling, tmp_path, counted):
    with server.serving(server.text(BODY), server.text(OTHER)) as script:
        before = polling(script.url)
        first, second = before.payload(), before.payload()
        before.reader.stored(first.messages.arrived_at[0] + 1)
        before.reader.close()
        after = polling(script.url)
        assert after.part.start == first.messages.arrived_at[0] + 1
        again = after.payload()
        assert again.data == second.data
        assert again.messages.arrived_at.tolist() == second.messages.arrived_at.tolist()
        source = HttpSource(script.url, tmp_path / "responses")
        known = {source.name: before.position}
        assert source.parts(known)[0].start == before.position
    assert counted["responses_replayed"] == 1


def test_an_archived_response_that_is_damaged_is_told_and_one_that_is_gone_is_not(
    polling, tmp_path
):
    bodies = [BODY, OTHER, b"[]"]
    with server.serving(*map(server.text, bodies)) as script:
        before = polling(script.url)
        for _ in bodies:
            before.payload()
        before.reader.close()
        gone, damaged, _ = archived(tmp_path)
        gone.unlink()
        damaged.write_bytes(damaged.read_bytes()[:-3])
        after = polling(script.url)
        with pytest.raises(InputError, match="cannot be read or is damaged; move it away"):
            after.until(lambda _: False)
        damaged.write_bytes(gzip.compress(b"[1]"))
        with pytest.raises(InputError, match="is damaged"):
            after.until(lambda _: False)


def test_what_is_stored_is_forgotten(polling, tmp_path):
    with server.serving(server.text(BODY), server.text(OTHER), server.status(503)) as script:
        reading = polling(script.url)
        reading.payload()
        reading.payload()
        reading.reader.stored(reading.position)
        reading.reader.stored(reading.position - 1)
        assert not reading.reader._responses
        assert reading.once().payload is None
    (mark,) = tmp_path.glob("**/stored")
    assert int(mark.read_text()) == reading.position


def test_a_certificate_that_nobody_vouches_for_is_refused(polling, tmp_path):
    with server.serving(server.text(BODY), certificate=certificate_of(tmp_path)) as script:
        reading = polling(script.url)
        with pytest.raises(InputError, match="has a certificate that is not trusted: self"):
            reading.until(lambda _: False)


def test_tls_with_a_certificate_of_ones_own(polling, tmp_path, monkeypatch, counted):
    file = certificate_of(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    answers = [server.dripping(BODY, 0.05), server.text(BODY)]
    with server.serving(*answers, certificate=file) as script:
        reading = polling(script.url, response_timeout=0.6)
        assert parsed(reading.payload())[0] == ["0", "1", "2"]
    assert counted["responses_failed"] == 1


def test_a_server_that_speaks_no_tls_is_told(polling, caplog, counted):
    with server.serving(server.text(BODY)) as script:
        reading = polling(script.url.replace("http:", "https:"))
        reading.until(lambda _: counted["responses_failed"])
    assert "does not speak TLS as it should" in caplog.text


def test_nothing_is_left_when_a_reader_is_closed(polling):
    with server.serving(server.dripping(b"x" * 1000, 0.02)) as script:
        reading = polling(script.url)
        reading.until(lambda _: script.requests)
        files = _open_files()
        reading.reader.close()
        _wait_until(lambda: not script.at_once and _open_files() < files)
        reading.reader.close()


def test_the_proxy_of_the_environment_is_used(polling, monkeypatch, caplog, counted):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    with server.serving(server.text(BODY)) as script:
        monkeypatch.setenv("HTTP_PROXY", script.url)
        assert parsed(polling("http://a.example/readings").payload())[0] == ["0", "1", "2"]
    assert script.requests[0].path == "http://a.example/readings"
    reading = polling("http://a.example/readings")
    reading.until(lambda _: counted["responses_failed"])
    assert "http://a.example/readings refuses the connection" in caplog.text
    monkeypatch.setenv("HTTP_PROXY", "http://user:hidden@[x")
    with pytest.raises(InputError, match=r"readings cannot be asked \(\w+\)") as told:
        polling("http://a.example/readings").until(lambda _: False)
    assert "hidden" not in str(told.value)


def test_a_request_that_is_cut_while_it_connects_ends(monkeypatch, polling):
    made = threading.Event()
    monkeypatch.setattr(http_sockets.Sockets, "add", _waiting(http_sockets.Sockets.add, made))
    with server.serving(server.text(BODY)) as script:
        reading = polling(script.url)
        reading.once()
        fetch = reading.reader._fetch
        reading.reader.close()
        made.set()
        outcome = fetch.wait(PATIENCE)
    assert outcome.sentence in {"was not reached (cut)", "broke the response off"}


def _waiting(add, event):
    def waiting(sockets, connection):
        event.wait(PATIENCE)
        add(sockets, connection)

    return waiting


def _wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))
