"""Many users over two gateways behind nginx, both restarted one after the other in the middle: nothing is lost.

Some five minutes on two cores, if nothing else runs on them. With WRITE_LOAD_REPORT=1 the run's report and graphs
become those of docs/load/.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser

from storage.database.migrate import migrate
from tests.deploy.balancer import Balancer
from tests.loadtests.headless import BROKEN, outcome, start_locust
from tests.loadtests.prometheus import PrometheusServer
from tests.support.cluster import GatewayNode
from tests.support.keys import KEYS_SECRET
from tests.support.servers import RedisServer, Server, answers, free_port, wait_until

USERS = 2000
RATE = 50
SECONDS = 180
DRAIN_S = 20
"""A node's thousand clients come back at 50/s, as fast as they came: here the load has no cores of its own."""
SETUP_S = 900
"""Two argon2 hashes a user, on two cores."""
BACK_S = 60
SHARE_OF_FAILURES = 0.001
"""Handshakes and posts that found no gateway in time, each tried again. What is lost has no share: one is too many."""
GRAPHS = (
    "sum by (instance) (chat_gateway_connections)",
    "sum(rate(chat_gateway_broadcast_deliveries_total[5s]))",
    "histogram_quantile(0.99, sum by (le) (rate(chat_gateway_ack_seconds_bucket[10s])))",
    "sum by (code) (rate(chat_gateway_closes_total[5s]))",
)
DOCS = Path(__file__).parents[2] / "docs/load"
WRITE = "WRITE_LOAD_REPORT"


class Auth(Server):
    """`chat-gateway auth`, which hashes all those passwords apart from the gateways."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir()
        self.port = free_port()
        environ = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "AUTH_PORT": self.port}
        environ |= {"KEYS_SECRET": KEYS_SECRET} | settings
        words = [f"{name}={value}" for name, value in environ.items()]
        super().__init__(["/usr/bin/env", *words, sys.executable, "-m", "gateway.cli", "auth"], folder)

    def is_up(self) -> bool:
        """Whether it lives."""
        return answers(self.port, b"GET /livez HTTP/1.1\r\nHost: auth\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")


class Gateway(GatewayNode):
    """A node that can be asked to leave."""

    def roll(self) -> None:
        """SIGTERM, until it has drained and ended; then start it again, until it is ready."""
        os.kill(self.pid, signal.SIGTERM)
        assert self._process is not None
        assert self._process.wait(60) == 0, self.log
        self.start()


@dataclass(frozen=True)
class Fleet:
    """What is tested, and who watches it."""

    url: str
    gateways: tuple[Gateway, ...]
    prometheus: PrometheusServer

    def wait_for(self, people: float, process: subprocess.Popen[str], timeout_s: float) -> None:
        """Until so many are connected over all gateways, as Prometheus sees it, or the run has ended."""
        wait_until(
            lambda: process.poll() is not None or self.prometheus.value("sum(chat_gateway_connections)") > people,
            f"{people:.0f} are connected",
            timeout_s,
            every_s=1,  # as often as Prometheus scrapes
        )


@pytest.fixture
async def fleet(tmp_path: Path, redis_server: RedisServer, postgres_url: str) -> AsyncIterator[Fleet]:
    """Two gateways and auth behind compose's nginx, over real servers."""
    await migrate(postgres_url)
    with ExitStack() as stack:
        settings = {"REDIS_URL": redis_server.url, "DATABASE_URL": postgres_url, "DRAIN_DELAY_S": 1, "DRAIN_S": DRAIN_S}
        gateways = tuple(Gateway(tmp_path / f"gateway-{number}", **settings) for number in range(2))
        ports = [gateway.port for gateway in gateways]
        auth = Auth(tmp_path / "auth", REDIS_URL=redis_server.url, DATABASE_URL=postgres_url)
        balancer, prometheus = (
            Balancer(tmp_path / "nginx", ports, auth.port),
            PrometheusServer(tmp_path / "prom", ports),
        )
        for server in (*gateways, auth, balancer, prometheus):
            stack.callback(server.stop)
            server.start()
        yield Fleet(f"http://{balancer.url}", gateways, prometheus)


async def _photograph(browser: Browser, prometheus: PrometheusServer, file: Path) -> None:
    """The graphs of the last minutes."""
    page = await browser.new_page(viewport={"width": 1200, "height": 2900})
    await page.goto(prometheus.graphs(GRAPHS, minutes=SECONDS // 60 + 2))
    await page.wait_for_load_state("networkidle")
    await page.add_style_tag(content="nav { display: none !important }")  # it stays where the page was scrolled to
    await page.screenshot(path=str(file), full_page=True)


def _run(folder: Path, fleet: Fleet) -> subprocess.Popen[str]:
    # Two cores carry the gateways, the database and the load: no figure of this run is a promise about time.
    options = ("--processes", "2", "--max-ack-p99-ms", "5000", "--max-delivery-p99-ms", "5000")
    share = ("--max-failure-ratio", str(SHARE_OF_FAILURES))
    return start_locust(folder, fleet.url, *options, *share, users=USERS, rate=RATE, seconds=SECONDS)


@pytest.mark.full
@pytest.mark.timeout(SETUP_S + SECONDS + 300)
async def test_rolling_restart_under_2000_users_loses_nothing(tmp_path: Path, fleet: Fleet, chromium: Browser) -> None:
    process = _run(tmp_path, fleet)
    try:
        connected = 0.9 * USERS  # publishers have no sockets, and some reconnectors are away
        fleet.wait_for(connected, process, SETUP_S)
        for gateway in fleet.gateways:
            assert process.poll() is None, "the run ended before every gateway was restarted"
            gateway.roll()
            fleet.wait_for(connected, process, BACK_S)
        run = outcome(tmp_path, process)
    finally:
        process.kill()
    assert all("Traceback" not in gateway.log for gateway in fleet.gateways)
    assert run.exit_code == 0, run.output
    assert all(run.line(*promise).failures == 0 for promise in BROKEN), run.output
    acked = run.line("WS", "ack").requests + run.line("POST", "message").requests
    assert acked > USERS
    assert run.line("WS", "delivery").requests > acked
    assert run.line("WS", "resume").requests > USERS, "each connection was sent away by one gateway or the other"
    await _photograph(chromium, fleet.prometheus, tmp_path / "rolling-restart.png")
    if os.environ.get(WRITE):
        DOCS.mkdir(exist_ok=True)
        shutil.copy(run.html, DOCS / "rolling-restart.html")
        shutil.copy(tmp_path / "rolling-restart.png", DOCS)
