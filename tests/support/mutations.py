"""Records of many shapes, and records that are nearly right."""

from __future__ import annotations

import random

KEYS = (b"id", b"timestamp", b"lat", b"lon", b"temperature", b"country")
VERSION_KEYS = (b"version", b"updated_at", b"deleted")

NUMBERS = [
    *(
        b"0 -0 -0.0 0.5 12.3456 -3.25 29.4068 1e1 1E-2 1.5e+1 -2.5e-7 0.0000005 0.0000015 "
        b"2.0000025 "
        b"1.0000005 0.12345678901234567 12345678.87654321 123456789012345678 1e9 -1e9 1000000000.5 "
        b"1e400 -1e400 1e-400 90 -90 90.0000001 180 -180 180.5 01 -01 00.5 1. .5 -.5 +1 - -- "
        b"1-2 1.2.3 "
        b"1e 1e+ 0x10 1_0 NaN Infinity -Infinity nan inf -inf Inf INFINITY -NaN 1,5 "
        b"9007199254740993 "
        b"18446744073709551616 0.30000000000000004 1.7976931348623157e308 4.9e-324 000 0.0 1234567 "
        b"45.6258385 0.0629891 1e0001 10000000000000000000000.5 12345678901234567890.25 +.5e1"
    ).split(),
    *(b" 5 ", b"5 ", b"", b"5\\t", b"\\n5", b"\\u0035", b"\xd9\xa3", b"1 2", b"\\u0000"),
]

TIMES = [
    b"2019-02-19 14:02:10",
    b"2019-02-19T14:02:10Z",
    b"2019-02-19t14:02:10z",
    b"2019-02-19T14:02:10.5",
    b"2019-02-19T14:02:10,123456789+01:00",
    b"2019-02-19T14:02:10-0530",
    b"2019-02-19 14:02:10 +02",
    b"2019-02-19T14:02",
    b"2019-02-19T14:02+01:00",
    b"2020-02-29 23:59:59.999999",
    b"2019-02-29 00:00:00",
    b"2019-13-01 00:00:00",
    b"2019-00-10 00:00:00",
    b"2019-02-19 24:00:00",
    b"2019-02-19 14:60:00",
    b"2019-02-19 14:02:60",
    b"0000-01-01 00:00:00",
    b"0001-01-01 00:00:00",
    b"0001-01-01 00:00:00+01:00",
    b"9999-12-31 23:59:59.999999",
    b"9999-12-31 23:59:59-01:00",
    b"2019-02-19",
    b"2019-02-19 14",
    b"2019-02-19 14:02:",
    b"2019-02-19 14:02:10.",
    b"2019-02-19 14:02:10+",
    b"2019-02-19 14:02:10+1",
    b"2019-02-19 14:02:10+24:00",
    b"2019-02-19 14:02:10+01:60",
    b"2019-02-19 14:02:10 ",
    b" 2019-02-19 14:02:10",
    b"2019-02-19  14:02:10",
    b"2019/02/19 14:02:10",
    b"2019-02-19_14:02:10",
    b"2019-02-19 14:02:10 UTC",
    b"2019-02-19T14:02:10.123456789012345678901234567890",
    b"1550584930",
    b"1550584930.25",
    b"1550584930123",
    b"1550584930123.4567",
    b"1.55058493e9",
    b"-1550584930",
    b"01550584930",
    b"99999999999",
    b"100000000000",
    b"253402300800000",
    b"253402300799999",
    b"-62135596801",
    b"",
    b"now",
    b"12/02/2019 14:02",
    b"2019-02-19T14:02:1\\u0030",
    b"\xef\xbc\x92019-02-19 14:02:10",
]

IDS = [
    b"1b16b092-e8e8-490b-a9be-0db1580fb164",
    b"a",
    b"",
    b"caf\xc3\xa9",
    b"\xf0\x9f\x8c\xa1",
    b"\\u00e9",
    b"a\\\\",
    b'\\"',
    b"a\\u0000b",
    b"\\ud83c\\udf21",
    b"\\ud800",
    b"a\\x",
    b"\xc3",
    b"\xff",
    b"a\x01b",
    b"a\tb",
    b"null",
    b"7",
    b"a{b}[c],:",
]

VERSIONS = [
    *(
        b"9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 "
        b"18446744073709551616 9007199254740993 9007199254740993.0 1e18 1e19 1e400 -1e400 3.0 1.5 "
        b"3e2 -0 0 00 007 +7 -5 1550584930123456789 1234567890123456 99999999999999999999 NaN "
        b"Infinity -inf 1e-400 0.0 - 1-2 12345678901234567890123456789012345 1x 1. "
        b"9223372036854775807.0 00000000000000000000000005 -00000000000000000000000005"
    ).split(),
    *(b" 7 ", b"", b"\\u0037", b"\\t7", b"\xd9\xa3", b"1 2"),
]

WHOLE = (
    b"7 0 -5 -0 007 12345678901234567890 123456789012345678901234567890 1-2 1.0 1e2 - NaN "
    b"18446744073709551615 9223372036854775808 123456789012345678901234x5 "
    b"1234567890123456789012345-5 1234567890123456789012345.5 -123456789012345678901234567890.5"
).split()

OTHERS = [
    *b'true false null {} [] {"a":1} [1,2] {"a":[{}]} [1,] {"a":1,} "" [NaN] tru nul'.split(),
    *(b'" "', b'{"id":"x"}', b'"x\\uD83D"', b'{"lat":1,"lon":2}'),
]

COUNTRIES = (
    b'"France" "FRANCE" "france" "fr" "FR" "Fra" "Frances" "Fr ance" "DE" "" null 5 05 1. NaN true '
    b'["France"] "Fr\\u0061nce" "\xc3\x89"'
).split()

EXTRA_KEYS = [
    *(b"humidity", b"sensor", b"", b"\xc3\xa9", b"a\\u0062", b"temperature ", b"Lat"),
    *(b"v\\u0065rsion", b"\\u0064eleted", b"Version", *VERSION_KEYS, *KEYS),
]
EXTRAS = [b"5", b'"text"', b"true", b"false", b"0.25", b"{}", b"[1]", b"null", b'"6"']

INSERTIONS = [bytes([byte]) for byte in range(256)] + [
    b'"', b'"', b"\\", b"\\", b",", b":", b"{", b"}", b"[", b"]", b" ", b"0", b"0", b".", b"-",
    b"e", b"+", b"\xc3\xa9", b"\xc3", b"\r", b"null", b"true", b'"lat":7,', b"\\u0031", b"//",
    b"NaN",
]  # fmt: skip


class Shapes:
    """Makes records by one writer's habits: order of keys, blanks, which values are strings.

    Args:
        random_numbers: where chance comes from.
        plain: no keys that nobody asked for or that come twice, none of versions.
    """

    def __init__(self, random_numbers: random.Random, *, plain: bool = False) -> None:
        self.random = random_numbers
        choice = random_numbers.choice
        self.keys = list(KEYS)
        if choice((True, False)):
            random_numbers.shuffle(self.keys)
        if choice((True, False, False)):
            self.keys.remove(b"country")
        self.strings = {key: choice((True, False)) for key in self.keys}
        self.extras = [
            (random_numbers.randrange(len(self.keys) + 1), choice(EXTRA_KEYS), choice(EXTRAS))
            for _ in range(0 if plain else choice((0, 0, 1, 2)))
        ]
        if not plain:
            for key in VERSION_KEYS:
                if choice((True, False, False)):
                    self.keys.insert(random_numbers.randrange(len(self.keys) + 1), key)
                    self.strings[key] = choice((True, False, False))
        self.colon = choice((b":", b":", b": ", b" :", b" : "))
        self.comma = choice((b",", b",", b", ", b" ,\t"))
        self.open = choice((b"{", b"{", b"{ "))
        self.close = choice((b"}", b"}", b" }"))

    def usual(self) -> bytes:
        """A good record."""
        numbers = self.random
        return self._record(
            {
                b"id": b"%032x" % numbers.getrandbits(128)
                if self.strings[b"id"]
                else b"%d" % numbers.randrange(10**9),
                b"timestamp": b"2019-02-%02d %02d:%02d:%02d"
                % (
                    numbers.randint(1, 28),
                    numbers.randrange(24),
                    numbers.randrange(60),
                    numbers.randrange(60),
                )
                if self.strings[b"timestamp"]
                else b"%d" % numbers.randrange(10**9, 2 * 10**9),
                b"lat": b"%.*f" % (numbers.randint(1, 7), numbers.uniform(-90, 90)),
                b"lon": b"%.*f" % (numbers.randint(1, 7), numbers.uniform(-180, 180)),
                b"temperature": b"%.*f" % (numbers.randint(1, 8), numbers.uniform(-30, 40)),
                b"country": b"France",
                b"version": b"%d" % numbers.randrange(10 ** numbers.choice((1, 2, 4, 9, 16, 19))),
                b"updated_at": b"2019-02-20 %02d:00:00" % numbers.randrange(24)
                if self.strings.get(b"updated_at")
                else b"%d" % numbers.randrange(10**9, 2 * 10**9),
            }
        )

    def unusual(self) -> bytes:
        """A record with one or two strange values, in the same shape."""
        values = {}
        for key in self.random.choices([*KEYS, *VERSION_KEYS], k=self.random.choice((1, 1, 2))):
            values[key] = self._strange(key)
        return self._record({}, values)

    def broken(self, key: bytes, count: int) -> list[bytes]:
        """Records of which every one has, under one key, one of two strange values."""
        strange = [self._strange(key) for _ in range(2)]
        return [self._record({}, {key: self.random.choice(strange)}) for _ in range(count)]

    def mutated(self) -> bytes:
        """A record of which some bytes were changed."""
        choice = self.random.choice
        record = bytearray(choice((self.usual, self.usual, self.unusual))())
        for _ in range(choice((1, 1, 1, 2, 3))):
            place = self.random.randrange(len(record) + 1)
            kind = choice(("flip", "delete", "insert", "insert", "swap", "cut"))
            if kind == "flip" and place < len(record):
                record[place] ^= 1 << self.random.randrange(8)
            elif kind == "delete":
                del record[place : place + choice((1, 1, 1, 2, 8))]
            elif kind == "insert":
                record[place:place] = choice(INSERTIONS)
            elif kind == "swap" and place + 1 < len(record):
                record[place], record[place + 1] = record[place + 1], record[place]
            elif kind == "cut" and choice((True, False)):
                del record[place:]
            if not record:
                record += b"{"
        # A newline would make two records of it.
        return bytes(record).replace(b"\n", b" ")

    def _strange(self, key: bytes) -> bytes:
        choice = self.random.choice
        if choice((True, False, False, False, False)):
            return choice(OTHERS)
        if key == b"country":
            return choice(COUNTRIES)
        if key == b"deleted":
            return choice((b"true", b"true", b"true", b"false", b"null", b'"true"', b"0", b"1"))
        if key == b"id":
            return choice(WHOLE) if choice((True, False)) else b'"%s"' % choice(IDS)
        texts = {b"timestamp": TIMES, b"updated_at": TIMES, b"version": VERSIONS}
        text = choice(texts.get(key, NUMBERS))
        quoted = (
            self.strings.get(key, True) if choice((True, True, False)) else choice((True, False))
        )
        return b'"%s"' % text if quoted else text

    def _record(self, texts: dict[bytes, bytes], values: dict[bytes, bytes] | None = None) -> bytes:
        values = values or {}
        usual = {
            b"id": b"5", b"timestamp": b"1550584930", b"lat": b"45.5", b"lon": b"0.25",
            b"temperature": b"12.5", b"country": b"France", b"version": b"7",
            b"updated_at": b"1550584930", b"deleted": b"false", **texts,
        }  # fmt: skip
        written = []
        for key in self.keys:
            if key in values:
                value = values[key]
            elif (self.strings[key] and key != b"deleted") or key == b"country":
                value = b'"%s"' % usual[key]
            else:
                value = usual[key]
            written.append(b'"%s"%s%s' % (key, self.colon, value))
        # Keys that nobody asked for, and keys that come twice.
        for place, key, value in self.extras:
            written.insert(place, b'"%s"%s%s' % (key, self.colon, value))
        return self.open + self.comma.join(written) + self.close
