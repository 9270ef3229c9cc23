"""Rights over two nodes: the limit of strangers, and a bar of the public channel."""

from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.cluster import run_cluster

KEY = "a-key-of-bank-3f9a2c71e5"
BANK = {"X-Service-Key": KEY}


async def test_strangers_are_counted_over_all_nodes(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with (
        run_cluster(tmp_path, redis_url, sqlite_url, STRANGERS_PER_MINUTE=3) as cluster,
        httpx.AsyncClient() as http,
    ):
        eve, others = await cluster.user("eve"), [await cluster.user() for _ in range(5)]
        statuses = []
        for number, other in enumerate(others):
            url = f"{cluster.nodes[number % 2].url}/api/v1/chats"
            body = {"kind": "direct", "members": [{"user_id": other.id}]}
            answer = await http.post(url, json=body, headers=eve.headers)
            statuses.append(answer.status_code)
        assert statuses == [201, 201, 201, 429, 429]
        metrics = [(await http.get(f"{node.url}/metrics")).text for node in cluster.nodes]
        limited = [float(text.partition("\nchat_gateway_strangers_limited_total ")[2].split()[0]) for text in metrics]
        assert sum(limited) == 2


async def test_user_removed_from_public_channel_stays_out(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    settings = {"SERVICE_KEYS": f"bank:{KEY}:chats"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster, httpx.AsyncClient() as http:
        eve = await cluster.user("eve")
        client = await cluster.open(0, "/channels/public", eve.token)
        chat_id = (await client.next("caught_up"))["chat_id"]
        base = f"{cluster.nodes[1].url}/api/v1/chats/{chat_id}"
        assert (await http.delete(f"{base}/members/{eve.id}", headers=BANK)).status_code == 204
        assert (await client.closed())[0] == 4403
        for node in (0, 1):
            with pytest.raises(InvalidStatus) as rejected:
                await cluster.open(node, "/channels/public", eve.token)
            assert rejected.value.response.status_code == 403
        assert (await http.delete(f"{base}/bars/{eve.id}", headers=BANK)).status_code == 204
        await (await cluster.open(1, "/channels/public", eve.token)).next("caught_up")
