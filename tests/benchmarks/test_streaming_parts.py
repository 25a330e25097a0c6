"""Parts of the benchmarks of streams that need no server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.streaming.document import document
from benchmarks.streaming.expected import Sent
from benchmarks.streaming.folders import checkpoint_bytes, folder_bytes
from benchmarks.streaming.lag import Lag
from benchmarks.streaming.processes import Watched
from benchmarks.streaming.produce import BLOCKS, Load, earlier
from benchmarks.streaming.results import Result, cores_between, kept, percentiles
from benchmarks.streaming.soak import rises
from benchmarks.streaming.template import Shares, make_blocks
from benchmarks.streaming.trend import trend_of
from benchmarks.streaming.visible import Onlooker

SECOND = 1_750_000_000


def read_all(per_message: int, rounds: int) -> tuple[Sent, list[dict]]:
    """What some rounds of blocks send, counted and read back."""
    blocks = make_blocks(BLOCKS, 60, per_message, Shares(0.05, 0.05))
    sent, readings = Sent(blocks), []
    for number in range(rounds * BLOCKS):
        source = earlier(number)
        moments = SECOND + number // 7 * 600, SECOND + source // 7 * 600
        before = source % 2**32, moments[1]
        for text in blocks[number % BLOCKS].texts(number, moments[0], before):
            found = json.loads(text)
            readings += found if isinstance(found, list) else [found]
        sent.add(number, moments[0], (source, moments[1]))
    return sent, readings


@pytest.mark.parametrize("per_message", [1, 7, 60])
def test_what_is_expected_is_what_the_messages_say(per_message: int) -> None:
    sent, readings = read_all(per_message, rounds=5)
    newest, versions = {}, set()
    for reading in readings:
        newest[reading["id"]] = reading
        versions.add((reading["id"], reading["lat"], reading["lon"], reading["temperature"]))
    assert sent.readings == len(readings) == 5 * BLOCKS * 60
    assert sent.distinct == len(newest)
    assert sent.distinct + sent.corrections == len(versions)
    assert sent.readings == sent.distinct + sent.corrections + sent.repeats
    told = sent.as_dict()
    hours = {hour for _, hour, _, _ in told["hourly"]}
    assert len(hours) > 1
    from geo import RegionIndex  # noqa: PLC0415

    last = list(newest.values())
    codes = RegionIndex.default().assign(
        [each["lon"] for each in last],
        [each["lat"] for each in last],
        [each["country"] == "France" for each in last],
    )
    sums: dict[tuple[str, int], list[int]] = {}
    for reading, code in zip(last, codes, strict=True):
        moment = np.datetime64(reading["timestamp"].replace(" ", "T"), "h").astype(int)
        pair = sums.setdefault((code, int(moment) * 3600), [0, 0])
        pair[0] += code is not None
        pair[1] += round(reading["temperature"] * 1e6)
    wanted = sorted([code, hour, *pair] for (code, hour), pair in sums.items() if code)
    assert sorted(told["hourly"]) == wanted


def test_messages_have_the_size_that_is_said() -> None:
    for per_message in (1, 20):
        (block,) = make_blocks(1, 60, per_message, Shares(0, 0))
        texts = block.texts(1, SECOND, (1, SECOND))
        assert len(texts) == block.messages == 60 / per_message
        assert sum(map(len, texts)) == block.bytes


def test_shares_that_leave_nothing_to_repeat_are_refused() -> None:
    with pytest.raises(ValueError, match="shares from 0 to"):
        Shares(0.3, 0.3)


@given(st.integers(0, 10_000))
def test_what_is_repeated_is_of_the_same_block_some_rounds_before(number: int) -> None:
    found = earlier(number)
    assert found < number
    assert (number - found) % BLOCKS == 0
    assert found >= 0 or number < BLOCKS


def test_blocks_fill_the_time_evenly() -> None:
    load = Load("", "", 2, 110_000, 60, 1500)
    assert load.block_size % 3000 == 0
    assert load.blocks * load.block_size == pytest.approx(110_000 * 60, rel=0.01)
    assert load.due(SECOND, load.blocks) == pytest.approx(SECOND + 60, abs=0.2)


def test_the_lag_is_the_age_of_the_first_message_that_is_left() -> None:
    lag = Lag(2)
    assert lag.note(0.0, [0, 0], [0, 0]) == (0, 0.0)
    assert lag.note(1.0, [100, 0], [0, 0]) == (100, 1.0)
    assert lag.note(2.0, [200, 0], [150, 0]) == (50, 0.5)
    # The end did not move: what is left was sent before.
    assert lag.note(4.0, [200, 0], [150, 0]) == (50, 2.5)
    assert lag.note(5.0, [200, 10], [200, 0]) == (10, 1.0)
    assert lag.note(6.0, [200, 10], [200, 10]) == (0, 0.0)


@given(st.floats(-2, 2), st.floats(-100, 100))
def test_a_line_is_found_again(slope: float, height: float) -> None:
    times = list(range(100))
    trend = trend_of(times, [height + slope * time for time in times])
    assert trend.slope == pytest.approx(slope, abs=1e-6)
    assert trend.growth == pytest.approx(slope * 99, abs=1e-4)
    assert trend.rises(1.0) == (slope * 99 > 1.0) or slope * 99 == pytest.approx(1.0)


def test_noise_is_no_trend_and_little_does_not_matter() -> None:
    draw = np.random.default_rng(5)
    times = list(range(600))
    noise = draw.normal(0, 1, 600)
    assert not trend_of(times, (5 + noise).tolist()).rises(0.0)
    grown = trend_of(times, (5 + noise + np.arange(600) / 100).tolist())
    assert grown.rises(2.0)
    assert not grown.rises(20.0)
    assert rises("age", grown)
    assert not rises("memory_python", grown)
    with pytest.raises(ValueError, match="three samples"):
        trend_of([1, 2], [1, 2])


def test_processes_are_seen_with_what_they_have_started() -> None:
    busy = "import time; b = bytearray(50_000_000); e = time.process_time\nwhile e() < 0.3: pass"
    code = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {busy!r}])\n"
    code += "print('done', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        watched = Watched({"job": process.pid, "gone": 2**22 - 1})
        most, until = 0.0, time.monotonic() + 60
        while most < 0.25 and time.monotonic() < until:
            most = max(most, watched.look(closely=True)["python"].cpu)
            time.sleep(0.01)
        assert process.stdout is not None
        process.stdout.readline()
        usage = watched.look()
        assert "runner" not in usage
        assert usage["python"].cpu >= most
        assert usage["python"].peak > 50_000_000 > usage["python"].memory
        assert usage["python"].private > 0
        assert "gone" not in usage
    finally:
        process.kill()
        process.communicate()


def test_folders_are_as_large_as_their_files(tmp_path: Path) -> None:
    (tmp_path / "flink-1" / "checkpoints" / "chk-1").mkdir(parents=True)
    (tmp_path / "flink-1" / "checkpoints" / "chk-1" / "a").write_bytes(bytes(1000))
    (tmp_path / "b").write_bytes(bytes(10))
    assert folder_bytes(tmp_path) == 1010
    assert checkpoint_bytes(tmp_path) == 1000
    assert folder_bytes(tmp_path / "none") == 0


def test_a_backlog_in_one_region_is_compared_with_an_even_one(tmp_path: Path) -> None:
    values = {
        **dict.fromkeys(("gigabytes", "storing", "gigabytes_a_minute", "whole"), 1.0),
        "whole_gigabytes_a_minute": 1.0,
        "exact": {},
        "cores": {"others": 0.0},
        "cost": dict.fromkeys(("broker", "runner", "python"), 1.0),
        "memory_peak": {},
    }
    for name, rate in (("flink single both", 110.0), ("flink single both 90% in one region", 88.0)):
        Result("drain", name, {}, {**values, "readings_a_second": rate}).keep(tmp_path)
    text = document(kept(tmp_path))
    assert "| a backlog, flink single both 90% in one region: time beside an even one |" in text
    assert "| 1.25 times | **no** |" in text


def test_results_are_kept_and_reported(tmp_path: Path) -> None:
    asked = {"runner": "flink", "workers": 1}
    share = {"p50": 0.5, "p95": 1.5, "p99": 1.75}
    step = {"rate": 1250, "sensors": 100, "ingested": share, "stored": share, "result": share}
    step |= {"cores": {"python": 0.25}, "lost": 0}
    result = Result("ladder", "flink 1 workers", asked, {"steps": [step]}, quick=True)
    result.keep(tmp_path)
    result.keep(tmp_path)
    assert kept(tmp_path) == [result]
    text = document(kept(tmp_path))
    assert "| flink, 1 | 1,250 | 100 | 1.50 | 0.50 | 1.50 | 1.75 |" in text
    assert "Quick runs are among them" in text
    points = [
        {"rate": rate, "versions": 60 * rate, "cores": rate / 1e5, "memory": rate * 1e4}
        for rate in (20_000, 50_000)
    ]
    said = {"points": points, "predicted": {"cores": 0.9, "memory": 1.1}}
    Result("scale", "flink", {}, said).keep(tmp_path)
    text = document(kept(tmp_path))
    assert "| flink | 20,000 | 1,200,000 | 0.20 |  | 200 |  |" in text
    assert "| flink | 50,000 | 3,000,000 | 0.50 | 0.45 | 500 | 550 |" in text
    Result("soak", "flink", {}, {}).keep(tmp_path)
    with pytest.raises(ValueError, match=r"soak flink .* another version"):
        document(kept(tmp_path))


def test_percentiles_and_cores() -> None:
    assert percentiles([]) == pytest.approx(
        {"p50": np.nan, "p95": np.nan, "p99": np.nan}, nan_ok=True
    )
    assert percentiles(list(range(1, 101))) == {"p50": 50, "p95": 95, "p99": 99}
    parts = ("broker", "producer", "runner", "python", "watch")
    first = {"time": 1.0, "cpu_machine": 100.0, **{f"cpu_{part}": 2.0 for part in parts}}
    last = {"time": 5.0, "cpu_machine": 111.0, **{f"cpu_{part}": 4.0 for part in parts}}
    assert cores_between(first, last) == {**dict.fromkeys(parts, 0.5), "others": 0.25}


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def write_store(folder: Path, ids: list[str], rows: list[dict]) -> None:
    """Adds a file of readings and one of means to a store, as a commit does."""
    manifest = folder / "manifest.json"
    folder.mkdir(exist_ok=True)
    tables = json.loads(manifest.read_text())["tables"] if manifest.exists() else {}
    for table, content in (
        ("readings", pa.table({"id": pa.array(ids, pa.string())})),
        ("regional_means_revisions", pa.Table.from_pylist(rows, MEANS)),
    ):
        path = f"{table}-{len(tables.get(table, []))}.parquet"
        pq.write_table(content, folder / path)
        tables.setdefault(table, []).append({"path": path})
    (folder / "new").write_text(json.dumps({"tables": tables}))
    (folder / "new").replace(manifest)


MEANS = pa.schema(
    [
        ("sensor_id", pa.string()),
        ("quantity", pa.string()),
        ("window_start", pa.timestamp("us", "UTC")),
        ("count", pa.int64()),
    ]
)


class SensorMessage:
    """A message as the client hands it out."""

    def __init__(self, identifier: int, second: int) -> None:
        moment = str(np.datetime64(second, "s")).replace("T", " ")
        entry = {"value": "1.0", "value_type": "P1"}
        self._text = {"id": identifier, "timestamp": moment, "sensor": {"id": 7}}
        self._text["sensordatavalues"] = [entry]
        self._second = second

    def value(self) -> bytes:
        return json.dumps(self._text).encode()

    def timestamp(self) -> tuple[int, int]:
        return 1, self._second * 1000


def test_a_result_is_seen_when_every_window_counts_the_reading(tmp_path: Path) -> None:
    store = tmp_path / "store"
    onlooker = Onlooker("127.0.0.1:1", "none", 1, store, size=900, period=300)
    try:
        second = SECOND // 300 * 300 + 10
        messages = [onlooker.take(SensorMessage(number, second), second + 1.0) for number in (1, 2)]
        starts = [second // 300 * 300 - 300 * back for back in range(3)]

        def rows(counts: list[int]) -> list[dict]:
            both = zip(starts, counts, strict=True)
            fixed = {"sensor_id": "7", "quantity": "P1"}
            return [{**fixed, "window_start": at * 1_000_000, "count": n} for at, n in both]

        def seen(wanted: int) -> None:
            wait_until(lambda: onlooker.latencies(messages).lost == wanted)

        assert not onlooker.all_seen(messages)
        write_store(store, ["1", "2"], rows([2, 1, 1]))
        seen(1)
        # What is merged says nothing new, nor does a window alone.
        write_store(store, ["1"], rows([2, 2, 1]))
        wait_until(lambda: len(onlooker.files) == 4)
        seen(1)
        write_store(store, [], rows([2, 2, 2]))
        seen(0)
        found = onlooker.latencies(messages)
        assert found.ingested.tolist() == [1.0, 1.0]
        assert found.stored[0] == found.stored[1] < found.results[1]
        assert found.results[0] < found.results[1]
    finally:
        onlooker.close()
    assert onlooker.failure is None
