"""Chats over HTTP."""

from typing import Any

import pytest

from storage.records import ChatKind
from tests.gateway.http.world import User, World, problem


def member(user: User, role: str = "member", read_seq: int = 0) -> dict[str, Any]:
    """The user as a member of a chat."""
    login = user.person.username
    names = {"username": login, "first_name": login.title(), "last_name": "Test"}
    return {"user_id": user.id, **names, "role": role, "read_seq": read_seq}


async def test_a_new_chat_has_its_creator_and_those_who_were_listed(ann: User, bob: User, eve: User) -> None:
    body = {"kind": "group", "title": "Tea ☕", "members": [{"user_id": bob.id}, {"login": "EVE"}], "colour": "ignored"}
    answer = await ann.http.post("/api/v1/chats", json=body)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    chat = answer.json()
    assert chat == {
        "id": chat["id"],
        "kind": "group",
        "title": "Tea ☕",
        "members": [member(ann), member(bob), member(eve)],
        "last_seq": 0,
    }
    for user in (ann, bob, eve):
        assert (await user.http.get(f"/api/v1/chats/{chat['id']}")).json() == chat


async def test_the_creator_may_list_itself_to_take_a_role(ann: User, bob: User) -> None:
    body = {"kind": "service", "members": [{"user_id": ann.id, "role": "client"}, {"user_id": bob.id}]}
    chat = (await ann.http.post("/api/v1/chats", json=body)).json()
    assert chat["members"] == [member(ann, "client"), member(bob, "master")]


async def test_a_second_direct_chat_of_the_same_two_is_the_first(ann: User, bob: User) -> None:
    first = await ann.http.post("/api/v1/chats", json={"kind": "direct", "members": [{"user_id": bob.id}]})
    second = await bob.http.post("/api/v1/chats", json={"kind": "direct", "members": [{"login": "ann"}]})
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "kind"),
        ({"kind": "party"}, "$.kind"),
        ({"kind": None}, "$.kind"),
        ({"kind": "group", "title": 7}, "$.title"),
        ({"kind": "group", "title": "x" * 201}, "$.title"),
        ({"kind": "group", "title": "a\x00b"}, "$.title"),
        ({"kind": "group", "title": "ab\x00\n"}, "$.title"),
        ({"kind": "group", "members": {}}, "$.members"),
        ({"kind": "group", "members": [7]}, "$.members[0]"),
        ({"kind": "group", "members": [{"user_id": "1"}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"user_id": 0}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"user_id": -1}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"user_id": 2**63}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"user_id": 10**40}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"user_id": True}]}, "$.members[0].user_id"),
        ({"kind": "group", "members": [{"login": ""}]}, "$.members[0].login"),
        ({"kind": "group", "members": [{"login": "a\x00nn"}]}, "$.members[0].login"),
        ({"kind": "group", "members": [{"login": "x" * 65}]}, "$.members[0].login"),
        ({"kind": "group", "members": [{"login": "ann", "role": "king"}]}, "$.members[0].role"),
        ({"kind": "group", "members": [{}]}, "either user_id or login"),
        ({"kind": "group", "members": [{"user_id": 1, "login": "ann"}]}, "either user_id or login"),
        ({"kind": "group", "members": [{"user_id": 1}] * 1001}, "$.members"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_field_that_cannot_be_is_named(small_world: World, body: dict[str, Any], named: str) -> None:
    ann = await small_world.user("ann")
    document = problem(await ann.http.post("/api/v1/chats", json=body), 422, "invalid_field")
    assert named in document["detail"]


async def test_members_who_cannot_be_are_refused_and_leave_no_chat(ann: User) -> None:
    for body, said in (
        ({"kind": "group", "members": [{"user_id": 2**63 - 1}]}, str(2**63 - 1)),
        ({"kind": "group", "members": [{"login": "nobody"}]}, "'nobody'"),
        ({"kind": "group", "members": [{"login": "ann", "role": "master"}]}, "members: in a group chat"),
        ({"kind": "direct"}, "members: a direct chat"),
    ):
        document = problem(await ann.http.post("/api/v1/chats", json=body), 422, "invalid_field")
        assert said in document["detail"]
    assert (await ann.http.get("/api/v1/chats")).json() == {"chats": []}


async def test_one_s_own_chats_are_listed_with_what_is_unread(world: World, ann: User, bob: User, eve: User) -> None:
    first = await world.chat(ann, bob, title="first")
    await world.chat(bob, eve, title="not Ann's")
    second = await world.chat(bob, ann, kind=ChatKind.DIRECT)
    message_id = await world.say(bob, first, "one")
    await world.say(bob, first, "two")
    await world.say(ann, first, "mine")
    await world.edit(bob, first, message_id, "one, edited")

    chats = (await ann.http.get("/api/v1/chats")).json()["chats"]
    assert [(chat["id"], chat["unread"], chat["last_seq"]) for chat in chats] == [(first, 2, 4), (second, 0, 0)]
    assert set(chats[0]) == {"id", "kind", "title", "members", "last_seq", "unread"}


async def test_a_chat_shows_every_member_s_read_position(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    for text in ("one", "two"):
        await world.say(ann, chat_id, text)
    await world.chats.mark_read(chat_id, bob.id, 2)
    members = (await ann.http.get(f"/api/v1/chats/{chat_id}")).json()["members"]
    assert members == [member(ann), member(bob, read_seq=2)]


async def test_what_one_may_not_see_is_not_told_from_what_is_not_there(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    hidden = await eve.http.get(f"/api/v1/chats/{chat_id}")
    absent = await eve.http.get(f"/api/v1/chats/{chat_id + 1000}")
    problem(hidden, 404, "not_found")
    assert (hidden.json(), dict(hidden.headers)) == (absent.json(), dict(absent.headers))


async def test_a_public_chat_is_seen_by_anyone_with_a_token(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    assert (await eve.http.get(f"/api/v1/chats/{chat_id}")).json()["members"] == [member(ann)]
    problem(await world.http.get(f"/api/v1/chats/{chat_id}"), 401, "unauthorized")
