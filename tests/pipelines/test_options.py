"""The command line: each option once, and what is wrong said in a sentence."""

from __future__ import annotations

import pytest

from pipelines.console import fail
from pipelines.options import OPTIONS, SAMPLE, UsageError, check_beam_options, parse_options
from pipelines.startup import needs_cloud


def test_without_words_the_sample_goes_to_results():
    options, rest = parse_options([])
    assert options.input == [str(SAMPLE)]
    assert SAMPLE.is_file()
    assert (options.output, options.window) == ("results", ["hourly", "sliding"])
    assert (options.message_format, options.format) == ("auto", "table")
    assert not options.quiet
    assert not options.verbose
    assert rest == []


def test_several_inputs_and_windows_are_gathered():
    options, _ = parse_options(
        ["--input", "a", "b", "--window", "1h", "--input", "c", "--window=10s"]
    )
    assert options.input == ["a", "b", "c"]
    assert options.window == ["1h", "10s"]


def test_a_default_is_not_changed_by_a_run():
    parse_options(["--input", "a"])[0].input.append("b")
    parse_options([])[0].input.append("c")
    assert parse_options([])[0].input == [str(SAMPLE)]


def test_what_is_not_ours_is_beams():
    options, rest = parse_options(["--runner=FlinkRunner", "--quiet", "--flink_master", "[local]"])
    assert options.quiet
    assert rest == ["--runner=FlinkRunner", "--flink_master", "[local]"]
    check_beam_options(rest)


def test_every_option_has_a_sentence_and_a_name_of_its_own():
    assert len({option.name for option in OPTIONS}) == len(OPTIONS)
    for option in OPTIONS:
        assert option.help
        assert option.choices is None or option.default in option.choices
    formats = next(option for option in OPTIONS if option.name == "message_format")
    assert formats.default == "auto"


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "xml"],
        ["--message_format", "unknown"],
        ["--output"],
        ["--input"],
        ["--quiet=yes"],
        ["file.jsonl"],
    ],
)
def test_wrong_words_are_a_usage_error_of_one_line(words):
    with pytest.raises(UsageError) as error:
        parse_options(words)
    assert str(error.value)
    assert "\n" not in str(error.value)


def test_short_forms_of_options_are_not_guessed():
    options, rest = parse_options(["--out", "x"])
    assert options.output == "results"
    with pytest.raises(UsageError, match=r"^unknown option --out; did you mean --output"):
        check_beam_options(rest)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("--windows", "; did you mean --window?"),
        ("--quite", "; did you mean --quiet?"),
        ("--direct_num_worker", "; did you mean --direct_num_workers?"),
        ("--qqq", "; --help lists the options"),
        ("-x", "; --help lists the options"),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest_known_one(word, hint):
    for words in ([word], [f"{word}=5"], ["--runner=FnApiRunner", word, "5"]):
        with pytest.raises(UsageError) as error:
            check_beam_options(words)
        assert str(error.value) == f"unknown option {word}{hint}"


def test_a_wrong_value_of_beams_option_is_a_usage_error():
    with pytest.raises(UsageError, match=r"argument --direct_num_workers: invalid int value: 'x'"):
        check_beam_options(["--direct_num_workers=x"])


def test_another_runner_decides_about_its_own_options():
    check_beam_options(["--runner=FlinkRunner", "--some_option=5"])


def test_a_runner_that_nobody_knows_is_refused():
    with pytest.raises(UsageError, match="unknown runner SomeRunner"):
        check_beam_options(["--runner=SomeRunner"])


def test_dataflow_is_given_its_jobs_by_another_command():
    with pytest.raises(UsageError, match=r"by python -m deploy\.dataflow\.main"):
        check_beam_options(["--runner=DataflowRunner", "--project=p"])


@pytest.mark.parametrize("output", ["", "gs://bucket/x"])
def test_an_output_that_is_no_folder_is_refused(output):
    with pytest.raises(UsageError, match="is neither a folder, nor a dataset or a queue"):
        parse_options(["--output", output])


def test_an_output_may_be_a_dataset_of_bigquery():
    uri = "bigquery://my-project.weather"
    assert parse_options(["--output", uri, "kafka://a:1/t"])[0].output == uri
    with pytest.raises(UsageError, match=r"'bigquery://p\.d' names no project"):
        parse_options(["--output", "bigquery://p.d"])


def test_an_output_may_be_the_uri_of_a_folder():
    assert parse_options(["--output", "file:///data/out"])[0].output == "/data/out"


def test_a_failure_is_printed_as_one_sentence(capsys):
    assert fail("all is lost", 7) == 7
    assert capsys.readouterr() == ("", "error: all is lost\n")


@pytest.mark.parametrize(
    ("words", "cloud"),
    [
        ([], False),
        (["--runner"], True),
        (["--runner", "FnApiRunner"], False),
        (["--runner=DirectRunner", "--quiet"], False),
        (["--runner", "DataflowRunner"], True),
        (["--runner=FlinkRunner"], True),
        (["--input", "gs://bucket/*.jsonl"], True),
        (["--input", "a.jsonl", "--output", "results"], False),
    ],
)
def test_the_clouds_libraries_are_loaded_only_where_a_cloud_is_named(words, cloud):
    assert needs_cloud(words) == cloud
