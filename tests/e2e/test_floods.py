"""Floods over ten sockets of one node: neighbours are hardly delayed, and sockets that continue are closed (4429)."""

import asyncio
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.server.log_sampling import LINES_A_SECOND
from tests.e2e.flooder import KINDS
from tests.e2e.neighbour import Waits
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.machine_speed import slowness
from tests.support.python_process import PythonProcess

SOCKETS = 10
IDLE_S = 1.5
FLOOD_S = 2.0
CLOSED_WITHIN_S = 16.0
"""gateway.transport.incoming closes a socket that floods for 10 s, and more where the machine is slow."""
LIVEZ_MS = 500
MALFORMED = 1000
"""Requests that are no HTTP."""
GROWTH_MB = 40
"""Of a node under ten sockets: a read of 256 KiB each, their answers, and what the interpreter keeps."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Flooded:
    """What a flood of the first node did."""

    idle: Waits
    here: Waits
    there: Waits
    """On the other node meanwhile."""
    codes: Counter[str]
    """How often a flooding socket was closed, by close code."""
    megabytes: float

    @property
    def faults(self) -> list[str]:
        """The bounds that did not hold. The control is the same node idle, and the other one during the flood."""
        bound = 3 * max(self.idle.p99, self.there.p99) + 10
        faults = [] if self.here.p99 <= bound else [f"p99 is more than {bound:.1f} ms: {self}"]
        return faults if self.here.livez <= LIVEZ_MS else [*faults, f"/livez is slow: {self}"]


async def flood(cluster: Cluster, kind: str, user: User, seconds: float) -> Flooded:
    """Flood the first node for so long, over ten sockets that come back when they are closed."""
    ports = [node.port for node in cluster.nodes]
    async with PythonProcess.running("tests.e2e.neighbour", IDLE_S, *ports) as neighbour:
        neighbour.go()
        idle, _ = map(Waits.of, await neighbour.report())
    async with (
        PythonProcess.running("tests.e2e.neighbour", min(seconds, CLOSED_WITHIN_S), *ports) as neighbour,
        PythonProcess.running("tests.e2e.flooder", ports[0], kind, SOCKETS, seconds, user.token, 0) as flooder,
    ):
        flooder.go()
        neighbour.go()
        here, there = map(Waits.of, await neighbour.report())
        flooded = await flooder.report()
    assert flooded["bytes"], flooded
    return Flooded(idle, here, there, Counter(flooded["codes"]), flooded["bytes"] / 1e6)


async def faults_of(cluster: Cluster, kinds: Sequence[str], seconds: float) -> list[str]:
    """The bounds that did not hold, by kind of flood; what goes wrong once in three times is not the flood's doing."""
    user, faults = await cluster.user(), []
    for kind in kinds:
        for _ in range(3):
            flooded = await flood(cluster, kind, user, seconds)
            if not flooded.faults:
                break
        else:
            faults += [f"{kind}: {fault}" for fault in flooded.faults]
    return faults


def count(node: GatewayNode, metric: str) -> float:
    """The sum of a metric of the node's."""
    text = httpx.get(f"{node.url}/metrics", trust_env=False).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(metric))


@pytest.fixture(params=["uvloop", "asyncio"])
async def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, sqlite_url: str
) -> AsyncIterator[Cluster]:
    """Two nodes, on the event loop that is named."""
    settings = {}
    if request.param == "asyncio":
        (tmp_path / "without").mkdir()
        (tmp_path / "without/uvloop.py").write_text("raise ImportError\n")
        settings = {"PYTHONPATH": f"{tmp_path}/without:{ROOT}"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster:
        yield cluster


@pytest.mark.alone
async def test_flood_hardly_delays_neighbours(cluster: Cluster) -> None:
    kinds = ["ping", "control-ping", "fragments", "hello", "pipelined-http"]
    assert await faults_of(cluster, kinds, FLOOD_S) == []


@pytest.mark.alone
@pytest.mark.full
@pytest.mark.timeout(1200)
async def test_flood_of_any_kind_hardly_delays_neighbours(cluster: Cluster) -> None:
    assert await faults_of(cluster, list(KINDS), 10) == []


@pytest.mark.parametrize("cluster", ["uvloop"], indirect=True)
async def test_flooding_client_is_closed_and_counted(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    flooded = await flood(cluster, "ping", await cluster.user(), CLOSED_WITHIN_S * min(slowness(), 5))
    assert flooded.codes["4429"] >= SOCKETS
    assert count(node, "chat_gateway_floods_total") >= SOCKETS
    assert count(node, "chat_gateway_input_slowed_total") >= 100 * SOCKETS
    assert count(node, 'chat_gateway_closes_total{code="4429"}') >= SOCKETS
    assert count(cluster.nodes[1], "chat_gateway_input_slowed_total") == 0


@pytest.mark.parametrize("cluster", ["uvloop"], indirect=True)
async def test_flood_of_rejected_commands_logs_few_lines(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    started = time.monotonic()
    await flood(cluster, "unknown-type", await cluster.user(), FLOOD_S)
    seconds = time.monotonic() - started
    refused = count(node, 'chat_gateway_commands_total{command="unknown",dialect="native"')
    assert refused > 1000
    lines = node.log.count("command_refused")
    assert 0 < lines <= LINES_A_SECOND * (seconds + 1)
    assert lines + count(node, 'chat_gateway_log_lines_dropped_total{event="command_refused"}') >= refused


@pytest.mark.parametrize("cluster", ["uvloop"], indirect=True)
async def test_flood_of_connects_logs_few_lines(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    before, started = node.log.count("\n"), time.monotonic()
    await flood(cluster, "close", await cluster.user(), FLOOD_S)
    seconds = time.monotonic() - started
    opened = count(node, 'chat_gateway_handshakes_total{dialect="native",outcome="accepted"}')
    assert opened > 4 * LINES_A_SECOND * seconds, "a flood"
    lines = node.log.count("\n") - before
    assert 0 < lines <= (2 * LINES_A_SECOND + 1) * (seconds + 2), "connected, disconnected and the summary"
    for event in ("connected", "disconnected"):
        written = len(re.findall(rf"\binfo +{event}\b", node.log))
        assert written + count(node, f'chat_gateway_log_lines_dropped_total{{event="{event}"}}') >= opened


@pytest.mark.parametrize("cluster", ["uvloop"], indirect=True)
async def test_malformed_http_logs_few_lines(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    started = time.monotonic()
    for _ in range(MALFORMED):
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        writer.write(b"NONSENSE\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()
    seconds = time.monotonic() - started
    lines = node.log.count("Invalid HTTP request received.")
    assert 0 < lines <= LINES_A_SECOND * (seconds + 2) < MALFORMED  # whole seconds, and the two at the ends
    assert lines + count(node, 'chat_gateway_log_lines_dropped_total{event="uvicorn.error"}') >= MALFORMED


def resident_mb(node: GatewayNode) -> float:
    """The node's memory."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("cluster", ["uvloop"], indirect=True)
async def test_flood_of_file_requests_does_not_grow_memory(cluster: Cluster) -> None:
    node, user = cluster.nodes[0], await cluster.user()
    await flood(cluster, "pipelined-files", user, FLOOD_S)
    before = resident_mb(node)
    flooded = await flood(cluster, "pipelined-files", user, 3 * FLOOD_S)
    assert resident_mb(node) - before < GROWTH_MB, flooded


def reset(port: int, data: bytes, after_s: float) -> None:
    """Send that, and reset the connection so long afterwards."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(data)
        time.sleep(after_s)


async def test_clients_that_disconnect_during_response_log_no_errors(cluster: Cluster) -> None:
    node, user = cluster.nodes[0], await cluster.user()
    login = b"Host: node\r\nAuthorization: Bearer " + user.token.encode() + b"\r\n\r\n"
    for number in range(300):
        path = b"/" if number % 2 else b"/api/v1/chats"
        await asyncio.to_thread(reset, node.port, (b"GET %b HTTP/1.1\r\n" % path + login) * 10, number % 5 / 1000)
    assert node.is_up()
    assert "Traceback" not in node.log
    assert "ERROR" not in node.log.upper()
