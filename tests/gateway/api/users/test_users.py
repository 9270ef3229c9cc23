"""Users over HTTP, and members named by the external issuer's subjects."""

from datetime import UTC, datetime
from typing import Any

import pytest

from storage.repositories.identities import Identities
from tests.gateway.api.world import BANK, ISSUER, LIFETIME_S, SHOP, User, World, problem


def of(sub: str) -> str:
    return f"/api/v1/users/sub:{sub}"


async def test_me_names_caller_and_end_of_token(world: World, ann: User) -> None:
    me = (await ann.http.get("/api/v1/me")).json()
    left = datetime.fromisoformat(me.pop("expires_at")) - datetime.now(UTC)
    assert LIFETIME_S - 60 < left.total_seconds() <= LIFETIME_S + 30  # with the leeway
    names = {"username": "ann", "first_name": "Ann", "last_name": "Test", "display_name": "", "avatar_url": ""}
    assert me == {"user_id": ann.id, **names}
    problem(await world.http.get("/api/v1/me"), 401, "unauthorized")


async def test_service_creates_user_whose_token_comes_later(world: World) -> None:
    body = {"display_name": "Кот", "avatar_url": "https://example.com/7.png", "data": {"plan": "pro", "n": [1]}}
    made = (await world.http.put(of("u%2F7"), json=body, headers=BANK)).json()
    assert {**body, "issuer": ISSUER, "sub": "u/7"}.items() <= made.items()
    person = await Identities(world.database).person(ISSUER, "u/7", "name in the token")
    assert person.id == made["user_id"]


async def test_repeated_upsert_changes_only_what_it_names(world: World) -> None:
    first = (await world.http.put(of("7"), json={"display_name": "Ann", "data": {"a": 1}}, headers=BANK)).json()
    second = (await world.http.put(of("7"), json={"first_name": "A"}, headers=BANK)).json()
    assert second == {**first, "first_name": "A"}
    by_id = f"/api/v1/users/{first['user_id']}"
    third = (await world.http.patch(by_id, json={"display_name": "", "data": {}}, headers=BANK)).json()
    assert (third["display_name"], third["data"]) == ("", {})


async def test_users_are_listed_by_ids_usernames_and_subjects(world: World, ann: User, bob: User) -> None:
    made = (await world.http.put(of("7"), json={}, headers=BANK)).json()
    listed = (await world.http.get("/api/v1/users", params={"subs": "7,nobody"}, headers=BANK)).json()
    assert listed == {"users": [made]}
    ids = f"{bob.id},{ann.id},{ann.id},{10**15}"
    listed = (await world.http.get("/api/v1/users", params={"ids": ids}, headers=BANK)).json()
    assert [user["user_id"] for user in listed["users"]] == [ann.id, bob.id]
    usernames = f"{bob.person.username.upper()},nobody,{bob.person.username},system:"
    listed = (await world.http.get("/api/v1/users", params={"usernames": usernames}, headers=BANK)).json()
    assert [user["user_id"] for user in listed["users"]] == [bob.id]


async def test_taken_username_is_a_conflict(world: World, ann: User) -> None:
    made = (await world.http.put(of("7"), json={"username": "kate"}, headers=BANK)).json()
    assert made["username"] == "kate"
    problem(await world.http.put(of("8"), json={"username": "KATE"}, headers=BANK), 409, "conflict")
    problem(await world.http.patch(f"/api/v1/users/{ann.id}", json={"username": "kate"}, headers=BANK), 409, "conflict")


@pytest.mark.parametrize(
    "body",
    [
        {"username": ""},
        {"username": "a:b"},
        {"display_name": "a\u202eb"},
        {"first_name": "x" * 151},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://x/ y"},
        {"data": {"x": "y" * 4096}},
        {"data": [1]},
        {"data": {"x": 2**64}},
        {"password_hash": "x"},
    ],
)
async def test_invalid_profile_is_rejected(small_world: World, body: dict[str, Any]) -> None:
    problem(await small_world.http.put(of("7"), json=body, headers=BANK), 422, "invalid_field")
    assert (await small_world.http.get("/api/v1/users?subs=7", headers=BANK)).json() == {"users": []}


async def test_users_are_for_services_with_the_scope(small_world: World) -> None:
    ann = await small_world.user("ann")
    for headers in ({}, SHOP, {"X-Service-Key": "wrong"}):
        for method, url in (("PUT", of("7")), ("GET", "/api/v1/users?ids=1"), ("PATCH", "/api/v1/users/1")):
            answer = await ann.http.request(method, url, json={} if method != "GET" else None, headers=headers)
            problem(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "query",
    ["", "ids=1&subs=1", "ids=x", "ids=", "subs=", "usernames=", "usernames=%00", "ids=" + ",".join(["1"] * 101)],
)
async def test_unclear_list_is_rejected(small_world: World, query: str) -> None:
    problem(await small_world.http.get(f"/api/v1/users?{query}", headers=BANK), 422, "invalid_field")


async def test_unknown_user_is_not_found(small_world: World) -> None:
    problem(await small_world.http.patch("/api/v1/users/999", json={"first_name": "A"}, headers=BANK), 404, "not_found")


async def test_service_puts_users_into_chats_by_subject(world: World, ann: User) -> None:
    body = {"kind": "group", "members": [{"sub": "u7"}, {"sub": "u8"}, {"login": "ann"}]}
    chat = (await world.http.post("/api/v1/chats", json=body, headers=BANK)).json()
    people = [await Identities(world.database).person(ISSUER, sub, "") for sub in ("u7", "u8", "u9")]
    assert {member["user_id"] for member in chat["members"]} == {people[0].id, people[1].id, ann.id}
    added = await world.http.post(f"/api/v1/chats/{chat['id']}/members", json={"sub": "u9"}, headers=BANK)
    assert (added.status_code, added.json()["user_id"]) == (201, people[2].id)


async def test_users_cannot_name_members_by_subject(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    problem(await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"sub": "u7"}), 422, "invalid_field")
    body = {"kind": "group", "members": [{"sub": "u7"}]}
    problem(await ann.http.post("/api/v1/chats", json=body), 422, "invalid_field")
    assert (await world.http.get("/api/v1/users?subs=u7", headers=BANK)).json() == {"users": []}
