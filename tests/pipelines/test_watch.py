"""The means of a store as they change, in a terminal."""

from __future__ import annotations

import datetime
import json

import pytest

from connectors.local_store import LocalStore
from pipelines.watch import Watch, main
from tests.support.jobs import run_job


def add(folder, name, *values, region=(48.86, 2.35), hour=10):
    """Readings of one hour, one a minute, into a store."""
    file = folder / f"{name}.jsonl"
    rows = [
        {"id": f"{name}{minute}", "timestamp": f"2024-01-01 {hour}:{minute:02}:00"}
        | {"lat": region[0], "lon": region[1], "temperature": value}
        for minute, value in enumerate(values)
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert run_job("--input", file, "--output", folder / "out", "--quiet").code == 0


@pytest.fixture
def store(tmp_path):
    add(tmp_path, "a", 10.0, 12.0)
    add(tmp_path, "b", 20.0, region=(43.6, 1.44))
    return tmp_path


def test_what_has_changed_since_the_last_look_is_marked(store):
    watch = Watch(LocalStore(store / "out"))
    assert [(row["region"], row["change"]) for row in watch.rows()] == [
        ("Île-de-France", " "),
        ("Occitanie", " "),
    ]
    add(store, "c", 40.0, 40.0)
    assert [row["change"] for row in watch.rows()] == ["▲", " "]
    add(store, "d", -40.0, region=(43.6, 1.44))
    assert [row["change"] for row in watch.rows()] == [" ", "▼"]
    assert [row["change"] for row in watch.rows()] == [" ", " "]


def test_the_newest_hours_are_shown(store, capsys):
    add(store, "later", 5.0, hour=11)
    assert main(["--output", str(store / "out"), "--times", "1"]) == 0
    shown = capsys.readouterr().out
    assert "01-01 11:00" in shown
    assert "01-01 10:00" not in shown
    assert main(["--output", str(store / "out"), "--times", "1", "--hours", "2"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("01-01 11:00") < shown.index("01-01 10:00")
    assert "5.00" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_the_age_of_a_mean_is_shown(store, monkeypatch, capsys):
    from pipelines import watch  # noqa: PLC0415

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) + datetime.timedelta(seconds=1000)

    monkeypatch.setattr(watch.datetime, "datetime", Later)
    main(["--output", str(store / "out"), "--times", "1"])
    assert "1,00" in capsys.readouterr().out


def test_a_store_that_is_not_there_yet_has_no_means(tmp_path, capsys):
    assert main(["--output", str(tmp_path / "none"), "--times", "2", "--every", "0.01"]) == 0
    assert "no means yet" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_several_quantities_are_told_apart(tmp_path, capsys):
    file = tmp_path / "device.jsonl"
    rows = [
        {"id": 1, "timestamp": "2024-01-01 10:00:00", "sensor": {"id": 7}}
        | {"location": {"latitude": "48.86", "longitude": "2.35", "country": "FR"}}
        | {"sensordatavalues": [{"value_type": kind, "value": "20.5"} for kind in ("P1", "P2")]}
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    run_job("--input", file, "--output", tmp_path / "out", "--quiet")
    assert main(["--output", str(tmp_path / "out"), "--times", "1"]) == 0
    shown = capsys.readouterr().out
    assert "quantity" in shown
    assert "P1" in shown


def test_a_broken_store_is_said_in_a_sentence(store, capsys):
    (store / "out" / "manifest.json").write_text("{")
    assert main(["--output", str(store / "out"), "--times", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("option", ["--every", "--hours", "--times"])
def test_what_cannot_be_is_refused(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main([option, "0"])
    assert ended.value.code == 2
    assert "must be more than 0" in capsys.readouterr().err


def test_an_interrupt_ends_it(store, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.watch.time.sleep", interrupt)
    assert main(["--output", str(store / "out")]) == 0
