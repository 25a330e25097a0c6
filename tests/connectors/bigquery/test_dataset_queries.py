"""Asking a dataset, and what is said where that cannot be done."""

from __future__ import annotations

import datetime
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.bigquery import client as client_module
from connectors.bigquery.client import explained, open_client
from connectors.bigquery.query import run
from connectors.bigquery.uri import Dataset, parse
from connectors.output_error import OutputError
from pipelines.query import main
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.bigquery_tables import new_tables

QUERY = """
SELECT 'Île' AS text, 0.1 + 0.2 AS number, 7 AS whole, CAST(NULL AS STRING) AS missing,
  TIMESTAMP '2019-02-19 14:00:00+00' AS moment, DATE '2019-02-19' AS day, TRUE AS yes
"""


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            "csv",
            (
                "text,number,whole,missing,moment,day,yes\n"
                "Île,0.30000000000000004,7,,2019-02-19T14:00:00Z,2019-02-19,true\n"
            ),
        ),
        (
            "json",
            (
                '[\n{"text": "Île", "number": 0.30000000000000004, "whole": 7, "missing": null, '
                '"moment": "2019-02-19T14:00:00Z", "day": "2019-02-19", "yes": true}\n]\n'
            ),
        ),
    ],
)
def test_answers_look_like_those_of_the_local_store(form, expected, bigquery_emulator, capsys):  # noqa: F811
    uri = bigquery_emulator.new_dataset()
    assert main(["--output", uri, "--format", form, QUERY]) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC", "syntax error"),
        ("SELECT * FROM nothing", "nothing was not found"),
        ("DELETE FROM readings WHERE TRUE", "this is a DELETE statement"),
        ("SELECT 1; SELECT 2", "only a SELECT is answered"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(query, said, bigquery_emulator, capsys):  # noqa: F811
    dataset = new_tables(bigquery_emulator)
    assert main(["--output", dataset.uri, query]) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert "http" not in told.err


def test_a_wrong_address_is_told(capsys):
    assert main(["--output", "bigquery://weather", "SELECT 1"]) == 1
    assert "names no project" in capsys.readouterr().err


class Sleepy(BaseHTTPRequestHandler):
    """A BigQuery whose jobs never end."""

    cancelled = 0

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.split("?")[0].endswith("/cancel"):
            Sleepy.cancelled += 1
            return self._answer({"job": self._job()})
        return self._answer(self._job())

    def do_GET(self):
        if "/queries/" in self.path:
            return self._answer({"jobComplete": False, "jobReference": self._job()["jobReference"]})
        return self._answer(self._job())

    def _job(self):
        return {
            "jobReference": {"projectId": "my-project", "jobId": "j", "location": "EU"},
            "configuration": {"query": {"query": "SELECT 1"}, "jobType": "QUERY"},
            "status": {"state": "RUNNING"},
        }

    def _answer(self, answer):
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def sleepy(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sleepy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    Sleepy.cancelled = 0
    yield open_client("my-project")
    server.shutdown()
    server.server_close()


def test_a_job_that_takes_too_long_is_cancelled(sleepy):
    with pytest.raises(OutputError, match="this cannot be: it was cancelled after 1 s"):
        run(sleepy, Dataset("my-project", "weather"), "SELECT 1", {}, "this cannot be", seconds=1)
    assert Sleepy.cancelled == 1


def test_nobody_answers_and_that_is_said_in_time(monkeypatch, capsys):
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(client_module, "RETRY_SECONDS", 1.0)
    began = datetime.datetime.now(datetime.UTC)
    assert main(["--output", "bigquery://my-project.weather", "SELECT 1"]) == 1
    assert (datetime.datetime.now(datetime.UTC) - began).total_seconds() < 60
    told = capsys.readouterr().err
    assert "Connection refused" in told
    assert told.count("\n") == 1


def test_errors_have_no_trace_of_the_request():
    from google.api_core.exceptions import BadRequest  # noqa: PLC0415

    error = BadRequest("POST https://x/y?z: Bad. thing; reason: invalid, message: again\n\nmore")
    with (
        pytest.raises(OutputError, match=r"^this cannot be: Bad\. thing$"),
        explained("this cannot be"),
    ):
        raise error


def test_an_address_may_end_with_a_stroke():
    assert parse("bigquery://my-project.weather/").path == "my-project.weather"
