"""Histories are compressed on the way to clients that ask for it; a response with a ticket is not."""

from pathlib import Path

import httpx

from tests.support.cluster import run_cluster


async def test_history_is_compressed_and_ticket_is_not(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, url = await cluster.user("ann"), cluster.nodes[0].url
        chat = await cluster.chat(ann)
        client = await cluster.enter(0, chat, ann)
        for number in range(20):
            await client.say(f"{number}: " + "x" * 100)
        headers = ann.headers | {"Accept-Encoding": "gzip"}
        async with httpx.AsyncClient(headers=headers) as http:
            async with http.stream("GET", f"{url}/api/v1/chats/{chat}/messages") as history:
                packed = b"".join([part async for part in history.aiter_raw()])
            assert history.headers["content-encoding"] == "gzip"
            assert set(history.headers["vary"].split(", ")) == {"Origin", "Accept-Encoding"}
            assert int(history.headers["content-length"]) == len(packed)
            plain = await http.get(f"{url}/api/v1/chats/{chat}/messages", headers={"Accept-Encoding": "identity"})
            unpacked = await http.get(f"{url}/api/v1/chats/{chat}/messages")
            assert unpacked.json() == plain.json()
            assert len(packed) * 4 < len(plain.content)
            ticket = await http.get(f"{url}/echo_ws")
            assert (ticket.status_code, "content-encoding" in ticket.headers) == (200, False)
