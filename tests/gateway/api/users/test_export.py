"""Exports of what is stored of a user."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from storage.errors import StorageUnavailable
from storage.records import EventKind, NewEvent
from storage.repositories.auth.login_sessions import LoginSessions
from storage.repositories.contacts import ContactRepository
from storage.repositories.users import exports
from tests.gateway.api.world import BANK, SHOP, User, World, problem


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in answer.text.splitlines()]


def of_type(kind: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == kind]


async def said(world: World, event: NewEvent) -> int:
    """The id of the message of a stored event."""
    stored: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    world.log.submit(event, stored.set_result)
    message_id: int = (await stored).event.message_id
    return message_id


async def test_export_has_everything_of_the_user_and_nothing_of_others(world: World, ann: User, bob: User) -> None:
    chat_id, left = await world.chat(ann, bob), await world.chat(bob, ann)
    mine = await said(world, NewEvent(chat_id, ann.person, "m1", EventKind.MESSAGE, "mine", data='{"n":1}'))
    theirs = await said(world, NewEvent(chat_id, bob.person, "m2", EventKind.MESSAGE, "theirs"))
    await said(world, NewEvent(chat_id, ann.person, "m3", EventKind.EDIT, "mine, edited", mine))
    await said(world, NewEvent(chat_id, ann.person, "m4", EventKind.REACTION, "+x", theirs))
    await said(world, NewEvent(left, ann.person, "m5", EventKind.MESSAGE, "before I left"))
    await world.chats.remove_member(left, ann.id, ann.id)
    await ContactRepository(world.database).block(ann.id, bob.id)
    await LoginSessions(world.database).add(ann.id, "s1", "secret-of-ann", "digest-of-ann", 5, 10**10, "phone")

    answer = await ann.http.get("/api/v1/me/export")
    lines = lines_of(answer)
    assert (lines[0]["type"], lines[0]["user_id"], lines[0]["username"]) == ("profile", ann.id, "ann")
    assert [(chat["id"], chat["role"]) for chat in of_type("chat", lines)] == [(chat_id, "member"), (left, None)]
    messages = {line["message_id"]: line for line in of_type("message", lines)}
    assert {message["text"] for message in messages.values()} == {"mine, edited", "before I left"}
    assert (messages[mine]["data"], messages[mine]["is_edited"]) == ({"n": 1}, True)
    (reaction,) = of_type("reaction", lines)
    assert (reaction["message_id"], reaction["key"], reaction["removed"]) == (theirs, "x", False)
    assert of_type("block", lines) == [{"type": "block", "user_id": bob.id}]
    (session,) = of_type("session", lines)
    assert (session["created_at"], session["user_agent"]) == (5, "phone")
    assert lines[-1] == {"type": "end", "lines": len(lines) - 1}
    assert "theirs" not in answer.text
    assert "secret-of-ann" not in answer.text
    assert "digest-of-ann" not in answer.text
    by_service = await world.http.get(f"/api/v1/users/{ann.id}/export", headers=BANK)
    assert by_service.text == answer.text


async def test_long_export_is_read_page_by_page(world: World, ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_CHATS", "_EVENTS", "_BLOCKS"):
        monkeypatch.setattr(exports, name, getattr(exports, name).replace(f"LIMIT {exports.PAGE}", "LIMIT 2"))
    for _ in range(3):
        chat_id = await world.chat(ann)
        for number in range(5):
            await said(world, NewEvent(chat_id, ann.person, f"m{number}", EventKind.MESSAGE, "x"))
    lines = lines_of(await ann.http.get("/api/v1/me/export"))
    assert (len(of_type("chat", lines)), len(of_type("message", lines))) == (3, 15)


async def test_user_has_one_export_at_a_time(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await small_world.user("ann"), await small_world.user("bob")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def sessions(_: exports.Exports, user_id: int) -> list[dict[str, Any]]:
        if user_id == ann.id:
            begun.set()
            await go_on.wait()
        return []

    monkeypatch.setattr(exports.Exports, "sessions", sessions)
    first = asyncio.create_task(ann.http.get("/api/v1/me/export"))
    await begun.wait()
    problem(await ann.http.get("/api/v1/me/export"), 429, "rate_limited")
    assert of_type("end", lines_of(await bob.http.get("/api/v1/me/export")))
    go_on.set()
    assert of_type("end", lines_of(await first))
    assert of_type("end", lines_of(await ann.http.get("/api/v1/me/export")))


async def test_export_without_database_has_no_end(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await small_world.user("ann")

    async def blocks(*_: object) -> list[int]:
        raise StorageUnavailable

    monkeypatch.setattr(exports.Exports, "blocks", blocks)
    assert [line["type"] for line in lines_of(await ann.http.get("/api/v1/me/export"))] == ["profile"]


async def test_export_of_others_is_for_services_with_the_scope(small_world: World) -> None:
    ann, bob = await small_world.user("ann"), await small_world.user("bob")
    for headers in ({}, SHOP):
        problem(await ann.http.get(f"/api/v1/users/{bob.id}/export", headers=headers), 403, "forbidden")
    problem(await small_world.http.get("/api/v1/users/999/export", headers=BANK), 404, "not_found")
    problem(await small_world.http.get("/api/v1/me/export"), 401, "unauthorized")
