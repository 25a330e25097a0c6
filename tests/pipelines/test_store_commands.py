"""The commands that look after a store, as a person calls them: compact, runs, reconcile."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.local_store import LocalStore
from connectors.local_store.cleaning import Leftovers
from pipelines import compact, reconcile, runs
from pipelines.store_commands import length, moment
from tests.support.placed_rows import reading
from tests.support.stores import archive_only, rejected, run, small_store

ROOT = Path(__file__).parents[2]


def command(module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"pipelines.{module}", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path):
    small_store(tmp_path / "results", runs=3)
    return tmp_path / "results"


COMMANDS = {"compact": compact.main, "runs": runs.main, "reconcile": reconcile.main}


@pytest.mark.parametrize("name", COMMANDS)
def test_where_there_is_no_store_is_a_sentence(tmp_path, capsys, name):
    assert COMMANDS[name](["--output", str(tmp_path / "none")]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: there are no results in {tmp_path / 'none'}; run a job into it")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("output", ["gs://bucket/results", "bigquery://project.data", ""])
def test_other_places_than_folders_are_refused(capsys, name, output):
    if name == "reconcile" and output.startswith("bigquery:"):
        output = "kafka://host:9092/topic"  # BigQuery it knows.
    with pytest.raises(SystemExit) as caught:
        COMMANDS[name](["--output", output])
    assert caught.value.code == 2
    assert (
        f"--output is {output!r}, but this works on local folders only" in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_broken_manifest_is_a_sentence(folder, capsys, name):
    (folder / "manifest.json").write_text("{")
    assert COMMANDS[name](["--output", str(folder)]) == 1
    assert "manifest.json is not a readable manifest" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupting_leaves_a_sentence(folder, capsys, monkeypatch, name):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(compact, "compact", interrupt)
    monkeypatch.setattr(runs, "list_of_runs", interrupt)
    monkeypatch.setattr(reconcile, "reconcile", interrupt)
    assert COMMANDS[name](["--output", str(folder)]) == 130
    assert capsys.readouterr().err == "error: interrupted; the store is whole\n"


# compact


def test_compact_says_what_became_of_the_files(folder):
    done = command("compact", "--output", folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("index: 3 files became 1, ")
    assert lines[1].startswith("readings: 6 files became 2, ")
    assert lines[1].endswith(", 2 rows removed")
    assert [line.split(":")[0] for line in lines[2:]] == [
        "regional_means_revisions",
        "rejected_readings",
    ]
    again = command("compact", "--output", folder)
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")


def test_compact_can_be_quiet(folder, capsys):
    assert compact.main(["--output", str(folder), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert len(LocalStore(folder).manifest().files["rejected_readings"]) == 1


def test_compact_answers_in_json(folder, capsys):
    assert compact.main(["--output", folder.as_uri(), "--format", "json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["tables"]["readings"]["removed"] == 2
    assert done["run_id"] == LocalStore(folder).manifest().runs[-1].run_id
    assert done["leftovers"] == {"files": 0, "bytes": 0}


def test_compact_can_drop_what_is_old(folder, capsys):
    assert compact.main(["--output", str(folder), "--keep", "90d"]) == 0
    lines = capsys.readouterr().out.splitlines()
    day = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=90)
    assert lines[0] == f"dropped what is older than {day:%Y-%m-%d}"
    assert lines[1].startswith("index: 3 files became 1, ")
    # The deletions came a moment ago.
    assert lines[2].startswith("readings: 6 files became 1, ")
    assert lines[2].endswith(", 6 rows removed")
    assert compact.main(["--output", str(folder), "--keep", "90d", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept_from"] == f"{day:%Y-%m-%d}"
    assert compact.main(["--output", str(folder), "--keep", "90d"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["nothing to do"]


@pytest.mark.parametrize("text", ["90", "3m", "-1d", "0h"])
def test_a_time_to_keep_that_is_none_is_refused(folder, capsys, text):
    with pytest.raises(SystemExit) as caught:
        compact.main(["--output", str(folder), f"--keep={text}"])
    assert caught.value.code == 2
    assert f"argument --keep: {text!r} is no length of time" in capsys.readouterr().err


def test_compact_tells_of_leftovers_and_of_files_in_use(folder):
    done = compact.compact(folder, 10)
    done.tables["readings"].busy = 1234
    more = dataclasses.replace(done, leftovers=Leftovers(2, 3_456_789))
    told = compact.as_text(more)
    assert "readings: 1,234 files left alone, a run has replaced them" in told.splitlines()
    assert "removed 2 files of runs that crashed, 3.5 MB" in told.splitlines()


def test_a_disk_that_cannot_be_written_is_a_sentence(folder, capsys):
    (folder / ".writing").write_text("in the way")
    assert compact.main(["--output", str(folder)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {folder}")


# runs


def test_runs_lists_what_each_wrote(folder):
    run(folder, "named", [reading(7)], inputs=["a.jsonl", "b, c.jsonl"], counts={"readings": 1})
    listed = command("runs", "--output", folder, "--format", "json")
    assert listed.returncode == 0, listed.stderr
    rows = json.loads(listed.stdout)
    assert [row["run_id"] for row in rows] == ["run-0", "run-1", "run-2", "named"]
    assert rows[3] == {
        "run_id": "named",
        "kind": "batch",
        "status": "finished",
        "started_at": None,
        "finished_at": None,
        "inputs": ["a.jsonl", "b, c.jsonl"],
        "readings": 1,
        "files": 2,
    }


def test_runs_are_listed_as_a_table_and_as_csv(folder, capsys):
    assert runs.main(["--output", str(folder)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == [
        *("run_id", "kind", "status", "started_at", "finished_at", "inputs", "files"),
    ]
    assert table[-1] == "(3 rows)"
    assert runs.main(["--output", str(folder), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["run_id"] for row in rows] == ["run-0", "run-1", "run-2"]


def test_a_compaction_is_listed_with_its_times(folder, capsys):
    compact.main(["--output", str(folder), "--quiet"])
    runs.main(["--output", str(folder), "--format", "json"])
    *others, last = json.loads(capsys.readouterr().out)
    assert (last["kind"], last["files"], last["rejected_readings"]) == ("compaction", 5, 3)
    began = datetime.datetime.fromisoformat(last["started_at"])
    assert began <= datetime.datetime.fromisoformat(last["finished_at"])
    assert [row["files"] for row in others] == [0, 0, 0]


def test_runs_can_list_the_files(folder, capsys):
    file = rejected(folder, "more", "more")
    run(folder, "more", [], more=[file])
    runs.main(["--output", str(folder), "--files", "--format", "json"])
    rows = json.loads(capsys.readouterr().out)
    (found,) = [row for row in rows if row["path"] == file.path]
    assert found == {
        "table": "rejected_readings",
        "path": file.path,
        "rows": 1,
        "bytes": file.bytes,
        "run_id": "more",
    }
    assert {row["table"] for row in rows} == {
        *("index", "readings", "regional_means_revisions", "rejected_readings"),
    }


def test_an_empty_store_has_no_runs(folder, capsys):
    document = json.loads((folder / "manifest.json").read_text())
    document |= {"tables": {}, "runs": [], "index": []}
    (folder / "manifest.json").write_text(json.dumps(document))
    assert runs.main(["--output", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("(0 rows)\n")
    assert compact.main(["--output", str(folder)]) == 0
    assert capsys.readouterr().out == "nothing to do\n"


# reconcile


NOON = "Île-de-France, temperature, hour from 2019-02-19T12:00:00Z"


@pytest.fixture
def late(folder):
    """A store with a reading that came too late, in the hour of noon."""
    archive_only(folder, "late", [reading(50, value_micros=-7_000_000, too_late=True)])
    return folder


def test_reconcile_says_that_nothing_differed(folder):
    done = command("reconcile", "--output", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 windows checked; nothing differed\n"


def test_reconcile_says_which_rows_differed_and_corrects_them(late):
    done = command("reconcile", "--output", late)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{NOON}: count 4 → 5, mean 2.25 → 0.4, min 0 → -7, stddev 1.93649 → 4.46374",
        "counted 1 readings that no window held",
        "1 windows checked; 1 differed and are corrected",
    ]
    again = command("reconcile", "--output", late)
    assert again.stdout == "1 windows checked; nothing differed\n"


def test_reconcile_answers_in_json(late, capsys):
    assert reconcile.main(["--output", str(late), "--format", "json"]) == 0
    done = json.loads(capsys.readouterr().out)
    (row,) = done["differences"]
    assert row == {
        "region_code": "11",
        "region": "Île-de-France",
        "sensor_id": None,
        "quantity": "temperature",
        "window_size": 3600,
        "window_period": 3600,
        "window_start": "2019-02-19T12:00:00Z",
        "before": {"count": 4, "mean": 2.25, "min": 0.0, "max": 4.5, "stddev": 1.9364916731037085},
        "after": {"count": 5, "mean": 0.4, "min": -7.0, "max": 4.5, "stddev": 4.463742824133129},
    }
    assert (done["windows"], done["readings"], done["left_alone"]) == (1, 1, [])
    assert done["run_id"] == LocalStore(late).manifest().runs[-1].run_id


@pytest.mark.parametrize(
    ("span", "counted"),
    [
        (["--from", "2019-02-19T12:00:00Z", "--to", "2019-02-19T13:00"], 1),
        (["--from", "2019-02-19"], 1),
        (["--to", "2019-02-19T12:00:00+00:00"], 0),
        (["--from", "2019-02-19T13:00:00Z"], 0),
    ],
)
def test_reconcile_takes_hours_from_a_time_to_another(late, capsys, span, counted):
    assert reconcile.main(["--output", str(late), *span, "--format", "json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["readings"], len(done["differences"])) == (counted, counted)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (["--from", "2019-02-20", "--to", "2019-02-19"], "is not before --to 2019-02-19T00:00"),
        (["--from", "2019-02-20", "--to", "2019-02-20"], "is not before --to 2019-02-20T00:00"),
        (["--from", "noon"], "argument --from: 'noon' is no time; write it as 2019-02-19T14:00"),
    ],
)
def test_a_span_that_is_none_is_refused(late, capsys, span, message):
    with pytest.raises(SystemExit) as caught:
        reconcile.main(["--output", str(late), *span])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_reconcile_can_be_quiet(late, capsys):
    assert reconcile.main(["--output", str(late), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_reconcile_fails_where_there_is_no_archive(folder, capsys):
    document = json.loads((folder / "manifest.json").read_text())
    del document["tables"]["readings"]
    (folder / "manifest.json").write_text(json.dumps(document))
    assert reconcile.main(["--output", str(folder)]) == 1
    assert capsys.readouterr().err.startswith(f"error: the store in {folder} has no archive")


def test_reconcile_names_what_it_leaves_alone_and_what_lies_far_away(late):
    done = reconcile.reconcile(LocalStore(late))
    far = ("11", "Île-de-France", None, "temperature", 5400, 1800, 2**60)
    more = dataclasses.replace(done, left_alone=[(far, "stream-7")])
    lines = reconcile.as_text(more).splitlines()
    assert lines[1] == (
        "Île-de-France, temperature, 5400 s every 1800 s from 1152921504606846976 µs after 1970: "
        "left alone, stream stream-7 is about to change it"
    )
    assert lines[-1] == "1 left alone: reconcile again when the stream rests"
    (alone,) = json.loads(reconcile.as_json(more))["left_alone"]
    assert (alone["run_id"], alone["window_size"]) == ("stream-7", 5400)
    none = dataclasses.replace(more, differences=more.differences.slice(0, 0))
    assert reconcile.as_text(none).splitlines()[-2] == "1 windows checked"


# what times look like on the command line


@pytest.mark.parametrize(("text", "hours"), [("1h", 1), ("48h", 48), ("90d", 2160), ("12w", 2016)])
def test_lengths_of_time_are_understood(text, hours):
    assert length(text) == datetime.timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["", "90", "d", "-1d", "0d", "1.5d", "9 d", "٣d", "1m", "9999999d"]
)
def test_other_lengths_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no length of time; write"):
        length(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-02-19", "2019-02-19T00:00:00+00:00"),
        ("2019-02-19T14:00", "2019-02-19T14:00:00+00:00"),
        ("2019-02-19T14:00:00Z", "2019-02-19T14:00:00+00:00"),
        ("2019-02-19T14:00:00+02:00", "2019-02-19T12:00:00+00:00"),
    ],
)
def test_times_are_utc_where_they_do_not_say(text, expected):
    assert moment(text).isoformat() == expected


@pytest.mark.parametrize("text", ["", "yesterday", "19.2.2019", "2019-02-30", "1550584930"])
def test_other_times_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no time; write it as"):
        moment(text)
