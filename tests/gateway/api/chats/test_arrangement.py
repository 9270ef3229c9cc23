"""One's own view of a chat over HTTP: pinned, archived, muted, and the read position."""

from typing import Any

import pytest

from storage.records import ChatKind
from tests.gateway.api.world import BANK, SHOP, User, World, problem

CHATS = "/api/v1/chats"
DISTANT = "2100-01-01T00:00:00Z"


async def own(user: User, **query: str) -> list[int]:
    """The ids in the user's list by activity."""
    answer = await user.http.get(CHATS, params={"order": "activity", **query})
    return [chat["id"] for chat in answer.json()["chats"]]


async def arrange(user: User, chat: int, **fields: Any) -> dict[str, Any]:
    """The response to a change."""
    answer = await user.http.patch(f"{CHATS}/{chat}/me", json=fields)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_arrangement_is_the_callers_own(world: World, ann: User, bob: User) -> None:
    chats = [await world.chat(ann, bob) for _ in range(4)]
    first = await arrange(ann, chats[0], pinned=True)
    assert first == {
        "chat_id": chats[0],
        "pinned": True,
        "archived": False,
        "muted_until": None,
        "read_seq": 0,
        "unread": 0,
    }
    await arrange(ann, chats[1], archived=True)
    assert await own(ann) == [chats[0], chats[3], chats[2]]
    assert await own(ann, archived="true") == [chats[1]]
    assert await own(bob) == chats[::-1]
    muted = await arrange(ann, chats[0], muted_until=DISTANT)
    assert (muted["pinned"], muted["muted_until"]) == (True, DISTANT)
    (shown, *_) = (await ann.http.get(CHATS, params={"order": "activity"})).json()["chats"]
    assert (shown["pinned"], shown["archived"], shown["muted_until"]) == (True, False, DISTANT)
    back = await arrange(ann, chats[0], pinned=False, muted_until=None)
    assert (back["pinned"], back["muted_until"]) == (False, None)
    assert (await arrange(ann, chats[0], muted_until="1969-12-31T23:00:00Z"))["muted_until"] is None
    assert world.node.reads == []


async def test_muted_and_archived_chats_do_not_count_as_unread(world: World, ann: User, bob: User) -> None:
    chats = [await world.chat(ann, bob) for _ in range(3)]
    for chat in chats:
        await world.say(bob, chat, "hi")
    await arrange(ann, chats[0], muted_until=DISTANT)
    await arrange(ann, chats[1], archived=True)
    assert (await ann.http.get("/api/v1/unread")).json() == {"chats": 1, "messages": 1, "mentions": 0}
    await arrange(ann, chats[0], muted_until="2000-01-01T00:00:00Z")
    assert (await ann.http.get("/api/v1/unread")).json() == {"chats": 2, "messages": 2, "mentions": 0}


async def test_read_position_may_move_back_here_only(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob)
    for text in ("one", "two", "three"):
        await world.say(bob, chat, text)
    moved = await arrange(ann, chat, read_seq=99)
    assert (moved["read_seq"], moved["unread"]) == (3, 0)
    moved = await arrange(ann, chat, read_seq=1)
    assert (moved["read_seq"], moved["unread"]) == (1, 2)
    await arrange(ann, chat, read_seq=1, pinned=True)
    assert world.node.reads == [(chat, ann.id, 3, False), (chat, ann.id, 1, True)]
    assert (await arrange(ann, chat, read_seq=0))["unread"] == 3
    await ann.http.post(f"{CHATS}/{chat}/read", json={"seq": 2})
    await ann.http.post(f"{CHATS}/{chat}/read", json={"seq": 1})
    assert (await arrange(ann, chat))["read_seq"] == 2


async def test_only_members_arrange_a_chat(world: World, ann: User, eve: User) -> None:
    chat, public = await world.chat(ann), await world.chat(ann, kind=ChatKind.PUBLIC)
    body = {"pinned": True}
    problem(await eve.http.patch(f"{CHATS}/{chat}/me", json=body), 404, "not_found")
    problem(await eve.http.patch(f"{CHATS}/{public}/me", json=body), 403, "forbidden")
    problem(await ann.http.patch(f"{CHATS}/{10**18}/me", json=body), 404, "not_found")
    problem(await world.http.patch(f"{CHATS}/{chat}/me", json=body, headers=BANK), 422, "invalid_field")
    problem(await world.http.patch(f"{CHATS}/{chat}/me", json=body, headers=SHOP), 403, "forbidden")
    for_ann = BANK | {"X-On-Behalf-Of": str(ann.id)}
    assert (await world.http.patch(f"{CHATS}/{chat}/me", json=body, headers=for_ann)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"pinned": None},
        {"archived": 1},
        {"muted_until": "2100-01-01T00:00:00"},
        {"muted_until": 5},
        {"read_seq": -1},
        {"read_seq": None},
        {"read_seq": 2**63},
        {"tittle": True},
    ],
)
async def test_invalid_field_changes_nothing(small_world: World, body: dict[str, Any]) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    problem(await ann.http.patch(f"{CHATS}/{chat}/me", json={"pinned": True} | body), 422, "invalid_field")
    assert not (await arrange(ann, chat))["pinned"]
