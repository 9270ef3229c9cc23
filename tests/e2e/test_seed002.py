"""Seed 002 along its Postman steps: a token for a room, two listeners over two replicas, a message for the room."""

import asyncio
import base64
import time
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.seed002 import TIMEOUT_S, documented, listen, new_token
from tests.e2e.system import System


async def refusal(url: str, token: str, room_id: str = "room1") -> tuple[int, str]:
    """The status and the reason's code."""
    with pytest.raises(InvalidStatus) as refused:
        await listen(url, token, room_id)
    return refused.value.response.status_code, orjson.loads(refused.value.response.body or b"")["code"]


def claims_of(token: str) -> dict[str, Any]:
    """What the token says."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


async def test_token_has_documented_claims_for_one_hour(system: System) -> None:
    claims = claims_of(await new_token(system.url))
    asked = documented("1. Создание токена", 0)
    assert {name: claims[name] for name in asked} == asked
    assert abs(claims["exp"] - time.time() - 3600) < 60


async def test_message_reaches_every_listener_of_the_room(system: System) -> None:
    one, other = system.replica_urls[:2]
    first = await listen(one, await new_token(system.url))
    again = await listen(other, await new_token(system.url))
    second = await listen(other, await new_token(system.url, username="user2"))
    elsewhere = await listen(one, await new_token(system.url, room_id="room2"), "room2")
    message = documented("4. Отправка сообщений", 0)
    async with httpx.AsyncClient(base_url=one) as http:
        answer = await http.post("/message", json=message)
        assert (answer.status_code, answer.json()) == (200, documented("4. Отправка сообщений", 1))
        for socket in (first, again, second):
            heard = orjson.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S))
            assert list(heard)[:2] == list(message)
            assert {name: heard[name] for name in message} == message
        await http.post("/message", json=message | {"room_id": "room2"})
    assert orjson.loads(await asyncio.wait_for(elsewhere.recv(), TIMEOUT_S))["room_id"] == "room2"
    for socket in (first, again, second, elsewhere):
        await socket.close()


async def test_message_for_room_without_listeners_is_stored(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.url) as http:
        answer = await http.post("/message", json={"room_id": "empty", "content": "anyone?"})
    assert answer.json() == {"status": "Message sent to room: empty"}
    token = await new_token(system.url, room_id="empty")
    socket = await connect(f"{system.url.replace('http', 'ws', 1)}/updates/empty?since=0&token={token}", proxy=None)
    assert orjson.loads(await asyncio.wait_for(socket.recv(), TIMEOUT_S))["content"] == "anyone?"
    await socket.close()


async def test_bad_token_and_third_user_are_rejected_with_a_reason(system: System) -> None:
    token = await new_token(system.url)
    head, _, signature = token.split(".")
    forged = base64.urlsafe_b64encode(orjson.dumps(claims_of(token) | {"room_id": "room2"})).rstrip(b"=").decode()
    assert await refusal(system.url, "nonsense") == (401, "unauthorized")
    assert await refusal(system.url, f"{head}.{forged}.{signature}", "room2") == (401, "unauthorized")
    assert await refusal(system.url, token, "room2") == (403, "forbidden")
    sockets = [await listen(url, token) for url in system.replica_urls]
    sockets.append(await listen(system.url, await new_token(system.url, username="user2")))
    third = await new_token(system.url, username="user3")
    for url in system.replica_urls:
        assert await refusal(url, third) == (409, "room_full")
    for socket in sockets:
        await socket.close()
