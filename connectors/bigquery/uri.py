"""Addresses of datasets: `bigquery://PROJECT.DATASET`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.output_error import OutputError
from connectors.secrets import shown

__all__ = ["Dataset", "is_bigquery", "parse"]

SCHEME = "bigquery://"
PROJECT = re.compile(r"(?:[a-z0-9.-]{1,63}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")


@dataclass(frozen=True)
class Dataset:
    """A dataset of BigQuery.

    Attributes:
        project: the identifier of its project, which also pays for queries.
        name: its name in the project.
    """

    project: str
    name: str

    @property
    def path(self) -> str:
        """`project.name`, as the client and SQL write it."""
        return f"{self.project}.{self.name}"

    @property
    def uri(self) -> str:
        """As it stands on a command line."""
        return f"{SCHEME}{self.path}"

    def table(self, name: str) -> str:
        """`project.dataset.table`."""
        return f"{self.path}.{name}"


def is_bigquery(uri: str) -> bool:
    """Whether an output is meant to be a dataset, right or wrong."""
    return uri.lower().startswith("bigquery:")


def parse(uri: str) -> Dataset:
    """Reads an address.

    Args:
        uri: such as `bigquery://my-project.weather`; a project of a domain is written
            `bigquery://example.com:my-project.weather`.

    Raises:
        OutputError: it is none.
    """
    if not uri.startswith(SCHEME):
        msg = f"{shown(uri)!r} is no dataset; write bigquery://PROJECT.DATASET"
        raise OutputError(msg)
    project, point, name = uri.removeprefix(SCHEME).rstrip("/").rpartition(".")
    if not point or not PROJECT.fullmatch(project):
        msg = (
            f"{shown(uri)!r} names no project; write bigquery://PROJECT.DATASET with the project's "
            "identifier (6 to 30 lower-case letters, digits and hyphens)"
        )
        raise OutputError(msg)
    if not DATASET.fullmatch(name):
        msg = f"{shown(uri)!r} names no dataset; its name has letters, digits and underscores only"
        raise OutputError(msg)
    return Dataset(project, name)
