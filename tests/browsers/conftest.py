"""A system for all tests of a file, and browsers behind a link that can be made bad."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.browsers.browser import NAMES, Browser, run_browser
from tests.e2e.system import System, run_system
from tests.faults.links import Link


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Two replicas behind a load balancer."""
    with run_system(tmp_path_factory.mktemp("system")) as running:
        yield running


@pytest.fixture
async def link(system: System) -> AsyncIterator[Link]:
    """The way from the browser to the load balancer."""
    async with Link(int(system.url.rpartition(":")[2])) as link:
        yield link


@pytest.fixture(params=NAMES)
async def browser(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Browser]:
    """Each of the browsers, at the size of a phone."""
    async with run_browser(request.param, tmp_path) as running:
        yield running
