"""How a run ended: whether its balance closes, and what is said of it."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from apache_beam.metrics.metric import MetricResults

from connectors.bigquery.options import NAMESPACE as BIGQUERY
from connectors.bigquery.uri import is_bigquery
from connectors.local_sink import Run
from connectors.local_store import StoreError
from connectors.output_error import OutputError
from connectors.read_files import BYTES_READ, DAMAGED, SOURCE
from pipelines.console import fail, write_out
from pipelines.summary import as_json, as_text, summarise
from transforms.balance import REASONS, Tallies, closes, names_in, read_balance

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        run: the run.
        output: the store's folder, or the dataset of BigQuery.
        balance: `read` and the classes of `transforms.balance.CLASSES`.
        rejected: records by reason.
        damaged: a sentence for each file that could not be read to its end.
        size: bytes of text that were read.
        seconds: how long it took.
        failed_rows: rows that BigQuery did not take; None where they went elsewhere.
    """

    run: Run
    output: str
    balance: Mapping[str, int]
    rejected: Mapping[str, int]
    damaged: tuple[str, ...]
    size: int
    seconds: float
    failed_rows: int | None = None

    @classmethod
    def of(cls, run: Run, output: str, metrics: MetricResults | Tallies, seconds: float) -> Outcome:
        """The end of a run whose pipeline has finished with these metrics."""
        return cls(
            run,
            output,
            read_balance(metrics),
            names_in(metrics, REASONS),
            tuple(sorted(names_in(metrics, DAMAGED))),
            names_in(metrics, SOURCE).get(BYTES_READ, 0),
            seconds,
            names_in(metrics, BIGQUERY).get("failed", 0) if is_bigquery(output) else None,
        )

    def tell(self, options: argparse.Namespace) -> int:
        """Prints the summary as the options want it; returns the exit code."""
        if not closes(self.balance):
            what = f"the balance does not close, which is a fault of this program: {self.balance}"
            return fail(what)
        if options.quiet:
            return 0
        try:
            summary = summarise(
                self.output,
                self.run.run_id,
                self.balance,
                self.rejected,
                self.damaged,
                self.seconds,
                self.size,
                self.failed_rows,
            )
        except (StoreError, OutputError) as error:
            return fail(f"the results are stored, but cannot be shown: {error}")
        text = as_json(summary) if options.format == "json" else as_text(summary)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        return write_out(lambda: print(text), "the results are stored, but cannot be shown")
