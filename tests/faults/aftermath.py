"""What must be so again once all is healed, apart from the messages: every node is ready without a restart, its log
tells of no defect, and presence shows exactly who is connected."""

import asyncio
from collections.abc import Sequence

import httpx
import orjson

from tests.faults.people import Member
from tests.faults.rig import Place, Rig
from tests.faults.world import World

WITHIN_S = 30.0
"""Leases of dead nodes run out, and lost seats are asserted again, in less."""
POLL_S = 0.5
_NOISE = ("PoolConnectionHolder.release()", "timeout graceful shutdown exceeded")
"""asyncpg returns a connection in a task that is not awaited when its own timeout cuts a silent server; uvicorn
calls it an error that a request outlives its patience, as it must while the database is silent.
"""


async def look(world: World, rig: Rig, members: Sequence[Member], http: httpx.AsyncClient) -> None:
    """Note as oddities what is not as it should be."""
    for place in rig.places:
        await _look_at_node(world, place, http)
    of_chat: dict[int, list[Member]] = {}
    for member in members:
        of_chat.setdefault(member.chat, []).append(member)
    await asyncio.gather(*(_look_at_presence(world, chat, there, http) for chat, there in of_chat.items()))


async def _look_at_node(world: World, place: Place, http: httpx.AsyncClient) -> None:
    name = f"node {place.number}"
    try:
        answer = await http.get(f"http://127.0.0.1:{place.node.port}/readyz")
    except httpx.TransportError as error:
        world.odd(0, name, f"does not answer: {error!r}")
        return
    if answer.status_code != 200 or answer.json()["status"] != "ready":
        world.odd(0, name, f"is not ready again: {answer.text}")
    for line in place.node.log.splitlines():
        entry = orjson.loads(line) if line.startswith("{") else {}
        if entry.get("level") in {"error", "critical"} and not any(noise in entry["event"] for noise in _NOISE):
            world.odd(0, name, f"logged {entry['event']}: {entry.get('error', '')[-400:]}")


async def _look_at_presence(world: World, chat: int, members: Sequence[Member], http: httpx.AsyncClient) -> None:
    expected = {member.user.id for member in members if member.is_live}
    deadline = world.now + WITHIN_S
    while True:
        answer = await http.get(
            f"{world.url}/api/v1/chats/{chat}/presence",
            headers={"Authorization": f"Bearer {members[0].user.token}"},
        )
        found = {user["user_id"] for user in answer.json()["members"]} if answer.is_success else set()
        if found == expected:
            return
        if world.now > deadline:
            world.odd(chat, "presence", f"shows {sorted(found)}, and {sorted(expected)} are connected")
            return
        await asyncio.sleep(POLL_S)
