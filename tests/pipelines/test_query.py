"""`python -m pipelines.query` as a person uses it."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.local_store import LocalStore, RunRecord
from pipelines import query
from pipelines.rendering import render
from schemas.tables import arrow_schema
from tests.support.placed_rows import reading
from tests.support.stores import archived
from tests.support.summed_rows import summed_rows

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(
    {*(ROOT / "sql/examples").glob("*.sql")} - {ROOT / "sql/examples/check_geofence.sql"}
)
START = datetime.datetime(2019, 2, 19, 11, tzinfo=datetime.UTC)
MEANS = [
    # region code, region, hours after 11 o'clock, count, mean
    ("76", "Occitanie", 0, 3, 9.5),
    ("76", "Occitanie", 3, 2, 1 / 3),
    ("11", "Île-de-France", 3, 1, 12.0),
    ("11", "Île-de-France", 4, 0, None),
]
REJECTED = [("not_json", '{"a'), ("not_json", 'x,\n"y"\t\x1b[31m'), ("bad_timestamp", "é" * 300)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    store = LocalStore(tmp_path_factory.mktemp("store") / "results")
    store.prepare()
    table, rejected = "regional_means_revisions", "rejected_readings"
    means = [
        {
            "region_code": code,
            "region": region,
            "quantity": "temperature",
            "window_start": START + datetime.timedelta(hours=hours),
            "window_end": START + datetime.timedelta(hours=hours + 1),
            "window_size": 3600,
            "window_period": 3600,
            "count": count,
            **dict.fromkeys(("mean", "min", "max"), mean),
            "stddev": None,
            "revision": 1,
            "pane": "on_time",
            "emitted_at": START + datetime.timedelta(microseconds=1500),
            "run_id": "run",
        }
        for code, region, hours, count, mean in MEANS
    ]
    means += [
        means[0]
        | {"region_code": None, "region": None, "sensor_id": "660", "mean": mean}
        | {"window_start": start, "window_end": start + datetime.timedelta(hours=1)}
        for start, mean in ((START, 9.5), (START + datetime.timedelta(hours=1), 11.0))
    ]
    bad = [
        {
            "reason": reason,
            "detail": f"it is {reason}",
            "raw": raw,
            "raw_size": len(raw.encode()),
            "raw_sha256": str(place),
            "source": f"a#byte={place}",
            "rejected_at": START,
            "run_id": "run",
        }
        for place, (reason, raw) in enumerate(REJECTED)
    ]
    store.commit(
        RunRecord("run", 1, "", ""),
        [
            store.write(table, summed_rows(means)),
            *archived(store.folder, [reading(1)], "run"),
            store.write(rejected, pa.Table.from_pylist(bad, schema=arrow_schema(rejected))),
        ],
    )
    return store.folder


@pytest.fixture
def ask(folder, capsys):
    def run(sql, *options, output=folder):
        code = query.main(["--output", str(output), *options, sql])
        out, error = capsys.readouterr()
        return code, out, error

    return run


def command(*arguments, folder=None, **options):
    where = ["--output", str(folder)] if folder else []
    return subprocess.run(
        [sys.executable, "-m", "pipelines.query", *where, *arguments],
        capture_output=True,
        check=False,
        cwd=options.pop("cwd", ROOT),
        timeout=60,
        **options,
    )


HOUR = (
    "SELECT region, hour, count, mean, mean_3h_before, stddev, emitted_at FROM hourly_means "
    "WHERE hour = TIMESTAMP '2019-02-19 14:00:00' ORDER BY region"
)


# formats


def test_a_table_for_eyes_is_aligned_and_counts_its_rows(ask):
    code, out, error = ask(HOUR.replace(", stddev, emitted_at", ", stddev"))
    assert (code, error) == (0, "")
    assert out.splitlines() == [
        "region         hour                  count     mean  mean_3h_before  stddev",
        "-------------  --------------------  -----  -------  --------------  ------",
        "Occitanie      2019-02-19T14:00:00Z      2   0.3333             9.5    NULL",
        "Île-de-France  2019-02-19T14:00:00Z      1  12.0000            NULL    NULL",
        "(2 rows)",
    ]


def test_csv_has_a_header_exact_floats_and_nothing_for_null(ask):
    code, out, error = ask(HOUR, "--format", "csv")
    assert (code, error) == (0, "")
    assert out == (
        "region,hour,count,mean,mean_3h_before,stddev,emitted_at\n"
        "Occitanie,2019-02-19T14:00:00Z,2,0.3333333333333333,9.5,,2019-02-19T11:00:00.001500Z\n"
        "Île-de-France,2019-02-19T14:00:00Z,1,12.0,,,2019-02-19T11:00:00.001500Z\n"
    )


def test_json_is_an_array_with_an_object_for_each_row(ask):
    code, out, error = ask(HOUR, "--format", "json")
    assert (code, error) == (0, "")
    first, second = json.loads(out)
    assert first == {
        "region": "Occitanie",
        "hour": "2019-02-19T14:00:00Z",
        "count": 2,
        "mean": 1 / 3,
        "mean_3h_before": 9.5,
        "stddev": None,
        "emitted_at": "2019-02-19T11:00:00.001500Z",
    }
    assert second["region"] == "Île-de-France"
    assert len(out.splitlines()) == 4


def test_no_rows_are_a_header_or_an_empty_array(ask):
    sql = "SELECT region, mean FROM hourly_means WHERE FALSE"
    assert ask(sql)[1] == "region  mean\n------  ----\n(0 rows)\n"
    assert ask(sql, "--format", "csv")[1] == "region,mean\n"
    assert json.loads(ask(sql, "--format", "json")[1]) == []


EVERY_TYPE = (
    "SELECT TRUE AS b, DATE '2019-02-19' AS d, DATETIME '2019-02-19 14:00:00' AS dt, "
    "TIME '14:00:00' AS t, [1, NULL] AS a, STRUCT(TIMESTAMP '2019-02-19' AS at, 1.5 AS x) AS s, "
    "SUM(count) AS total, IEEE_DIVIDE(0, 0) AS nan, IEEE_DIVIDE(-1, 0) AS inf, '' AS empty, "
    "[STRUCT('é' AS y)] AS nested FROM hourly_means"
)


def test_every_type_has_a_form_in_csv(ask):
    _, out, _ = ask(EVERY_TYPE, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert row == {
        "b": "true",
        "d": "2019-02-19",
        "dt": "2019-02-19T14:00:00",
        "t": "14:00:00",
        "a": "[1, null]",
        "s": '{"at": "2019-02-19T00:00:00Z", "x": 1.5}',
        "total": "6",
        "nan": "NaN",
        "inf": "-Infinity",
        "empty": "",
        "nested": '[{"y": "é"}]',
    }
    assert ',"",' in out  # the empty text is not NULL


def test_every_type_is_valid_json(ask):
    _, out, _ = ask(EVERY_TYPE, "--format", "json")

    def refuse(constant):
        pytest.fail(f"{constant} is not JSON")

    (row,) = json.loads(out, parse_constant=refuse)
    assert row == {
        "b": True,
        "d": "2019-02-19",
        "dt": "2019-02-19T14:00:00",
        "t": "14:00:00",
        "a": [1, None],
        "s": {"at": "2019-02-19T00:00:00Z", "x": 1.5},
        "total": 6,
        "nan": "NaN",
        "inf": "-Infinity",
        "empty": "",
        "nested": [{"y": "é"}],
    }


def test_texts_with_commas_quotes_and_lines_survive_csv(ask):
    _, out, _ = ask("SELECT raw FROM rejected_readings ORDER BY raw_sha256", "--format", "csv")
    assert [row["raw"] for row in csv.DictReader(io.StringIO(out))] == [raw for _, raw in REJECTED]


def test_a_table_shows_control_characters_by_name_and_cuts_long_cells(ask):
    _, out, _ = ask("SELECT raw FROM rejected_readings ORDER BY raw_sha256")
    assert '\nx,\\n"y"\\t\\x1b[31m\n' in out
    assert "\n" + "é" * 99 + "…\n" in out


@given(st.lists(st.floats() | st.none()))
def test_floats_of_csv_and_json_read_back_as_the_same_numbers(values):
    table = pa.table({"x": pa.array(values, pa.float64()), "n": range(len(values))})
    out = io.StringIO()
    render(table, "csv", out)
    out.seek(0)
    back = [float(row["x"]) if row["x"] else None for row in csv.DictReader(out)]
    assert list(map(repr, back)) == list(map(repr, values))
    out = io.StringIO()
    render(table, "json", out)
    numbers = [row["x"] for row in json.loads(out.getvalue())]
    back = [float(number) if isinstance(number, str) else number for number in numbers]
    assert list(map(repr, back)) == list(map(repr, values))


@given(st.lists(st.floats(allow_nan=False) | st.none(), min_size=1))
def test_floats_of_a_table_are_near_the_number(values):
    out = io.StringIO()
    render(pa.table({"x": pa.array(values, pa.float64())}), "table", out)
    for cell, value in zip(out.getvalue().splitlines()[2:-1], values, strict=True):
        if value is None:
            assert cell.strip() == "NULL"
        else:
            assert math.isclose(float(cell), value, rel_tol=1e-5, abs_tol=1e-4)


MOMENTS = st.datetimes(timezones=st.just(datetime.UTC))


@given(st.lists(MOMENTS | st.none(), min_size=1))
def test_timestamps_are_iso_8601_in_utc(values):
    table = pa.table({"x": pa.array(values, pa.timestamp("us", tz="UTC"))})
    out = io.StringIO()
    render(table, "json", out)
    for row, value in zip(json.loads(out.getvalue()), values, strict=True):
        assert row["x"] == (None if value is None else value.isoformat().replace("+00:00", "Z"))


@given(st.lists(st.text(), min_size=1))
def test_any_text_survives_csv(values):
    out = io.StringIO(newline="")
    render(pa.table({"x": values, "n": range(len(values))}), "csv", out)
    out.seek(0)
    assert [row["x"] for row in csv.DictReader(out)] == values


# the store


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT COUNT(*) AS n FROM `project.dataset.hourly_means`", 3),
        ("SELECT COUNT(*) AS n FROM dataset.sliding_means", 0),
        ("SELECT COUNT(*) AS n FROM regional_means_revisions", 4),
        ("SELECT COUNT(*) AS n FROM sensor_means_revisions", 2),
        ("SELECT COUNT(*) AS n FROM sensor_means", 2),
        ("SELECT COUNT(*) AS n FROM `rejected_readings`", 3),
        ("SELECT COUNT(*) AS n FROM outside_readings", 0),
    ],
)
def test_the_views_and_tables_can_be_asked(ask, sql, rows):
    assert ask(sql, "--format", "csv")[1] == f"n\n{rows}\n"


def test_an_example_that_needs_bigquery_says_what_is_missing(ask):
    code, _, error = ask((ROOT / "sql/examples/check_geofence.sql").read_text())
    assert code == 1
    assert "no table regions" in error


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_run(ask, example):
    code, out, error = ask(example.read_text(), "--format", "json")
    assert (code, error) == (0, "")
    assert json.loads(out)


def test_the_shares_of_the_rejected_add_up(ask):
    _, out, _ = ask((ROOT / "sql/examples/rejected_by_reason.sql").read_text(), "--format", "json")
    rows = json.loads(out)
    assert [(row["reason"], row["records"], row["percent"]) for row in rows] == [
        ("not_json", 2, 66.67),
        ("bad_timestamp", 1, 33.33),
    ]


def test_the_default_output_is_results_in_the_current_folder(folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    sql = "SELECT COUNT(*) AS n FROM hourly_means"
    result = command(sql, "--format", "csv", cwd=folder.parent, env=environment)
    assert result.stdout == b"n\n3\n", result.stderr


def test_a_file_uri_is_a_folder(ask, folder):
    assert ask("SELECT 1 AS x", "--format", "csv", output=folder.as_uri())[1] == "x\n1\n"


@pytest.mark.parametrize("name", ["missing", "empty", "file"])
def test_a_folder_without_results_is_named_with_what_to_do(ask, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    code, out, error = ask("SELECT 1", output=tmp_path / name)
    assert (code, out) == (1, "")
    assert error.startswith(f"error: there are no results in {tmp_path / name}; run a job into it")
    assert len(error.splitlines()) == 1


def test_a_damaged_store_is_a_sentence(ask, folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.rglob("*"):
        if file.is_file():
            (copy / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (copy / file.relative_to(folder)).write_bytes(file.read_bytes())
    (parquet,) = (copy / "regional_means_revisions").iterdir()
    whole = parquet.read_bytes()
    middle = len(whole) // 3
    for content in (
        whole[:-1],
        whole[:-8] + bytes(8),
        whole[:4] + bytes(middle) + whole[4 + middle :],
    ):
        parquet.write_bytes(content)
        code, out, error = ask("SELECT * FROM hourly_means", output=copy)
        assert (code, out) == (1, "")
        assert error.startswith("error: ")
        assert "damaged" in error
        assert len(error.splitlines()) == 1
    parquet.unlink()
    code, _, error = ask("SELECT 1", output=copy)
    assert code == 1
    assert "is gone or unreadable" in error
    (copy / "manifest.json").write_text("{")
    assert "not a readable manifest" in ask("SELECT 1", output=copy)[2]
    (copy / "manifest.json").write_text('{"format_version": 9}')
    assert "has format 9" in ask("SELECT 1", output=copy)[2]


# wrong queries


def test_a_wrong_query_gets_line_column_reason_and_a_caret(ask):
    code, out, error = ask("SELECT region,\n       man\nFROM hourly_means")
    assert (code, out) == (1, "")
    assert error.splitlines() == [
        (
            "error: line 2, column 8: no column man; did you mean mean? hourly_means has "
            "region_code, region, quantity, hour, count, mean, min, max, stddev, mean_3h_before, "
            "revision, pane, emitted_at."
        ),
        "         man",
        "         ^",
    ]


def test_an_unknown_table_is_named_with_those_that_there_are(ask):
    code, _, error = ask("SELECT 1 FROM hourly_mean")
    assert code == 1
    assert "no table hourly_mean; did you mean hourly_means? There are: hourly_means, " in error
    assert "rejected_readings" in error


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT read_text('/etc/passwd')",
        "COPY hourly_means TO '/tmp/x'",
        "DROP VIEW hourly_means",
        "SELECT 1; SELECT 2",
    ],
)
def test_only_one_query_of_the_store_is_answered(ask, sql):
    code, out, error = ask(sql)
    assert (code, out) == (1, "")
    assert "root:" not in error


def test_an_error_in_the_midst_gives_no_half_answer(ask):
    sql = "SELECT 1 / (x - 90000) FROM UNNEST(GENERATE_ARRAY(1, 100000)) AS x"
    assert ask(sql, "--format", "csv") == (1, "", "error: division by zero: 1.0 / 0.0\n")


# usage


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["  \n"],
        ["SELECT 1", "SELECT 2"],
        ["--format", "xml", "SELECT 1"],
        ["--nonsense", "SELECT 1"],
        ["--output", "gs://bucket/x", "SELECT 1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        query.main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m pipelines.query" in capsys.readouterr().err


def test_help_names_the_tables(capsys):
    with pytest.raises(SystemExit) as caught:
        query.main(["--help"])
    assert caught.value.code == 0
    assert "hourly_means" in capsys.readouterr().out


def test_the_query_can_come_from_the_input(folder):
    result = command("-", "--format", "csv", folder=folder, input="SELECT 'é' AS x\n".encode())
    assert (result.returncode, result.stdout) == (0, "x\né\n".encode())


def test_text_is_utf_8_wherever_it_goes(folder):
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0"}
    environment |= {"PYTHONCOERCECLOCALE": "0"}
    result = command("SELECT 'Île' AS x", "--format", "csv", folder=folder, env=environment)
    assert result.stdout == "x\nÎle\n".encode(), result.stderr


def test_a_reader_that_has_seen_enough_is_no_error(folder):
    read, write = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipelines.query", "--output", str(folder), "--format", "csv"),
            "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 200000)) AS x",
        ],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    os.close(write)
    assert os.read(read, 4).startswith(b"x\n")
    os.close(read)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, b"")


def test_it_starts_without_beam(folder):
    code = (
        "import sys; from pipelines import query; "
        f"query.main(['--output', {str(folder)!r}, 'SELECT 1']); "
        "print([name for name in sys.modules if name.startswith('apache_beam')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.splitlines()[-1] == "[]"
