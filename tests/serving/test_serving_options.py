"""The command line of the service."""

import pytest

from connectors.input_error import InputError
from serving.options import parse_options
from serving.publishers import open_publisher, sibling
from tests.serving.service_process import run_to_its_end

OUTPUT = ["--output", "kafka://127.0.0.1:9092/readings"]


def test_the_usual_options():
    options = parse_options(OUTPUT)
    assert (options.host, options.port, options.raw_messages) == ("127.0.0.1", 8080, None)
    assert options.limits.confirm_within == 10
    assert options.limits.max_future == 300


def test_all_options():
    words = [
        "--max_in_flight",
        "5",
        "--max_body",
        "2M",
        "--confirm_within",
        "500ms",
        "--max_future",
        "1h",
    ]
    options = parse_options([*OUTPUT, "--raw_messages", *words])
    assert options.raw_messages == "raw_messages"
    limits = options.limits
    assert (limits.in_flight, limits.body) == (5, 2 << 20)
    assert (limits.confirm_within, limits.max_future) == (0.5, 3600)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "'70000' is no port"),
        (["--port", "eight"], "'eight' is no port"),
        (["--max_in_flight", "0"], "is not a number from 1"),
        (["--max_body", "2 apples"], "'2 apples' is no size"),
        (["--max_body", "2000M"], "at most 256M"),
        (["--confirm_within", "soon"], "'soon' is no length of time"),
        (["--confirm_within", "1ms"], "from 100ms to 24h"),
        (["--out"], "unrecognized arguments: --out"),
    ],
)
def test_a_wrong_option_is_told(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_options([*OUTPUT, *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "uri",
    [
        "results",
        "kafka://127.0.0.1:9092",
        "kafka://127.0.0.1:9092/a/b",
        "pubsub://projects/p/subscriptions/s",
        "pubsub://topics/t",
        "redis://user:pass@127.0.0.1/1",
        "kafka://user:pass@127.0.0.1:9092/readings",
    ],
)
def test_an_output_that_is_no_queue_is_told_without_passwords(uri):
    with pytest.raises(InputError) as caught:
        open_publisher(uri, confirm_within=1)
    assert "pass@" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_options_of_the_kafka_client_are_told():
    for option in ("no.such.option=1", "sasl.password=open", "nonsense"):
        with pytest.raises(InputError, match="kafka_option"):
            open_publisher(OUTPUT[1], confirm_within=1, kafka_options=[option])


def test_another_topic_beside_one():
    assert sibling(OUTPUT[1], "raw") == "kafka://127.0.0.1:9092/raw"
    assert sibling("pubsub://projects/p/topics/t", "raw") == "pubsub://projects/p/topics/raw"


def test_raw_messages_need_a_topic_of_their_own():
    code, said = run_to_its_end(*OUTPUT, "--raw_messages", "readings")
    assert (code, said) == (2, "error: raw messages cannot go to the topic of the others\n")


def test_an_address_that_is_not_of_this_machine_is_told():
    code, said = run_to_its_end(*OUTPUT, "--host", "203.0.113.1")
    assert code == 2
    assert said.startswith("error: cannot listen on 203.0.113.1 port 8080: ")
