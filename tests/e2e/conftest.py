"""Fixtures of the tests that run the whole system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System, run_system
from tests.support.documented_sockets import documented_sockets

__all__ = ["system"]


@pytest.fixture(autouse=True)
def documented() -> Iterator[None]:
    """Checks everything that a socket of the test receives against the AsyncAPI document."""
    with documented_sockets() as faults:
        yield
    assert faults == []


@pytest.fixture(params=["postgres", pytest.param("sqlite", marks=pytest.mark.full)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database. Tests of `storage` always run on both engines, those here on SQLite in the full run."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system of this test's own, without any users."""
    folder = tmp_path / "system"
    folder.mkdir()
    with run_system(folder) as running:
        yield running
