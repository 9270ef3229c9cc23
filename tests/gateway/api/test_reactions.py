"""Reactions over HTTP."""

from typing import Any
from urllib.parse import quote

import pytest

from gateway.interfaces.rate_limits import RateLimited
from storage.records import ChatKind
from tests.gateway.api.world import SHOP, User, World, problem


def url(chat_id: int, message_id: int, key: str = "👍") -> str:
    return f"/api/v1/chats/{chat_id}/messages/{message_id}/reactions/{quote(key, safe='')}"


async def history(user: User, chat_id: int, **query: int) -> list[dict[str, Any]]:
    answer = await user.http.get(f"/api/v1/chats/{chat_id}/messages", params=query)
    messages: list[dict[str, Any]] = answer.json()["messages"]
    return messages


async def test_added_reaction_is_counted_in_history(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    message_id = await world.say(ann, chat_id, "hello")
    answer = await bob.http.put(url(chat_id, message_id))
    expected = {"message_id": message_id, "key": "👍", "user_id": bob.id, "removed": False, "counts": {"👍": 1}}
    assert (answer.status_code, answer.json()) == (200, expected | {"seq": 2})
    assert (await ann.http.put(url(chat_id, message_id))).json()["counts"] == {"👍": 2}
    await ann.http.put(url(chat_id, message_id, "❤️"))
    (seen,) = await history(ann, chat_id)
    assert (seen["reactions"], seen["own_reactions"]) == ({"👍": 2, "❤️": 1}, ["👍", "❤️"])
    (seen,) = await history(bob, chat_id)
    assert (seen["reactions"], seen["own_reactions"]) == ({"👍": 2, "❤️": 1}, ["👍"])
    assert seen["sender"]["id"] == ann.id


async def test_page_of_events_names_each_reaction(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    message_id = await world.say(ann, chat_id, "hello")
    await bob.http.put(url(chat_id, message_id))
    await bob.http.delete(url(chat_id, message_id))
    first, added, removed = await history(ann, chat_id, after_seq=0)
    assert "reaction" not in first
    assert [one["seq"] for one in (first, added, removed)] == [1, 2, 3]
    for one, counts in ((added, {"👍": 1}), (removed, {})):
        assert (one["id"], one["sender"]["id"], one["text"]) == (message_id, ann.id, "hello")
        assert one["reaction"]["counts"] == counts
        assert "reactions" not in one, "there are none now"
    assert (removed["reaction"]["removed"], removed["reaction"]["user_id"]) == (True, bob.id)


async def test_repeated_call_changes_nothing(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    message_id = await world.say(ann, chat_id, "hello")
    for method, counts in (("PUT", {"👍": 1}), ("DELETE", {})):
        first = await ann.http.request(method, url(chat_id, message_id))
        again = await ann.http.request(method, url(chat_id, message_id))
        assert (first.status_code, again.status_code, again.json()["counts"]) == (200, 200, counts)
        assert again.json() == {name: value for name, value in first.json().items() if name != "seq"}
    assert len(await history(ann, chat_id, after_seq=0)) == 3


async def test_service_reacts_for_a_user_without_limit(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    message_id = await world.say(ann, chat_id, "hello")
    answer = await world.http.put(url(chat_id, message_id), headers=SHOP | {"X-On-Behalf-Of": str(ann.id)})
    assert (answer.status_code, answer.json()["user_id"], world.node.is_limited) == (200, ann.id, False)
    problem(await world.http.put(url(chat_id, message_id), headers=SHOP), 422, "invalid_field")


async def test_only_members_react(world: World, ann: User, eve: User) -> None:
    chat_id, open_chat = await world.chat(ann), await world.chat(ann, kind=ChatKind.PUBLIC)
    message_id, open_message = await world.say(ann, chat_id, "a"), await world.say(ann, open_chat, "b")
    for method in ("PUT", "DELETE"):
        problem(await eve.http.request(method, url(chat_id, message_id)), 404, "not_found")
        problem(await eve.http.request(method, url(open_chat, open_message)), 403, "forbidden")
        problem(await ann.http.request(method, url(chat_id, open_message)), 404, "not_found")


async def test_limits_are_rejected(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    message_id = await world.say(ann, chat_id, "hello")
    for key in "abcde":
        assert (await ann.http.put(url(chat_id, message_id, key))).status_code == 200
    problem(await ann.http.put(url(chat_id, message_id, "f")), 409, "reaction_limit")
    world.node.answer = RateLimited(6.5)
    answer = await ann.http.put(url(chat_id, message_id, "a"))
    problem(answer, 429, "rate_limited")
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("key", ["/", "a/b", "%", "?#&", "👩‍👩‍👧‍👦", "...", "x" * 32, "\u0301"])
async def test_key_is_percent_encoded(small_world: World, key: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    message_id = await small_world.say(ann, chat_id, "hello")
    assert (await ann.http.put(url(chat_id, message_id, key))).json()["counts"] == {key: 1}


@pytest.mark.parametrize("key", ["x" * 33, "a\nb", "\x00", " ", "\u200b", "\x9f"])
async def test_invalid_key_is_rejected(small_world: World, key: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    message_id = await small_world.say(ann, chat_id, "hello")
    problem(await ann.http.put(url(chat_id, message_id, key)), 422, "invalid_field")
