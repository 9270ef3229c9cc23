"""Seed 002 over two nodes: rooms for at most two guests, who receive messages from the queue."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
import redis
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from storage.database.database import open_database
from storage.log.chat_log import StoredChatLog, open_chat_log
from storage.records import SYSTEM, Committed, EventKind, NewEvent, Outcome
from storage.repositories.rooms import RoomRepository
from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, run_cluster
from tests.support.servers import RedisServer


class Writer:
    """What the queue's consumer does: stores messages in rooms."""

    def __init__(self, rooms: RoomRepository, log: StoredChatLog) -> None:
        self._rooms = rooms
        self._log = log

    async def say(self, room_id: str, text: str) -> int:
        """Store a message of the queue's; its seq."""
        room = await self._rooms.room(room_id)
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        id_ = f"{time.monotonic_ns()}"
        self._log.submit(NewEvent(room.chat_id, SYSTEM, id_, EventKind.MESSAGE, text), outcome.set_result)
        committed = await outcome
        assert isinstance(committed, Committed)
        return committed.event.seq


@pytest.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_server.url, database_url) as cluster:
        yield cluster


@pytest.fixture
async def writer(cluster: Cluster, database_url: str) -> AsyncIterator[Writer]:
    """Writes only to the store; the nodes find the message by their position check."""
    async with open_database(database_url) as database, open_chat_log(database) as log:
        yield Writer(RoomRepository(database), log)


async def enter(cluster: Cluster, node: int, username: str, room_id: str = "room1", **query: object) -> ChatClient:
    token = await cluster.guest_token(username, room_id)
    return await cluster.open(node, f"/updates/{quote(room_id)}", token, **query)


async def refused_code(cluster: Cluster, node: int, username: str, room_id: str = "room1") -> str:
    with pytest.raises(InvalidStatus) as refused:
        await enter(cluster, node, username, room_id)
    problem = orjson.loads(refused.value.response.body or b"")
    assert problem["status"] == refused.value.response.status_code
    return str(problem["code"])


async def messages(client: ChatClient, count: int) -> list[Frame]:
    return await client.until(lambda frames: len([frame for frame in frames if "content" in frame]) >= count)


async def test_room_message_reaches_only_guests_of_that_room(cluster: Cluster, writer: Writer) -> None:
    ann, bob = await enter(cluster, 0, "ann"), await enter(cluster, 1, "bob")
    elsewhere = await enter(cluster, 0, "ann", "room2")
    await writer.say("room1", "Hello, Room!")
    await writer.say("room2", "elsewhere")
    for guest in (ann, bob):
        [heard] = await messages(guest, 1)
        assert list(heard)[:2] == ["room_id", "content"]
        assert (heard["room_id"], heard["content"], heard["seq"]) == ("room1", "Hello, Room!", 1)
    assert [frame["content"] for frame in await messages(elsewhere, 1)] == ["elsewhere"]


async def test_third_guest_is_rejected_and_first_two_may_reconnect(cluster: Cluster) -> None:
    first, _ = await enter(cluster, 0, "ann"), await enter(cluster, 1, "bob")
    for node in (0, 1):
        assert await refused_code(cluster, node, "eve") == "room_full"
        await enter(cluster, node, "ann")
        await enter(cluster, node, "bob")
    token, own = await cluster.guest_token("eve", "room1"), cluster.nodes[0]
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(own.ws_url("/updates/room1"), additional_headers=headers, origin=own.url, proxy=None) as page:
        await asyncio.wait_for(page.wait_closed(), 30)
        assert (page.close_code, page.close_reason) == (4410, "The room is full: 2 others are connected.")
    await enter(cluster, 0, "eve", "room2")
    assert first.socket.close_code is None


async def test_seat_is_freed_with_last_socket_of_its_guest(cluster: Cluster) -> None:
    sockets = [await enter(cluster, node, "ann") for node in (0, 1)]
    await enter(cluster, 0, "bob")
    await sockets[0].close()
    assert await refused_code(cluster, 0, "eve") == "room_full"
    await sockets[1].close()
    async with asyncio.timeout(10):
        while True:
            try:
                await enter(cluster, 1, "eve")
                break
            except InvalidStatus:
                await asyncio.sleep(0.05)
    assert await refused_code(cluster, 0, "ann") == "room_full"


async def test_concurrent_guests_are_admitted_up_to_two(cluster: Cluster) -> None:
    async def attempt(number: int) -> int | None:
        try:
            await enter(cluster, number % 2, f"guest{number // 2}")
        except InvalidStatus:
            return None
        return number // 2

    names = {name for name in await asyncio.gather(*map(attempt, range(20))) if name is not None}
    assert len(names) == 2


async def test_guest_admitted_after_redis_data_loss_is_closed(
    cluster: Cluster, redis_server: RedisServer, writer: Writer
) -> None:
    ann, bob = await enter(cluster, 0, "ann"), await enter(cluster, 0, "bob")
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    eve = await enter(cluster, 1, "eve")
    async with asyncio.timeout(30):
        await eve.socket.wait_closed()
    assert (eve.socket.close_code, eve.socket.close_reason) == (4410, "the room is full")
    await writer.say("room1", "still here")
    for guest in (ann, bob):
        await messages(guest, 1)


async def test_seats_of_killed_node_are_freed_within_its_lease(cluster: Cluster) -> None:
    await enter(cluster, 0, "ann")
    await enter(cluster, 1, "bob")
    cluster.nodes[0].kill()
    async with asyncio.timeout(25):
        while True:
            try:
                await enter(cluster, 1, "eve")
                break
            except InvalidStatus:
                await asyncio.sleep(0.5)
    assert await refused_code(cluster, 1, "carl") == "room_full"


async def test_since_replays_then_announces_caught_up(cluster: Cluster, writer: Writer) -> None:
    for number in range(5):
        await writer.say("room1", f"m{number}")
    late = await enter(cluster, 0, "ann")
    back = await enter(cluster, 1, "bob", since=2)
    caught_up = await back.until(lambda frames: any(frame.get("type") == "caught_up" for frame in frames))
    assert [frame.get("seq") for frame in caught_up] == [3, 4, 5, 5]
    await writer.say("room1", "live")
    assert [frame["content"] for frame in (await messages(back, 4)) if "content" in frame][-1] == "live"
    assert [frame["content"] for frame in await messages(late, 1)] == ["live"]


async def test_guest_input_is_ignored_and_abuse_closes_socket(cluster: Cluster) -> None:
    ann, bob = await enter(cluster, 0, "ann"), await enter(cluster, 1, "bob")
    for frame in (
        "hello",
        "{",
        '{"type":"ping"}',
        '{"type":"message","text":"a"}',
        '{"room_id":"room1","content":"a"}',
    ):
        await ann.send_raw(frame)
    for _ in range(200):
        await ann.send_raw("x")
    assert (await ann.closed())[0] == 4429
    assert ann.frames == bob.frames == []


@pytest.mark.parametrize("room_id", ["комната 1", "a/b", "a/", "?x=1#%", "a\r\nb"])
async def test_any_text_names_a_room(cluster: Cluster, writer: Writer, room_id: str) -> None:
    token = await cluster.guest_token("ann", room_id)
    for path in (f"/updates/{quote(room_id)}", f"/updates/{quote(room_id, safe='')}/"):
        await cluster.open(0, path, token)
    guest = await enter(cluster, 1, "bob", room_id)
    await writer.say(room_id, "a")
    assert (await messages(guest, 1))[0]["room_id"] == room_id


async def test_guest_token_opens_only_its_room_and_user_token_none(cluster: Cluster) -> None:
    async def status(path: str, token: str | None) -> int:
        with pytest.raises(InvalidStatus) as refused:
            await cluster.open(0, path, token)
        return refused.value.response.status_code

    guest, user = await cluster.guest_token("ann", "room1"), await cluster.user()
    for path in ("/updates/room2", "/updates/room1/x", "/updates/Room1"):
        assert await status(path, guest) == 403
    assert await status("/updates/room1", user.token) == 401
    assert await status("/updates/room1", None) == 401
    assert await status(f"/ws/chat/{await cluster.chat(user)}/", guest) == 401
    group = await cluster.chat(user)
    assert await status(f"/ws/service-chats/{group}", guest) == 401


@pytest.mark.parametrize("place", ["query", "subprotocol", "cookie"])
async def test_guest_token_is_accepted_in_every_place(cluster: Cluster, place: str) -> None:
    token, node = await cluster.guest_token("ann", "room1"), cluster.nodes[0]
    url = node.ws_url("/updates/room1")
    match place:
        case "query":
            socket = await connect(f"{url}?token={token}", proxy=None)
        case "subprotocol":
            socket = await connect(url, subprotocols=["bearer", token], proxy=None)
        case _:
            headers = {"Cookie": f"access_token={token}"}
            socket = await connect(url, additional_headers=headers, origin=node.url, proxy=None)
    await socket.close()
