"""RFC 6455 from the view of clients: the echo channel of a real node, directly and through our load balancer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.deploy.balancer import Balancer
from tests.gateway.transport.conformance import CASES, LENIENT, STILL_SENDING, Case, run, run_lenient
from tests.gateway.transport.wire import RawClient, handshake
from tests.support.cluster import run_cluster

AT_A_TIME = 16
ATTEMPTS = 5
"""Through nginx, where a node closes: nginx resets a client whose last bytes come after that, and its CLOSE is lost."""


class Door:
    """Where the echo channel is."""

    def __init__(self, port: int, path: str, *, is_direct: bool) -> None:
        self.port = port
        self.path = path
        self.is_direct = is_direct

    async def failures(self, cases: Sequence[Case], run: Callable[..., Awaitable[None]], **options: bool) -> list[str]:
        """Try them all; what went wrong."""
        turns = asyncio.Semaphore(AT_A_TIME)

        async def attempt(case: Case) -> str | None:
            async with turns:
                for left in reversed(range(1 if self.is_direct or not case.closes else ATTEMPTS)):
                    try:
                        await run(case, self.port, self.path, **options)
                    except (AssertionError, ConnectionError, TimeoutError, EOFError) as error:
                        if not (left and isinstance(error, ConnectionResetError)):
                            return f"{case.name}: {error!r}"
                    else:
                        break
                return None

        return [failure for failure in await asyncio.gather(*map(attempt, cases)) if failure]


@pytest.fixture(params=["direct", "nginx"])
async def door(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Door]:
    async with run_cluster(tmp_path / "nodes", redis_url, sqlite_url, nodes=1) as cluster:
        (node,), user = cluster.nodes, await cluster.user()
        path = f"/channels/echo?token={user.token}"
        if request.param == "direct":
            yield Door(node.port, path, is_direct=True)
            return
        balancer = Balancer(tmp_path / "nginx", [node.port], node.port)
        balancer.start()
        try:
            yield Door(balancer.port, path, is_direct=False)
        finally:
            balancer.stop()


async def test_node_echo_conforms_and_continues(door: Door) -> None:
    # Through nginx, the CLOSE of what takes long to send is lost every time.
    cases = [case for case in CASES if door.is_direct or case is not STILL_SENDING]
    assert await door.failures(cases, run, at_once=False) == []
    assert await door.failures(LENIENT, run_lenient) == []
    async with await RawClient.connect(door.port) as client:
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate"
        await client.send(handshake(door.path, offer))
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in answer.lower()
