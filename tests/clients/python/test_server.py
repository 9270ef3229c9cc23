"""The Python package's server API, blocking and awaited, against a node."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from chat_gateway_client import AsyncServer, Rejected, Server
from chat_gateway_client import server as module

from tests.support.cluster import Cluster, run_cluster

KEY = "key-of-the-backend"
Answers = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
async def cluster(tmp_path: Any, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, SERVICE_KEYS=KEY) as cluster:
        yield cluster


async def test_backend_creates_a_chat_and_speaks_in_it(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    async with AsyncServer(cluster.nodes[0].url, KEY) as server:
        chat = await server.create_chat(title="Order 7", members=[{"user_id": ann.id}])
        first = await server.send(chat["id"], "Paid.", on_behalf_of=ann.id, idempotency_key="paid", data={"order": 7})
        again = await server.send(chat["id"], "Paid.", on_behalf_of=ann.id, idempotency_key="paid", data={"order": 7})
        assert (first["id"], first["sender"]["id"], first["data"]) == (again["id"], ann.id, {"order": 7})
        assert (await server.send(chat["id"], "Welcome"))["sender"] is None
        with pytest.raises(Rejected) as rejected:
            await server.send(chat["id"], " ")
        assert (rejected.value.code, rejected.value.status) == ("empty_text", 422)


async def test_blocking_backend_does_the_same(cluster: Cluster) -> None:
    ann = await cluster.user("ann")

    def work() -> str:
        with Server(cluster.nodes[0].url, KEY) as server:
            chat = server.create_chat(members=[{"user_id": ann.id}])
            server.send(chat["id"], "Welcome")
            with pytest.raises(Rejected, match="not_found"):
                server.request("GET", "/api/v1/chats/999999")
            messages = server.request("GET", f"/api/v1/chats/{chat['id']}/messages")["messages"]
            return str(messages[0]["text"])

    assert await asyncio.to_thread(work) == "Welcome"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """No waiting; yields the delays."""
    delays: list[float] = []
    monkeypatch.setattr(module.time, "sleep", delays.append)
    yield delays


def answered(*answers: httpx.Response | Exception) -> tuple[Server, list[httpx.Request]]:
    """A server API whose transport gives these answers, one after the other."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        one = answers[len(seen) - 1]
        if isinstance(one, Exception):
            raise one
        return one

    server = Server("http://x", KEY)
    server._http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://x")
    return server, seen


def test_repeatable_call_is_repeated_with_the_same_key(at_once: list[float]) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "3"})
    server, seen = answered(busy, httpx.ConnectError("gone"), httpx.Response(201, json={"id": 1}))
    assert server.send(1, "hi") == {"id": 1}
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1
    assert (len(seen), at_once[0]) == (3, 3.0)


def test_call_that_may_not_be_repeated_is_not(at_once: list[float]) -> None:
    server, seen = answered(httpx.ConnectError("gone"))
    with pytest.raises(httpx.ConnectError):
        server.request("POST", "/api/v1/chats", {})
    assert (len(seen), at_once) == (1, [])


def test_last_busy_response_is_raised(at_once: list[float]) -> None:
    problem = {"code": "rate_limited", "detail": "Please wait."}
    server, seen = answered(*[httpx.Response(429, json=problem) for _ in range(5)])
    with pytest.raises(Rejected, match="rate_limited: Please wait"):
        server.put_user("a b/c", display_name="Ann")
    assert (len(seen), len(at_once)) == (5, 4)
    assert seen[0].url.raw_path == b"/api/v1/users/sub:a%20b%2Fc"
