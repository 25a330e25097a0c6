"""The main job: what a person gives it, what it says, and what it leaves behind."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

from connectors.local_store.manifest import exclusive_lock
from pipelines.options import OPTIONS
from pipelines.regional_means import main
from tests.support.jobs import ROOT, ask, command, rows_of, run_command, run_job, tree
from tests.support.messages import AT_SEA, CAYENNE, PARIS, TOULOUSE, line, lines
from tests.support.processes import child

HOURS = [
    {"id": f"{hour}-{number}", "timestamp": f"2019-02-19 {hour:02d}:{number:02d}:00",
     "temperature": hour + number / 10, **place}
    for hour in range(6)
    for number, place in enumerate((TOULOUSE, TOULOUSE, PARIS, CAYENNE))
]  # fmt: skip
MEANS = ("hourly_means", "sliding_means")
EVERY_TABLE = (*MEANS, "regional_means_revisions", "rejected_readings", "outside_readings")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(lines(*HOURS))
    return tmp_path


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """A store that a run of `HOURS` left; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("committed")
    (folder / "a.jsonl").write_bytes(lines(*HOURS))
    assert run_job("--input", folder / "a.jsonl", "--output", folder / "out", "--quiet").code == 0
    return folder / "out"


def summary_of(outcome):
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_two_words_are_enough(folder):
    done = run_command("--input", f"{folder}/in/*.jsonl", "--output", folder / "out")
    assert (done.code, done.err) == (0, "")
    text = done.out.splitlines()
    assert text[0] == "read 24 readings = 24 counted"
    assert re.fullmatch(r"0\.0 MB in \d+\.\d s, [\d,]+ readings/s", text[1])
    assert text[3] == "hour from 2019-02-19 05:00 UTC, °C"
    assert text[4].split() == ["region", "count", "mean", "min", "max", "3", "h", "before"]
    assert [row.split() for row in text[5:8]] == [
        ["Guyane", "1", "5.30", "5.30", "5.30", "2.30"],
        ["Île-de-France", "1", "5.20", "5.20", "5.20", "2.20"],
        ["Occitanie", "2", "5.05", "5.00", "5.10", "2.05"],
    ] or [row.split() for row in text[5:8]] == [
        ["Île-de-France", "1", "5.20", "5.20", "5.20", "2.20"],
        ["Guyane", "1", "5.30", "5.30", "5.30", "2.30"],
        ["Occitanie", "2", "5.05", "5.00", "5.10", "2.05"],
    ]
    assert text[-2] == f"results in {folder}/out; ask them in SQL:"
    asked = subprocess.run(
        ["sh", "-c", text[-1]],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Occitanie" in asked.stdout


def test_no_words_at_all_read_the_packaged_sample_into_results(tmp_path):
    done = run_command_in(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "results" / "manifest.json").exists()
    assert "results in results; ask them in SQL:" in done.stdout


def run_command_in(folder, *arguments):
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert f"--{option.name}" in text
    assert "the packaged sample" in text


def test_files_of_every_form_may_be_mixed(folder):
    inside = folder / "in"
    (inside / "b.jsonl.gz").write_bytes(gzip.compress(lines({"id": "b", **PARIS})))
    array = [json.loads(line(id=name, **TOULOUSE)) for name in "cd"]
    (inside / "c.json").write_text(json.dumps(array, indent=4))
    (inside / "d.json.gz").write_bytes(gzip.compress(json.dumps(array).encode()))
    (inside / "e.json").write_bytes(line(id="e", **AT_SEA))
    (inside / "f.jsonl").write_bytes(b"")
    (inside / "g.json").write_bytes(b"[]")
    (inside / "h.jsonl").write_text(json.dumps(array) + "\n\nbad\n")
    done = run_job(
        "--input", f"{inside}/*.jsonl", f"{inside}/*.gz", "--input", f"{inside}/*.json",
        "--output", folder / "out", "--format", "json",
    )  # fmt: skip
    summary = summary_of(done)
    balance = {name: count for name, count in summary["balance"].items() if count}
    assert balance == {
        "read": 24 + 1 + 2 + 2 + 1 + 2 + 1,
        "counted": 27,
        "duplicate": 4,
        "outside": 1,
        "rejected": 1,
    }
    assert ask(folder / "out", "SELECT id FROM outside_readings") == [("e",)]
    assert ask(folder / "out", "SELECT reason, raw, source FROM rejected_readings") == [
        ("not_json", "bad", f"{inside}/h.jsonl#byte={len(json.dumps(array)) + 2}")
    ]
    query = "SELECT sum(count) FROM hourly_means WHERE extract('hour' FROM hour) = 14"
    assert ask(folder / "out", query) == [(3,)]


def test_a_summary_for_scripts_is_one_json_object(folder):
    (folder / "in" / "b.jsonl").write_bytes(b"bad\nworse\n{}\n")
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out", "--format", "json")
    assert done.err == ""
    summary = summary_of(done)
    assert summary["balance"]["read"] == 27
    assert summary["rejected"] == {"not_json": 2, "missing_field": 1}
    assert summary["hour"] == "2019-02-19T05:00:00Z"
    assert {row["region"] for row in summary["regions"]} == {"Occitanie", "Guyane", "Île-de-France"}
    occitanie = next(row for row in summary["regions"] if row["region"] == "Occitanie")
    assert (occitanie["count"], occitanie["mean"], occitanie["mean_3h_before"]) == (2, 5.05, 2.05)
    assert summary["output"] == f"{folder}/out"
    assert summary["damaged"] == []
    assert summary["bytes"] == sum(path.stat().st_size for path in (folder / "in").iterdir())
    assert summary["seconds"] > 0


def test_quiet_says_nothing(folder):
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out", "--quiet")
    assert done == (0, "", "")


def test_rejected_records_are_named_by_their_share_and_reasons(folder):
    (folder / "in" / "b.jsonl").write_bytes(b"bad\n" * 3 + b"{}\n")
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    assert "read 28 readings = 24 counted + 4 rejected" in done.out
    assert "rejected 14.3 % of the records: not_json 3, missing_field 1" in done.out


@pytest.mark.parametrize(
    ("words", "windows"),
    [
        ([], [(3600, 300), (3600, 3600)]),
        (["--window", "hourly"], [(3600, 3600)]),
        (["--window", "sliding"], [(3600, 300)]),
        (["--window", "15m/5m", "hourly"], [(900, 300), (3600, 3600)]),
        (["--window", "1d", "--window", "10s"], [(10, 10), (86_400, 86_400)]),
    ],
)
def test_the_windows_that_are_wanted_are_computed(folder, words, windows):
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out", *words)
    assert done.code == 0
    query = "SELECT DISTINCT window_size, window_period FROM regional_means_revisions ORDER BY ALL"
    assert ask(folder / "out", query) == windows


def test_without_hourly_windows_there_is_no_table_of_an_hour(folder):
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out", "--window", "15m/5m")
    assert done.code == 0
    assert "hour from" not in done.out


def test_a_second_run_adds_what_is_new(folder):
    out = folder / "out"
    run_job("--input", f"{folder}/in/*", "--output", out)
    once = rows_of(out, *MEANS)
    run_job("--input", f"{folder}/in/*", "--output", out)
    assert rows_of(out, *MEANS) == once
    assert ask(out, "SELECT DISTINCT revision FROM hourly_means") == [(1,)]
    (folder / "in" / "a.jsonl").write_bytes(lines({"id": "x", "temperature": 99, **TOULOUSE}))
    (folder / "b.jsonl").write_bytes(
        lines({"id": "y", "temperature": 7, "timestamp": "2019-02-19 00:30:00", **TOULOUSE})
    )
    run_job("--input", f"{folder}/in/*", folder / "b.jsonl", "--output", out)
    found = ask(
        out,
        "SELECT extract('hour' FROM hour), count, mean, revision FROM hourly_means "
        "WHERE region_code = '76' ORDER BY hour",
    )
    # The run that found nothing new has written nothing, and so has no revision.
    assert found[0] == (0, 3, pytest.approx(7.1 / 3), 2)
    assert found[1] == (1, 2, 1.05, 1)
    assert found[-1] == (14, 1, 99.0, 2)
    assert len(found) == 7


def test_the_mean_three_hours_before_is_that_of_the_hour_not_of_the_row(folder):
    readings = [
        {"timestamp": f"2019-02-19 0{hour}:00:00", "temperature": hour, **TOULOUSE}
        for hour in (0, 1, 3, 4, 6)
    ]
    (folder / "in" / "a.jsonl").write_bytes(lines(*readings))
    run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    query = "SELECT mean, mean_3h_before FROM hourly_means ORDER BY hour"
    assert ask(folder / "out", query) == [(0, None), (1, None), (3, 0), (4, 1), (6, 3)]


def test_what_is_not_counted_can_be_read_back(folder):
    text = lines({"id": "at sea", "temperature": 1.5, **AT_SEA}) + b'{"id": "\xff"}\n'
    (folder / "in" / "b.jsonl").write_bytes(text)
    run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    query = "SELECT id, quantity, longitude, latitude, value, source FROM outside_readings"
    source = f"{folder}/in/b.jsonl#byte=0"
    assert ask(folder / "out", query) == [("at sea", "temperature", -30.0, 45.0, 1.5, source)]
    query = "SELECT reason, raw, raw_size, source FROM rejected_readings"
    at = text.index(b'{"id": "\xff')
    assert ask(folder / "out", query) == [
        ("not_json", '{"id": "\N{REPLACEMENT CHARACTER}"}', 11, f"{folder}/in/b.jsonl#byte={at}")
    ]


def test_only_rejected_records_are_a_run_too(folder):
    (folder / "in" / "a.jsonl").write_bytes(b"bad\n")
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    assert done.code == 0
    assert "read 1 readings = 1 rejected" in done.out
    assert ask(folder / "out", "SELECT count(*) FROM hourly_means") == [(0,)]


@pytest.mark.parametrize("year", ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"])
def test_the_first_and_the_last_moment_that_a_timestamp_can_say_are_read(folder, year):
    (folder / "in" / "a.jsonl").write_bytes(lines({"timestamp": year, **TOULOUSE}))
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out", "--window", "hourly")
    assert done.code == 0, done.err
    assert f"hour from {year[:13]}:00 UTC" in done.out


def test_a_broken_gzip_counts_as_far_as_it_goes_and_is_named(folder):
    whole = gzip.compress(lines(*HOURS * 50))
    (folder / "in" / "b.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    assert done.code == 0
    named = re.search(
        rf"^warning: {folder}/in/b.jsonl.gz ends in the middle of its gzip data, after byte [\d,]+ "
        "of its text; what was read of it counts$",
        done.out,
        re.MULTILINE,
    )
    assert named
    read = int(re.match(r"read ([\d,]+) readings", done.out)[1].replace(",", ""))
    assert 100 < read < 1224


FAILURES = {
    "no match": (["--input", "{in}/*.csv"], 1, "no file matches {in}/*.csv"),
    "one of several without a match": (
        ["--input", "{in}/a.jsonl", "{in}/none.json"], 1, "no file matches {in}/none.json",
    ),
    "only empty files": (
        ["--input", "{in}/empty*"],
        1,
        "nothing to read: all files that match {in}/empty* are empty",
    ),
    "only blank lines": (
        ["--input", "{in}/blank.jsonl"], 1,
        "the input holds no readings: nothing but blank lines and empty arrays",
    ),
    "no gzip": (
        ["--input", "{in}/no.jsonl.gz"], 1,
        "the input holds no readings: {in}/no.jsonl.gz has broken gzip data after byte 0 of its ",
    ),
    "a folder": (
        ["--input", "{in}"], 1, "{in} is a folder; name its files, for example {in}/*.jsonl",
    ),
    "a dangling link": (
        ["--input", "{in}/link.jsonl"], 1,
        "{in}/link.jsonl cannot be read: No such file or directory",
    ),
    "a pipe": (
        ["--input", "{in}/a.jsonl", "{in}/pipe.jsonl"], 1, "{in}/pipe.jsonl is no regular file; ",
    ),
    "an output below a file": (
        ["--output", "{in}/a.jsonl/out"], 1, "cannot write to {in}/a.jsonl/out (",
    ),
    "an output that is a file": (["--output", "{in}/a.jsonl"], 1, "cannot write to {in}/a.jsonl ("),
    "an unknown window": (
        ["--window", "daily"], 2, "unknown window 'daily': write hourly, sliding, or SIZE/PERIOD",
    ),
    "a window that cannot be": (
        ["--window", "5m/15m"], 2, "a window of 300 s every 900 s cannot be: ",
    ),
    "an unknown option": (
        ["--inptu", "x"], 2, "unknown option --inptu; did you mean --input?",
    ),
    "an option like nothing": (
        ["--zzzzzz"], 2, "unknown option --zzzzzz; --help lists the options",
    ),
    "an unknown format": (
        ["--message_format", "regonal"], 2,
        "--message_format: unknown message format 'regonal'; there are auto, regional, device,",
    ),
    "an option without its value": (
        ["--output"], 2, "argument --output: expected at least one argument",
    ),
    "a word too many": (
        ["file.jsonl"], 2, "unexpected argument 'file.jsonl'; inputs are named by --input",
    ),
    "a word too many behind an option": (
        ["--quiet", "file.jsonl"], 2,
        "unexpected argument 'file.jsonl'; inputs are named by --input",
    ),
    "a broken option of Beam": (
        ["--direct_num_workers", "many"], 2, "argument --direct_num_workers: invalid int value: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_sentence_and_leaves_the_store_as_it_was(folder, committed, case):
    inside = folder / "in"
    for name, data in (
        ("empty1.jsonl", b""), ("empty2.json", b""), ("blank.jsonl", b"\n \n[]\n"),
        ("no.jsonl.gz", b"plain"),
    ):  # fmt: skip
        (inside / name).write_bytes(data)
    (inside / "link.jsonl").symlink_to(inside / "nothing")
    os.mkfifo(inside / "pipe.jsonl")
    out = shutil.copytree(committed, folder / "out")
    before = tree(out)
    words, code, says = FAILURES[case]
    words = [word.format(**{"in": inside}) for word in words]
    if "--input" not in words:
        words = ["--input", f"{inside}/a.jsonl", *words]
        if case == "a word too many":
            words = words[2:]
    if "--output" not in words:
        words += ["--output", str(out)]
    done = run_job(*words)
    assert done.code == code
    assert done.out == ""
    assert done.err.startswith("error: " + says.format(**{"in": inside}))
    assert done.err.count("\n") == 1
    assert tree(out) == before


def test_a_failure_before_anything_is_written_makes_no_folder(folder):
    for words in (["--input", f"{folder}/none"], ["--window", "x"], ["--input", f"{folder}/in"]):
        assert run_job(*words, "--output", folder / "new" / "out").code != 0
    assert not (folder / "new").exists()


def test_a_failure_of_the_command_itself_has_no_traceback(folder):
    done = run_command("--input", f"{folder}/none", "--output", folder / "out")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"error: [^\n]+\n", done.err)


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"{", "is not a readable manifest"),
        (b'{"format_version": 99, "tables": {}, "runs": []}', "has format 99"),
        (b"[]", "is not a readable manifest"),
        (b"\xff\x00", "is not a readable manifest"),
    ],
)
def test_a_broken_manifest_is_named_and_left_alone(folder, committed, manifest, says):
    out = shutil.copytree(committed, folder / "out")
    (out / "manifest.json").write_bytes(manifest)
    before = tree(out)
    done = run_job("--input", f"{folder}/in/*", "--output", out)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(rf"error: [^\n]*{says}[^\n]*\n", done.err)
    assert tree(out) == before


class BreakingStream(io.RawIOBase):
    """Gives some lines, and then an error as a broken disk gives one."""

    def __init__(self):
        self._left = [lines(*HOURS * 20), b"bad\n" + lines({"id": "at sea", **AT_SEA})]

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self._left:
            raise OSError(5, "Input/output error")
        text = self._left.pop(0)
        buffer[: len(text)] = text
        return len(text)


class BreakingFileSystem(LocalFileSystem):
    """Files of which only the first part can be read: `breaking://tmp/a.jsonl`."""

    @classmethod
    def scheme(cls):
        return "breaking"

    def match(self, patterns, limits=None):
        found = super().match([pattern.removeprefix("breaking:/") for pattern in patterns], limits)
        for result in found:
            for metadata in result.metadata_list:
                metadata.path = f"breaking:/{metadata.path}"
        return found

    def open(self, *_, **__):
        return BreakingStream()


def test_a_file_that_breaks_while_it_is_read_is_named_and_the_store_is_as_it_was(folder, committed):
    out = shutil.copytree(committed, folder / "out")
    before = rows_of(out, *EVERY_TABLE), (out / "manifest.json").read_bytes()
    path = f"breaking:/{folder}/in/a.jsonl"
    done = run_job("--input", path, "--output", out)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {path} cannot be read: Input/output error\n"
    assert (rows_of(out, *EVERY_TABLE), (out / "manifest.json").read_bytes()) == before


def test_a_fault_of_the_program_is_one_sentence_too(folder, monkeypatch):
    from transforms import assign_regions  # noqa: PLC0415

    def fail(*_):
        msg = "out of luck"
        raise RuntimeError(msg)

    monkeypatch.setattr(assign_regions, "assign_regions", fail)
    done = run_job("--input", f"{folder}/in/*", "--output", folder / "out")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"error: the job failed: [^\n]*out of luck; the store is as it was "
        r"\(--verbose shows where\)\n",
        done.err,
    )
    with pytest.raises(Exception, match="out of luck"):
        run_job("--input", f"{folder}/in/*", "--output", folder / "out", "--verbose")


def wait_until(condition, process):
    """Until the condition holds, which it does soon unless the process ended."""
    pause, end = threading.Event(), time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        pause.wait(0.01)


@pytest.mark.parametrize(
    "sign", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_run_that_is_stopped_leaves_the_store_as_it_was_and_the_next_one_works(
    folder, committed, sign
):
    out = shutil.copytree(committed, folder / "out")
    before = rows_of(out, *EVERY_TABLE), (out / "manifest.json").read_bytes()
    files = set(out.rglob("*.parquet"))
    (folder / "in" / "b.jsonl").write_bytes(lines({"id": "new", "temperature": 50, **PARIS}))
    # While another run holds the lock, this one has written its files but cannot commit them.
    with exclusive_lock(out, 1.0):
        with child(command("--input", f"{folder}/in/*", "--output", out)) as process:
            wait_until(lambda: len(set(out.rglob("[!.]*.parquet")) - files) >= 1, process)
            process.send_signal(sign)
            said, errors = process.communicate(timeout=20)
        assert said == ""
        if sign == signal.SIGINT:
            assert process.returncode == 130
            assert errors == "error: interrupted; the store is as it was\n"
        else:
            assert process.returncode == -sign
    assert (rows_of(out, *EVERY_TABLE), (out / "manifest.json").read_bytes()) == before
    assert run_job("--input", f"{folder}/in/*", "--output", out, "--quiet").code == 0
    query = "SELECT mean FROM hourly_means WHERE extract('hour' FROM hour) = 14"
    assert ask(out, query) == [(50.0,)]


FORKING = """
import sys
import pipelines.local_runner as local
from pipelines.regional_means import main
local.WORTH_FORKING = 0
sys.exit(main())
"""


@pytest.mark.slow
def test_several_processes_give_what_one_gives(folder):
    for number in range(3):
        named = [{"id": f"{number} {row}", **hour} for row, hour in enumerate(HOURS[number::3])]
        at_sea = {"id": f"{number} at sea", **AT_SEA}
        (folder / "in" / f"{number}.jsonl").write_bytes(lines(*named, at_sea) + b"bad\n")
    words = ["--input", f"{folder}/in/*", "--format", "json"]
    one = run_job(*words, "--output", folder / "one")
    several = subprocess.run(
        [sys.executable, "-c", FORKING, *words, "--output", str(folder / "several"),
         "--direct_num_workers=3"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (several.returncode, several.stderr) == (0, "")
    assert json.loads(several.stdout)["balance"] == json.loads(one.out)["balance"]
    assert rows_of(folder / "one", *EVERY_TABLE) == rows_of(folder / "several", *EVERY_TABLE)
