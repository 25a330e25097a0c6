"""What polling is made of: addresses, options, times, and the archive of responses."""

from __future__ import annotations

import datetime
import gzip
import os
import time

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from connectors.input_error import InputError
from connectors.streams.http_archive import ResponseArchive
from connectors.streams.http_body import CHUNK, UnusableError, unpacked
from connectors.streams.http_failures import Failure, failure_of
from connectors.streams.http_options import HttpOptions, checked_url, masked_url, part_name
from connectors.streams.http_schedule import (
    LONGEST_BACK_OFF,
    LONGEST_RETRY_AFTER,
    Schedule,
    retry_after,
)

NOW = datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.example", "http://a.example"),
        ("HTTPS://a.example:8443/b?c=d&e=f#g", "https://a.example:8443/b?c=***&e=***"),
        ("https://a.example/?d2VpcmQ", "https://a.example/?***"),
        ("https://a.example/?a=b=c", "https://a.example/?a=***"),
        ("https://user:word@a.example/", "https://a.example/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, shown):
    assert masked_url(url) == shown


def test_addresses_that_differ_in_their_query_are_different_parts():
    names = {part_name(f"http://a.example/b?region={region}") for region in range(20)}
    assert len(names) == 20
    assert all(name.startswith("http://a.example/b?region=***#") for name in names)
    assert part_name("http://a.example/b") == "http://a.example/b"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://", "no HTTP address"),
        ("http:///path", "no HTTP address"),
        ("ftp://a.example/", "no HTTP address"),
        ("http://a.example/b c", "no HTTP address"),
        ("http://a.example:port/", "cannot be understood"),
        ("http://[a.example/", "cannot be understood"),
        ("https://me:pass-word@a.example/", "with a user and password in the address"),
    ],
)
def test_an_address_that_cannot_be_polled_is_refused_with_a_sentence(url, sentence):
    with pytest.raises(InputError, match=sentence) as told:
        checked_url(url)
    assert "pass-word" not in str(told.value)


def test_the_fragment_is_not_sent():
    assert checked_url("http://a.example/b?c=d#e") == "http://a.example/b?c=d"


@pytest.mark.parametrize(
    "wrong",
    [{"interval": 0}, {"give_up": -1}, {"max_bytes": 0}, {"header": "X Key"}, {"header": ""}],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be more than 0|no header can be called"):
        HttpOptions(**wrong)


def test_options_of_the_command_line():
    assert HttpOptions.parse() == HttpOptions()
    short = HttpOptions.parse("1m", "X-Key", "MINE", "5s", "1h")
    assert short == HttpOptions(60, "X-Key", "MINE", 5, 5, 5, 3600)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"interval": "fast"}, "--http_interval: unknown length of time 'fast'"),
        ({"give_up": "0s"}, "--http_give_up must be a second or more"),
        ({"header": "X Key"}, "--http_header: no header can be called 'X Key'"),
    ],
)
def test_options_of_the_command_line_that_cannot_be_are_refused(given, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        HttpOptions.parse(**given)


@pytest.mark.parametrize(
    ("error", "sentence", "final"),
    [
        (ValueError("secret"), "cannot be asked (ValueError)", True),
        (requests.exceptions.InvalidURL("secret"), "cannot be asked (InvalidURL)", True),
        (requests.ConnectTimeout("secret"), "was not reached within 10 s", False),
        (requests.exceptions.ProxyError("secret"), "was not reached through the proxy", False),
        (OSError(113, "No route to host"), "was not reached (No route to host)", False),
        (requests.ConnectionError("secret"), "was not reached (ConnectionError)", False),
    ],
)
def test_errors_become_sentences_without_their_text(error, sentence, final):
    assert failure_of(error, HttpOptions()) == Failure(sentence, final)


@given(
    texts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    repeated=st.integers(1, 2000),
    size=st.integers(1, 200),
)
def test_gzip_is_unpacked_wherever_it_is_cut(texts, repeated, size):
    packed = b"".join(gzip.compress(text * repeated) for text in texts)
    chunks = [packed[begin : begin + size] for begin in range(0, len(packed), size)]
    pieces = list(unpacked(iter(chunks)))
    assert b"".join(pieces) == b"".join(text * repeated for text in texts)
    assert max(map(len, pieces)) <= CHUNK
    for wrong in (packed[:-1], packed + packed[:5], packed + b"rubbish"):
        with pytest.raises(UnusableError):
            list(unpacked(iter([wrong])))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@given(
    interval=st.floats(0.1, 100),
    steps=st.lists(
        st.tuples(st.floats(0, 200), st.one_of(st.none(), st.floats(0, 10_000))), min_size=1
    ),
)
def test_back_off_is_never_faster_than_the_interval_and_bounded(interval, steps):
    clock, longest = Clock(), []

    def jitter(low, high):
        longest.append(high)
        assert low == 0
        return high

    schedule = Schedule(interval, clock, jitter)
    for took, asked in steps:
        clock.now += schedule.wait
        schedule.start()
        began = clock.now
        clock.now += took
        schedule.fail(asked)
        due = clock.now + schedule.wait
        assert due >= began + interval - 1e-6
        assert schedule.wait >= longest[-1] - 1e-6
        assert schedule.wait <= max(interval, 0) + LONGEST_BACK_OFF + LONGEST_RETRY_AFTER
        assert schedule.wait >= min(asked or 0, LONGEST_RETRY_AFTER) - 1e-6
    expected = [min(2.0**number, LONGEST_BACK_OFF) for number in range(1, len(steps) + 1)]
    assert longest == expected


def test_jitter_is_spread_over_all_of_its_time():
    clock, waits = Clock(), []
    for _ in range(200):
        schedule = Schedule(10.0, clock)
        for _ in range(4):
            schedule.start()
            schedule.fail()
        waits.append(schedule.wait - 10)
    assert min(waits) >= 0
    assert max(waits) <= 16
    assert min(waits) < 4
    assert max(waits) > 12


def test_a_late_request_is_followed_at_once_and_a_success_ends_the_back_off():
    clock = Clock()
    schedule = Schedule(10.0, clock, lambda _, high: high)
    schedule.start()
    clock.now += 3
    assert schedule.fail() == 3
    assert schedule.wait == 7 + 2
    clock.now += 9
    schedule.start()
    clock.now += 25
    schedule.succeed()
    assert schedule.wait == 0
    schedule.start()
    assert schedule.fail() == 0
    assert schedule.wait == 10 + 2


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120),
        (" 0 ", None, 0),
        ("Fri, 01 Mar 2024 12:01:30 GMT", None, 90),
        ("Fri, 01 Mar 2024 12:01:30 GMT", "Fri, 01 Mar 2024 12:01:00 GMT", 30),
        ("Fri, 01 Mar 2024 11:00:00 GMT", None, 0),
        ("soon", None, None),
        ("-5", None, None),
        ("", None, None),
        (None, None, None),
        ("99999999999999999999", None, 999_999_999),
        ("Fri, 01 Mar 99999 12:00:00 GMT", None, None),
    ],
)
def test_retry_after_is_understood_in_both_forms(value, date, seconds):
    assert retry_after(value, date, NOW.timestamp()) == seconds


def micros(moment):
    return round(moment.timestamp() * 1e6)


def test_the_archive_gives_back_what_it_was_given_in_order(tmp_path):
    archive = ResponseArchive(tmp_path, "https://a.example/b?c=***#1")
    moments = [NOW + datetime.timedelta(hours=hours) for hours in (0, 11, 13, 40)]
    for number in (2, 0, 3, 1):
        archive.add(b"%d" % number, micros(moments[number]))
    found = archive.since(micros(moments[1]))
    assert [response.read() for response in found] == [b"1", b"2", b"3"]
    assert [response.arrived_at for response in found] == [*map(micros, moments[1:])]
    assert not archive.since(micros(moments[3]) + 1)
    assert len(archive.since(0)) == 4
    assert found[0].place.startswith("2024-03-01T23:00:00.000000Z-")
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == [
        "2024-03-01",
        "2024-03-02",
        "2024-03-03",
    ]


def test_addresses_have_archives_of_their_own(tmp_path):
    names = ["http://a.example/1", "http://a.example/2", "http://[::1]/"]
    folders = {ResponseArchive(tmp_path, name).folder for name in names}
    assert len(folders) == 3
    assert all(folder.parent == tmp_path for folder in folders)


def test_what_is_no_response_is_left_alone(tmp_path):
    archive = ResponseArchive(tmp_path, "http://a.example/")
    archive.add(b"[]", micros(NOW))
    (archive.folder / "9999.txt").write_text("notes")
    (archive.folder / "2024-03-01" / "notes.json.gz").write_text("notes")
    assert len(archive.since(0)) == 1


def test_unfinished_files_of_the_dead_are_removed(tmp_path):
    archive = ResponseArchive(tmp_path, "http://a.example/")
    archive.add(b"[]", micros(NOW))
    young, old = archive.folder / ".tmp-young", archive.folder / ".tmp-old"
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    archive.remove_unfinished()
    assert young.exists()
    assert not old.exists()


def test_how_far_all_is_stored_is_kept(tmp_path):
    archive = ResponseArchive(tmp_path, "http://a.example/")
    assert archive.stored() == 0
    archive.mark_stored(5)
    assert archive.stored() == 0, "there is nothing to go on with"
    archive.add(b"[]", micros(NOW))
    archive.mark_stored(7)
    assert archive.stored() == 7
    (archive.folder / "stored").write_text("seven")
    assert archive.stored() == 0
