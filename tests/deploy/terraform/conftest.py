"""Fixtures: Terraform with a provider that is stood in for, and the examples applied."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.terraform_provider import find_terraform, serve_provider
from tests.support.terraform_workspace import Workspace

EXAMPLES = ("small", "production")


@pytest.fixture(scope="module")
def provider() -> Iterator[dict[str, str]]:
    if find_terraform() is None:
        pytest.skip("terraform and tofu are missing: install one of them")
    with serve_provider() as environment:
        yield environment


@pytest.fixture(scope="module")
def workspace(provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("terraform"), provider)


@pytest.fixture(scope="module", params=EXAMPLES)
def applied(request: pytest.FixtureRequest, workspace: Workspace) -> dict[str, Any]:
    return workspace.apply(f"-var-file=examples/{request.param}.tfvars")


@pytest.fixture(scope="module")
def production(workspace: Workspace) -> dict[str, Any]:
    return workspace.apply("-var-file=examples/production.tfvars")
