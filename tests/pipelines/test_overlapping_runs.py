"""Runs over files that overlap, in any order, twice or at once: as one run over all of them."""

from __future__ import annotations

import json
import random
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.jobs import ROOT, ask, command, rows_of, run_job
from tests.support.messages import AT_SEA, PARIS, TOULOUSE, message
from transforms.balance import CLASSES

MEANS = ("hourly_means", "sliding_means")


@st.composite
def versions(draw):
    """One message: a version of one of few readings, perhaps a deletion."""
    changes = {"id": f"reading-{draw(st.integers(0, 5))}"}
    kind = draw(st.sampled_from(["none", "version", "updated_at"]))
    if kind == "version":
        changes["version"] = draw(st.integers(1, 3))
    elif kind == "updated_at":
        changes["updated_at"] = f"2024-12-02T00:00:0{draw(st.integers(0, 3))}Z"
    if draw(st.integers(0, 4)) == 0:
        return json.dumps(changes | {"deleted": True})
    minute = draw(st.sampled_from([0, 4, 5, 59, 60, 61, 125]))
    changes["timestamp"] = f"2024-12-01T{10 + minute // 60}:{minute % 60:02d}:00Z"
    changes["temperature"] = draw(st.sampled_from([-1.5, 0, 7.25, 7.25, 30.123456]))
    return json.dumps(message(**changes, **draw(st.sampled_from([PARIS, TOULOUSE, AT_SEA]))))


def job(files, store, *words):
    done = run_job("--input", *files, "--output", store, "--format", "json", *words)
    assert done.code == 0, done.err
    balance = json.loads(done.out)["balance"]
    assert balance["read"] == sum(balance[name] for name in CLASSES)
    assert all(count >= 0 for count in balance.values()), balance
    return balance


def newest(lines):
    """The current version of each reading, one message at a time."""
    best = {}
    for line in lines:
        fields = json.loads(line)
        if "version" in fields:
            version = (3, fields["version"])
        elif "updated_at" in fields:
            version = (2, fields["updated_at"])
        else:
            version = (0, 0)
        if fields.get("deleted"):
            rank = (*version, True)
        else:
            content = (fields["timestamp"], fields["lon"], fields["lat"], fields["temperature"])
            rank = (*version, False, *content)
        if fields["id"] not in best or rank > best[fields["id"]][0]:
            best[fields["id"]] = rank, fields
    return {name: fields for name, (_, fields) in best.items() if not fields.get("deleted")}


def archived(store):
    """The archive without the place that a version was read from: it may stand in several files."""
    query = "SELECT * EXCLUDE (source, ingested_at, run_id) FROM readings ORDER BY ALL"
    return [repr(row) for row in ask(store, query)]


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(versions(), min_size=1, max_size=25),
    st.lists(st.integers(0, 3), min_size=2, max_size=5),
    st.randoms(use_true_random=False),
)
def test_overlapping_runs_in_any_order_equal_one_run(tmp_path_factory, lines, runs, chance):
    folder = tmp_path_factory.mktemp("overlapping")
    files = []
    for number in range(4):
        part = [line for line in lines if chance.random() < 0.6] or [chance.choice(lines)]
        chance.shuffle(part)
        files.append(folder / f"{number}.jsonl")
        files[-1].write_text("\n".join(part) + "\n")
    for number in runs:
        others = [file for file in files if chance.random() < 0.3]
        job(dict.fromkeys([files[number], *others]), folder / "many")
    used = [*files]
    job(used, folder / "many")
    job(used, folder / "one")
    assert rows_of(folder / "many", *MEANS) == rows_of(folder / "one", *MEANS)
    assert archived(folder / "many") == archived(folder / "one")
    current = newest(line for file in files for line in file.read_text().splitlines())
    found = ask(folder / "many", "SELECT id, value FROM latest_readings ORDER BY id")
    assert found == sorted((name, fields["temperature"]) for name, fields in current.items())
    inside = [name for name, fields in current.items() if fields["lon"] != AT_SEA["lon"]]
    assert ask(folder / "many", "SELECT coalesce(sum(count), 0)::INT FROM hourly_means") == [
        (len(inside),)
    ]


@pytest.mark.slow
def test_runs_at_once_equal_one_run(tmp_path):
    chance = random.Random(4)
    lines = [
        json.dumps(
            message(
                id=f"r{chance.randrange(3000)}",
                version=chance.randint(1, 3),
                timestamp=f"2024-12-0{chance.randint(1, 3)}T{chance.randrange(24):02d}:30:00Z",
                temperature=round(chance.uniform(-5, 20), 4),
                **chance.choice([PARIS, TOULOUSE]),
            )
        )
        for _ in range(6000)
    ]
    files = [tmp_path / f"{number}.jsonl" for number in range(4)]
    for file in files:
        file.write_text("\n".join(chance.sample(lines, 4000)) + "\n")
    started = [
        subprocess.Popen(
            command("--input", file, "--output", tmp_path / "many", "--quiet"),
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for file in [*files, files[0]]
    ]
    for process in started:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    job(files, tmp_path / "one")
    assert rows_of(tmp_path / "many", *MEANS) == rows_of(tmp_path / "one", *MEANS)
    assert archived(tmp_path / "many") == archived(tmp_path / "one")


def test_a_second_run_finds_nothing_but_duplicates(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps(message(id=str(number))) for number in range(10)) + "\n")
    assert job([file], tmp_path / "store")["counted"] == 10
    before = rows_of(tmp_path / "store", "hourly_means")
    revisions = ask(tmp_path / "store", "SELECT count(*) FROM regional_means_revisions")
    balance = job([file], tmp_path / "store")
    assert (balance["counted"], balance["duplicate"]) == (0, 10)
    assert rows_of(tmp_path / "store", "hourly_means") == before
    assert ask(tmp_path / "store", "SELECT count(*) FROM regional_means_revisions") == revisions


def test_duplicates_may_be_kept(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text((json.dumps(message()) + "\n") * 3)
    assert job([file], tmp_path / "store", "--duplicates", "keep")["counted"] == 3
    assert ask(tmp_path / "store", "SELECT count FROM hourly_means") == [(3,)]


def test_the_archive_can_be_left_out(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(message()) + "\n")
    job([file], tmp_path / "store", "--archive", "none")
    assert ask(tmp_path / "store", "SELECT count FROM hourly_means") == [(1,)]
    assert ask(tmp_path / "store", "SELECT count(*) FROM readings") == [(0,)]
    assert not (tmp_path / "store" / "readings").exists()


def test_another_window_comes_with_all_readings_of_before(tmp_path):
    lines = [json.dumps(message(id=str(number), temperature=number)) for number in range(4)]
    for number, line in enumerate(lines):
        (tmp_path / f"{number}.jsonl").write_text(line + "\n")
    store = tmp_path / "store"
    job([tmp_path / "0.jsonl"], store, "--window", "hourly")
    job([tmp_path / "1.jsonl"], store, "--window", "15m")
    job([tmp_path / "2.jsonl", tmp_path / "0.jsonl"], store, "--window", "hourly")
    assert ask(store, "SELECT count, mean FROM hourly_means") == [(3, 1.0)]
    quarters = "SELECT count, mean FROM sliding_means WHERE window_size = 900"
    assert ask(store, quarters) == [(3, 1.0)]


@pytest.mark.parametrize("text", ["5", "x", "-1s", "1w", "", "1.5h"])
@pytest.mark.parametrize("option", ["early_every", "allowed_lateness", "remember_versions"])
def test_a_length_of_time_that_is_none_is_refused_in_one_sentence(tmp_path, option, text):
    done = run_job("--output", tmp_path / "store", f"--{option}={text}")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert option in done.err
