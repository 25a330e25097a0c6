"""Rejected records are sent again after a fix, and counted once however often they are."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from connectors.dead_letters import marks
from connectors.dead_letters.judge import Judge
from connectors.dead_letters.letter import Letter, Selection, letter_of_message
from connectors.dead_letters.payloads import payloads_of
from connectors.dead_letters.whole import whole_record
from connectors.local_store import LocalStore
from connectors.output_error import OutputError
from pipelines import replay_outputs
from schemas.reading import REJECTED
from tests.support.dead_letters import broken_store, fix, lines, message, replay
from tests.support.jobs import ask, rows_of, run_job
from tests.support.kafka_server import kafka_server  # noqa: F401 - a fixture
from tests.support.pubsub_emulator import emulator_fixture, queue_fixture  # noqa: F401
from tests.support.stores import commit, rejected
from transforms.rejected_messages import rejected_messages

ROOT = Path(__file__).parents[2]
OPEN = "SELECT reason, source FROM open_rejections ORDER BY source"


def test_what_is_good_after_a_fix_goes_into_the_store_once(tmp_path):
    store, fixed = broken_store(tmp_path), fix(tmp_path)
    assert len(ask(store, OPEN)) == 3
    options = ("--input", store, "--message_format", f"auto,{fixed}", "--format", "json")
    dry = json.loads(replay(*options, "--dry_run").out)
    assert (dry["found"], dry["good"], dry["sent"]) == (3, 2, 0)
    assert len(ask(store, OPEN)) == 3
    done = replay(*options)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["found"], told["sent"], told["counted"]) == (3, 2, 2)
    assert told["still_rejected"] == {"not_json": 1}
    assert ask(store, "SELECT count, mean FROM hourly_means") == [(3, 50 / 3)]
    # What was rejected stays to be seen; only what nobody has brought in is open.
    assert ask(store, "SELECT count(*) FROM rejected_readings") == [(3,)]
    assert [reason for reason, _ in ask(store, OPEN)] == ["not_json"]
    again = json.loads(replay(*options).out)
    assert (again["found"], again["sent"], again["counted"]) == (1, 0, 0)
    repeated = json.loads(replay(*options, "--again").out)
    assert (repeated["found"], repeated["sent"], repeated["counted"]) == (3, 2, 0)
    assert ask(store, "SELECT count, mean FROM hourly_means") == [(3, 50 / 3)]


def test_a_replay_gives_what_one_run_with_the_fix_gives(tmp_path):
    store, fixed = broken_store(tmp_path), fix(tmp_path)
    assert replay("--input", store, "--message_format", f"auto,{fixed}").code == 0
    read = ("--input", tmp_path / "a.jsonl", "--quiet", "--message_format", f"auto,{fixed}")
    assert run_job(*read, "--output", tmp_path / "once").code == 0
    views = ("hourly_means", "sliding_means", "open_rejections")
    assert rows_of(store, *views) == rows_of(tmp_path / "once", *views)
    # Reading the whole file again with the fix brings nothing new.
    assert run_job(*read, "--output", store).code == 0
    assert rows_of(store, *views) == rows_of(tmp_path / "once", *views)


def test_a_replay_groups_and_windows_as_the_store_does(tmp_path):
    read = lines(tmp_path / "a.jsonl", [message(1, "temperature"), message(2)])
    store = tmp_path / "store"
    grouped = ("--group_by", "both", "--window", "15m/15m")
    assert run_job("--input", read, "--output", store, "--quiet", *grouped).code == 0
    done = replay("--input", store, "--message_format", f"auto,{fix(tmp_path)}")
    assert done.code == 0, done.err
    assert "1 readings of them are new" in done.out
    found = ask(store, "SELECT window_size, window_period, count FROM sliding_means")
    assert found == [(900, 900, 2)]


def test_reason_time_and_source_choose(tmp_path):
    store = broken_store(tmp_path)
    for more, found in [
        (("--reason", "not_json"), 1),
        (("--reason", "not_json", "missing_field"), 3),
        (("--since", "2999-01-01"), 0),
        (("--until", "2999-01-01"), 3),
        (("--source", "*a.jsonl#byte=*"), 3),
        (("--source", "*b.jsonl*"), 0),
    ]:
        done = replay("--input", store, "--dry_run", "--format", "json", *more)
        assert json.loads(done.out)["found"] == found, more


def test_a_file_is_there_when_it_is_whole_and_is_never_overwritten(tmp_path):
    store, out = broken_store(tmp_path), tmp_path / "again.jsonl"
    fixed = ("--message_format", f"auto,{fix(tmp_path)}")
    done = replay("--input", store, "--output", out, *fixed)
    assert done.code == 0, done.err
    assert "--input" in done.out
    sent = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(each["id"] for each in sent) == [2, 4]
    assert [reason for reason, _ in ask(store, OPEN)] == ["not_json"]
    twice = replay("--input", store, "--output", out, *fixed)
    assert (twice.code, twice.err) == (1, f"error: {out} is there already: name a new file\n")
    assert run_job("--input", out, "--output", store, "--quiet", *fixed).code == 0
    assert ask(store, "SELECT count FROM hourly_means") == [(3,)]


def test_a_file_that_cannot_be_written_marks_nothing(tmp_path):
    store = broken_store(tmp_path)
    fixed = ("--message_format", f"auto,{fix(tmp_path)}")
    done = replay("--input", store, "--output", tmp_path / "none" / "again.jsonl", *fixed)
    assert done.code == 1
    assert "cannot be written: No such file or directory" in done.err
    assert len(ask(store, OPEN)) == 3


def test_a_long_record_is_fetched_from_its_file_or_named(tmp_path):
    """What was cut at 64 KiB is read again where it stands, if it still is what it was."""
    long = message(2, note="é" * 70_000)
    plain = lines(tmp_path / "plain.jsonl", [message(1, "temperature"), long])
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({**long, "id": 5}).encode()))
    gone = lines(tmp_path / "gone.jsonl", [{**long, "id": 6}])
    changed = lines(tmp_path / "changed.jsonl", [{**long, "id": 7}])
    store = tmp_path / "store"
    inputs = (plain, packed, gone, changed)
    assert run_job("--input", *inputs, "--output", store, "--quiet").code == 0
    gone.unlink()
    changed.write_text(changed.read_text().replace("20.0", "99.9"))
    done = replay("--input", store, "--message_format", f"auto,{fix(tmp_path)}")
    assert done.code == 0, done.err
    assert "4 rejected records: 2 are good now" in done.out
    assert "2 were not kept whole" in done.out
    assert f"{gone}#byte=0 (" in done.out
    assert f"{changed}#byte=0 (" in done.out
    assert ask(store, "SELECT count, max FROM hourly_means") == [(3, 20.0)]
    left = {source for _, source in ask(store, OPEN)}
    assert left == {f"{gone}#byte=0", f"{changed}#byte=0"}


def test_bytes_that_are_no_text_are_fetched_as_they_were(tmp_path):
    read = tmp_path / "latin.jsonl"
    read.write_bytes(json.dumps(message(2, note="e")).encode().replace(b'"e"', b'"\xe9"') + b"\n")
    store = tmp_path / "store"
    assert run_job("--input", read, "--output", store, "--quiet").code == 0
    done = replay("--input", store, "--message_format", f"auto,{fix(tmp_path)}", "--dry_run")
    # They are rejected for what they are, not for the marks that stand for them.
    assert "1 would be rejected again: not_json 1" in done.out


def test_a_record_of_many_lines_goes_into_a_file_on_one(tmp_path):
    read = tmp_path / "a.json"
    read.write_text(json.dumps([message(1, "temperature"), message(2)], indent=2))
    store, out = tmp_path / "store", tmp_path / "again.jsonl"
    assert run_job("--input", read, "--output", store, "--quiet").code == 0
    fixed = f"auto,{fix(tmp_path)}"
    assert replay("--input", store, "--output", out, "--message_format", fixed).code == 0
    (line,) = out.read_text().splitlines()
    assert json.loads(line) == message(2)


def test_nothing_to_replay_is_no_error(tmp_path):
    read = lines(tmp_path / "a.jsonl", [message(1, "temperature")])
    assert run_job("--input", read, "--output", tmp_path / "store", "--quiet").code == 0
    done = replay("--input", tmp_path / "store")
    assert done.code == 0
    assert done.out.startswith("0 rejected records")


def test_bare_numbers_of_a_file_keep_the_place_that_tells_them_apart():
    """They have no identifier: what they are told apart by is where they stood."""
    whole = [Letter("x", "1", 1, _digest("1"), f"/a.jsonl#byte={at}", 5) for at in (0, 2)]
    places = {(one.source, one.offset) for one in payloads_of([(each, b"1") for each in whole])}
    assert places == {("/a.jsonl", 0), ("/a.jsonl", 2)}


def test_messages_of_a_queue_keep_place_and_arrival():
    letters = [
        Letter("x", "{}", 2, _digest("{}"), f"kafka://h:1/t/0#offset={at}", 100 + at)
        for at in (7, 9)
    ]
    polled = Letter("x", "{}", 2, _digest("{}"), "https://host/readings", 300)
    queued, alone = sorted(
        payloads_of([(each, b"{}") for each in (*letters, polled)]),
        key=lambda payload: payload.messages is None,
    )
    assert queued.source == "kafka://h:1/t/0"
    assert list(queued.messages.places) == ["7", "9"]
    assert queued.messages.arrived_at.tolist() == [107, 109]
    assert (alone.source, alone.offset, alone.arrived_at) == ("https://host/readings", None, 300)


def test_a_correction_that_came_meanwhile_is_not_replaced(tmp_path):
    """The replayed version arrived when it was rejected: before what came later."""
    store, fixed = tmp_path / "store", fix(tmp_path)
    raw = json.dumps(message(2, "temperature", 5.0, updated_at="2019-02-19T15:00:00Z"))
    newer = message(2, "temperature", 9.0, updated_at="2019-02-19T16:00:00Z")
    run_job("--input", lines(tmp_path / "b.jsonl", [newer]), "--output", store, "--quiet")
    commit(store, "r", [rejected(store, raw, "r")])
    done = replay("--input", store, "--message_format", f"auto,{fixed}")
    assert "1 rejected records: 1 are good now" in done.out, done.err
    assert "0 readings of them are new" in done.out
    assert ask(store, "SELECT count, mean FROM hourly_means") == [(1, 9.0)]


def test_readings_from_the_future_stay_rejected(tmp_path):
    letter = Letter("from_the_future", "", 0, "", "kafka://h:1/t/0#offset=1", 0)
    store = tmp_path / "store"
    run_job(
        "--input",
        lines(tmp_path / "b.jsonl", [message(1, "temperature")]),
        "--output",
        store,
        "--quiet",
    )
    raw = json.dumps({**message(2, "temperature"), "timestamp": "2999-01-01 00:00:00"})
    file = rejected(store, raw, "r")
    commit(store, "r", [file])
    done = replay("--input", store, "--dry_run")
    # Of a file nothing says when it came.
    assert "1 are good now" in done.out
    judge = Judge("auto", 300)
    assert judge.reasons([letter], [raw.encode()]) == ["from_the_future"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--input", "nowhere"), 1, "no results in nowhere"),
        (("--input", "ftp://u:secret@h/x"), 2, "--input 'ftp://h/x' is nothing"),
        (("--input", "kafka://h:1/t"), 2, "name an --output"),
        (("--input", "kafka://h:1/t", "--output", "kafka://h:1/t"), 2, "back among the dead"),
        (("--input", "pubsub://projects/p/topics/t", "--output", "x.jsonl"), 2, "a subscription"),
        (("--output", "bigquery://p.d"), 2, "names no project"),
        (("--reason", "unknown"), 2, "invalid choice: 'unknown'"),
        (("--since", "2020-01-02", "--until", "2020-01-01"), 2, "is not before --until"),
        (("--since", "yesterday"), 2, "is no time"),
        (("--max_future", "soon"), 2, "soon"),
        (("--message_format", "none.json"), 2, "none.json"),
        (("--dead_letters", "kafka://h:1/t"), 2, "one place each"),
        (("--no_such_option", "1"), 2, "unknown option --no_such_option"),
        (("--output", "x.jsonl", "--window", "hourly"), 2, "unknown option --window"),
        (("--kafka_option", "sasl.password=hunter2"), 2, "put it into an environment variable"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(arguments, code, sentence, tmp_path):
    store = broken_store(tmp_path)
    given_input = () if "--input" in arguments else ("--input", store)
    done = replay(*given_input, *arguments)
    assert done.code == code, (done.out, done.err)
    assert sentence in done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "secret@" not in done.err
    assert "hunter2" not in done.err
    assert len(ask(store, OPEN)) == 3


def test_a_crash_between_sending_and_marking_counts_nothing_twice(tmp_path, monkeypatch):
    store = broken_store(tmp_path)
    fixed = ("--message_format", f"auto,{fix(tmp_path)}")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(marks, "mark_in_store", crash)
        assert replay("--input", store, *fixed).code == 130
    assert ask(store, "SELECT count FROM hourly_means") == [(3,)]
    assert len(ask(store, OPEN)) == 3
    done = replay("--input", store, *fixed)
    assert "0 readings of them are new" in done.out
    assert ask(store, "SELECT count FROM hourly_means") == [(3,)]
    assert len(ask(store, OPEN)) == 1


def test_the_command_ends_with_its_code(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.replay", "--input", tmp_path / "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: there are no results in")


def test_many_records_are_several_runs(tmp_path, monkeypatch):
    store = broken_store(tmp_path)
    monkeypatch.setattr(replay_outputs, "SHARE", 1)
    done = replay("--input", store, "--message_format", f"auto,{fix(tmp_path)}")
    assert "2 readings of them are new" in done.out, done.err
    assert ask(store, "SELECT count FROM hourly_means") == [(3,)]
    assert len(LocalStore(store).manifest().runs) == 4


def test_a_file_that_cannot_be_finished_is_told_and_leaves_nothing(tmp_path):
    letter = Letter("x", "{}", 2, _digest("{}"), "/a#byte=0", 0)
    gone = replay_outputs.FileOutput(str(tmp_path / "b.jsonl"))
    next(tmp_path.glob(".b.jsonl.*")).unlink()
    gone.send([(letter, b"{}")])
    with pytest.raises(OutputError, match=r"b\.jsonl cannot be written: No such file"):
        gone.close(complete=True)
    full = replay_outputs.FileOutput(str(tmp_path / "c.jsonl"))
    full._stream.close()
    full._stream = (tmp_path / "there").open("wb", buffering=0)
    with full._stream, Path("/dev/full").open("wb") as device:
        os.dup2(device.fileno(), full._stream.fileno())
        with pytest.raises(OutputError, match=r"c\.jsonl cannot be written: No space left"):
            full.send([(letter, b"{}")])
    assert not (tmp_path / "c.jsonl").exists()


class Refusing:
    """A queue that confirms nothing."""

    def __init__(self, said):
        self._said = said

    def check(self, timeout):
        pass

    def publish(self, messages, done):  # noqa: ARG002
        if self._said is not None:
            done(self._said)

    def close(self, timeout):  # noqa: ARG002
        return 0


@pytest.mark.parametrize(("said", "told"), [("no room", "no room"), (None, "not confirmed all")])
def test_what_a_queue_does_not_confirm_is_not_marked(said, told, tmp_path, monkeypatch):
    store = broken_store(tmp_path)
    module = importlib.import_module("serving.publishers.open_publisher")
    monkeypatch.setattr(module, "open_publisher", lambda *_, **__: Refusing(said))
    monkeypatch.setattr(replay_outputs, "CONFIRM_SECONDS", -4.9)
    fixed = ("--message_format", f"auto,{fix(tmp_path)}")
    done = replay("--input", store, "--output", "kafka://h:1/t", *fixed)
    assert done.code == 1
    assert told in done.err
    assert len(ask(store, OPEN)) == 3


texts = st.text(max_size=20)


@given(st.lists(st.tuples(texts, texts, texts), max_size=5))
def test_a_message_of_a_dead_letter_topic_is_read_as_it_was_written(rows):
    columns = [
        ["not_json"] * len(rows),
        [detail for detail, _, _ in rows],
        [raw for _, raw, _ in rows],
        [len(raw.encode()) for _, raw, _ in rows],
        [None] * len(rows),
        [source for _, _, source in rows],
        [1_550_584_930_123_456] * len(rows),
    ]
    arrays = [pa.array(each, field.type) for each, field in zip(columns, REJECTED, strict=True)]
    messages = rejected_messages(pa.RecordBatch.from_arrays(arrays, schema=REJECTED))
    letters = [letter_of_message(value) for _, value, _ in messages]
    assert [(one.raw, one.source, one.rejected_at) for one in letters] == [
        (raw, source, 1_550_584_930_123_456) for _, raw, source in rows
    ]
    assert all(one.is_whole and whole_record(one, 0) == one.raw.encode() for one in letters)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"reason": 1}', b"null", b"\xff"])
def test_other_messages_are_no_dead_letters(text):
    assert letter_of_message(text) is None


def test_a_pattern_may_be_the_source_itself():
    letter = Letter("not_json", "", 0, "", "/data/[a].jsonl#byte=0", 5)
    assert Selection(source="/data/[a].jsonl#byte=0").wants(letter)
    assert not Selection(source="/data/[b].jsonl#byte=0").wants(letter)
    assert not Selection().wants(Letter("too_late", "", 0, "", "", 5))


@pytest.mark.slow
def test_through_topics_of_kafka(kafka_server, tmp_path):  # noqa: F811
    """From a topic of dead letters into the topic that the pipeline reads."""
    topics = [kafka_server.topic(2) for _ in range(2)]
    dead, fresh = map(kafka_server.uri, topics)
    store = broken_store(tmp_path)
    with LocalStore(store).connect() as connection:
        rows = connection.sql("SELECT * EXCLUDE (run_id) FROM rejected_readings").to_arrow_table()
    letters = [m for batch in rows.to_batches() for m in rejected_messages(batch)]
    producer = Producer({"bootstrap.servers": kafka_server.address})
    for key, value, _ in letters:
        producer.produce(topics[0], value, key)
    producer.produce(topics[0], b"no dead letter")
    producer.flush(20)
    fixed = ("--message_format", f"auto,{fix(tmp_path)}", "--format", "json")
    done = replay("--input", dead, "--output", fresh, *fixed)
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["found"], told["sent"], told["no_dead_letters"]) == (3, 2, 1)
    values = [v for p in (0, 1) for _, v in kafka_server.values(topics[1], 5, p)]
    assert sorted(json.loads(each)["id"] for each in values) == [2, 4]
    # And from the topic into a store.
    into = replay("--input", dead, "--output", store, *fixed)
    assert json.loads(into.out)["counted"] == 2
    nowhere = replay("--input", f"{dead}-none", "--output", store, *fixed)
    assert nowhere.code == 1
    assert "there is no topic" in nowhere.err
    missing = replay("--input", store, "--output", f"{fresh}-none", *fixed, "--again")
    assert missing.code == 1
    assert "topic" in missing.err


@pytest.mark.slow
def test_through_pubsub(queue, tmp_path):
    """A message is acknowledged when its record is safe, and given back when it is not wanted."""
    store = broken_store(tmp_path)
    with LocalStore(store).connect() as connection:
        rows = connection.sql("SELECT * EXCLUDE (run_id) FROM rejected_readings").to_arrow_table()
    letters = [m for batch in rows.to_batches() for m in rejected_messages(batch)]
    queue.publish([value for _, value, _ in letters])
    into = tmp_path / "into"
    fixed = ("--message_format", f"auto,{fix(tmp_path)}", "--format", "json")
    wanted = ("--input", queue.uri, "--output", into, "--reason", "missing_field")
    dry = replay(*wanted, *fixed, "--dry_run")
    assert json.loads(dry.out)["good"] == 2, dry.err
    assert not into.exists()
    done = replay(*wanted, *fixed)
    assert json.loads(done.out)["counted"] == 2, done.err
    assert ask(into, "SELECT count, mean FROM hourly_means") == [(2, 20.0)]
    left = queue.left(15)
    assert [json.loads(each.data)["reason"] for each in left] == ["not_json"]
    gone = replay("--input", f"{queue.uri}-none", "--output", into, *fixed)
    assert gone.code == 1
    assert "does not exist" in gone.err
    file = replay("--input", queue.uri, "--output", tmp_path / "b.jsonl", *fixed)
    assert (file.code, "not into a file" in file.err) == (2, True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
