"""A system for all tests of a file, and browsers behind a link that can be made bad."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.browsers.application import location
from tests.browsers.browser import NAMES, Browser, run_browser
from tests.browsers.phone import Conversation, in_the_application, on_the_page
from tests.e2e.system import run_system
from tests.faults.links import Link
from tests.support.servers import NginxServer, free_port

KEY = "key-of-the-operator-7Yq2mT"


@pytest.fixture(scope="module")
def image_port() -> int:
    """The port of the image server that the page allows."""
    return free_port()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, image_port: int) -> Iterator[NginxServer]:
    """Two replicas behind a load balancer, which serves an application too."""
    folder = tmp_path_factory.mktemp("site")
    settings = {"SERVICE_KEYS": f"operator:{KEY}", "PAGE_IMAGE_SOURCES": f"https://localhost:{image_port}"}
    with run_system(tmp_path_factory.mktemp("system"), settings) as system:
        replicas = [int(url.rpartition(":")[2]) for url in system.replica_urls]
        with NginxServer(folder, replicas, location(folder)) as server:
            yield server


@pytest.fixture
def key() -> str:
    """The service key with all scopes."""
    return KEY


@pytest.fixture
async def link(site: NginxServer) -> AsyncIterator[Link]:
    """The way from the browser to the load balancer."""
    async with Link(site.port) as link:
        yield link


@pytest.fixture(params=NAMES)
async def browser(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Browser]:
    """Each of the browsers, at the size of a phone."""
    async with run_browser(request.param, tmp_path) as running:
        yield running


@pytest.fixture(params=["page", "application"])
def conversation(request: pytest.FixtureRequest, browser: Browser, link: Link, site: NginxServer) -> Conversation:
    """Two who talk, one of them on the page or in the application."""
    return {"page": on_the_page, "application": in_the_application}[request.param](browser, link, site.url)
