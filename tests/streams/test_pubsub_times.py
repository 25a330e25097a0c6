"""Times that stand in attributes of Pub/Sub messages."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.streams.pubsub_times import attribute_time

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@given(st.datetimes(timezones=st.just(datetime.UTC)), st.integers(-14 * 60, 14 * 60))
def test_rfc_3339_is_read_exactly(moment, minutes):
    micros = (moment - EPOCH) // datetime.timedelta(microseconds=1)
    assert attribute_time({"at": moment.isoformat()}, "at") == micros
    assert attribute_time({"at": moment.isoformat().replace("+00:00", "Z")}, "at") == micros
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    there = moment.replace(tzinfo=zone)
    assert attribute_time({"at": there.isoformat()}, "at") == micros - minutes * 60_000_000


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_are_read_exactly(millis):
    assert attribute_time({"at": str(millis)}, "at") == millis * 1000


@given(st.text())
def test_any_text_is_a_time_or_none(text):
    time = attribute_time({"at": text}, "at")
    assert time is None or isinstance(time, int)


@pytest.mark.parametrize(
    "text",
    ["", "-", "--5", "yesterday", "2019-02-19", "2019-W08-2", "9" * 25, "253402300800000", "1.5"],
)
def test_what_is_no_time(text):
    assert attribute_time({"at": text}, "at") is None


def test_without_the_attribute_or_a_time_zone():
    assert attribute_time({"ts": "1000"}, "at") is None
    assert attribute_time({"at": "2019-02-19T14:02:10"}, "at") == 1_550_584_930_000_000
