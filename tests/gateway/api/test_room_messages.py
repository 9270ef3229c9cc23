"""`POST /message` of seed 002, written directly to the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.api.room_messages import RoomMessageRoutes
from gateway.errors import QueueUnavailable
from gateway.http.problems import HANDLERS
from gateway.interfaces.rooms import MAX_ROOM_NAME, RoomInbox, RoomMessage
from gateway.node.room_inbox import StoreInbox
from httpapi.service_keys import ServiceKeys
from storage.errors import StorageUnavailable
from storage.records import SYSTEM, ChatEvent, NewEvent, OnOutcome, Refusal
from storage.repositories.rooms import RoomRepository
from tests.gateway.api.world import MAX_TEXT, World, client_of, problem

KEY = "a-service-key-of-twenty-characters"
SEED = {"room_id": "room1", "content": "Hello, Room!"}


@asynccontextmanager
async def calling(world: World, inbox: RoomInbox, *, is_open: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    routes = RoomMessageRoutes(inbox, ServiceKeys([KEY]), world.metrics.clients, MAX_TEXT, is_open=is_open).routes()
    async with client_of(Starlette(routes=routes, exception_handlers=HANDLERS)) as http:
        yield http


def store_of(world: World) -> StoreInbox:
    return StoreInbox(RoomRepository(world.database), world.log)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(world, store_of(world)) as http:
        yield http


@pytest.fixture
async def small_http(small_world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with calling(small_world, store_of(small_world)) as http:
        yield http


async def log_of(world: World, name: str) -> list[ChatEvent]:
    room = await RoomRepository(world.database).room(name)
    return await world.log.events_after(room.chat_id, 0, 200)


async def test_seed_request_gets_seed_response_and_is_stored(http: httpx.AsyncClient, world: World) -> None:
    answer = await http.post("/message", json=SEED)
    assert (answer.status_code, answer.json()) == (200, {"status": "Message sent to room: room1"})
    (event,) = await log_of(world, "room1")
    assert (event.seq, event.text, event.sender) == (1, "Hello, Room!", SYSTEM)


async def test_every_post_is_a_new_message_without_minute_limit(http: httpx.AsyncClient, world: World) -> None:
    for number in range(30):
        assert (await http.post("/message", json={**SEED, "content": str(number)})).status_code == 200
    assert [event.text for event in await log_of(world, "room1")] == [str(number) for number in range(30)]


@pytest.mark.parametrize(
    "with_id", [{"json": {**SEED, "client_msg_id": "m-1"}}, {"headers": {"Idempotency-Key": "m-1"}}]
)
async def test_retry_with_same_id_is_stored_once(
    http: httpx.AsyncClient, world: World, with_id: dict[str, Any]
) -> None:
    call = {"json": SEED, **with_id}
    answers = await asyncio.gather(*(http.post("/message", **call) for _ in range(5)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert [event.client_msg_id for event in await log_of(world, "room1")] == ["m-1"]
    other = {**SEED, "content": "something else", "client_msg_id": "m-1"}
    problem(await http.post("/message", json=other), 409, "id_reused")
    assert (await http.post("/message", json={**other, "room_id": "room2"})).status_code == 200


async def test_unknown_keys_are_ignored(small_http: httpx.AsyncClient, small_world: World) -> None:
    answer = await small_http.post("/message", json={**SEED, "sender": "user1", "extra": {"a": [1]}})
    assert answer.status_code == 200
    assert len(await log_of(small_world, "room1")) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"content": "x"}, "invalid_field"),
        ({"room_id": 1, "content": "x"}, "invalid_field"),
        ({"room_id": "", "content": "x"}, "invalid_field"),
        ({"room_id": "a\0b", "content": "x"}, "invalid_field"),
        ({"room_id": "x" * (MAX_ROOM_NAME + 1), "content": "x"}, "invalid_field"),
        ({"room_id": "r"}, "empty_text"),
        ({"room_id": "r", "content": None}, "empty_text"),
        ({"room_id": "r", "content": " \n"}, "empty_text"),
        ({"room_id": "r", "content": "\u200b"}, "empty_text"),
        ({"room_id": "r", "content": {"a": 1}}, "empty_text"),
        ({"room_id": "r", "content": "x" * (MAX_TEXT + 1)}, "text_too_long"),
        ({"room_id": "r", "content": "a\0b"}, "invalid_text"),
        ({"room_id": "r", "content": "x", "client_msg_id": ""}, "invalid_field"),
        ({"room_id": "r", "content": "x", "client_msg_id": "x" * 65}, "invalid_field"),
        ({"room_id": "r", "content": "x", "client_msg_id": 7}, "invalid_field"),
        ([], "invalid_field"),
    ],
)
async def test_invalid_message_is_rejected_and_not_stored(
    small_http: httpx.AsyncClient, small_world: World, body: object, code: str
) -> None:
    problem(await small_http.post("/message", json=body), 422, code)
    assert await small_world.database.fetch("SELECT id FROM chat_log") == []


async def test_lone_surrogates_and_two_ids_are_rejected(small_http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (rb'{"room_id": "\ud800", "content": "x"}', rb'{"room_id": "r", "content": "\udfff"}'):
        problem(await small_http.post("/message", content=body, headers=headers), 422, "invalid_text")
    two = {**SEED, "client_msg_id": "a"}
    problem(await small_http.post("/message", json=two, headers={"Idempotency-Key": "b"}), 422, "invalid_field")
    assert (await small_http.post("/message", json=two, headers={"Idempotency-Key": "a"})).status_code == 200


async def test_post_without_open_access_needs_a_service_key(small_world: World) -> None:
    async with calling(small_world, store_of(small_world), is_open=False) as http:
        problem(await http.post("/message", json=SEED), 403, "forbidden")
        problem(await http.post("/message", json=SEED, headers={"X-Service-Key": KEY + "x"}), 403, "forbidden")
        assert await log_of(small_world, "room1") == []
        assert (await http.post("/message", json=SEED, headers={"X-Service-Key": KEY})).status_code == 200


class Inbox:
    """Does what the test says."""

    def __init__(self, result: Refusal | Exception) -> None:
        self._result = result

    async def accept(self, message: RoomMessage) -> Refusal | None:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


@pytest.mark.parametrize("result", [Refusal.UNAVAILABLE, StorageUnavailable("down"), QueueUnavailable("down")])
async def test_outage_is_503_with_retry_after(small_world: World, result: Refusal | Exception) -> None:
    async with calling(small_world, Inbox(result)) as http:
        answer = await http.post("/message", json=SEED)
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1


class Slow:
    """A store that answers when the test says so."""

    def __init__(self) -> None:
        self.submitted = asyncio.Event()
        self.done: OnOutcome | None = None

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        self.done = done
        self.submitted.set()


async def test_cancelled_caller_ignores_late_outcome(small_world: World) -> None:
    store = Slow()
    call = asyncio.create_task(
        StoreInbox(RoomRepository(small_world.database), store).accept(RoomMessage("r", "x", "id"))
    )
    await asyncio.wait_for(store.submitted.wait(), 10)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert store.done is not None
    store.done(Refusal.UNAVAILABLE)
