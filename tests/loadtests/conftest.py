"""The target system of the load tests."""

from collections.abc import Iterator

import pytest

from tests.e2e.system import System, run_system


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One whole system for all of them."""
    with run_system(tmp_path_factory.mktemp("system")) as running:
        yield running
