"""Timestamps: every form that is understood, against `datetime`, and nothing but timestamps."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fast_parser import micros_since_epoch, spans_of
from tests.support.reference_parser import YEAR_1, YEAR_10000, clock_micros, epoch_micros
from transforms.timestamps import parse_timestamps

moments = st.datetimes(
    datetime.datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
    datetime.datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(datetime.UTC),
)


def read(*texts):
    found = parse_timestamps(spans_of([text.encode() for text in texts]))
    return [
        int(micros) if good else None for micros, good in zip(found.micros, found.good, strict=True)
    ]


def expected(text):
    micros = clock_micros(text)
    if micros is None:
        micros = epoch_micros(text)
    inside = micros is not None and YEAR_1 * 10**6 <= micros < YEAR_10000 * 10**6
    return micros if inside else None


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            moments,
            st.sampled_from([" ", "T", "t"]),
            st.integers(0, 6),
            st.sampled_from([".", ","]),
            st.sampled_from(["", "Z", "z", " Z", "offset", "short", "hours", " offset"]),
            st.integers(-23 * 60 - 59, 23 * 60 + 59),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_form_of_a_time_is_read_to_the_microsecond(cases):
    texts, wanted = [], []
    for moment, separator, digits, mark, zone, minutes in cases:
        text = moment.strftime(f"{moment.year:04d}-%m-%d{separator}%H:%M:%S")
        kept = moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits)
        if digits:
            text += mark + f"{moment.microsecond:06d}"[:digits]
        micros = micros_since_epoch(moment.replace(microsecond=kept))
        if zone.strip() in {"offset", "short", "hours"}:
            if zone == "hours":
                minutes = minutes // 60 * 60  # noqa: PLW2901
            micros -= minutes * 60 * 10**6
            sign, size = "-" if minutes < 0 else "+", abs(minutes)
            colon = "" if zone == "short" else ":"
            rest = "" if zone == "hours" else f"{colon}{size % 60:02d}"
            text += (" " if zone[0] == " " else "") + f"{sign}{size // 60:02d}{rest}"
        else:
            text += zone
        texts.append(text)
        wanted.append(micros)
    assert read(*texts) == wanted


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.from_regex(
                r"[0-9]{4}-[0-9]{2}-[0-3][0-9][ T_t][0-3][0-9]:[0-6][0-9](:[0-6][0-9])?"
                r"([.,][0-9]{0,12})?( ?(Z|z|[+-][0-9]{1,4}|[+-][0-2][0-9]:[0-6][0-9]))?",
                fullmatch=True,
            ),
            st.from_regex(r"-?[0-9]{1,16}(\.[0-9]{1,9})?(e[0-9])?", fullmatch=True),
            st.text("0123456789-: T.+Z", max_size=45),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_a_time_is_read_exactly_where_a_plain_reader_reads_one(texts):
    assert read(*texts) == [expected(text) for text in texts]


def micros(*parts):
    return micros_since_epoch(datetime.datetime(*parts, tzinfo=datetime.UTC))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-02-19 14:02:10", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T14:02:10", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T14:02:10Z", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T14:02:10.5Z", (2019, 2, 19, 14, 2, 10, 500_000)),
        ("2019-02-19T14:02:10.123456789Z", (2019, 2, 19, 14, 2, 10, 123_456)),
        ("2019-02-19T15:02:10+01:00", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T15:02:10+0100", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T15:02:10+01", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T09:32:10-04:30", (2019, 2, 19, 14, 2, 10)),
        ("2019-02-19T14:02", (2019, 2, 19, 14, 2)),
        ("2019-02-19T15:02+01:00", (2019, 2, 19, 14, 2)),
        ("2020-02-29 00:00:00", (2020, 2, 29)),
        ("2000-02-29 00:00:00", (2000, 2, 29)),
        ("0001-01-01 00:00:00", (1, 1, 1)),
        ("1969-12-31 23:59:59.999999", (1969, 12, 31, 23, 59, 59, 999_999)),
        ("9999-12-31 23:59:59.999999", (9999, 12, 31, 23, 59, 59, 999_999)),
        ("1550584930", (2019, 2, 19, 14, 2, 10)),
        ("1550584930.25", (2019, 2, 19, 14, 2, 10, 250_000)),
        ("1550584930250", (2019, 2, 19, 14, 2, 10, 250_000)),
        ("1.55058493e9", (2019, 2, 19, 14, 2, 10)),
        ("0", (1970, 1, 1)),
        ("-1", (1969, 12, 31, 23, 59, 59)),
        ("100000000000", (1973, 3, 3, 9, 46, 40)),
        ("99999999999", (5138, 11, 16, 9, 46, 39)),
    ],
)
def test_a_known_time_is_read(text, moment):
    assert read(text) == [micros(*moment)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2019-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "2019-04-31 00:00:00",
        "2019-00-01 00:00:00",
        "2019-13-01 00:00:00",
        "2019-01-00 00:00:00",
        "0000-01-01 00:00:00",
        "2019-02-19 24:00:00",
        "2019-02-19 14:60:00",
        "2019-02-19 14:02:60",
        "2019-02-19",
        "2019-02-19 14:02:10.",
        "2019-02-19 14:02:10 ",
        "2019-02-19 14:02:10+",
        "2019-02-19 14:02:10+24:00",
        "2019-02-19 14:02:10+01:60",
        "2019-02-19 14:02:10 UTC",
        "2019-02-19 14:02:10ZZ",
        "2019-02-19_14:02:10",
        "2019/02/19 14:02:10",
        "19-02-2019 14:02:10",
        "0001-01-01 00:00:00+00:01",
        "9999-12-31 23:59:59-00:01",
        "٢٠١٩-02-19 14:02:10",
        "nan",
        "1e300",
        "253402300800000",
        "0x5c6c0a22",
        "2019-02-19T14:02:10." + "1" * 50,
    ],
)
def test_what_is_no_time_is_called_so(text):
    assert read(text, "2019-02-19 14:02:10") == [None, micros(2019, 2, 19, 14, 2, 10)]


def test_no_texts_give_no_times():
    assert read() == []
