"""Addresses of datasets."""

from __future__ import annotations

import pytest

from connectors.bigquery.uri import is_bigquery, parse
from connectors.output_error import OutputError


@pytest.mark.parametrize(
    ("uri", "project", "name"),
    [
        ("bigquery://my-project.weather", "my-project", "weather"),
        ("bigquery://my-project.weather/", "my-project", "weather"),
        ("bigquery://example.com:my-project.W_2", "example.com:my-project", "W_2"),
    ],
)
def test_an_address_is_a_project_and_a_dataset(uri, project, name):
    found = parse(uri)
    assert (found.project, found.name) == (project, name)
    assert parse(found.uri) == found
    assert found.table("readings") == f"{project}.{name}.readings"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("bigquery:/my-project.weather", "write bigquery://PROJECT.DATASET"),
        ("bigquery://weather", "names no project"),
        ("bigquery://My_Project.weather", "names no project"),
        ("bigquery://my-project.", "names no dataset"),
        ("bigquery://my-project.my-data", "letters, digits and underscores"),
        ("bigquery://my-project.weather.readings", "names no project"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(uri, said):
    assert is_bigquery(uri)
    with pytest.raises(OutputError, match=said):
        parse(uri)


def test_other_outputs_are_none():
    assert not is_bigquery("./results")
    assert not is_bigquery("kafka://h/t")
