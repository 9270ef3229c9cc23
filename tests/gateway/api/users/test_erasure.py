"""Erasures over HTTP."""

import time

from gateway.api.users.erasure import LOGIN_AGE_S
from tests.gateway.api.world import BANK, SHOP, User, World, problem


async def test_erased_user_is_gone_at_once(world: World, ann: User, bob: User) -> None:
    answer = await world.http.delete(f"/api/v1/users/{ann.id}?messages=erase", headers=BANK)
    assert answer.status_code == 202
    shown = answer.json()
    assert {"user_id": ann.id, "messages": "erase", "erased_messages": 0, "finished_at": None}.items() <= shown.items()
    assert (await world.http.get(f"/api/v1/users/{ann.id}/erasure", headers=BANK)).json() == shown
    problem(await ann.http.get("/api/v1/me"), 401, "unauthorized")
    listed = (await world.http.get(f"/api/v1/users?ids={ann.id},{bob.id}", headers=BANK)).json()
    assert [user["user_id"] for user in listed["users"]] == [bob.id]
    problem(await world.http.patch(f"/api/v1/users/{ann.id}", json={"first_name": "A"}, headers=BANK), 404, "not_found")
    problem(await world.http.get("/api/v1/chats", headers=BANK | {"X-On-Behalf-Of": str(ann.id)}), 404, "not_found")


async def test_messages_are_kept_by_default(world: World, ann: User) -> None:
    answer = await world.http.delete(f"/api/v1/users/{ann.id}", headers=BANK)
    assert answer.json()["messages"] == "keep"


async def test_unclear_erasure_is_rejected(small_world: World) -> None:
    ann = await small_world.user("ann")
    answer = await small_world.http.delete(f"/api/v1/users/{ann.id}?messages=all", headers=BANK)
    problem(answer, 422, "invalid_field")
    for url in (f"/api/v1/users/{ann.id}/erasure", "/api/v1/users/999/erasure"):
        problem(await small_world.http.get(url, headers=BANK), 404, "not_found")
    problem(await small_world.http.delete("/api/v1/users/999", headers=BANK), 404, "not_found")


async def test_erasure_is_for_services_with_the_scope(small_world: World) -> None:
    ann = await small_world.user("ann")
    for headers in ({}, SHOP):
        problem(await ann.http.delete(f"/api/v1/users/{ann.id}", headers=headers), 403, "forbidden")
        problem(await ann.http.get(f"/api/v1/users/{ann.id}/erasure", headers=headers), 403, "forbidden")
    assert (await ann.http.get("/api/v1/me")).status_code == 200


async def test_user_erases_itself_after_a_recent_login(world: World, ann: User) -> None:
    for logged_in_at in (0, int(time.time()) - LOGIN_AGE_S - 1):
        earlier = await world.log_in(ann.person, logged_in_at)
        problem(await earlier.http.delete("/api/v1/me"), 403, "login_required")
    problem(await ann.http.delete("/api/v1/me?messages=all"), 422, "invalid_field")
    problem(await world.http.delete("/api/v1/me", headers=BANK), 401, "unauthorized")
    assert (await ann.http.get("/api/v1/me")).status_code == 200
    recent = await world.log_in(ann.person, int(time.time()) - LOGIN_AGE_S + 60)
    answer = await recent.http.delete("/api/v1/me?messages=erase")
    assert (answer.status_code, answer.json()["messages"]) == (202, "erase")
    problem(await ann.http.get("/api/v1/me"), 401, "unauthorized")
    assert (await world.http.get(f"/api/v1/users/{ann.id}/erasure", headers=BANK)).json() == answer.json()
