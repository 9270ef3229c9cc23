"""Edits, deletions, read positions and typing over HTTP."""

from typing import Any

import pytest

from gateway.interfaces.rate_limits import RateLimited
from storage.records import ChatKind
from tests.gateway.api.world import User, World, problem


def url(chat_id: int, message_id: int) -> str:
    return f"/api/v1/chats/{chat_id}/messages/{message_id}"


async def history(user: User, chat_id: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await user.http.get(f"/api/v1/chats/{chat_id}/messages")).json()["messages"]
    return messages


async def test_edit_replaces_text_and_returns_message(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    message_id = await world.say(ann, chat_id, "old")
    answer = await ann.http.patch(url(chat_id, message_id), json={"text": "new"})
    assert answer.status_code == 200
    edited = answer.json()
    assert (edited["id"], edited["text"], edited["is_edited"], edited["seq"]) == (message_id, "new", True, 2)
    (seen,) = await history(bob, chat_id)
    assert (seen["text"], seen["is_edited"]) == ("new", True)


async def test_retried_edit_stores_one_event(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    message_id = await world.say(ann, chat_id, "old")
    headers = {"Idempotency-Key": "e1"}
    first = await ann.http.patch(url(chat_id, message_id), json={"text": "new"}, headers=headers)
    second = await ann.http.patch(url(chat_id, message_id), json={"text": "new"}, headers=headers)
    assert first.json() == second.json()
    problem(await ann.http.patch(url(chat_id, message_id), json={"text": "x"}, headers=headers), 409, "id_reused")


async def test_edit_keeps_data_unless_it_has_its_own(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    posted = await ann.http.post(f"/api/v1/chats/{chat_id}/messages", json={"data": {"n": 1}})
    message_id = posted.json()["id"]
    assert (await ann.http.patch(url(chat_id, message_id), json={"text": "new"})).json()["data"] == {"n": 1}
    edited = (await ann.http.patch(url(chat_id, message_id), json={"text": "", "data": {"n": 2}})).json()
    assert (edited["text"], edited["data"]) == ("", {"n": 2})
    problem(await ann.http.patch(url(chat_id, message_id), json={"data": {"n": 3}}), 422, "empty_text")
    deleted = (await ann.http.delete(url(chat_id, message_id))).json()
    assert "data" not in deleted
    assert ["data" in message for message in await history(ann, chat_id)] == [False]


async def test_deletion_leaves_empty_message(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    message_id = await world.say(ann, chat_id, "secret")
    answer = await ann.http.delete(url(chat_id, message_id))
    assert (answer.status_code, answer.json()["text"], answer.json()["is_deleted"]) == (200, "", True)
    assert [message["text"] for message in await history(bob, chat_id)] == [""]


async def test_others_message_cannot_be_changed(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    message_id = await world.say(ann, chat_id, "mine")
    for user, status, code in ((bob, 403, "forbidden"), (eve, 404, "not_found")):
        problem(await user.http.patch(url(chat_id, message_id), json={"text": "x"}), status, code)
        problem(await user.http.delete(url(chat_id, message_id)), status, code)
    problem(await ann.http.patch(url(chat_id, message_id + 1), json={"text": "x"}), 404, "not_found")
    assert [message["text"] for message in await history(ann, chat_id)] == ["mine"]


@pytest.mark.parametrize(("body", "code"), [({}, "empty_text"), ({"text": "x" * 1001}, "text_too_long")])
async def test_edit_with_invalid_text_is_rejected(small_world: World, body: dict[str, str], code: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    message_id = await small_world.say(ann, chat_id, "old")
    problem(await ann.http.patch(url(chat_id, message_id), json=body), 422, code)


async def test_changes_beyond_the_limit_are_rejected(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    message_id = await world.say(ann, chat_id, "0")
    world.node.answer = RateLimited(6.5)
    for answer in (
        await ann.http.patch(url(chat_id, message_id), json={"text": "1"}),
        await ann.http.delete(url(chat_id, message_id)),
    ):
        problem(answer, 429, "rate_limited")
        assert answer.headers["retry-after"] == "7"


async def test_read_moves_position_forward_only(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    for text in ("a", "b", "c"):
        await world.say(ann, chat_id, text)
    target = f"/api/v1/chats/{chat_id}/read"
    assert (await bob.http.post(target, json={"seq": 2})).json() == {"chat_id": chat_id, "seq": 2, "unread": 1}
    assert (await bob.http.post(target, json={"seq": 1})).json() == {"chat_id": chat_id, "seq": 2, "unread": 1}
    assert (await bob.http.post(target, json={})).json() == {"chat_id": chat_id, "seq": 3, "unread": 0}


async def test_typing_is_published_for_members_only(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    assert (await ann.http.post(f"/api/v1/chats/{chat_id}/typing", json={})).status_code == 204
    problem(await eve.http.post(f"/api/v1/chats/{chat_id}/typing", json={}), 404, "not_found")
    assert world.node.typing == [(chat_id, ann.id, True)]


async def test_visitor_of_public_chat_neither_reads_nor_types(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    for action in ("read", "typing"):
        problem(await eve.http.post(f"/api/v1/chats/{chat_id}/{action}", json={}), 403, "forbidden")
