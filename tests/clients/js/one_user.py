"""A JavaScript client whose application gets the token of another user, in any runtime."""

import asyncio

import httpx
import pytest

from tests.node.js_client import JsError, NodeProcess
from tests.support.cluster import Cluster


async def client_is_of_one_user(cluster: Cluster, url: str, node: NodeProcess) -> None:
    """It closes, and what the first user has written is not sent."""
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    client = await node.client("shared", url, [ann.token, bob.token])
    await client.when("client", lambda client: client["state"] == "live")
    await client.do("use", "suspend")
    sending = asyncio.ensure_future(client.act(chat, "send", "I am Ann"))
    await client.do("use", "resume")
    told = await client.when("client", lambda client: client["state"] == "closed" or client["me"]["id"] == bob.id)
    assert (told["closeCode"], told["me"]["id"]) == (4401, ann.id)
    await client.do("use", "close")
    with pytest.raises(JsError):
        await sending
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {bob.token}"}) as http:
        assert (await http.get(f"/api/v1/chats/{chat}/messages")).json()["messages"] == []
