"""Fixtures of the tests that run the whole system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System, run_system
from tests.support.browser import chromium
from tests.support.documented_sockets import documented_sockets

__all__ = ["chromium", "system"]


@pytest.fixture(autouse=True)
def documented() -> Iterator[None]:
    """Checks everything that a socket of the test receives against the AsyncAPI document."""
    with documented_sockets() as faults:
        yield
    assert faults == []


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system of this test's own, without any users."""
    folder = tmp_path / "system"
    folder.mkdir()
    with run_system(folder) as running:
        yield running
