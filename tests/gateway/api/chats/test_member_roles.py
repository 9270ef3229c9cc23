"""Roles and mutes of members, and rules of chats, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from storage.records import ChatKind
from tests.gateway.api.world import BANK, SHOP, User, World, problem

SOON = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)  # after the last test of a slow run
MUTE = {"muted_until": SOON.isoformat()}


async def change(by: User, chat: int, user: User, **body: Any) -> httpx.Response:
    return await by.http.patch(f"/api/v1/chats/{chat}/members/{user.id}", json=body)


async def test_owner_gives_roles_and_mutes(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob)
    answer = await change(ann, chat, bob, role="moderator", **MUTE)
    assert answer.status_code == 200
    assert (answer.json()["role"], answer.json()["muted_until"]) == ("moderator", f"{SOON:%Y-%m-%dT%H:%M:%SZ}")
    members = (await bob.http.get(f"/api/v1/chats/{chat}/members")).json()["members"]
    assert members[1] == answer.json()
    assert (await change(ann, chat, bob, role="moderator")).json() == answer.json()
    answer = await change(ann, chat, bob, role="reader", muted_until=None)
    assert (answer.json()["role"], "muted_until" in answer.json()) == ("reader", False)
    assert world.node.roles == [(chat, bob.id, "moderator", True), (chat, bob.id, "reader", False)]
    problem(await bob.http.post(f"/api/v1/chats/{chat}/messages", json={"text": "Hi"}), 403, "forbidden")
    problem(await bob.http.post(f"/api/v1/chats/{chat}/typing", json={"is_typing": True}), 403, "forbidden")


async def test_owner_hands_over_by_role(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob)
    problem(await change(bob, chat, bob, role="owner"), 403, "forbidden")
    assert (await change(ann, chat, bob, role="owner")).status_code == 200
    assert (await ann.http.get(f"/api/v1/chats/{chat}")).json()["owner_id"] == bob.id
    assert world.node.roles == [(chat, bob.id, "owner", False)]
    problem(await change(ann, chat, bob, role="reader"), 403, "forbidden")
    problem(await change(bob, chat, bob, role="reader"), 409, "conflict")


async def test_moderators_mute_and_remove_members_only(world: World, ann: User, bob: User, eve: User) -> None:
    other = await world.user("other")
    chat = await world.chat(ann, bob, eve, other)
    problem(await change(bob, chat, eve, **MUTE), 403, "forbidden")
    for user in (bob, other):
        assert (await change(ann, chat, user, role="moderator")).status_code == 200
    assert (await change(bob, chat, eve, **MUTE)).status_code == 200
    problem(await eve.http.post(f"/api/v1/chats/{chat}/messages", json={"text": "Hi"}), 403, "muted")
    for target in (ann, other):
        problem(await change(bob, chat, target, **MUTE), 403, "forbidden")
        problem(await bob.http.delete(f"/api/v1/chats/{chat}/members/{target.id}"), 403, "forbidden")
    problem(await change(bob, chat, eve, role="reader"), 403, "forbidden")
    assert (await bob.http.delete(f"/api/v1/chats/{chat}/members/{eve.id}")).status_code == 204
    problem(await bob.http.delete(f"/api/v1/chats/{chat}"), 403, "forbidden")


async def test_moderator_deletes_message_of_another(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob)
    message = await world.say(ann, chat, "Hi")
    url = f"/api/v1/chats/{chat}/messages/{message}"
    problem(await bob.http.delete(url), 403, "forbidden")
    await change(ann, chat, bob, role="moderator")
    deleted = (await bob.http.delete(url)).json()
    assert (deleted["is_deleted"], deleted["sender"]["id"], deleted["by"]["id"]) == (True, ann.id, bob.id)


async def test_service_changes_members(world: World, ann: User, bob: User) -> None:
    chat = await world.chat(ann, bob)
    url = f"/api/v1/chats/{chat}/members/{bob.id}"
    assert (await world.http.patch(url, json={"role": "reader"}, headers=BANK)).json()["role"] == "reader"
    problem(await world.http.patch(url, json={"role": "member"}, headers=SHOP), 403, "forbidden")
    acting = BANK | {"X-On-Behalf-Of": str(bob.id)}
    problem(await world.http.patch(url, json={"role": "member"}, headers=acting), 403, "forbidden")
    problem(await world.http.patch(f"{url}0000", json={"role": "member"}, headers=BANK), 404, "not_found")


async def test_roles_of_other_kinds_stay(world: World, ann: User, bob: User) -> None:
    direct, service = [await world.chat(ann, bob, kind=kind) for kind in (ChatKind.DIRECT, ChatKind.SERVICE)]
    for chat in (direct, service):
        url = f"/api/v1/chats/{chat}/members/{bob.id}"
        problem(await world.http.patch(url, json={"role": "reader"}, headers=BANK), 409, "conflict")
    assert (await change(ann, service, bob, **MUTE)).status_code == 200


@pytest.mark.parametrize("body", [{"role": "king"}, {"role": None}, {"muted_until": "2030-01-01"}, {"x": 1}])
async def test_invalid_change_of_member_is_rejected(small_world: World, body: dict[str, Any]) -> None:
    ann = await small_world.user("ann")
    chat = await small_world.chat(ann)
    problem(await change(ann, chat, ann, **body), 422, "invalid_field")


async def test_moderators_set_rules_only(world: World, ann: User, bob: User, eve: User) -> None:
    chat = await world.chat(ann, bob, eve)
    url = f"/api/v1/chats/{chat}"
    await change(ann, chat, bob, role="moderator")
    problem(await bob.http.patch(url, json={"title": "New", "frozen": True}), 403, "forbidden")
    changed = (await bob.http.patch(url, json={"frozen": True, "slow_mode_s": 9})).json()
    assert (changed["frozen"], changed["slow_mode_s"]) == (True, 9)
    problem(await eve.http.post(f"{url}/messages", json={"text": "Hi"}), 403, "chat_frozen")
    assert (await bob.http.patch(url, json={"frozen": False})).status_code == 200
    assert (await eve.http.post(f"{url}/messages", json={"text": "Hi"})).status_code == 201
    slow = await eve.http.post(f"{url}/messages", json={"text": "Ho"})
    problem(slow, 429, "slow_mode")
    assert 1 <= int(slow.headers["retry-after"]) <= 9
