"""Writes docs/runners.md from what the tests run: `python -m tests.runners.table`."""

from __future__ import annotations

from pathlib import Path

from tests.runners.cases import CASES
from tests.runners.features import DATAFLOW, FEATURES, NO, REFUSALS, Feature
from tests.runners.runners import RUNNERS

__all__ = ["PAGE", "runners_page"]

PAGE = Path(__file__).parents[2] / "docs" / "runners.md"
COLUMNS = (*(runner.name for runner in RUNNERS), DATAFLOW)
TITLES = (*(runner.title for runner in RUNNERS), "Dataflow")

HEAD = """\
# Runners

The job is the same on every runner that Beam has for Python and that this project knows.
`--runner` names one; files go to the FnApiRunner and streams to Prism where none is named. This
page is made from the lists that the tests in `tests/runners` run, by
`python -m tests.runners.table`.

"""

MARKS = """
- **yes**: a test runs it there, through the command. Streams are fed from a Kafka topic step by
  step, so that early rows, rows at the watermark and late rows really come, and are looked for.
- **in tests**: the tests run the whole job there event by event, because there panes come exactly
  when a test says so. The command refuses it.
- **graph**: the job's graph is built and compared with the recorded one; nothing has run on Google
  Cloud ([operations.md](operations.md#what-was-not-tested-against-google-cloud)).
- **not tried**: nothing refuses it, and no test has run it.
- **no**: the command ends at once with exit code 2 and the sentence below.

"""

SAME = """
## What is the same

The final tables are the same bytes on all runners: `hourly_means`, `sliding_means`, `sensor_means`,
`latest_readings`, `outside_readings` and `rejected_readings`, but for the revision, the pane, the
times of writing and the run, and for streams after `python -m pipelines.reconcile`. Before it, what
is named in [corrections.md](corrections.md) may be missing, and nothing else: readings that came
too late, versions whose predecessor is forgotten, and a minimum or maximum that was taken away.
Streams come to what a run over files of the same messages comes to. These cases say so:

| case | |
| --- | --- |
"""

DIFFERENT = """
## What differs

- **Which rows come in between.** Prism gives out the first change of a window after
  `--early_every`, but a later one at once if the window has been quiet for so long. A row that
  Flink gives out at the watermark may therefore have come early there. On a busy machine Prism now
  and then misses the time of an early or late row; what it would have said comes with the next
  change of the window, at its end, or when the stream is interrupted.
- **KafkaIO on Flink** runs its Java part in a container. It needs Docker, which the tests do not
  have.
- **How fast.** See [benchmarks/RESULTS.md](../benchmarks/RESULTS.md). Files are fastest on the
  FnApiRunner, which is the only one that uses several processes on one machine.
- **Names.** Case does not matter, nor does `Runner` at the end: `--runner prism`. `DirectRunner` is
  the FnApiRunner for files, and Prism for streams. `PortableRunner` with `--job_endpoint` hands the
  job to any other job server; nothing is known of how it runs there. All other names, SparkRunner
  too, are refused.
"""


def runners_page() -> str:
    """The whole page."""
    lines = [_row("", *TITLES), _row(*("---" for _ in ("", *TITLES)))]
    lines += [_row(each.title, *(_cell(each, runner) for runner in COLUMNS)) for each in FEATURES]
    reasons = [f"{each.number}. {each.sentence}." for each in REFUSALS]
    cases = [_row(case.name.replace("_", " "), case.says) for case in CASES]
    table, listed, told = ("\n".join(part) + "\n" for part in (lines, reasons, cases))
    return HEAD + table + MARKS + listed + SAME + told + DIFFERENT


def _cell(feature: Feature, runner: str) -> str:
    mark = feature.mark(runner)
    return f"{mark} ({feature.refusal(runner).number})" if mark == NO else mark


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(runners_page(), "utf-8")
