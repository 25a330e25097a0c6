"""A dead letter that somebody made up opens no file."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from connectors.dead_letters.letter import Letter
from connectors.dead_letters.whole import whole_record

TEXT = json.dumps({"secret": "x" * 100_000}).encode()


def letter(source):
    return Letter("not_json", "", len(TEXT), hashlib.sha256(TEXT).hexdigest(), source, 0)


def test_a_letter_of_a_topic_does_not_say_which_file_is_read(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(TEXT)
    there = letter(f"{path}#byte=0")
    assert whole_record(there, 1 << 20) == TEXT
    assert whole_record(there, 1 << 20, fetch=False) is None


@pytest.mark.parametrize("name", ["/dev/zero", "/proc/self/environ", "/", "/etc/passwd"])
def test_only_a_file_with_the_very_record_is_read(name):
    assert whole_record(letter(f"{name}#byte=0"), 1 << 20) is None


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert whole_record(letter(f"{tmp_path / 'pipe'}#byte=0"), 1 << 20) is None


def test_an_address_of_the_web_is_not_asked():
    assert whole_record(letter("http://169.254.169.254/token#byte=0"), 1 << 20) is None


def test_what_is_too_large_is_not_fetched(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(TEXT)
    assert whole_record(letter(f"{path}#byte=0"), 1000) is None
