"""Keys of chats, and changes of their titles, data and rules, over HTTP."""

from typing import Any

import pytest

from storage.records import ChatKind
from storage.repositories.public_channel import PublicChannelRepository
from storage.repositories.rooms import RoomRepository
from tests.gateway.api.world import BANK, SHOP, User, World, problem

MAX_KEY = "Az9._~:@+-" + "k" * 118


async def created(world: World, status: int = 201, **body: Any) -> dict[str, Any]:
    """A chat of the service."""
    answer = await world.http.post("/api/v1/chats", json={"kind": "group"} | body, headers=BANK)
    assert answer.status_code == status, answer.text
    chat: dict[str, Any] = answer.json()
    return chat


async def test_second_chat_with_key_is_the_first_unchanged(world: World, ann: User, bob: User) -> None:
    first = await created(world, key=MAX_KEY, title="One", data={"n": 1}, members=[{"user_id": ann.id}])
    assert (first["key"], first["data"]) == (MAX_KEY, {"n": 1})
    second = await created(world, 200, key=MAX_KEY, title="Two", data={"n": 2}, members=[{"user_id": bob.id}])
    assert second == first
    assert world.node.created == [(first["id"], [ann.id])]


async def test_key_stands_for_id_in_every_path(world: World, ann: User, bob: User) -> None:
    chat = await created(world, key="order:7", members=[{"user_id": ann.id}, {"user_id": bob.id}])
    url = "/api/v1/chats/key:order:7"
    assert (await ann.http.get(url)).json() == (await world.http.get(url, headers=BANK)).json()
    sent = (await ann.http.post(f"{url}/messages", json={"text": "Hi"})).json()
    assert (await ann.http.get(f"{url}/messages")).json()["messages"] == [sent]
    path = f"{url}/messages/{sent['id']}"
    assert (await ann.http.patch(path, json={"text": "Ho"})).json()["text"] == "Ho"
    assert (await ann.http.delete(path)).json()["is_deleted"]
    assert (await bob.http.post(f"{url}/read", json={})).is_success
    assert (await bob.http.post(f"{url}/typing", json={})).is_success
    assert (await bob.http.get(f"{url}/presence")).json() == {"members": []}
    assert (await bob.http.get(f"{url}/members")).json()["next"] is None
    assert (await world.http.put(f"{url}/owner", json={"user_id": ann.id}, headers=BANK)).status_code == 204
    assert (await ann.http.delete(f"{url}/members/{bob.id}")).status_code == 204
    problem(await ann.http.delete(f"{url}/bars/{bob.id}"), 404, "not_found")
    assert (await ann.http.post(f"{url}/members", json={"user_id": bob.id})).status_code == 201
    assert (await ann.http.patch(url, json={"title": "New"})).json()["id"] == chat["id"]


async def test_key_of_unseen_or_no_chat_is_not_found(world: World, ann: User) -> None:
    await created(world, key="k")
    for key in ("k", "other", "", "x" * 129, "%00"):
        problem(await ann.http.get(f"/api/v1/chats/key:{key}"), 404, "not_found")


@pytest.mark.parametrize("key", ["", "a b", "a/b", "é", "x" * 129, "a\x00"])
async def test_invalid_key_is_rejected(small_world: World, key: str) -> None:
    answer = await small_world.http.post("/api/v1/chats", json={"kind": "group", "key": key}, headers=BANK)
    problem(answer, 422, "invalid_field")


async def test_only_services_give_keys(world: World, ann: User) -> None:
    problem(await ann.http.post("/api/v1/chats", json={"kind": "group", "key": "k"}), 403, "forbidden")
    body = {"kind": "group", "key": "k"}
    mine = await world.http.post("/api/v1/chats", json=body, headers=BANK | {"X-On-Behalf-Of": str(ann.id)})
    assert (mine.status_code, mine.json()["owner_id"]) == (201, ann.id)


async def test_key_of_chat_that_user_may_not_see_is_taken(world: World, ann: User) -> None:
    await created(world, key="k")
    acting = BANK | {"X-On-Behalf-Of": str(ann.id)}
    problem(
        await world.http.post("/api/v1/chats", json={"kind": "group", "key": "k"}, headers=acting), 409, "key_taken"
    )


async def test_existing_direct_chat_gets_key_once(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob, kind=ChatKind.DIRECT)
    members = [{"user_id": ann.id}, {"user_id": bob.id}]
    for _ in range(2):
        assert (await created(world, 200, kind="direct", key="k", members=members))["id"] == chat
    body = {"kind": "direct", "key": "other", "members": members}
    problem(await world.http.post("/api/v1/chats", json=body, headers=BANK), 409, "key_taken")
    assert (await ann.http.get("/api/v1/chats/key:k")).json()["id"] == chat


async def test_owner_and_service_change_details(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob, title="Old")
    url = f"/api/v1/chats/{chat}"
    answer = await ann.http.patch(url, json={"title": "New", "data": {"a": [1.0, None]}})
    assert (answer.status_code, answer.json()) == (200, (await bob.http.get(url)).json())
    assert (answer.json()["title"], answer.json()["data"]) == ("New", {"a": [1.0, None]})
    answer = await world.http.patch(url, json={"data": None, "retention_days": 30}, headers=BANK)
    assert answer.json() == (await ann.http.get(url)).json()
    assert (answer.json()["title"], answer.json()["data"], answer.json()["retention_days"]) == ("New", None, 30)
    assert world.node.changed == [chat, chat]
    for body in ({}, {"title": "New"}, {"data": None, "retention_days": 30}):
        assert (await ann.http.patch(url, json=body)).status_code == 200
    assert world.node.changed == [chat, chat], "nothing has changed"


async def test_others_may_not_change_details(world: World, ann: User, bob: User, eve: User) -> None:
    chat, direct = await world.chat(ann, bob), await world.chat(ann, bob, kind=ChatKind.DIRECT)
    body = {"title": "New"}
    problem(await bob.http.patch(f"/api/v1/chats/{chat}", json=body), 403, "forbidden")
    problem(await eve.http.patch(f"/api/v1/chats/{chat}", json=body), 404, "not_found")
    problem(await ann.http.patch(f"/api/v1/chats/{direct}", json=body), 403, "forbidden")
    problem(await world.http.patch(f"/api/v1/chats/{chat}", json=body, headers=SHOP), 403, "forbidden")
    acting = BANK | {"X-On-Behalf-Of": str(bob.id)}
    problem(await world.http.patch(f"/api/v1/chats/{chat}", json=body, headers=acting), 403, "forbidden")
    assert (await world.http.patch(f"/api/v1/chats/{direct}", json=body, headers=BANK)).status_code == 200
    assert world.node.changed == [direct]


def nested(levels: int) -> dict[str, Any]:
    """An object of so many levels."""
    return {} if levels == 1 else {"a": nested(levels - 1)}


async def test_data_is_bounded_in_size_and_depth(world: World, ann: User) -> None:
    url = f"/api/v1/chats/{await world.chat(ann)}"
    most = {"a": "x" * (16 * 1024 - len('{"a":""}'))}
    for data in (most, nested(8)):
        assert (await ann.http.patch(url, json={"data": data})).json()["data"] == data
        assert (await ann.http.post("/api/v1/chats", json={"kind": "group", "data": data})).json()["data"] == data
    for bad in ({"a": most["a"] + "x"}, nested(9), {"a": 2**64}, [], "x", 5):
        problem(await ann.http.patch(url, json={"data": bad}), 422, "invalid_field")
        problem(await ann.http.post("/api/v1/chats", json={"kind": "group", "data": bad}), 422, "invalid_field")


@pytest.mark.parametrize(
    "body",
    [
        {"title": " "},
        {"title": None},
        {"title": "x" * 201},
        {"retention_days": 0},
        {"retention_days": 36_501},
        {"x": 1},
    ],
)
async def test_invalid_change_is_rejected(small_world: World, body: dict[str, Any]) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    problem(await ann.http.patch(f"/api/v1/chats/{chat}", json=body), 422, "invalid_field")
    assert small_world.node.changed == []


async def test_lists_have_data_in_pages_only(world: World, ann: User) -> None:
    await created(world, key="k", data={"n": 1}, members=[{"user_id": ann.id}])
    for query in ("limit=100", "order=activity"):
        (paged,) = (await ann.http.get(f"/api/v1/chats?{query}")).json()["chats"]
        assert (paged["key"], paged["data"], paged["retention_days"]) == ("k", {"n": 1}, None)
    (listed,) = (await ann.http.get("/api/v1/chats")).json()["chats"]
    assert (listed["key"], "data" in listed) == ("k", False)


async def test_owner_and_service_remove_chats(world: World, ann: User, bob: User) -> None:
    mine, other = await world.chat(ann, bob), (await created(world, key="k", members=[{"user_id": ann.id}]))["id"]
    await world.say(ann, mine, "Hi")
    problem(await bob.http.delete(f"/api/v1/chats/{mine}"), 403, "forbidden")
    assert (await ann.http.delete(f"/api/v1/chats/{mine}")).status_code == 204
    assert (await world.http.delete("/api/v1/chats/key:k", headers=BANK)).status_code == 204
    assert world.node.removed == [mine, other]
    for user in (ann, bob):
        for method, path in (("GET", ""), ("GET", "/messages"), ("GET", "/members"), ("DELETE", ""), ("PATCH", "")):
            answer = await user.http.request(
                method, f"/api/v1/chats/{mine}{path}", json={} if method == "PATCH" else None
            )
            problem(answer, 404, "not_found")
        problem(await user.http.post(f"/api/v1/chats/{mine}/messages", json={"text": "Ho"}), 404, "not_found")
        problem(await user.http.post(f"/api/v1/chats/{mine}/members", json={"user_id": ann.id}), 404, "not_found")
        assert (await user.http.get("/api/v1/chats")).json()["chats"] == []
    assert (await created(world, key="k"))["id"] != other, "the key is free again"


async def test_direct_chat_is_removed_by_services_only(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob, kind=ChatKind.DIRECT)
    problem(await ann.http.delete(f"/api/v1/chats/{chat}"), 403, "forbidden")
    assert (await world.http.delete(f"/api/v1/chats/{chat}", headers=BANK)).status_code == 204
    again = await ann.http.post("/api/v1/chats", json={"kind": "direct", "members": [{"user_id": bob.id}]})
    assert again.status_code == 201


async def test_chats_of_the_system_are_not_removed(world: World, ann: User) -> None:
    channel, _ = await PublicChannelRepository(world.database, world.chats).enter(ann.id)
    room = await RoomRepository(world.database).room("room1")
    for chat in (channel.chat_id, room.chat_id):
        problem(await world.http.delete(f"/api/v1/chats/{chat}", headers=BANK), 409, "conflict")
