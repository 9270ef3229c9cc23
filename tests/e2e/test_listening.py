"""The ports of real processes: METRICS_PORT serves only `/metrics`, and every port needs exactly one Host header."""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.auth_process import AuthProcess
from tests.support.cluster import GatewayNode
from tests.support.migrated import make_store
from tests.support.servers import free_port

SOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
ODD_SOCKET = (*SOCKET, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b")
"""Valid, but left to websockets' own parser (`gateway.transport.fast_handshake`)."""


@dataclass(frozen=True)
class Listening:
    """A process' public port and its METRICS_PORT."""

    port: int
    metrics_port: int


@pytest.fixture
async def running(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[list[Listening]]:
    """Two replicas of the gateway, and auth."""
    await make_store(sqlite_url)
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": sqlite_url}
    with ExitStack() as stack:
        listening = []
        for number in range(2):
            metrics_port = free_port()
            node = stack.enter_context(GatewayNode(tmp_path / f"node-{number}", METRICS_PORT=metrics_port, **settings))
            listening.append(Listening(node.port, metrics_port))
        auth = stack.enter_context(AuthProcess(tmp_path / "auth", **settings))
        yield [*listening, Listening(auth.port, auth.metrics_port)]


def status(port: int, *lines: str, version: str = "1.1", path: str = "/livez") -> int:
    """How a request with exactly these headers is answered."""
    head = "\r\n".join([f"GET {path} HTTP/{version}", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head.encode("latin-1"))
        return int(client.makefile("rb").readline().split()[1])


def test_metrics_port_serves_only_metrics(running: list[Listening]) -> None:
    others = ("/", "/livez", "/readyz", "/login", "/register", "/.well-known/jwks.json", "/openapi.json", "/docs", "/x")
    for process in running:
        url = f"http://127.0.0.1:{process.metrics_port}"
        assert "process_open_fds" in httpx.get(f"{url}/metrics").text
        assert httpx.post(f"{url}/metrics").status_code == 404
        for path in (*others, "/api/v1/chats", "/static/page.js", "/metrics/", "//metrics"):
            assert (httpx.get(url + path).status_code, httpx.post(url + path, json={}).status_code) == (404, 404), path
        for path in ("/ws/c", "/channels/echo"):
            assert status(process.metrics_port, "Host: a", *SOCKET, path=path) == 404
        public = f"http://127.0.0.1:{process.port}"
        assert httpx.get(f"{public}/livez").status_code == 200
        assert httpx.get(f"{public}/metrics").status_code == 404


def test_request_without_one_valid_host_is_rejected(running: list[Listening]) -> None:
    for port in [port for process in running for port in (process.port, process.metrics_port)]:
        path = "/metrics" if port in [process.metrics_port for process in running] else "/livez"
        for good in ("Host: a", "host: [::1]:8000", "Host: xn--e1afmkfd.example:80", "Host:  a "):
            assert status(port, good, path=path) == 200, good
        assert status(port, version="1.0", path=path) == 200
        for bad in ((), ("Host: a", "Host: a"), ("Host: a", "hOST: b"), ("Host: a b",), ("Host: a/b",), ("Host: a@b",)):
            assert status(port, *bad, path=path) == 400, bad
        assert status(port, "Host: a", "Host: a", version="1.0", path=path) == 400


@pytest.mark.parametrize("handshake", [SOCKET, ODD_SOCKET], ids=["plain", "left to websockets"])
def test_handshake_without_one_valid_host_is_rejected(running: list[Listening], handshake: tuple[str, ...]) -> None:
    for process in running[:2]:
        assert status(process.port, "Host: a", *handshake, path="/ws/c") == 101
        for bad in ((), ("Host: a", "Host: a"), ("Host: a", "Host: b"), ("Host: a b",)):
            assert status(process.port, *bad, *handshake, path="/ws/c") == 400, bad
