"""Event streams through real proxies, in a real browser."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from tests.deploy.balancer import Balancer
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster
from tests.support.event_stream import event_stream
from tests.support.haproxy import HaproxyServer
from tests.support.native_client import NativeClient
from tests.support.servers import NginxServer, Server

BEFORE, AFTER = 20, 40
"""Messages before and after the node is lost."""
PAGE = """(chats) => {
    globalThis.told = [];
    globalThis.faults = [];
    globalThis.stream = new EventSource(`/sse/page?chats=${chats}`);
    stream.onmessage = ({ data }) => told.push(JSON.parse(data));
    stream.onerror = () => faults.push(stream.readyState);
}"""


def proxy_of(kind: str, folder: Path, ports: list[int]) -> Any:
    """A load balancer of this kind in front of these nodes."""
    if kind == "compose":
        return Balancer(folder / "balancer", ports, ports[0])
    proxy: type[NginxServer | HaproxyServer] = NginxServer if kind == "nginx" else HaproxyServer
    (folder / kind).mkdir()
    return proxy(folder / kind, ports)


@asynccontextmanager
async def behind(
    kind: str, folder: Path, redis_url: str, sqlite_url: str
) -> AsyncIterator[tuple[Cluster, str, Server]]:
    """Two nodes behind a proxy of this kind, and its URL."""
    async with run_cluster(folder / "nodes", redis_url, sqlite_url, MESSAGES_PER_MINUTE=0) as cluster:
        proxy = proxy_of(kind, folder, [node.port for node in cluster.nodes])
        with proxy:
            yield cluster, f"http://127.0.0.1:{proxy.port}", proxy


def streams_at(node: GatewayNode) -> int:
    """The number of open streams of a node."""
    lines = httpx.get(f"{node.url}/metrics").text.splitlines()
    line = next(line for line in lines if line.startswith('chat_gateway_connections{dialect="sse"}'))
    return int(float(line.rpartition(" ")[2]))


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "compose"])
async def test_proxy_passes_every_event_on_at_once(tmp_path: Path, redis_url: str, sqlite_url: str, kind: str) -> None:
    async with behind(kind, tmp_path, redis_url, sqlite_url) as (cluster, url, _):
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        async with (
            event_stream(f"{url}/sse/me", ann.token, chats=chat) as stream,
            httpx.AsyncClient(base_url=url, headers=ann.headers) as http,
        ):
            await stream.next("ack")
            for number in range(5):
                command = {"type": "message", "chat_id": chat, "text": str(number)}
                started = time.monotonic()
                assert (await http.post("/api/v1/commands", json=command)).status_code == 200
                assert (await stream.next("message"))["data"]["text"] == str(number)
                assert time.monotonic() - started < 5  # not held back until more follows
        async with asyncio.timeout(60):  # HAProxy ends its side when the next comments find nobody
            while sum(map(streams_at, cluster.nodes)):
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
async def test_browser_gets_each_message_once_after_node_loss(
    chromium: Browser, tmp_path: Path, redis_url: str, sqlite_url: str, kind: str
) -> None:
    async with behind(kind, tmp_path, redis_url, sqlite_url) as (cluster, url, _):
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chats = [await cluster.chat(ann, bob) for _ in range(2)]
        context = await chromium.new_context()
        await context.add_cookies([{"name": "access_token", "value": ann.token, "url": url}])
        page = await context.new_page()
        await page.goto(f"{url}/livez")
        await page.evaluate(PAGE, ",".join(map(str, chats)))
        await until(page, f"told.filter((one) => one.type === 'ack').length === {len(chats)}")
        lost = next(node for node in cluster.nodes if streams_at(node))
        other = next(node for node in cluster.nodes if node is not lost)
        writer = await NativeClient.connect(other.ws_url("/ws/bob"), bob.token)
        for number in range(BEFORE + AFTER):
            if number == BEFORE:
                lost.kill()
            for chat in chats:
                await writer.ack("message", chat_id=chat, text=f"{chat} {number}")
            await asyncio.sleep(0.05)
        expected = {f"{chat} {number}" for chat in chats for number in range(BEFORE + AFTER)}
        texts = "told.filter((one) => one.type === 'message').map((one) => one.data.text)"
        await until(page, f"new Set({texts}).size === {len(expected)}")
        await writer.ack("message", chat_id=chats[0], text="the end")
        await until(page, f"({texts}).includes('the end')")
        seen: list[str] = await page.evaluate(texts)
        for chat in chats:
            of_chat = [text for text in seen if text.startswith(f"{chat} ")]
            assert of_chat == [f"{chat} {number}" for number in range(BEFORE + AFTER)]
        assert await page.evaluate("faults.length") >= 1 and await page.evaluate("stream.readyState") == 1
        await writer.close()


async def test_browser_stops_where_reconnecting_cannot_help(
    chromium: Browser, tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, MAX_CONNECTIONS_PER_USER=1) as cluster:
        url, ann = cluster.nodes[0].url, await cluster.user("ann")
        assert await first_fault(chromium, url, ann, "") == 2  # a token that is no token
        async with event_stream(f"{url}/sse/me", ann.token):
            assert await first_fault(chromium, url, ann, ann.token) == 0  # too many streams: it comes back


async def first_fault(chromium: Browser, url: str, user: User, token: str) -> int:
    """The `readyState` of an EventSource with this token at its first error: 0 reconnects, 2 has given up."""
    context = await chromium.new_context()
    await context.add_cookies([{"name": "access_token", "value": token or "nonsense", "url": url}])
    page = await context.new_page()
    await page.goto(f"{url}/livez")
    await page.evaluate(PAGE, "1")
    await until(page, "faults.length > 0")
    state: int = await page.evaluate("faults[0]")
    await context.close()
    return state


async def until(page: Page, expression: str) -> None:
    """Wait until this holds in the page."""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.1)
