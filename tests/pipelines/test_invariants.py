"""Nothing vanishes, and the same readings give the same rows, however they come."""

from __future__ import annotations

import functools
import gzip
import json
import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors import read_files
from connectors.input_files import pieces
from tests.support.fast_parser import assert_same_rows
from tests.support.jobs import ask, rows_of, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, message
from tests.support.mutations import Shapes
from tests.support.plain_means import assert_same_means, plain_means
from tests.support.reference_parser import Reading, read_lines
from transforms import slices, template_memory
from transforms.balance import CLASSES

MEANS = ("hourly_means", "sliding_means")


def random_lines(chance, count):
    """Lines of all classes: counted, outside, and rejected for every reason."""
    shapes = [Shapes(chance) for _ in range(2)]
    found = []
    for _ in range(count):
        kind = chance.random()
        if kind < 0.5:
            changes = {
                "id": chance.randrange(10**9),
                "timestamp": f"2019-02-{chance.randint(1, 3):02d} {chance.randrange(24):02d}:"
                f"{chance.randrange(60):02d}:{chance.randrange(60):02d}",
                "temperature": round(chance.uniform(-20, 40), chance.randint(0, 8)),
                "lat": chance.uniform(42, 51),
                "lon": chance.uniform(-5, 8),
            }
            changes |= chance.choice(({}, {}, TOULOUSE, PARIS, AT_SEA))
            found.append(json.dumps(message(**changes)).encode())
        elif kind < 0.7:
            found.append(chance.choice(shapes).usual())
        elif kind < 0.8:
            found.append(chance.choice(shapes).unusual())
        elif kind < 0.95:
            # An array would hold several records; here a line is to be one.
            found.append(chance.choice(shapes).mutated().lstrip(b" \t\r[") or b"{")
        else:
            found.append(chance.choice((b"bad", b"{}", b"5", b"null", b"\xff", b'"x"')))
    return found


def job(folder, out, *words):
    done = run_job("--input", f"{folder}/*", "--output", out, "--format", "json", *words)
    assert done.code == 0, done.err
    return json.loads(done.out)


@settings(max_examples=4, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_every_line_is_in_one_class_and_all_that_is_not_counted_can_be_read_back(
    tmp_path_factory, seed
):
    folder = tmp_path_factory.mktemp("balance")
    chance = random.Random(seed)
    data = b"\n".join(random_lines(chance, 400)) + b"\n"
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_bytes(data)
    summary = job(folder / "in", folder / "out")
    balance = summary["balance"]
    expected = read_lines(data)
    current = newest(row for row in expected if isinstance(row, Reading))
    rejected = [row for row in expected if not isinstance(row, Reading)]
    assert balance["read"] == len(expected) == sum(balance[name] for name in CLASSES)
    assert balance["rejected"] == len(rejected)
    path = folder / "in" / "a.jsonl"
    rows = ask(folder / "out", "SELECT reason, source FROM rejected_readings")
    assert_same_rows(rows, [(row.reason, f"{path}#byte={row.offset}") for row in rejected])
    outside = ask(folder / "out", "SELECT id, longitude, latitude, value FROM outside_readings")
    assert balance["outside"] == len(outside)
    deleted = sum(row.deleted for row in current)
    assert balance["deleted"] == deleted
    assert balance["counted"] == len(current) - deleted - len(outside)
    distinct = {seen(row) for row in expected if isinstance(row, Reading)}
    assert balance["superseded"] == len(distinct) - len(current)
    counted = ask(folder / "out", "SELECT coalesce(sum(count), 0) FROM hourly_means")
    assert counted == [(balance["counted"],)]
    reasons = {row.reason: 0 for row in rejected}
    for row in rejected:
        reasons[row.reason] += 1
    assert summary["rejected"] == reasons


def seen(row):
    """What tells the versions of all readings apart, and orders those of one."""
    version = row.version_kind, row.version, row.deleted
    if row.deleted:
        return row.id, *version
    place = float(row.longitude), float(row.latitude)
    return row.id, *version, row.event_micros, *place, row.value_micros


def newest(rows):
    """The newest version of each reading."""
    best = {}
    for row in rows:
        if row.id not in best or seen(row) > seen(best[row.id]):
            best[row.id] = row
    return list(best.values())


def rows_wherever(store):
    """All rows without the name of a file, which the cut of the input decides."""
    found = rows_of(store, *MEANS)
    columns = "reason, detail, raw, raw_size, raw_sha256"
    found["rejected"] = sorted(ask(store, f"SELECT {columns} FROM rejected_readings"))
    columns = "id, quantity, event_time::VARCHAR, longitude, latitude, value"
    found["outside"] = sorted(map(repr, ask(store, f"SELECT {columns} FROM outside_readings")))
    return found


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Lines, and the rows that they give as one file in one go."""
    folder = tmp_path_factory.mktemp("once")
    (folder / "in").mkdir()
    found = random_lines(random.Random(7), 1000)
    (folder / "in" / "a.jsonl").write_bytes(b"\n".join(found))
    summary = job(folder / "in", folder / "out")
    return found, rows_wherever(folder / "out"), summary["balance"]


@settings(max_examples=4, phases=[Phase.generate])
@given(st.integers(0, 2**32))
def test_rows_do_not_depend_on_order_files_blocks_pieces_threads_or_templates(
    once, tmp_path_factory, seed
):
    found, expected, balance = once
    chance = random.Random(seed)
    shuffled = chance.sample(found, len(found))
    folder = tmp_path_factory.mktemp("again")
    (folder / "in").mkdir()
    files = chance.randint(1, 4)
    for number in range(files):
        text = chance.choice((b"\n", b"\r\n")).join(shuffled[number::files])
        if chance.random() < 0.3:
            (folder / "in" / f"{number}.jsonl.gz").write_bytes(gzip.compress(text))
        else:
            (folder / "in" / f"{number}.jsonl").write_bytes(text)
    workers = chance.choice((1, 2, 5))
    words = [f"--direct_num_workers={workers}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_files, "BLOCK", chance.choice((1000, 20_000, 4 << 20)))
        size = chance.choice((5000, 60_000, 64 << 20))
        patch.setattr(read_files, "pieces", functools.partial(pieces, size=size))
        patch.setattr(slices, "COMPACT_FROM", chance.choice((10, 1 << 19)))
        if chance.random() < 0.4:
            patch.setattr(template_memory, "MAX_TEMPLATES", 0)
        again = job(folder / "in", folder / "out", *words)
    assert again["balance"] == balance
    rows = rows_wherever(folder / "out")
    for table, wanted in expected.items():
        assert rows[table] == wanted, table


def test_rows_are_those_of_exact_arithmetic(tmp_path):
    # Places are Toulouse and Paris only, so that no geometry is needed to know the regions.
    chance = random.Random(3)
    places = {"76": TOULOUSE, "11": PARIS}
    readings, lines = [], []
    for number in range(2000):
        code = chance.choice(("76", "11"))
        micros = chance.randint(1550_000_000, 1550_300_000) * 10**6
        value = chance.randint(-30_000_000, 40_000_000)
        readings.append((code, "temperature", micros, value))
        changes = {"timestamp": micros // 10**6, "temperature": value / 10**6, **places[code]}
        changes["id"] = number
        lines.append(json.dumps(message(**changes)).encode())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(b"\n".join(lines))
    job(tmp_path / "in", tmp_path / "out", "--window", "hourly", "sliding", "7m/3m")
    rows = ask(
        tmp_path / "out",
        "SELECT region_code, quantity, epoch(window_start)::BIGINT, window_size, window_period, "
        "count, mean, min, max, stddev FROM regional_means_revisions",
    )
    names = ("count", "mean", "min", "max", "stddev")
    found = {row[:5]: dict(zip(names, row[5:], strict=True)) for row in rows}
    assert len(found) == len(rows)
    windows = [(3600, 3600), (3600, 300), (420, 180)]
    assert_same_means(found, plain_means(readings, windows))
