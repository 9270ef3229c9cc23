"""Chats over HTTP."""

from typing import Any

import pytest

from storage.records import ChatKind
from tests.gateway.api.world import User, World, problem


def member(user: User, role: str = "member", read_seq: int = 0) -> dict[str, Any]:
    """The user as a member of a chat."""
    login = user.person.username
    shown = {"display_name": f"{login.title()} Test", "avatar_url": ""}
    names = {"username": login, "first_name": login.title(), "last_name": "Test", **shown}
    return {"user_id": user.id, **names, "role": role, "read_seq": read_seq}


async def test_new_chat_has_creator_and_listed_members(ann: User, bob: User, eve: User) -> None:
    body = {"kind": "group", "title": "Tea ☕", "members": [{"user_id": bob.id}, {"login": "EVE"}]}
    answer = await ann.http.post("/api/v1/chats", json=body)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    chat = answer.json()
    assert chat == {
        "id": chat["id"],
        "kind": "group",
        "title": "Tea ☕",
        "owner_id": ann.id,
        "members": [member(ann), member(bob), member(eve)],
        "member_count": 3,
        "frozen": False,
        "slow_mode_s": 0,
        "last_seq": 0,
        "key": None,
        "data": None,
        "retention_days": None,
    }
    for user in (ann, bob, eve):
        assert (await user.http.get(f"/api/v1/chats/{chat['id']}")).json() == chat


async def test_creator_may_list_itself_with_a_role(ann: User, bob: User) -> None:
    body = {"kind": "service", "members": [{"user_id": ann.id, "role": "client"}, {"user_id": bob.id}]}
    chat = (await ann.http.post("/api/v1/chats", json=body)).json()
    assert chat["members"] == [member(ann, "client"), member(bob, "master")]


async def test_second_direct_chat_of_same_users_is_the_first(ann: User, bob: User) -> None:
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
        ({"kind": "group", "title": "a\nb"}, "title"),
        ({"kind": "group", "title": "a\u202eb"}, "title"),
        ({"kind": "group", "title": " \u3164"}, "title"),
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
        ({"kind": "group", "colour": "red"}, "`colour`"),
        ({"kind": "group", "members": [{"login": "ann", "colour": "red"}]}, "`colour` - at `$.members[0]`"),
        ({"kind": "group", "members": [{}]}, "one of user_id, login and sub"),
        ({"kind": "group", "members": [{"user_id": 1, "login": "ann"}]}, "one of user_id, login and sub"),
        ({"kind": "group", "members": [{"user_id": 1}] * 1001}, "$.members"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_invalid_field_is_named(small_world: World, body: dict[str, Any], named: str) -> None:
    ann = await small_world.user("ann")
    document = problem(await ann.http.post("/api/v1/chats", json=body), 422, "invalid_field")
    assert named in document["detail"]


async def test_invalid_members_are_rejected_and_create_no_chat(ann: User) -> None:
    for body, said in (
        ({"kind": "group", "members": [{"user_id": 2**63 - 1}]}, f"There is no user with the id {2**63 - 1}."),
        ({"kind": "group", "members": [{"login": "o'no"}]}, 'There is no user with the login "o\'no".'),
        ({"kind": "group", "members": [{"login": "ann", "role": "master"}]}, "In a group chat"),
        ({"kind": "direct"}, "Choose someone other than yourself."),
    ):
        document = problem(await ann.http.post("/api/v1/chats", json=body), 422, "invalid_field")
        assert document["detail"].startswith(said)
        if "There is no user" not in said:
            assert [(error["field"], error["detail"]) for error in document["errors"]] == [
                ("members", document["detail"])
            ]
    assert (await ann.http.get("/api/v1/chats")).json() == {"chats": []}


async def test_own_chats_are_listed_with_unread_counts(world: World, ann: User, bob: User, eve: User) -> None:
    first = await world.chat(ann, bob, title="first")
    await world.chat(bob, eve, title="not Ann's")
    second = await world.chat(bob, ann, kind=ChatKind.DIRECT)
    message_id = await world.say(bob, first, "one")
    await world.say(bob, first, "two")
    await world.say(ann, first, "mine")
    await world.edit(bob, first, message_id, "one, edited")

    chats = (await ann.http.get("/api/v1/chats")).json()["chats"]
    assert [(chat["id"], chat["unread"], chat["last_seq"]) for chat in chats] == [(first, 2, 4), (second, 0, 0)]


async def test_chat_shows_read_position_of_every_member(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    for text in ("one", "two"):
        await world.say(ann, chat_id, text)
    await world.chats.mark_read(chat_id, bob.id, 2)
    members = (await ann.http.get(f"/api/v1/chats/{chat_id}")).json()["members"]
    assert members == [member(ann), member(bob, read_seq=2)]


async def test_hidden_chat_is_indistinguishable_from_missing(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    hidden = await eve.http.get(f"/api/v1/chats/{chat_id}")
    absent = await eve.http.get(f"/api/v1/chats/{chat_id + 1000}")
    problem(hidden, 404, "not_found")
    assert (hidden.json(), dict(hidden.headers)) == (absent.json(), dict(absent.headers))


async def test_public_chat_is_visible_to_any_user(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    assert (await ann.http.get(f"/api/v1/chats/{chat_id}")).json()["members"] == [member(ann)]
    visited = (await eve.http.get(f"/api/v1/chats/{chat_id}")).json()
    assert (visited["id"], visited["members"]) == (chat_id, [])
    problem(await world.http.get(f"/api/v1/chats/{chat_id}"), 401, "unauthorized")
