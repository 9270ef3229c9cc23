"""Fixtures of the tests that run the whole system."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.documented_sockets import documented_sockets
from tests.e2e.system import System, run_system

__all__ = ["chromium", "system"]


@pytest.fixture(autouse=True)
def documented() -> Iterator[None]:
    """Whatever a socket of the test is told is in the AsyncAPI document."""
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
