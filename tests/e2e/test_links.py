"""Seed 003's links: their URLs, their users and single use."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.system import System
from tests.support.cluster import Cluster, run_cluster

PASSWORD = "a long enough passphrase"
CHANNELS = [("/echo_ws", "/channels/echo"), ("/pub_ws", "/channels/public")]


async def test_new_user_registers_and_uses_echo_link_and_history(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.url, trust_env=False) as http:
        account = {"login": "newcomer", "password": PASSWORD}
        assert (await http.post("/register", json=account)).status_code == 201
        token = (await http.post("/login", json=account)).json()["access_token"]
        http.cookies.clear()
        assert (await http.get("/echo_ws")).status_code == 401
        http.headers["Authorization"] = f"Bearer {token}"
        link = (await http.get("/echo_ws")).json()["url"]
        assert link.startswith(f"ws://{urlsplit(system.url).netloc}/channels/echo?token=")
        assert token not in link
        async with connect(link, proxy=None) as socket:
            for text in ("Привет", "эхо"):
                await socket.send(text)
                assert await asyncio.wait_for(socket.recv(), 10) == text
        answer = (await http.get("/history", params={"limit": 3})).json()
        assert [(m["direction"], m["text"]) for m in answer["messages"]] == [
            ("in", "Привет"),
            ("out", "Привет"),
            ("in", "эхо"),
        ]
        rest = (await http.get("/history", params={"after": answer["next"]})).json()
        assert [(m["direction"], m["text"]) for m in rest["messages"]] == [("out", "эхо")]
        assert rest["next"] is None


async def links(cluster: Cluster, **headers: str) -> list[str]:
    """Both links, as asked for with these headers."""
    ann = await cluster.user("ann")
    asked = {name.replace("_", "-"): value for name, value in headers.items()} | ann.headers
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=asked, trust_env=False) as http:
        return [(await http.get(path)).json()["url"] for path, _ in CHANNELS]


async def test_link_opens_one_socket_on_any_node(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url) as cluster:
        for link in await links(cluster):
            parts = urlsplit(link)
            elsewhere = link.replace(parts.netloc, f"127.0.0.1:{cluster.nodes[1].port}")
            async with connect(elsewhere, proxy=None):
                pass
            for used in (link, elsewhere):
                with pytest.raises(InvalidStatus) as refusal:
                    await connect(used, proxy=None)
                assert refusal.value.response.status_code == 401


async def test_link_uses_requested_host_and_ignores_untrusted_headers(
    tmp_path: Path, redis_url: str, sqlite_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1) as cluster:
        found = await links(cluster, Host="chat.example:81", X_Forwarded_Proto="https", X_Forwarded_Host="evil.example")
        for link, (_, path) in zip(found, CHANNELS, strict=True):
            assert link.startswith(f"ws://chat.example:81{path}?token=")


async def test_link_is_wss_behind_trusted_tls_proxy(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, TRUSTED_PROXIES="127.0.0.1") as cluster:
        for link in await links(cluster, Host="chat.example", X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9"):
            assert link.startswith("wss://chat.example/channels/")


@pytest.mark.parametrize("proto", ["https,http", "HTTPS", "wss"])
async def test_link_is_wss_for_every_form_of_forwarded_proto(
    tmp_path: Path, redis_url: str, sqlite_url: str, proto: str
) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, TRUSTED_PROXIES="127.0.0.1") as cluster:
        for link in await links(cluster, Host="chat.example", X_Forwarded_Proto=proto):
            assert link.startswith("wss://chat.example/channels/")


async def test_link_uses_configured_public_url(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, PUBLIC_URL="https://a.example/chat/") as cluster:
        for link, (_, path) in zip(await links(cluster, Host="inside"), CHANNELS, strict=True):
            assert link.startswith(f"wss://a.example/chat{path}?token=")
