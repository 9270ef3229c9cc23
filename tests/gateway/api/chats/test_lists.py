"""Pages of the lists of chats and members over HTTP."""

import base64
from typing import Any

import pytest

from storage.records import ChatKind, NewMember
from tests.gateway.api.world import BANK, SHOP, User, World, problem

CHATS = "/api/v1/chats"
OLD_FIELDS = {
    "id",
    "kind",
    "title",
    "owner_id",
    "members",
    "member_count",
    "last_seq",
    "unread",
    "frozen",
    "slow_mode_s",
}
OLD_FIELDS |= {"key", "data", "retention_days"}
NEW_FIELDS = {"mentions", "last_activity_at", "pinned", "archived", "muted_until"}


async def pages(user: User, url: str, items: str, **query: object) -> list[list[Any]]:
    """All pages of a list."""
    found: list[list[Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await user.http.get(url, params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert set(document) == {items, "next"}
        found.append(document[items])
        if document["next"] is None:
            return found
        cursor = {"cursor": document["next"]}


async def test_chats_are_listed_page_by_page(world: World, ann: User, bob: User) -> None:
    chats = [await world.chat(ann, bob, title=str(number)) for number in range(5)]
    await world.say(bob, chats[0], "hi")
    found = await pages(ann, CHATS, "chats", limit=2)
    assert [[chat["id"] for chat in page] for page in found] == [chats[4:2:-1], chats[2:0:-1], chats[:1]]
    oldest = found[2][0]
    assert (oldest["unread"], oldest["member_count"], oldest["owner_id"]) == (1, 2, ann.id)
    assert set(oldest) == OLD_FIELDS
    assert await pages(await world.user("new"), CHATS, "chats", limit=2) == [[]]


async def test_chats_are_listed_by_activity(world: World, ann: User, bob: User) -> None:
    chats = [await world.chat(ann, bob, title=str(number)) for number in range(5)]
    await world.say(bob, chats[0], "hi")
    await world.say(ann, chats[2], "hello")
    order = [chats[2], chats[0], chats[4], chats[3], chats[1]]
    found = await pages(ann, CHATS, "chats", order="activity", limit=2)
    assert [[chat["id"] for chat in page] for page in found] == [order[:2], order[2:4], order[4:]]
    latest, second = found[0]
    assert set(latest) == OLD_FIELDS | NEW_FIELDS | {"last_message"}
    assert (latest["pinned"], latest["archived"], latest["muted_until"]) == (False, False, None)
    history = (await ann.http.get(f"{CHATS}/{chats[0]}/messages")).json()["messages"]
    assert (second["last_message"], second["last_activity_at"]) == (history[0], history[0]["timestamp"])
    assert set(found[2][0]) == OLD_FIELDS | NEW_FIELDS, "nothing was said"

    whole = (await ann.http.get(CHATS)).json()
    assert set(whole) == {"chats"}
    for chat in (latest, second):
        del chat["last_message"]
    for page in found:
        for chat in page:
            del chat["data"]
    assert whole["chats"] == [chat for page in found for chat in page]
    (unread,) = await pages(ann, CHATS, "chats", order="activity", unread="true")
    assert [(chat["id"], chat["unread"]) for chat in unread] == [(chats[0], 1)]
    assert await pages(ann, CHATS, "chats", order="activity", archived="true") == [[]]
    assert (await ann.http.get("/api/v1/unread")).json() == {"chats": 1, "messages": 1, "mentions": 0}
    assert (await bob.http.get("/api/v1/unread")).json() == {"chats": 1, "messages": 1, "mentions": 0}


@pytest.mark.parametrize("query", ["order=creation", "order=activity&order=activity", "unread=true", "archived=true"])
async def test_unknown_order_or_filter_is_rejected(small_world: World, query: str) -> None:
    ann = await small_world.user("ann")
    problem(await ann.http.get(f"{CHATS}?{query}"), 422, "invalid_field")


async def test_chat_of_many_shows_ten_in_list_and_pages_of_all(world: World, ann: User, eve: User) -> None:
    crowd = [await world.user(f"user{number}") for number in range(13)]
    chat = await world.chat(ann, *crowd)
    (listed,) = (await crowd[12].http.get(CHATS)).json()["chats"]
    assert (len(listed["members"]), listed["member_count"]) == (10, 14)
    assert [one["user_id"] for one in listed["members"]][-1] == crowd[12].id
    url = f"{CHATS}/{chat}/members"
    found = await pages(crowd[3], url, "members", limit=5)
    assert [len(page) for page in found] == [5, 5, 4]
    ids = [one["user_id"] for page in found for one in page]
    assert ids == sorted(user.id for user in (ann, *crowd))
    shown = (await ann.http.get(f"{CHATS}/{chat}")).json()
    assert (len(shown["members"]), shown["member_count"]) == (14, 14)
    assert [page["user_id"] for page in (await ann.http.get(url)).json()["members"]] == ids
    assert (await world.http.get(url, headers=BANK)).status_code == 200
    problem(await world.http.get(url, headers=SHOP), 403, "forbidden")
    problem(await eve.http.get(url), 404, "not_found")
    problem(await world.http.get(f"{CHATS}/{chat + 99}/members", headers=BANK), 404, "not_found")


async def test_members_of_public_chat_are_listed_to_members(world: World, ann: User, eve: User) -> None:
    chat = await world.chat(ann, kind=ChatKind.PUBLIC)
    url = f"{CHATS}/{chat}/members"
    problem(await eve.http.get(url), 403, "forbidden")
    await world.chats.add_member(chat, eve.id, NewMember(user_id=eve.id))
    assert [one["user_id"] for one in (await eve.http.get(url)).json()["members"]] == sorted([ann.id, eve.id])


async def test_chat_without_members_has_an_empty_list(world: World) -> None:
    made = await world.http.post(CHATS, json={"kind": "group"}, headers=BANK)
    answer = await world.http.get(f"{CHATS}/{made.json()['id']}/members", headers=BANK)
    assert answer.json() == {"members": [], "next": None}


async def test_cursor_that_was_not_given_out_is_rejected(small_world: World) -> None:
    ann, bob = await small_world.user("ann"), await small_world.user("bob")
    chat = await small_world.chat(ann, bob)
    await small_world.chat(ann)
    of_chats = (await ann.http.get(CHATS, params={"limit": 1})).json()["next"]
    of_members = (await ann.http.get(f"{CHATS}/{chat}/members", params={"limit": 1})).json()["next"]
    forged = [base64.urlsafe_b64encode(text).decode() for text in (b"chats:0", b"chats:-1", b"chats:x", b"\xff\xff")]
    for cursor in ("", "x", of_members, of_chats + "=", of_chats + "A", "1", "é", "A" * 10_000, *forged):
        problem(await ann.http.get(CHATS, params={"cursor": cursor}), 422, "invalid_field")
    problem(await ann.http.get(f"{CHATS}/{chat}/members", params={"cursor": of_chats}), 422, "invalid_field")
    problem(await ann.http.get(f"{CHATS}?cursor={of_chats}&cursor={of_chats}"), 422, "invalid_field")
    by_activity = (await ann.http.get(CHATS, params={"limit": 1, "order": "activity"})).json()["next"]
    for cursor, order in ((by_activity, {}), (of_chats, {"order": "activity"}), ("", {"order": "activity"})):
        problem(await ann.http.get(CHATS, params={"cursor": cursor, **order}), 422, "invalid_field")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", ""])
async def test_limit_out_of_range_is_rejected(small_world: World, limit: str) -> None:
    ann = await small_world.user("ann")
    problem(await ann.http.get(CHATS, params={"limit": limit}), 422, "invalid_field")
