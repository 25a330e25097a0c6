"""How rows get into BigQuery: the options of a run that writes there."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.output_error import OutputError

__all__ = [
    "APPENDS",
    "AUTO",
    "FILE_LOADS",
    "INSERTS",
    "METHODS",
    "NAMESPACE",
    "UPSERTS",
    "BigQueryOptions",
]

AUTO, FILE_LOADS = "auto", "file_loads"
INSERTS, APPENDS = "streaming_inserts", "storage_write_api"
UPSERTS = "storage_write_api_cdc"
METHODS = (AUTO, FILE_LOADS, INSERTS, APPENDS, UPSERTS)
DATAFLOW = "DataflowRunner"
NAMESPACE = "bigquery"
"""Namespace of the counters `written`, `failed` and `retried`, of rows."""


@dataclass(frozen=True)
class BigQueryOptions:
    """How rows get into BigQuery.

    Attributes:
        method: one of `METHODS`.
        retry_for: seconds for which BigQuery may take no rows before the bundle fails.
        folder: where files for load jobs are written where Beam's `--temp_location` is not in Cloud
            Storage: of this machine, seen by all workers; None where there is none.
    """

    method: str = AUTO
    retry_for: float = 300.0
    folder: str | None = None

    def method_for(self, *, bounded: bool, runner: str | None) -> str:
        """The way in which rows are written, which is not `AUTO`.

        Args:
            bounded: whether the inputs end.
            runner: Beam's runner; None for the default.

        Raises:
            OutputError: the method is not for streams.
        """
        if self.method == AUTO:
            if bounded:
                return FILE_LOADS
            return APPENDS if runner == DATAFLOW else INSERTS
        if self.method == FILE_LOADS and not bounded:
            msg = (
                f"--bigquery_method {FILE_LOADS} is for files; for streams it is {INSERTS} or "
                f"{APPENDS}"
            )
            raise OutputError(msg)
        return self.method
