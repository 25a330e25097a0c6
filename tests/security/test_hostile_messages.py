"""What a message can do to the job that reads it: be rejected, or be a reading. Nothing else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.support.jobs import ROOT, ask, run_command, run_job
from transforms.parse_block import BlockParser

TIME = "2019-02-19 14:02:10"
PEAK = """
import resource, runpy, sys
sys.argv = ["regional_means", *sys.argv[1:]]
try:
    runpy.run_module("pipelines.regional_means", run_name="not_main")["main"](sys.argv[1:])
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def good(number, **more):
    place = {"lat": 45.6, "lon": 0.06}
    return {"id": number, "timestamp": TIME, **place, "temperature": 10.0, **more}


HOSTILE = {
    "deep arrays": '{"id": 9, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "never closed": "[" * 100_000,
    "a number of a million digits": json.dumps(good(9)).replace("10.0", "9" * 1_000_000),
    "an exponent beyond all": json.dumps(good(9)).replace("10.0", "1e999999999"),
    "infinity": json.dumps(good(9)).replace("10.0", "Infinity"),
    "a value that is nan": json.dumps(good(9)).replace("10.0", "NaN"),
    "coordinates that are nan": json.dumps(good(9)).replace("45.6", "NaN"),
    "coordinates beyond the world": json.dumps(good(9)).replace("45.6", "91"),
    "coordinates as texts of nan": json.dumps(good(9)).replace("45.6", '"nan"'),
    "the year 10000": json.dumps(good(9)).replace("2019-02-19", "10000-02-19"),
    "a key of a megabyte": '{"' + "k" * (1 << 20) + '": 1}',
    "nul bytes": "\0" * 1000,
    "text that is no utf-8": b'{"id": "\xff\xfe", "timestamp": 1}',
    "half a surrogate": '{"id": "\\ud800"}',
    "two documents": '{"id": 1}{"id": 2}',
    "another format": "id,timestamp,lat\n",
    "xml": '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "a prototype": '{"__proto__": {"temperature": 1}, "constructor": {}}',
}


def raw(name):
    return HOSTILE[name] if isinstance(HOSTILE[name], bytes) else HOSTILE[name].encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_rejected_and_its_neighbours_are_counted(name):
    lines = [json.dumps(good(1)).encode(), raw(name), json.dumps(good(2)).encode(), b""]
    parsed = BlockParser().parse(b"\n".join(lines), "/a.jsonl")
    assert [row for batch in parsed.readings for row in batch.column("id").to_pylist()] == [
        "1",
        "2",
    ]
    kept = [text for batch in parsed.rejected for text in batch.column("raw").to_pylist()]
    assert kept
    assert all(len(text.encode()) <= 64 << 10 for text in kept)


def test_a_job_survives_all_of_them_at_once(tmp_path):
    read, store = tmp_path / "a.jsonl", tmp_path / "store"
    pairs = [(json.dumps(good(n)).encode(), raw(name)) for n, name in enumerate(HOSTILE)]
    read.write_bytes(b"\n".join(line for pair in pairs for line in pair) + b"\n")
    done = run_job("--input", read, "--output", store, "--format", "json")
    assert done.code == 0, done.err
    balance = json.loads(done.out)["balance"]
    assert balance["counted"] == len(HOSTILE)
    assert balance["rejected"] >= len(HOSTILE)
    assert balance["read"] == balance["counted"] + balance["rejected"]
    assert ask(store, "SELECT count, mean FROM hourly_means") == [(len(HOSTILE), 10.0)]


TEXTS = {
    "sql": "x'); DROP TABLE readings; --",
    "a macro": "${env:HOME} {{7*7}} `id` $(id) %s %n",
    "html": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("http://example.com","x")',
    "a path": "../../../etc/passwd\0.parquet",
    "right to left": "\u202eabc\u2066",
    "an escape of the terminal": "\x1b]0;owned\x07\x1b[2J",
    "a wide letter": "\U0001f600" * 50,
    "one letter in two ways": "e\u0301 \u00e9 \uff45",
}


COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys."""


def test_a_text_is_a_text_wherever_it_goes(tmp_path):
    """Names of sensors go into the store and out of it letter by letter."""
    read, store = tmp_path / "a.jsonl", tmp_path / "store"
    device = {"timestamp": "2023-03-28T20:04:22Z", "sensor": "temperature", "value": 1}
    messages = [{**device, "device_id": text} for text in TEXTS.values()]
    read.write_text("".join(f"{json.dumps(each)}\n" for each in messages))
    done = run_job("--input", read, "--output", store, "--group_by", "sensor")
    assert done.code == 0, done.err
    assert not COMMANDS.search(done.out)
    sql = "SELECT DISTINCT sensor_id FROM sensor_means"
    assert {text for (text,) in ask(store, sql)} == set(TEXTS.values())
    assert {text for (text,) in ask(store, "SELECT sensor_id FROM readings")} == set(TEXTS.values())
    rows = list(csv.reader(io.StringIO(_query(store, "csv", sql), newline="")))
    assert {text for (text,) in rows[1:]} == set(TEXTS.values())
    found = json.loads(_query(store, "json", sql))
    assert {each["sensor_id"] for each in found} == set(TEXTS.values())
    assert not COMMANDS.search(_query(store, "table", sql))


def _query(store: Path, form: str, sql: str) -> str:
    command = [sys.executable, "-m", "pipelines.query", "--output", store, "--format", form, sql]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize(
    "name", ["it's; DROP.jsonl", "a[1]*?.jsonl", "{x,y}.jsonl", "$(id) `id`.jsonl"]
)
def test_the_name_of_a_file_is_a_name(name, tmp_path):
    folder = tmp_path / "in'; --"
    folder.mkdir()
    (folder / name).write_text(json.dumps(good(1)) + "\n{\n")
    store = tmp_path / "out'; DROP TABLE readings; --"
    done = run_job("--input", str(folder) + "/*.jsonl", "--output", store, "--quiet")
    assert done.code == 0, done.err
    ((source,),) = ask(store, "SELECT source FROM rejected_readings")
    assert source.startswith(f"{folder / name}#byte=")
    assert ask(store, "SELECT count FROM hourly_means") == [(1,)]


def _peak(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rsplit("peak ", 1)[1]), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "more"), [("jsonl.gz", 400), ("json.gz", 1000)])
def test_a_bomb_is_read_in_pieces(suffix, more, tmp_path):
    """Two megabytes that unpacks to two gigabytes: one record that is too large, in bounded memory.

    What is held of a record is 64 MiB at most, in a document with the places of its structure.
    """
    bomb = tmp_path / f"bomb.{suffix}"
    with gzip.open(bomb, "wb", compresslevel=6) as stream:
        stream.write(b'["')
        for _ in range(2048):
            stream.write(b"x" * (1 << 20))
    assert bomb.stat().st_size < 4 << 20
    small = tmp_path / "small.jsonl"
    small.write_text(json.dumps(good(1)) + "\n")
    usual, _ = _peak("--input", small, "--output", tmp_path / "usual", "--quiet")
    peak, _ = _peak("--input", small, bomb, "--output", tmp_path / "store", "--quiet")
    assert peak < usual + more
    found = ask(tmp_path / "store", "SELECT reason, raw_size FROM rejected_readings")
    assert [reason for reason, _ in found] == ["too_large"]
    assert found[0][1] >= 1 << 31
    assert ask(tmp_path / "store", "SELECT count FROM hourly_means") == [(1,)]


def test_a_bomb_within_a_bomb_is_not_unpacked_twice(tmp_path):
    inner = zlib.compress(b"x" * 1000)
    read = tmp_path / "a.jsonl.gz"
    read.write_bytes(gzip.compress(gzip.compress(json.dumps(good(1)).encode() * 100) + inner))
    done = run_job("--input", read, "--output", tmp_path / "store", "--format", "json")
    assert done.code == 0, done.err
    balance = json.loads(done.out)["balance"]
    assert (balance["counted"], balance["rejected"]) == (0, balance["read"])


def test_a_message_says_nothing_of_another_file(tmp_path):
    """No field of a message is ever opened, asked or run."""
    canary = tmp_path / "canary.jsonl"
    canary.write_text(json.dumps(good(77)) + "\n")
    read = tmp_path / "a.jsonl"
    links = {"source": str(canary), "$ref": canary.as_uri(), "url": "http://127.0.0.1:1/"}
    read.write_text(json.dumps({**good(1), **links}) + "\n")
    done = run_command("--input", read, "--output", tmp_path / "store", "--format", "json")
    assert done.code == 0, done.err
    assert ask(tmp_path / "store", "SELECT id FROM readings") == [("1",)]
