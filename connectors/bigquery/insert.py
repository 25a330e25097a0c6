"""Streaming inserts: rows as JSON, by `tabledata.insertAll`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from google.api_core import exceptions
from google.cloud import bigquery

from connectors.bigquery.failures import json_rows
from connectors.bigquery.sending import LARGEST_REQUEST, Answer, halves
from connectors.bigquery.tables_there import no_table
from connectors.bigquery.transient import PASSING_REASONS, is_passing, one_line
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError

__all__ = ["InsertAll"]

MOST_ROWS = 500
"""Rows of a request, as BigQuery recommends."""

AGAIN = PASSING_REASONS | {"stopped"}
"""Reasons for which a row was not written that has no fault of its own."""

FAULT_OF_ROWS = (400, 413)
"""What BigQuery answers to a request that holds a wrong row, or too much."""

Row = dict[str, Any]
_errors: Any = exceptions  # half of what is in Google's modules has no types


class InsertAll:
    """Writes rows by streaming inserts: each at least once.

    A row's identifier is the hash of its content, the same in each attempt: by it BigQuery leaves
    out what it has taken in the last minute, if it can.

    Args:
        client: Google's client.
        dataset: where the tables are.
        timeout: seconds for one request.
    """

    def __init__(self, client: bigquery.Client, dataset: Dataset, timeout: float) -> None:
        self._client, self._dataset, self._timeout = client, dataset, timeout

    def parts(self, rows: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
        """See `Sender`."""
        sizes = [len(json.dumps(row)) + 64 for row in json_rows(rows)]
        found, begin, size = [], 0, 0
        for number, more in enumerate(sizes):
            if number > begin and (number - begin == MOST_ROWS or size + more > LARGEST_REQUEST):
                found.append(rows.slice(begin, number - begin))
                begin, size = number, 0
            size += more
        return [*found, rows.slice(begin)]

    def send(self, table: str, parts: Sequence[pa.RecordBatch]) -> Sequence[Answer]:
        """See `Sender`."""
        answers: list[Answer] = []
        for part in parts:
            answer = self._send(table, part)
            answers.append(answer)
            if answer.trouble is not None:
                # What is not sent yet would meet the same trouble.
                rest = parts[len(answers) :]
                return [*answers, *(Answer(left=[each]) for each in rest)]
        return answers

    def _send(self, table: str, part: pa.RecordBatch) -> Answer:
        rows = json_rows(part)
        ids = [_identity(row) for row in rows]
        where = self._dataset.table(table)
        try:
            errors = self._client.insert_rows_json(
                where,
                rows,
                row_ids=ids,
                skip_invalid_rows=True,
                retry=None,  # type: ignore[arg-type]  # ours counts, and has an end
                timeout=self._timeout,
            )
        except exceptions.NotFound as error:
            raise no_table(self._dataset, table) from error
        except Exception as error:
            if is_passing(error):
                return Answer(left=[part], trouble=error)
            if getattr(error, "code", None) in FAULT_OF_ROWS:
                return halves(part, ("invalid", one_line(error)))
            msg = f"{where} cannot be written: {one_line(error)}"
            raise OutputError(msg) from error
        return _answer(part, errors)


def _identity(row: Row) -> str:
    return hashlib.blake2b(json.dumps(row).encode(), digest_size=16).hexdigest()


def _answer(part: pa.RecordBatch, errors: Sequence[Mapping[str, Any]]) -> Answer:
    """What BigQuery has said of single rows."""
    refused, again = {}, {}
    for row in errors:
        listed = row["errors"] or [{}]
        number = int(row["index"])
        faults = [each for each in listed if each.get("reason") not in AGAIN]
        if faults:
            refused[number] = str(faults[0].get("reason") or "invalid"), _sentence(faults[0])
        else:
            again[number] = listed[0]
    if not again:
        return Answer(refused)
    stopped = all(each.get("reason") == "stopped" for each in again.values())
    left = part.take(pa.array(sorted(again)))
    trouble = None if refused and stopped else _errors.ServiceUnavailable(str(again))
    return Answer(refused, [left], trouble)


def _sentence(fault: Mapping[str, Any]) -> str:
    where = f"{fault['location']}: " if fault.get("location") else ""
    return f"{where}{fault.get('message') or fault.get('reason') or 'refused'}"
