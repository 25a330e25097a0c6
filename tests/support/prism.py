"""Prism, the runner of streams on one machine, for tests that need it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from connectors.input_error import InputError
from pipelines.prism import find_prism, running_prism


@pytest.fixture
def prism(monkeypatch: pytest.MonkeyPatch) -> str:
    """Its program; a test is skipped where there is none."""
    try:
        program = find_prism()
    except InputError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PRISM", program)
    return program


@contextlib.contextmanager
def prism_address() -> Iterator[str]:
    """Prism, running; the test is skipped where there is none."""
    try:
        program = find_prism()
    except InputError as error:
        pytest.skip(str(error))
    with running_prism(program) as address:
        yield address
