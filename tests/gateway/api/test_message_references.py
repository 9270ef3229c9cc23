"""Replies and mentions over HTTP."""

from typing import Any

import pytest

from tests.gateway.api.world import User, World, problem


def url(chat_id: int) -> str:
    return f"/api/v1/chats/{chat_id}/messages"


async def say(user: User, chat_id: int, **body: object) -> dict[str, Any]:
    answer = await user.http.post(url(chat_id), json={"text": "Hi"} | body)
    assert answer.status_code == 201, answer.text
    message: dict[str, Any] = answer.json()
    return message


async def page(user: User, chat_id: int, **query: int) -> list[dict[str, Any]]:
    answer = await user.http.get(url(chat_id), params=query)
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def test_reply_shows_its_target_and_is_counted(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    target = await say(ann, chat_id, text="Lunch?")
    other = await say(ann, chat_id, text="Dinner?")
    replies = [await say(bob, chat_id, text=str(number), reply_to=target["id"]) for number in range(3)]
    assert replies[0]["reply_to"] == {"id": target["id"], "sender": target["sender"], "text": "Lunch?"}
    assert "reply_to" not in other
    assert await page(ann, chat_id) == [target | {"reply_count": 3}, other, *replies]
    assert await page(ann, chat_id, reply_to=target["id"]) == replies
    assert await page(ann, chat_id, reply_to=target["id"], limit=1) == replies[2:]
    assert await page(ann, chat_id, reply_to=target["id"], before_seq=replies[2]["seq"], limit=1) == replies[1:2]
    assert await page(ann, chat_id, reply_to=other["id"]) == []
    assert (await page(ann, chat_id, after_seq=0))[0] == target


async def test_reply_to_a_message_of_another_chat_is_rejected(world: World, ann: User, bob: User) -> None:
    chat_id, other = await world.chat(ann, bob), await world.chat(ann)
    message = await say(ann, other)
    body = {"text": "Hi", "reply_to": message["id"]}
    problem(await bob.http.post(url(chat_id), json=body), 422, "invalid_field")
    assert await page(ann, chat_id) == []
    assert await page(bob, chat_id, reply_to=message["id"]) == []


async def test_only_members_are_mentioned(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    message = await say(ann, chat_id, mentions=[eve.id, bob.id, bob.id])
    assert message["mentions"] == [bob.id]
    assert await page(bob, chat_id) == [message]
    assert "mentions" not in await say(ann, chat_id, mentions=[eve.id])
    assert "mentions" not in await say(ann, chat_id, mentions=[])


@pytest.mark.parametrize(
    "body", [{"reply_to": 0}, {"reply_to": "1"}, {"mentions": [0]}, {"mentions": [1] * 51}, {"mentions": 1}], ids=str
)
async def test_invalid_reference_is_rejected(small_world: World, body: dict[str, object]) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    problem(await ann.http.post(url(chat_id), json={"text": "Hi"} | body), 422, "invalid_field")


async def test_events_are_not_selected_by_what_they_reply_to(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    problem(await ann.http.get(url(chat_id), params={"after_seq": 0, "reply_to": 1}), 422, "invalid_field")
