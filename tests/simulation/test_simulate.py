"""The whole command: the same seed gives the same bytes, and the counts are the balance."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from geo import RegionIndex
from pipelines.simulate import main
from simulation.batch import MIXED
from tests.support.jobs import run_job
from tests.support.processes import child

ROOT = Path(__file__).parents[2]
FAULTY = (
    *("--late", 0.1, "--too_late", 0.02, "--future", 0.02, "--duplicates", 0.1),
    *("--corrections", 0.1, "--deletions", 0.05, "--bad", 0.1, "--extra_fields", 0.1),
)


def simulate(*arguments: object, code: int = 0) -> str:
    """Runs the command in this process; gives what it says on standard error."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            found = main([str(argument) for argument in arguments])
        except SystemExit as error:
            found = error.code
    assert found == code, said.getvalue()
    return said.getvalue()


def simulated(folder: Path, *arguments: object) -> tuple[list[bytes], dict[str, Any]]:
    """The lines of a file, and what was counted."""
    path, counts = folder / "sent.jsonl", folder / "sent.json"
    simulate("--quiet", "--output", path, "--counts", counts, *arguments)
    return path.read_bytes().splitlines(), json.loads(counts.read_text())


def balance_of(folder: Path, *arguments: object) -> dict[str, Any]:
    done = run_job(
        *("--input", folder / "sent.jsonl", "--output", folder / "out", "--format", "json"),
        *("--window", "hourly", *arguments),
    )
    if done.code == 2 and "--message_format" in done.err:
        pytest.skip(f"the job does not read this format yet: {done.err}")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize("name", [*MIXED, "integers", "mixed"])
def test_the_same_seed_gives_the_same_bytes(tmp_path, name):
    options = ("--format", name, "--messages", 3000, *FAULTY)
    first, counts = simulated(tmp_path, *options)
    again, counts_again = simulated(tmp_path, *options)
    other, _ = simulated(tmp_path, *options, "--seed", 2)
    assert first == again
    assert counts == counts_again
    assert first != other
    assert len(first) == counts["messages"] == 3000


def test_a_compressed_file_holds_the_same_bytes_each_time(tmp_path):
    paths = [tmp_path / f"{number}.jsonl.gz" for number in range(2)]
    for path in paths:
        simulate("--quiet", "--messages", 500, "--output", path)
    lines, _ = simulated(tmp_path, "--messages", 500)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()).splitlines() == lines


@pytest.mark.parametrize("name", [*MIXED, "integers"])
def test_every_good_message_is_valid_by_its_schema(tmp_path, name):
    form = json.loads((ROOT / "schemas" / "formats" / f"{name}.json").read_text())
    lines, _ = simulated(
        tmp_path, "--format", name, "--messages", 600, *FAULTY, "--bad", 0, "--sensors", 30
    )
    check = jsonschema.Draft202012Validator(form["message"])
    for line in lines:
        check.validate(json.loads(line))
    kinds = {"device": "tag", "device_message": "sensor"}
    if name in kinds:
        assert len({json.loads(line)[kinds[name]] for line in lines}) == 4


def test_the_counts_are_the_balance_of_a_run(tmp_path):
    _, counts = simulated(tmp_path, "--messages", 2000, "--outside", 0.1, *FAULTY)
    summary = balance_of(tmp_path)
    assert summary["balance"] == counts["balance"]
    assert summary["rejected"] == counts["rejected"]
    never = {"no_place", "too_late"}
    assert {name for name, count in counts["balance"].items() if not count} == never


@pytest.mark.slow
@settings(max_examples=3, phases=[Phase.generate], deadline=None)
@given(seed=st.integers(0, 2**64 - 1), bad=st.sampled_from([0, 0.01, 0.5, 1]))
def test_they_are_so_whatever_the_seed_and_the_share_of_bad_records(tmp_path_factory, seed, bad):
    folder = tmp_path_factory.mktemp("sent")
    share = (1 - bad) / 20
    faults = ("--late", 0.2, "--too_late", share, "--future", share, "--duplicates", 0.2)
    more = ("--corrections", 0.2, "--deletions", 0.1, "--bad", bad, "--outside", 0.2)
    _, counts = simulated(folder, "--seed", seed, "--messages", 1500, *faults, *more)
    summary = balance_of(folder)
    assert summary["balance"] == counts["balance"]
    assert summary["rejected"] == counts["rejected"]
    if not bad:
        assert min(counts["balance"][name] for name in ("duplicate", "superseded", "deleted")) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["device", "device_message", "air_quality", "mixed"])
@settings(
    max_examples=2,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**64 - 1))
def test_they_are_so_in_every_format(tmp_path_factory, name, seed):
    wanted = "auto" if name == "mixed" else name
    folder = tmp_path_factory.mktemp("sent")
    _, counts = simulated(folder, "--format", name, "--seed", seed, "--messages", 1500, *FAULTY)
    summary = balance_of(folder, "--message_format", wanted)
    assert summary["balance"] == counts["balance"]
    assert summary["rejected"] == counts["rejected"]


def test_temperatures_are_colder_in_the_north_and_warm_overseas(tmp_path):
    lines, _ = simulated(
        tmp_path, "--sensors", 2000, "--messages", 20_000, "--duration", "1d", "--outside", 0
    )
    found = [json.loads(line) for line in lines]
    codes = RegionIndex.default().assign(
        [row["lon"] for row in found], [row["lat"] for row in found]
    )
    assert len(set(codes)) == 18
    assert None not in set(codes)
    by_region: dict[str, list[float]] = {code: [] for code in codes}
    for code, row in zip(codes, found, strict=True):
        by_region[code].append(row["temperature"])
    means = {code: sum(values) / len(values) for code, values in by_region.items()}
    assert means["03"] > 20 > means["93"] > means["32"] > -5
    paris = {"night": [], "afternoon": []}
    for code, row in zip(codes, found, strict=True):
        hour = row["timestamp"][11:13]
        if code == "11" and hour in {"03", "14"}:
            paris["night" if hour == "03" else "afternoon"].append(row["temperature"])
    assert _mean(paris["afternoon"]) > _mean(paris["night"]) + 4


def test_late_messages_come_out_of_order_by_exponential_delays(tmp_path):
    lines, _ = simulated(
        tmp_path, "--messages", 20_000, "--duration", "2h", "--late", 0.25, "--delay", "2m"
    )
    times = [json.loads(line)["timestamp"] for line in lines]
    newest, behind = "", 0
    for time in times:
        newest = max(newest, time)
        behind += time < newest
    assert times != sorted(times)
    assert math.isclose(behind / len(times), 0.25, rel_tol=0.1)


def test_messages_and_duration_at_no_rate_spread_over_the_duration(tmp_path):
    _, counts = simulated(tmp_path, "--messages", 1000, "--duration", "5h", "--start", "2019-02-19")
    assert counts["first_event_time"] == "2019-02-19T00:00:00.000000Z"
    assert counts["last_event_time"].startswith("2019-02-19T04:59")


def test_a_register_places_its_share_of_devices(tmp_path):
    register = tmp_path / "devices.csv"
    options = ("--format", "device", "--messages", 4000, "--sensors", 400)
    _, counts = simulated(tmp_path, *options, "--devices", register, "--registered", 0.5)
    lines = register.read_text().splitlines()
    assert lines[0] == "device_id,latitude,longitude,from,to"
    known = len(lines) - 1
    assert math.isclose(known, 200, rel_tol=0.2)
    assert counts["balance"]["no_place"] == 10 * (400 - known)
    assert counts["balance"]["counted"] > 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--late", "2"], "'2' is no number from 0 to 1"),
        (["--bad", "0.6", "--future", "0.6"], "together more than 1"),
        (["--duration", "ten"], "write a number and ms, s, m, h or d"),
        (["--start", "yesterday"], "is no time"),
        (["--start", "1066-10-14"], "between the years"),
        (["--sensors", "0"], "no whole number from 1"),
        (["--delay", "1d"], "at most an 8th of --allowed_lateness"),
        (["--registered", "0.5"], "name it by --devices"),
        (["--devices", "/nowhere/devices.csv"], "/nowhere/devices.csv"),
        (["--serve", "0", "--output", "a.jsonl"], "give one of them"),
        (["--rate", "10000000", "--speed", "0.001"], "too far apart"),
    ],
)
def test_wrong_options_are_named(options, says):
    assert says in simulate(*options, "--messages", 1, code=2)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("/nowhere/a.jsonl", "/nowhere/a.jsonl cannot be written: No such file"),
        ("a.json", "name it .jsonl or .jsonl.gz"),
        ("ftp://a/b", "is no output"),
        ("http://127.0.0.1:1", "nobody answers at http://127.0.0.1:1"),
        ("http:///a", "is no address"),
        ("http://user:secret@127.0.0.1:1", "holds no password"),
        ("kafka://127.0.0.1", "is no Kafka address"),
        ("pubsub://projects/p/t", "is not understood"),
    ],
)
def test_outputs_that_cannot_be_are_named(output, says):
    said = simulate("--quiet", "--messages", 1, "--rate", 0, "--output", output, code=1)
    assert says in said
    assert said.count("\n") == 1
    assert "secret" not in said


@pytest.mark.parametrize("scheme", ["kafka", "pubsub"])
def test_a_missing_package_is_named(monkeypatch, scheme):
    module = {"kafka": "confluent_kafka", "pubsub": "google.cloud.pubsub_v1"}[scheme]
    monkeypatch.setitem(sys.modules, module, None)
    for name in list(sys.modules):
        if name.startswith("simulation.outputs.") and name.endswith(scheme):
            monkeypatch.delitem(sys.modules, name)
        if name in {"connectors.kafka_client", "connectors.pubsub_client"}:
            monkeypatch.delitem(sys.modules, name)
    if scheme == "pubsub":
        import google.cloud  # noqa: PLC0415

        monkeypatch.delattr(google.cloud, "pubsub_v1", raising=False)
    output = f"{scheme}://projects/p/topics/t"
    said = simulate("--quiet", "--messages", 1, "--rate", 0, "--output", output, code=1)
    assert "is not installed: pip install" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_with_the_counts_of_what_was_sent(tmp_path, number):
    counts = tmp_path / "counts.json"
    command = [sys.executable, "-m", "pipelines.simulate", "--rate", "200", "--counts", str(counts)]
    with child(command, text=False) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        os.kill(process.pid, number)
        lines = [first, *process.stdout.readlines()]
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(20) == 0, said
    assert json.loads(counts.read_text())["messages"] == len(lines)
    assert f"sent {len(lines):,} messages".encode() in said


def test_a_reader_who_has_seen_enough_ends_it(tmp_path):
    counts = tmp_path / "counts.json"
    command = [sys.executable, "-m", "pipelines.simulate", "--rate", "0", "--duration", "1d"]
    with child([*command, "--counts", str(counts)], text=False) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(20) == 0, said
    assert b"Traceback" not in said
    assert counts.exists()


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
