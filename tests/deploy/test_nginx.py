"""The load balancer of docker-compose.yml in front of two real gateways."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.deploy.balancer import Balancer
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import wait_until

AUTH_PATHS = (
    "/register",
    "/login",
    "/generate-token",
    "/api/v1/login/access-token",
    "/api/v1/login/refresh",
    "/api/v1/logout",
    "/api/v1/password",
    "/api/v1/totp",
    "/api/v1/totp/confirm",
    "/api/v1/password/reset",
    "/api/v1/password/reset/confirm",
    "/api/v1/invitations",
    "/.well-known/jwks.json",
)

REQUESTS = 600
LOGGED_A_SECOND, LOGGED_AT_ONCE = 50, 50
"""What chat.conf.template has."""


@contextmanager
def _auth() -> Iterator[tuple[int, list[str]]]:
    """Something in auth's place that keeps what it was asked, and for whom."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"{self.path} {self.headers['X-Forwarded-For']} {self.headers['X-Forwarded-Proto']}")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_OPEN = re.compile(r"^chat_gateway_connections\{[^}]*\} (\d+)", re.MULTILINE)


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(
        tmp_path / "nodes", redis_url, sqlite_url, nodes=2, TRUSTED_PROXIES="127.0.0.0/8"
    ) as cluster:
        yield cluster


@pytest.fixture
def asked_and_balancer(tmp_path: Path, cluster: Cluster) -> Iterator[tuple[list[str], Balancer]]:
    with _auth() as (auth, asked):
        balancer = Balancer(tmp_path / "nginx", [node.port for node in cluster.nodes], auth)
        balancer.start()
        try:
            yield asked, balancer
        finally:
            balancer.stop()


@pytest.fixture
def balancer(asked_and_balancer: tuple[list[str], Balancer]) -> Balancer:
    return asked_and_balancer[1]


def _connections(cluster: Cluster) -> list[int]:
    """How many each node has, of all dialects together."""
    return [sum(map(int, _OPEN.findall(httpx.get(f"{node.url}/metrics").text))) for node in cluster.nodes]


async def test_sockets_go_to_gateway_with_fewest(cluster: Cluster, balancer: Balancer) -> None:
    async def connect(number: int) -> ChatClient:
        client = await ChatClient.connect(f"ws://{balancer.url}/ws/c{number}")
        return await cluster.sockets.enter_async_context(client)

    def node(client: ChatClient) -> str:
        assert client.socket.response is not None
        return client.socket.response.headers["X-Gateway-Node"]

    clients = [await connect(number) for number in range(8)]
    assert _connections(cluster) == [4, 4]
    leaving = [client for client in clients if node(client) == node(clients[0])]
    for client in leaving:
        await client.close()
    async with asyncio.timeout(10):
        while sum(_connections(cluster)) != 4:
            await asyncio.sleep(0.01)
    came = [await connect(number) for number in range(8, 12)]
    assert [node(client) for client in came] == [node(leaving[0])] * 4


async def test_no_request_is_smuggled_past_nginx(balancer: Balancer) -> None:
    """In a body: a parser that ends a request with an Upgrade at its headers takes the body for the next request."""
    body = b"\r\n" * 1500 + b"GET /smuggled HTTP/1.1\r\nX-Next: "  # and what the next client sends
    headers = {"Upgrade": "h2c", "Connection": "Upgrade"}
    async with httpx.AsyncClient(base_url=f"http://{balancer.url}") as client:
        for _ in range(5):
            assert (await client.post("/api/v1/chats", content=body, headers=headers)).status_code == 401
            statuses = [(await client.get("/livez")).status_code for _ in range(4)]
            assert statuses == [200] * 4


async def test_client_gets_other_gateway_if_one_is_down_or_draining(cluster: Cluster, balancer: Balancer) -> None:
    cluster.nodes[0].kill()
    for number in range(4):
        client = await ChatClient.connect(f"ws://{balancer.url}/ws/c{number}")
        await cluster.sockets.enter_async_context(client)
        await client.send(type="ping", id=1)
        await client.next("pong")


async def test_chat_works_through_nginx_and_logs_no_token(cluster: Cluster, balancer: Balancer) -> None:
    ann, bob = await cluster.user(), await cluster.user()
    chat = await cluster.chat(ann, bob)
    clients = []
    for user in (ann, bob):
        client = await ChatClient.connect(f"ws://{balancer.url}/ws/chat/{chat}/?token={user.token}")
        clients.append(await cluster.sockets.enter_async_context(client))
        await client.next("connection_established")
    await clients[0].send(type="message", text="Hello")
    assert (await clients[1].next("message"))["data"]["text"] == "Hello"
    for node in cluster.nodes:
        node.kill()
    httpx.get(f"http://{balancer.url}/ws/chat/{chat}/?token={ann.token}")
    balancer.stop()
    assert "/ws/chat/" in balancer.log
    assert not [user for user in (ann, bob) if user.token in balancer.log]


async def test_balancer_logs_a_bounded_number_of_requests(cluster: Cluster, balancer: Balancer) -> None:
    for number in range(10):
        await (await ChatClient.connect(f"ws://{balancer.url}/ws/c{number}")).close()
    started = time.monotonic()
    with httpx.Client(trust_env=False) as client:
        answers = [client.get(f"http://{balancer.url}/livez?n={n}").status_code for n in range(REQUESTS)]
    seconds = time.monotonic() - started
    async with asyncio.timeout(10):
        for _ in range(100):
            reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
            writer.write(b"NONSENSE\r\n\r\n")
            assert b" 400 " in await reader.read()
            writer.close()
    assert answers == [200] * REQUESTS, "none is rejected"
    balancer.stop()
    lines = [line for line in balancer.log.splitlines() if '"GET ' in line or "NONSENSE" in line]
    assert LOGGED_AT_ONCE / 2 < len(lines) <= LOGGED_AT_ONCE + LOGGED_A_SECOND * (seconds + 1)
    assert {line.split('" ')[1].split()[0] for line in lines} == {"200"}, "no sockets"


def test_auth_gets_its_urls_with_real_client_address(
    asked_and_balancer: tuple[list[str], Balancer], cluster: Cluster
) -> None:
    asked, balancer = asked_and_balancer
    for path in AUTH_PATHS:
        httpx.post(f"http://{balancer.url}{path}", headers={"X-Forwarded-For": "6.6.6.6"})
    assert asked == [f"{path} 127.0.0.1 http" for path in AUTH_PATHS]
    assert httpx.post(f"http://{balancer.url}/login/x").status_code in (404, 405)
    assert len(asked) == len(AUTH_PATHS)


def test_request_has_one_id_in_both_logs(balancer: Balancer) -> None:
    answer = httpx.get(f"http://{balancer.url}/livez", headers={"X-Request-Id": "of-the-client"})
    request_id = answer.headers["X-Request-Id"]
    wait_until(lambda: request_id in balancer.log, "nginx has logged it")
    assert "of-the-client" not in balancer.log
