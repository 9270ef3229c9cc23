"""A token that is missing, invalid, expired or of a missing user opens no URL that needs one, as the seeds require."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from auth.tokens.access_tokens import GUEST_LIFETIME_S, GuestIssuer, Issuer, TokenNames
from storage.records import ChatKind
from tests.support.cluster import Cluster, User, run_cluster

ROOM = "room1"
AGO_S = 60
"""Longer than the clocks of two machines may differ."""
KINDS = {"chat": ChatKind.GROUP, "service-chats": ChatKind.SERVICE, "support-chats": ChatKind.SUPPORT}
FAMILIES = [*KINDS, "updates", "echo", "public"]


@dataclass(frozen=True)
class World:
    """A node, and for each URL family the path that a good token opens."""

    cluster: Cluster
    ann: User
    paths: dict[str, str]

    async def user_token(self, user_id: int, lifetime_s: int) -> str:
        """A token of ours for a user, good for so long from now."""
        key = await self.cluster.keys.signing_key()
        return Issuer(TokenNames(), lifetime_s).issue(key, user_id, self.ann.person.username)

    async def guest_token(self, ago_s: float) -> str:
        """A guest's for the room, as it was issued so long ago."""
        issuer = GuestIssuer(TokenNames(), now=lambda: time.time() - ago_s)
        return issuer.issue(await self.cluster.keys.signing_key(), "user1", "user1@example.com", ROOM)

    async def unusable(self, family: str) -> dict[str, str | None]:
        """Every kind of token that must not open it."""
        tokens: dict[str, str | None] = {"none": None, "nonsense": "nonsense"}
        if family == "updates":
            expired, good = await self.guest_token(GUEST_LIFETIME_S + AGO_S), await self.guest_token(0)
        else:
            expired, good = await self.user_token(self.ann.id, -AGO_S), self.ann.token
            tokens["of nobody"] = await self.user_token(999_999, 600)
        head, payload, signature = good.split(".")
        return tokens | {"expired": expired, "forged": f"{head}.{payload}.{signature[::-1]}"}


@pytest.fixture
async def world(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[World]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, LOG_FORMAT="json") as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        paths = {"updates": f"/updates/{ROOM}", "echo": "/channels/echo", "public": "/channels/public"}
        for family, kind in KINDS.items():
            paths[family] = f"/ws/{family}/{await cluster.chat(ann, bob, kind=kind)}"
        yield World(cluster, ann, paths)


@pytest.mark.parametrize("family", FAMILIES)
async def test_unusable_token_opens_no_socket(world: World, family: str) -> None:
    node = world.cluster.nodes[0]
    url = node.ws_url(world.paths[family])
    good = await world.guest_token(0) if family == "updates" else world.ann.token
    async with connect(url, additional_headers={"Authorization": f"Bearer {good}"}, proxy=None):
        pass
    tokens = await world.unusable(family)
    for kind, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == 401, kind
        async with connect(url, additional_headers=headers, origin=Origin(node.url), proxy=None) as page:
            await asyncio.wait_for(page.wait_closed(), 30)
            assert page.close_code == 4401, kind
    logged = [entry for entry in map(orjson.loads, node.log.splitlines()) if entry["event"] == "refused"]
    assert [entry["code"] for entry in logged] == ["unauthorized"] * (2 * len(tokens))
    assert not [token for token in tokens.values() if token and token != "nonsense" and token in node.log]


@pytest.mark.parametrize("path", ["/echo_ws", "/pub_ws", "/history"])
async def test_unusable_token_gets_no_link_or_history(world: World, path: str) -> None:
    async with httpx.AsyncClient(base_url=world.cluster.nodes[0].url, trust_env=False) as http:
        assert (await http.get(path, headers=world.ann.headers)).status_code == 200
        for kind, token in (await world.unusable("echo")).items():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await http.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), kind
