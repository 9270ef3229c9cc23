"""Seed 002's calls, as its document shows them."""

from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.seeds.extract import code_blocks, seed_text

TIMEOUT_S = 30


def documented(heading: str, place: int) -> dict[str, Any]:
    """The JSON of that place among the blocks under a heading of the seed."""
    blocks = [block for block in code_blocks(seed_text(2)) if heading in block.heading]
    fields: dict[str, Any] = orjson.loads(blocks[place].code)
    return fields


async def new_token(url: str, **changes: str) -> str:
    """Step 1: a token for the seed's user in the seed's room, or for another."""
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.post("/generate-token", json=documented("1. Создание токена", 0) | changes)
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == documented("1. Создание токена", 1).keys() == {"token"}
    return str(answer.json()["token"])


async def listen(url: str, token: str, room_id: str = "room1") -> ClientConnection:
    """Step 2: a socket with the token in its header."""
    headers = {"Authorization": f"Bearer {token}"}
    return await connect(f"{url.replace('http', 'ws', 1)}/updates/{room_id}", additional_headers=headers, proxy=None)
