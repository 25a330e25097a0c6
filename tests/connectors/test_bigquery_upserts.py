"""Upserts by change data capture: the rows and the graph. BigQuery itself is not asked."""

from __future__ import annotations

import json

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.io.gcp import bigquery as beam_bigquery
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.utils.timestamp import Timestamp

from connectors.bigquery.options import BigQueryOptions
from connectors.bigquery.rows import means_rows
from connectors.bigquery.upserts import failed_as_rows, upsert_rows
from connectors.bigquery_sink import WriteToDataset
from tests.support.bigquery_rows import NOW, RUN, mean, means
from transforms.batches import BatchCoder

URI = "bigquery://test-project.d"


def test_the_sequence_number_is_the_revision():
    ((_, rows),) = means_rows(means(mean(mean=1.0), mean(mean=2.0)), RUN)
    upserts = upsert_rows(rows)
    numbers = [each["row_mutation_info"]["change_sequence_number"] for each in upserts]
    revisions = rows.column("revision").to_pylist()
    assert [int(number, 16) for number in numbers] == revisions
    # BigQuery compares sections of up to 16 hexadecimal digits as numbers.
    assert all(0 < len(number) <= 16 for number in numbers)
    assert numbers[0] < numbers[1]
    assert {each["row_mutation_info"]["mutation_type"] for each in upserts} == {"UPSERT"}


def test_a_record_holds_all_columns_and_moments_of_beam():
    ((_, rows),) = means_rows(means(mean()), RUN)
    (upsert,) = upsert_rows(rows)
    record = upsert["record"]
    assert list(record) == rows.schema.names
    assert record["window_start"] == Timestamp.from_utc_datetime(NOW)
    assert record["stddev"] is None
    assert record["region"] == "Île-de-France"


class Recorded(beam.PTransform):
    """Stands for the transform in Java, and says what it was given."""

    given: dict = {}  # noqa: RUF012 - Beam copies the transform

    def __init__(self, **options):
        super().__init__()
        Recorded.given = options

    def expand(self, pcoll):
        Recorded.given["rows"] = pcoll.element_type
        failed = pcoll | beam.Filter(lambda _: False)
        return {"FailedRowsWithErrors": failed}


def graph(monkeypatch, method):
    """The labels of all steps of a stream's graph."""
    monkeypatch.setattr(beam_bigquery, "SchemaAwareExternalTransform", Recorded)
    options = PipelineOptions(["--streaming", "--runner", "DataflowRunner", "--project", "p"])
    pipeline = beam.Pipeline(runner="DirectRunner", options=options)
    stream = TestStream(coder=BatchCoder()).advance_watermark_to_infinity()
    batches = pipeline | stream
    names = ("regional_means_revisions", "readings", "rejected_readings")
    results = {name: batches | name >> beam.Map(lambda each: each) for name in names}
    results | "Store" >> WriteToDataset(URI, RUN, BigQueryOptions(method), expansion_service="x:1")
    labels = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def enter_composite_transform(self, node):
            labels.append(node.full_label)

        def visit_transform(self, node):
            labels.append(node.full_label)

    pipeline.visit(Visitor())
    return labels


def test_the_graph_has_the_upserts_beside_the_revisions(monkeypatch):
    labels = graph(monkeypatch, "storage_write_api_cdc")
    assert any(label.startswith("Store/Upsert/Current/") for label in labels)
    for name in ("regional_means_revisions", "readings", "rejected_readings", "refused"):
        assert f"Store/Write_{name}" in labels
    given = Recorded.given
    assert given["table"] == "test-project:d.regional_means_current"
    assert given["use_cdc_writes"] is True
    assert given["use_at_least_once_semantics"] is True
    assert given["primary_key"] == [
        "region_code",
        "quantity",
        "window_size",
        "window_period",
        "window_start",
    ]
    assert given["create_disposition"] == "CREATE_NEVER"
    fields = dict(given["rows"]._fields)
    assert list(fields) == ["row_mutation_info", "record"]
    assert [name for name, _ in fields["row_mutation_info"]._fields] == [
        "mutation_type",
        "change_sequence_number",
    ]


def test_without_upserts_the_graph_has_none(monkeypatch):
    Recorded.given = {}
    labels = graph(monkeypatch, "auto")
    assert Recorded.given == {}
    assert "Store/Write_readings" in labels
    assert not any("Upsert" in label for label in labels)


def test_what_is_refused_becomes_a_failed_row():
    refused = {"error_message": "no such key", "failed_row": {"record": {"at": NOW}}}
    ((table, batch),) = failed_as_rows(refused, RUN)
    assert table == "failed_rows"
    (row,) = batch.to_pylist()
    assert row["detail"] == "no such key"
    assert row["table_name"] == "regional_means_current"
    assert json.loads(row["row"]) == {"record": {"at": str(NOW)}}


def test_a_batch_of_sensors_has_no_upserts():
    batch = means(mean(sensor_id="s", region_code=None, region=None))
    assert isinstance(batch, pa.RecordBatch)
    assert [table for table, _ in means_rows(batch, RUN)] == ["sensor_means_revisions"]


@pytest.mark.parametrize("name", ["regional_means_revisions", "readings"])
def test_labels_of_steps_are_fixed(monkeypatch, name):
    first, second = graph(monkeypatch, "auto"), graph(monkeypatch, "auto")
    assert first == second
    assert f"Store/AllTime_{name}" in first
