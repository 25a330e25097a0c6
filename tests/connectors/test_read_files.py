"""ReadFiles in a pipeline: all files in pieces, counted, and damage named."""

from __future__ import annotations

import functools
import gzip

import apache_beam as beam
import pytest

from connectors import read_files
from connectors.input_files import InputError, InputFile, match_inputs, pieces
from connectors.read_files import BYTES_READ, DAMAGED, SOURCE, ReadFiles
from tests.support.messages import line
from tests.support.pipelines import assert_elements, one_thread
from transforms.balance import names_in
from transforms.records import split_lines

LINES = b"".join(line(id=number) + b"\n" for number in range(500))


class Records(beam.DoFn):
    """The records of a payload, each with its source and offset."""

    def process(self, payload):
        if payload.elements is None:
            spans = split_lines(payload.data)
            for row in range(len(spans)):
                yield payload.source, spans.text(row)
        else:
            data = bytes(payload.data)
            text = data if isinstance(payload.data, bytes) else data[64:-64]
            for start, length in zip(*payload.elements, strict=True):
                yield payload.source, text[start : start + length].decode()


@pytest.mark.parametrize("size", [700, 64 << 20])
def test_every_record_of_every_file_is_read_once(tmp_path, monkeypatch, size):
    monkeypatch.setattr(read_files, "pieces", functools.partial(pieces, size=size))
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(LINES))
    array = b"[" + LINES.strip().replace(b"\n", b",") + b"]"
    (tmp_path / "c.json").write_bytes(array)
    (tmp_path / "d.json.gz").write_bytes(gzip.compress(array))
    (tmp_path / "e.jsonl").write_bytes(b"")
    texts = LINES.decode().splitlines()

    def check(found):
        assert sorted(found) == sorted(
            (str(tmp_path / name), text)
            for name in ("a.jsonl", "b.jsonl.gz", "c.json", "d.json.gz")
            for text in texts
        )

    pipeline = one_thread()
    payloads = pipeline | ReadFiles(match_inputs([f"{tmp_path}/*"]))
    assert_elements(payloads | beam.ParDo(Records()), check)
    result = pipeline.run()
    result.wait_until_finish()
    counters = names_in(result.metrics(), SOURCE)
    assert counters[BYTES_READ] == pytest.approx(2 * len(LINES) + 2 * len(array), abs=8)
    assert names_in(result.metrics(), DAMAGED) == {}


def test_a_broken_file_is_named_and_the_others_are_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    cut = gzip.compress(LINES)[:-500]
    (tmp_path / "b.jsonl.gz").write_bytes(cut)

    def check(found):
        sources = [source for source, _ in found]
        assert sources.count(str(tmp_path / "a.jsonl")) == 500
        assert 50 < sources.count(str(tmp_path / "b.jsonl.gz")) < 500

    pipeline = one_thread()
    payloads = pipeline | ReadFiles(match_inputs([f"{tmp_path}/*"]))
    assert_elements(payloads | beam.ParDo(Records()), check)
    result = pipeline.run()
    result.wait_until_finish()
    (sentence,) = names_in(result.metrics(), DAMAGED)
    assert sentence.startswith(f"{tmp_path}/b.jsonl.gz ends in the middle of its gzip data, after")


def test_a_file_that_is_gone_stops_the_pipeline_with_a_sentence(tmp_path):
    gone = InputFile(str(tmp_path / "gone.jsonl"), 5)
    pipeline = one_thread()
    pipeline | ReadFiles([gone])
    with pytest.raises(
        (InputError, RuntimeError), match=r"gone.jsonl cannot be read: No such file"
    ):
        pipeline.run()
