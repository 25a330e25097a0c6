"""The Storage Write API: rows as Arrow, appended to the default stream of their table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]
import pyarrow as pa
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from connectors.bigquery.sending import LARGEST_REQUEST, Answer, Why, halves
from connectors.bigquery.tables_there import no_table
from connectors.bigquery.transient import is_passing, one_line
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError

__all__ = ["EMULATOR", "AppendRows", "open_write_client"]

EMULATOR = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""Names an emulator in the environment: `127.0.0.1:9060`, without TLS."""

AIM = 4 << 20
"""Bytes of a request, about: several are under way at a time."""

MORE_SECONDS = 5.0
"""How much longer an answer may take for each further request of a call."""


def open_write_client() -> BigQueryWriteClient:
    """Opens a client, with the credentials of the environment.

    Raises:
        OutputError: there are none.
    """
    host = os.environ.get(EMULATOR)
    if host:
        channel = grpc.insecure_channel(host)
        return _client(transport=BigQueryWriteGrpcTransport(channel=channel))
    try:
        return _client()
    except GoogleAuthError as error:
        msg = f"there are no credentials for BigQuery: {one_line(error)}"
        raise OutputError(msg) from error


# Half of what is in Google's modules has no types.
_client: Any = BigQueryWriteClient
_errors: Any = exceptions


class AppendRows:
    """Writes rows by the Storage Write API: each at least once.

    The default stream of a table takes rows from any number of writers and shows them at once. Each
    call is a connection of its own on one channel, with an end: nothing hangs.

    Args:
        client: Google's client.
        dataset: where the tables are.
        timeout: seconds for the first answer of a call.
    """

    def __init__(self, client: BigQueryWriteClient, dataset: Dataset, timeout: float) -> None:
        self._client, self._dataset, self._timeout = client, dataset, timeout

    def parts(self, rows: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
        """See `Sender`."""
        if rows.num_rows > 1 and rows.nbytes > AIM:
            middle = rows.num_rows // 2
            return [*self.parts(rows.slice(0, middle)), *self.parts(rows.slice(middle))]
        return [rows]

    def send(self, table: str, parts: Sequence[pa.RecordBatch]) -> Sequence[Answer]:
        """See `Sender`."""
        requests: list[Any] = []
        too_large: dict[int, Answer] = {}
        for number, part in enumerate(parts):
            request = self._request(table, part, first=not requests)
            if types.AppendRowsRequest.pb(request).ByteSize() > LARGEST_REQUEST:
                too_large[number] = halves(part, ("too_large", "the row is larger than a request"))
            else:
                requests.append(request)
        answers: list[Answer] = []
        sent = [part for number, part in enumerate(parts) if number not in too_large]
        trouble: Exception | None = None
        try:
            for response in self._responses(table, requests):
                answers.append(self._answer(table, sent[len(answers)], response))
        except Exception as error:
            trouble = self._passing(table, error)
        if trouble is None and len(answers) < len(sent):
            trouble = _errors.ServiceUnavailable("the connection was closed without an answer")
        answers += [Answer(left=[part], trouble=trouble) for part in sent[len(answers) :]]
        told = iter(answers)
        return [too_large.get(number) or next(told) for number in range(len(parts))]

    def _request(self, table: str, part: pa.RecordBatch, *, first: bool) -> Any:
        request = types.AppendRowsRequest()
        rows = request.arrow_rows
        request.write_stream = self._stream(table)
        if first:
            rows.writer_schema.serialized_schema = part.schema.serialize().to_pybytes()
        rows.rows.serialized_record_batch = part.serialize().to_pybytes()
        return request

    def _stream(self, table: str) -> str:
        names = ("projects", self._dataset.project, "datasets", self._dataset.name, "tables", table)
        return "/".join((*names, "streams/_default"))

    def _responses(self, table: str, requests: Sequence[Any]) -> Any:
        if not requests:
            return []
        # The address of the rows' region is found by this header.
        routing = ("x-goog-request-params", f"write_stream={self._stream(table)}")
        return self._client.append_rows(
            iter(requests),
            retry=None,
            timeout=self._timeout + MORE_SECONDS * (len(requests) - 1),
            metadata=(routing,),
        )

    def _answer(self, table: str, part: pa.RecordBatch, response: Any) -> Answer:
        if response.row_errors:
            refused: dict[int, Why] = {
                int(each.index): (each.code.name.lower(), each.message)
                for each in response.row_errors
            }
            others = [number for number in range(part.num_rows) if number not in refused]
            # One wrong row, and none of its request is written.
            return Answer(refused, [part.take(pa.array(others))] if others else [])
        if not response.error.code:
            return Answer()
        error = _errors.from_grpc_status(response.error.code, response.error.message)
        if isinstance(error, exceptions.InvalidArgument):
            return self._refused(table, part, error, response)
        return Answer(left=[part], trouble=self._passing(table, error))

    def _refused(
        self, table: str, part: pa.RecordBatch, error: exceptions.InvalidArgument, response: Any
    ) -> Answer:
        said = f"{response.error.message} {response.error.details}"
        if "SCHEMA_MISMATCH" in said:
            raise no_table(self._dataset, table, f"columns ({one_line(error)})") from error
        return halves(part, ("invalid", one_line(error)))

    def _passing(self, table: str, error: Exception) -> Exception:
        """The error, where it may pass.

        Raises:
            OutputError: it may not.
        """
        if is_passing(error):
            return error
        if isinstance(error, exceptions.NotFound):
            raise no_table(self._dataset, table) from error
        msg = f"{self._dataset.table(table)} cannot be written: {one_line(error)}"
        raise OutputError(msg) from error
