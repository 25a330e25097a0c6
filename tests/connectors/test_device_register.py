"""A register of devices: what is read, and what is said about a file that is wrong."""

from __future__ import annotations

import datetime
import decimal
import io
import itertools
import logging
import os
import pickle
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import watched_register
from connectors.device_register import devices_in, read_devices
from connectors.input_error import InputError
from connectors.watched_register import DeviceRegister
from tests.support.registers import HEADER, PARIS, TOULOUSE, devices, register

NOON = "2024-01-01T12:00:00Z"
NOON_MICROS = 1_704_110_400_000_000
HOUR = 3_600_000_000


def place(found, name, micros=NOON_MICROS):
    """Longitude and latitude of a device at a time; None where it has no place."""
    numbers = found.find(pa.array([name], pa.string()))
    if numbers[0] < 0:
        return None
    (stay,) = found.stays(numbers, np.array([micros]))
    return None if stay < 0 else (found.longitude[stay], found.latitude[stay])


def refused(data, sentence):
    with pytest.raises(InputError) as caught:
        devices_in(data, "devices.csv")
    assert str(caught.value) == sentence


def test_a_device_without_times_is_always_there():
    found = devices(f"a,{PARIS},,", f"b,{TOULOUSE},,")
    assert len(found) == 2
    assert place(found, "a") == place(found, "a", -(10**17)) == (2.3522, 48.8566)
    assert place(found, "b", 10**17) == (1.444, 43.6045)
    assert place(found, "c") is None


def test_a_stay_begins_at_from_and_ends_before_to():
    found = devices(
        f"a,{PARIS},,{NOON}", f"b,{PARIS},{NOON},", f"c,{PARIS},{NOON},2024-01-01 13:00"
    )
    assert place(found, "a", NOON_MICROS - 1) is not None
    assert place(found, "a", NOON_MICROS) is None
    assert place(found, "b", NOON_MICROS - 1) is None
    assert place(found, "b", NOON_MICROS) is not None
    assert [place(found, "c", NOON_MICROS + at) is not None for at in (-1, 0, HOUR - 1, HOUR)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_device_that_moved_has_several_lines_in_any_order():
    found = devices(
        f"a,{TOULOUSE},{NOON},", f"b,{PARIS},,", f"a,{PARIS},2024-01-01,{NOON}",
    )  # fmt: skip
    assert place(found, "a", NOON_MICROS - 13 * HOUR) is None
    assert place(found, "a", NOON_MICROS - 12 * HOUR) == (2.3522, 48.8566)
    assert place(found, "a") == (1.444, 43.6045)
    assert place(found, "b") == (2.3522, 48.8566)


@given(
    st.dictionaries(
        st.text("ab✓\u00e9 ", min_size=1).filter(lambda name: name == name.strip()),
        st.lists(st.integers(-50, 50), unique=True, min_size=2, max_size=12).map(sorted),
        max_size=6,
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_each_time_is_in_the_stay_that_holds_it(borders, chance):
    """Against going through all lines one by one."""
    stays = [
        (name, since, until, chance.randrange(-90, 91), chance.randrange(-180, 181))
        for name, times in borders.items()
        for since, until in itertools.pairwise(times)
        if chance.random() < 0.8
    ]
    if not stays:
        return
    chance.shuffle(stays)
    lines = [
        f"{name},{lat},{lon},{since + 100},{until + 100}" for name, since, until, lat, lon in stays
    ]
    found = devices(*lines)
    hours = range(-52, 53)
    times = np.array([(hour + 100) * 10**6 for hour in hours])
    for name in [*borders, "unknown"]:
        expected = [
            [(float(lon), float(lat)) for device, since, until, lat, lon in stays
             if device == name and since <= hour < until]
            for hour in hours
        ]  # fmt: skip
        (number,) = found.find(pa.array([name]))
        if number < 0:
            assert expected == [[]] * len(hours)
            continue
        seen = found.stays(np.full(len(times), number), times)
        assert expected == [
            [] if stay < 0 else [(found.longitude[stay], found.latitude[stay])] for stay in seen
        ]


def test_columns_may_stand_in_any_order_and_times_may_be_left_out():
    found = devices("2.3522, 48.8566 , a", header=" longitude,latitude,device")
    assert place(found, "a") == (2.3522, 48.8566)


def test_blank_lines_quotes_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    lines = [f"\ufeff{HEADER}", "", '"a, ""b""","48.8566","2.3522",,', "", f"00,{TOULOUSE},,"]
    text = "\r\n".join([*lines, f"NA,{PARIS},,"])
    found = devices_in(text.encode(), "devices.csv")
    assert place(found, 'a, "b"') == (2.3522, 48.8566)
    assert place(found, "00") == (1.444, 43.6045)
    assert place(found, "0") is None
    assert place(found, "NA") is not None


def parquet(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "times",
    [
        pa.array([None, NOON]),
        pa.array([None, "2024-01-01T13:00:00+01:00"]).dictionary_encode(),
        pa.array([None, NOON_MICROS // 10**6], pa.timestamp("s")),
        pa.array([None, NOON_MICROS * 1000 + 7], pa.timestamp("ns", "Europe/Paris")),
    ],
)
@pytest.mark.parametrize(
    "names",
    [
        pa.array([1, 2]),
        pa.array(["1", "2"], pa.large_string()),
        pa.array(["1", "2"]).dictionary_encode(),
    ],
)
def test_parquet_may_hold_times_and_names_of_any_kind(times, names):
    latitudes = pa.array([decimal.Decimal("48.5"), decimal.Decimal("43.5")])
    data = parquet(device_id=names, latitude=latitudes, longitude=[2, 1], **{"from": times})
    found = devices_in(data, "devices.parquet")
    assert place(found, "1") == (2.0, 48.5)
    assert place(found, "2") == (1.0, 43.5)
    assert place(found, "2", NOON_MICROS - 1) is None


def test_parquet_may_hold_dates():
    days = pa.array([datetime.date(2024, 1, 1)])
    found = devices_in(parquet(device=["a"], latitude=[1.0], longitude=["2.5"], to=days), "d")
    assert place(found, "a", NOON_MICROS - 12 * HOUR - 1) == (2.5, 1.0)
    assert place(found, "a", NOON_MICROS - 12 * HOUR) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f",{PARIS},,", "the device_id is empty"),
        ("b,91,2,,", "the latitude 91 is beyond ±90"),
        ("b,48,-180.5,,", "the longitude -180.5 is beyond ±180"),
        ("b,nan,2,,", "the latitude nan is beyond ±90"),
        ("b,,2,,", "the latitude is missing"),
        ('b,"48,85",2,,', "the latitude '48,85' is no number"),
        ("b,48,east,,", "the longitude 'east' is no number"),
        ("b,48,2,yesterday,", "from is 'yesterday', which is no time"),
        ("b,48,2,,2024-02-30", "to is '2024-02-30', which is no time"),
        (f"b,48,2,{NOON},2024-01-01T11:00:00Z",
         "it is from 2024-01-01T12:00:00Z to 2024-01-01T11:00:00Z, which is no time at all"),
        (f"b,48,2,{NOON},{NOON}",
         "it is from 2024-01-01T12:00:00Z to 2024-01-01T12:00:00Z, which is no time at all"),
        ("b,48,2", "it has 3 fields, the header has 5"),
        ("b,48,2,,,", "it has 6 fields, the header has 5"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_its_number(line, why):
    good = [f"a{number},{PARIS},," for number in range(100)]
    data = register(*good[:50], "", line, *good[50:], "")
    refused(data, f"devices.csv, line 53: {why}")


def test_the_first_of_several_wrong_lines_is_named():
    lines = [f"a{number},48,x{number},," for number in range(9)]
    refused(
        register(f"a,{PARIS},,", *lines), "devices.csv, line 3: the longitude 'x0' is no number"
    )


def test_a_long_text_is_shortened_in_the_sentence():
    refused(
        register(f"a,{'4x' * 40},2,,"),
        f"devices.csv, line 2: the latitude '{'4x' * 30}…' is no number",
    )


def test_a_device_cannot_be_at_two_places_at_once():
    data = register(
        f"b,{PARIS},,", f"a,{PARIS},{NOON},", f"c,{PARIS},,", f"a,{TOULOUSE},,2024-01-02"
    )
    refused(
        data,
        "devices.csv, line 5: the time of device 'a' overlaps that of line 3; a device is at one "
        "place at a time, from inclusive, to exclusive",
    )


def test_a_line_that_is_there_twice_is_named_with_the_other():
    data = register(f"b,{PARIS},,", f"a,{PARIS},,", f"a,{PARIS},,")
    refused(data, "devices.csv, line 4: it repeats line 3")


def test_a_break_in_quotes_counts_as_a_line():
    refused(
        register(f'"a\nb",{PARIS},,', "c,91,0,,"),
        "devices.csv, line 4: the latitude 91 is beyond ±90",
    )


WHOLE = "device_id,latitude,longitude,from,to"
MUST = (
    f"a register of devices has the columns {WHOLE} (the last two may be left out), this file has"
)
NO_SUCH = f"which a register of devices does not have; its columns are {WHOLE}"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("device_id,lat,longitude", f"no column latitude; {MUST} device_id,lat,longitude"),
        (HEADER.replace("from", "form"), f"the column form, {NO_SUCH}"),
        ("device_id,latitude,longitude,", f"the column without a name, {NO_SUCH}"),
        ("device,device_id,latitude,longitude", "the column device_id more than once"),
        ("", f"no column device_id and latitude and longitude; {MUST} none"),
    ],
)
def test_a_header_that_is_none_is_refused(header, problem):
    refused(register(header=header), f"devices.csv has {problem}")


@pytest.mark.parametrize("data", [register(), HEADER.encode(), (HEADER + "\n\n \n").encode()])
def test_a_register_without_devices_is_refused(data):
    refused(data, "devices.csv holds no devices")


def test_what_is_no_text_is_refused():
    refused(
        b"\xff\xfe\x00",
        "devices.csv is no register of devices: it is neither CSV in UTF-8 nor Parquet",
    )
    wrong = register(f"a,{PARIS},,", f"é,{PARIS},,").replace("é".encode(), b"\xe9")
    # The first block of the text is looked at for the header, the rest by Arrow.
    far = register(*(f"a{number},{PARIS},," for number in range(10_000))) + wrong.splitlines()[2]
    refused(far, "devices.csv, line 10,002: it is not UTF-8; save the file in that encoding")


def test_a_quote_that_is_not_closed_is_refused():
    few = register(f'a,"{PARIS},,', f"b,{PARIS},,")
    refused(few, "devices.csv, line 3: it has 2 fields, the header has 5")
    many = register(f'a,"{PARIS},,', *[f"b{number},{PARIS},," for number in range(10_000)])
    with pytest.raises(
        InputError, match=r"^devices\.csv, line [\d,]+: .*; a quote may not be closed$"
    ):
        devices_in(many, "devices.csv")


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"device_id": [1.5]}, ": device_id is double, neither text nor whole numbers"),
        ({"latitude": [True]}, ": latitude is bool, not numbers of degrees"),
        ({"from": [5]}, ": from is int64, not times"),
        ({"device_id": pa.array([None], pa.string())}, ", row 1: the device_id is empty"),
        ({"longitude": pa.array([None], pa.float64())}, ", row 1: the longitude is missing"),
        ({"longitude": pa.array([None], pa.string())}, ", row 1: the longitude is missing"),
    ],
)
def test_parquet_of_other_kinds_is_refused(columns, why):
    data = parquet(**{"device_id": ["a"], "latitude": [1.0], "longitude": [2.0], **columns})
    refused(data, f"devices.csv{why}")


def test_parquet_that_is_cut_off_is_refused():
    whole = parquet(device_id=["a"], latitude=[1.0], longitude=[2.0])
    with pytest.raises(InputError, match=r"^devices\.csv begins like a Parquet file, but cannot "):
        devices_in(whole[:-20], "devices.csv")


def test_empty_parquet_is_refused():
    kinds = {"device_id": pa.string(), "latitude": pa.float64(), "longitude": pa.float64()}
    refused(
        parquet(**{name: pa.array([], kind) for name, kind in kinds.items()}),
        "devices.csv holds no devices",
    )


def test_a_file_that_is_not_there_is_named(tmp_path):
    missing = tmp_path / "devices.csv"
    with pytest.raises(InputError, match=rf"^{missing} cannot be read: No such file or directory$"):
        read_devices(str(missing))
    with pytest.raises(InputError, match=rf"^{missing} cannot be read: No such file or directory$"):
        DeviceRegister(str(missing)).open()
    with pytest.raises(InputError, match=rf"^{tmp_path} cannot be read: Is a directory$"):
        DeviceRegister(str(tmp_path)).open()


def write(path, *lines):
    """Replaces a file as one should: at once."""
    new = path.with_suffix(".new")
    new.write_bytes(register(*lines))
    new.rename(path)


def test_a_register_is_read_again_when_its_file_has_changed(tmp_path):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    opened = DeviceRegister(str(path)).open()
    first = opened.devices()
    opened.look()
    assert opened.devices() is first
    assert opened.take_counts() == {}
    write(path, f"a,{TOULOUSE},,")
    opened.look()
    assert place(opened.devices(), "a") == (1.444, 43.6045)
    assert opened.take_counts() == {"reloaded": 1}
    assert opened.take_counts() == {}


def test_a_broken_version_changes_nothing_and_is_told_once(tmp_path, caplog):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    opened = DeviceRegister(str(path)).open()
    write(path, "a,95,2,,")
    with caplog.at_level(logging.WARNING):
        opened.look()
        opened.look()
    assert [record.getMessage() for record in caplog.records] == [
        (
            f"{path}, line 2: the latitude 95 is beyond ±90; "
            "the devices that were read before stay in use"
        )
    ]
    assert place(opened.devices(), "a") == (2.3522, 48.8566)
    assert opened.take_counts() == {"reload_failed": 1}
    path.unlink()
    opened.look()
    opened.look()
    assert opened.take_counts() == {"reload_failed": 1}
    write(path, f"a,{TOULOUSE},,")
    opened.look()
    assert place(opened.devices(), "a") == (1.444, 43.6045)
    assert opened.take_counts() == {"reloaded": 1}


def test_an_error_that_nobody_thought_of_does_not_end_the_looking(tmp_path, monkeypatch):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    opened = DeviceRegister(str(path)).open()
    write(path, f"a,{TOULOUSE},,")
    with monkeypatch.context() as patch:
        patch.setattr(watched_register, "read_devices", lambda _: 1 / 0)
        opened.look()
    assert opened.take_counts() == {"reload_failed": 1}
    # Nothing was wrong with the file: it is tried again.
    opened.look()
    assert opened.take_counts() == {"reloaded": 1}
    assert place(opened.devices(), "a") == (1.444, 43.6045)


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    reads = []

    def read(name):
        found = read_devices(name)
        reads.append(found)
        if len(reads) < 3:
            write(path, *(f"a{number},{TOULOUSE},," for number in range(len(reads))))
        if len(reads) == 2:
            msg = "half a file"
            raise InputError(msg)
        return found

    monkeypatch.setattr(watched_register, "read_devices", read)
    opened = DeviceRegister(str(path)).open()
    assert opened.devices() is reads[2]
    assert len(opened.devices()) == 2


def test_a_file_that_changes_all_the_time_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    size = iter(range(100))

    def read(name):
        found = read_devices(name)
        write(path, *(f"a{number},{PARIS},," for number in range(next(size) + 2)))
        return found

    monkeypatch.setattr(watched_register, "read_devices", read)
    with pytest.raises(
        InputError, match="changes while it is read; write the register under anoth"
    ):
        DeviceRegister(str(path)).open()


def test_a_thread_keeps_looking_as_long_as_somebody_has_the_register(tmp_path, monkeypatch):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    looked = threading.Event()
    look = watched_register.WatchedRegister.look

    def look_and_tell(self):
        look(self)
        if self.devices().longitude[0] == 1.444:
            looked.set()

    monkeypatch.setattr(watched_register.WatchedRegister, "look", look_and_tell)
    opened = pickle.loads(pickle.dumps(DeviceRegister(str(path), 0.001))).open()  # noqa: S301
    thread = opened._thread
    write(path, f"a,{TOULOUSE},,")
    assert looked.wait(30)
    assert opened.take_counts()["reloaded"] == 1
    del opened
    thread.join(30)
    assert not thread.is_alive()


def test_those_of_one_process_share_a_register_and_a_new_one_sees_the_newest_file(tmp_path):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    one, other = DeviceRegister(str(path), 3600).open(), DeviceRegister(str(path), 3600).open()
    assert one is other
    assert one is not DeviceRegister(str(path)).open()
    write(path, f"a,{TOULOUSE},,")
    DeviceRegister(str(path), 3600).open()
    assert place(one.devices(), "a") == (1.444, 43.6045)
    once = DeviceRegister(str(path)).open()
    write(path, "a,1,2,3")
    assert DeviceRegister(str(path), 3600).open() is one
    assert one.take_counts() == {"reloaded": 1, "reload_failed": 1}
    with pytest.raises(InputError, match="it has 4 fields, the header has 5"):
        DeviceRegister(str(path)).open()
    assert place(one.devices(), "a") == place(once.devices(), "a") == (1.444, 43.6045)


def test_a_file_of_the_same_size_and_time_is_told_apart_by_its_inode(tmp_path):
    path = tmp_path / "devices.csv"
    write(path, f"a,{PARIS},,")
    status = path.stat()
    opened = DeviceRegister(str(path)).open()
    write(path, f"b,{PARIS},,")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    opened.look()
    assert place(opened.devices(), "b") is not None


def test_a_register_cannot_be_looked_at_all_the_time():
    with pytest.raises(
        ValueError, match=r"^a register can be looked at every so many seconds, not e"
    ):
        DeviceRegister("devices.csv", 0)


def test_a_register_may_be_in_another_file_system(monkeypatch):
    """Of `gs://…` only the network is missing: Beam's own classes for files are used."""
    from apache_beam.io.filesystem import FileMetadata, MatchResult  # noqa: PLC0415
    from apache_beam.io.filesystems import FileSystems  # noqa: PLC0415

    files = {"gs://b/devices.csv": (register(f"a,{PARIS},,"), 1.0)}

    def match(patterns):
        return [
            MatchResult(
                pattern,
                [
                    FileMetadata(path, len(data), changed)
                    for path, (data, changed) in files.items()
                    if pattern in {path, "gs://b/*"}
                ],
            )
            for pattern in patterns
        ]

    monkeypatch.setattr(FileSystems, "match", match)
    monkeypatch.setattr(FileSystems, "open", lambda path, **_: io.BytesIO(files[path][0]))
    opened = DeviceRegister("gs://b/devices.csv").open()
    assert place(opened.devices(), "a") == (2.3522, 48.8566)
    files["gs://b/devices.csv"] = (register(f"a,{TOULOUSE},,"), 2.0)
    opened.look()
    assert place(opened.devices(), "a") == (1.444, 43.6045)

    class Gone(io.BytesIO):
        def read(self, *_):
            msg = "the connection was reset"
            raise RuntimeError(msg)

    monkeypatch.setattr(FileSystems, "open", lambda *_, **__: Gone())
    with pytest.raises(
        InputError, match=r"^gs://b/devices\.csv cannot be read: the connection was"
    ):
        read_devices("gs://b/devices.csv")
    files["gs://b/others.csv"] = (b"", 3.0)
    with pytest.raises(
        InputError, match=r"^gs://b/\* names 2 files; a register of devices is one$"
    ):
        DeviceRegister("gs://b/*").open()
    with pytest.raises(InputError, match=r"^gs://c names 0 files; a register of devices is one$"):
        DeviceRegister("gs://c").open()
