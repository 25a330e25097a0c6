"""What each runner can do, by what is tested on it; and what it says where it cannot.

The docs' table is made from this. A `yes` is a test that runs; a `no` is a sentence that a test has
seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from tests.runners import cases
from tests.runners.cases import CASES, Case
from tests.runners.runners import BUNDLES, CLUSTER, EMBEDDED, IN_PROCESS, PRISM, RUNNERS, Runner
from tests.runners.sources import BY_JAVA, POLLED

__all__ = [
    "DATAFLOW",
    "FEATURES",
    "GRAPH",
    "IN_TESTS",
    "NO",
    "OPEN",
    "REFUSALS",
    "YES",
    "Feature",
    "Refusal",
    "proofs_of",
]

YES, NO, IN_TESTS, GRAPH, OPEN = "yes", "no", "in tests", "graph", "not tried"
DATAFLOW = "dataflow"
BATCH, STREAM = ("batch",), ("stream",)
BOTH = BATCH + STREAM
TOPIC = "kafka://127.0.0.1:9/readings"
CONFORMANCE = "tests/runners/test_conformance.py::test_a_case_comes_to_what_it_says"
TABLES = "tests/runners/test_conformance.py::test_the_final_tables_are_those_of_all_other_runners"
SOURCES = "tests/runners/test_sources.py"
FAULTS = "tests/faults/test_faults.py"
GRAPHS = "tests/deploy/test_dataflow_launch.py"
RECORDED = f"{GRAPHS}::test_the_job_that_is_handed_over_is_the_recorded_one"


class Refusal(NamedTuple):
    """What a runner says when it is asked for what it cannot do.

    Attributes:
        number: of the reason in the docs.
        words: the command line, without `--output`.
        sentence: what the error begins with.
    """

    number: int
    words: tuple[str, ...]
    sentence: str


NO_STREAMS_IN_PROCESS = Refusal(
    1,
    ("--runner=FnApiRunner", "--input", TOPIC),
    "FnApiRunner runs no streams: it holds every result to the end of the input",
)
NO_STREAMS_IN_BUNDLES = Refusal(
    2,
    ("--runner=BundleBasedDirectRunner", "--input", TOPIC),
    "BundleBasedDirectRunner runs no streams: it cannot poll a source",
)
NO_SAVEPOINTS = Refusal(
    3,
    ("--runner=PrismRunner", "--input", TOPIC, "--savepoint_path=/tmp/savepoint"),
    "--savepoint_path is for a Flink cluster: PrismRunner keeps no state beyond its command",
)
NO_SAVEPOINTS_EMBEDDED = Refusal(
    4,
    ("--runner=FlinkRunner", "--input", TOPIC, "--savepoint_path=/tmp/savepoint"),
    "--savepoint_path is for a Flink cluster: an embedded Flink ends with its command",
)
NOT_POLLED = Refusal(
    5,
    ("--runner=DataflowRunner", "--input=https://example.org/readings"),
    "https://example.org/readings is not read on Dataflow: nothing there keeps what was answered",
)
REFUSALS = (
    NO_STREAMS_IN_PROCESS,
    NO_STREAMS_IN_BUNDLES,
    NO_SAVEPOINTS,
    NO_SAVEPOINTS_EMBEDDED,
    NOT_POLLED,
)
STREAMLESS = {IN_PROCESS.name: NO_STREAMS_IN_PROCESS, BUNDLES.name: NO_STREAMS_IN_BUNDLES}
"""Why a runner has no streams, and so nothing of what only streams have."""


@dataclass(frozen=True)
class Feature:
    """A row of the table.

    Attributes:
        title: what it is.
        kinds: of input by which the cases prove it; none where other tests do.
        commanded: it is of the command, and no test can do it otherwise.
        cases: these cases; none for all of them.
        proofs: by the runner's name, the test that proves it there.
        refusals: by the runner's name, what it says where it cannot.
        untried: names of runners on which nobody has tried it.
        dataflow: the mark in Dataflow's column.
        graph: the test of the graph, where the mark says that there is one.
    """

    title: str
    kinds: tuple[str, ...] = ()
    commanded: bool = False
    cases: tuple[Case, ...] = ()
    proofs: tuple[tuple[str, str], ...] = ()
    refusals: tuple[tuple[str, Refusal], ...] = ()
    untried: tuple[str, ...] = ()
    dataflow: str = GRAPH
    graph: str = f"{RECORDED}[streaming]"

    def mark(self, runner: str) -> str:
        """What stands in the table, one of `YES`, `NO`, `IN_TESTS`, `GRAPH`, `OPEN`."""
        if runner == DATAFLOW:
            return self.dataflow
        if runner in dict(self.proofs):
            return YES
        if runner in self.untried:
            return OPEN
        known = next(each for each in RUNNERS if each.name == runner)
        if not {*self.kinds} & {*known.kinds}:
            return NO
        if "batch" in self.kinds or known.fed == "topic":
            return YES
        return NO if self.commanded else IN_TESTS

    def refusal(self, runner: str) -> Refusal:
        """Why the runner cannot.

        Raises:
            KeyError: nobody has said why.
        """
        return {**STREAMLESS, **dict(self.refusals)}[runner]


def proofs_of(feature: Feature, runner: str) -> list[str]:
    """The tests that prove a mark other than `NO` and `OPEN`, as pytest names them."""
    if runner == DATAFLOW:
        return [feature.graph]
    if runner in dict(feature.proofs):
        return [dict(feature.proofs)[runner]]
    known = next(each for each in RUNNERS if each.name == runner)
    kinds = [kind for kind in feature.kinds if kind in known.kinds]
    chosen = feature.cases or CASES
    return [
        *(f"{CONFORMANCE}[{runner}-{kind}-{case.name}]" for case in chosen for kind in kinds),
        *(f"{TABLES}[{runner}-{kind}]" for kind in kinds),
    ]


def _all(runners: Iterable[Runner], test: str) -> tuple[tuple[str, str], ...]:
    return tuple((runner.name, f"{SOURCES}::{test}[{runner.name}]") for runner in runners)


POLLED_PROOFS = _all(POLLED, "test_polled_and_pulled_and_killed_in_between")

FEATURES = (
    Feature("Files", BATCH, graph=f"{RECORDED}[batch]"),
    Feature("Sliding windows", BOTH, cases=(cases.SLIDING,)),
    Feature(
        "New versions: same hour, other hour, other region, out of France",
        BOTH,
        cases=(cases.CORRECTED, cases.OTHER_HOUR, cases.OTHER_REGION, cases.OUT_OF_FRANCE),
    ),
    Feature(
        "Deletions, duplicates, versions of all kinds",
        BOTH,
        cases=(cases.DELETED, cases.DUPLICATES, cases.VERSIONS),
    ),
    Feature("Dead letters", BOTH, cases=(cases.DEAD_LETTERS,)),
    Feature("By region, by sensor, by both", BOTH, cases=(cases.GROUPINGS,)),
    Feature("Streams", STREAM),
    Feature("Early rows, at the watermark, and late", STREAM, cases=(cases.LATE, cases.SLIDING)),
    Feature("Too late, from the future", STREAM, cases=(cases.TOO_LATE, cases.FUTURE)),
    Feature("State is released again", STREAM, cases=(cases.RELEASED, cases.FORGOTTEN)),
    Feature("An interrupt gives out all windows", STREAM, commanded=True, dataflow=OPEN),
    Feature("Killed, and started again", proofs=POLLED_PROOFS, dataflow=OPEN),
    Feature(
        "A savepoint is gone on with",
        proofs=(
            (
                CLUSTER.name,
                f"{FAULTS}::test_workers_of_their_own_may_end_and_a_savepoint_is_gone_on_with",
            ),
        ),
        refusals=((PRISM.name, NO_SAVEPOINTS), (EMBEDDED.name, NO_SAVEPOINTS_EMBEDDED)),
        dataflow=OPEN,
    ),
    Feature(
        "Kafka",
        STREAM,
        commanded=True,
        graph=f"{GRAPHS}::test_kafka_is_read_by_kafkaio",
    ),
    Feature(
        "Kafka by Beam's KafkaIO (Java)",
        proofs=_all(BY_JAVA, "test_kafka_read_by_java"),
        untried=(EMBEDDED.name, CLUSTER.name),
        graph=f"{GRAPHS}::test_kafka_is_read_by_kafkaio",
    ),
    Feature("Pub/Sub", proofs=POLLED_PROOFS),
    Feature(
        "An address that is polled",
        proofs=POLLED_PROOFS,
        refusals=((DATAFLOW, NOT_POLLED),),
        dataflow=NO,
    ),
)
