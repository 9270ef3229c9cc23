"""Who may create chats of staff, whom users may add to chats, blocks and bars, over HTTP."""

import logging
from typing import Any

import pytest

from gateway.config.choices import Adding, StaffChats
from storage.records import ChatKind
from tests.gateway.api.world import BANK, SHOP, User, World, open_world, problem

STAFF_KINDS = [ChatKind.SERVICE, ChatKind.SUPPORT]


def members(*users: User, **more: Any) -> dict[str, Any]:
    return {"kind": "group", "members": [{"user_id": user.id} for user in users], **more}


async def talk(world: World, *users: User) -> int:
    """A chat in which each has written, so that they are contacts."""
    chat_id = await world.chat(*users)
    for user in users:
        await world.say(user, chat_id, "hi")
    return chat_id


@pytest.mark.parametrize("kind", STAFF_KINDS)
async def test_user_cannot_call_itself_staff(sqlite_url: str, kind: ChatKind) -> None:
    async with open_world(sqlite_url, staff_chats=StaffChats.SERVICE) as world:
        eve, victim = await world.user("eve"), await world.user("victim")
        body = members(victim, kind=kind, title="Bank support")
        assert "staff" in problem(await eve.http.post("/api/v1/chats", json=body), 403, "forbidden")["detail"]
        problem(await world.http.post("/api/v1/chats", json=body, headers=SHOP), 403, "forbidden")
        made = await world.http.post("/api/v1/chats", json=body, headers=BANK)
        assert (made.status_code, made.json()["owner_id"]) == (201, None)
        assert [member["user_id"] for member in made.json()["members"]] == [victim.id]


async def test_staff_role_is_given_and_ended_by_service_only(sqlite_url: str) -> None:
    async with open_world(sqlite_url, staff_chats=StaffChats.SERVICE) as world:
        ann, bob = await world.user("ann"), await world.user("bob")
        url = f"/api/v1/users/{ann.id}/staff"
        for headers in ({}, SHOP, {"X-Service-Key": "wrong"}):
            problem(await ann.http.put(url, headers=headers), 403, "forbidden")
        for _ in range(2):
            assert (await world.http.put(url, headers=BANK)).status_code == 204
        body = members(bob, kind="support")
        made = await ann.http.post("/api/v1/chats", json=body)
        assert [member["role"] for member in made.json()["members"]] == ["support", "client"]
        for _ in range(2):
            assert (await world.http.delete(url, headers=BANK)).status_code == 204
        problem(await ann.http.post("/api/v1/chats", json=body), 403, "forbidden")
        for user_id in (0, 999):
            problem(await world.http.put(f"/api/v1/users/{user_id}/staff", headers=BANK), 404, "not_found")


async def test_owner_without_staff_role_gives_no_role_of_staff(sqlite_url: str) -> None:
    async with open_world(sqlite_url, staff_chats=StaffChats.SERVICE) as world:
        client, friend = await world.user("client"), await world.user("friend")
        body = {"kind": "support", "members": [{"user_id": client.id, "role": "client"}]}
        chat = f"/api/v1/chats/{(await world.http.post('/api/v1/chats', json=body, headers=BANK)).json()['id']}"
        owner = {"user_id": client.id}
        assert (await world.http.put(f"{chat}/owner", json=owner, headers=BANK)).status_code == 204
        for role in ({"role": "support"}, {}):  # by default it would be the one that is free
            answer = await client.http.post(f"{chat}/members", json={"user_id": friend.id, **role})
            problem(answer, 403, "forbidden")
        joined = await client.http.post(f"{chat}/members", json={"user_id": friend.id, "role": "client"})
        assert joined.json()["role"] == "client"


async def test_service_manages_chats_that_it_is_no_member_of(world: World, ann: User, bob: User, eve: User) -> None:
    chat = f"/api/v1/chats/{await world.chat(ann, bob)}"
    http = world.http
    assert (await http.get(chat, headers=BANK)).json()["owner_id"] == ann.id
    assert (await http.post(f"{chat}/members", json={"user_id": eve.id}, headers=BANK)).status_code == 201
    assert (await http.delete(f"{chat}/members/{ann.id}", headers=BANK)).status_code == 204
    assert (await http.put(f"{chat}/owner", json={"user_id": eve.id}, headers=BANK)).status_code == 204
    assert (await eve.http.get(chat)).json()["owner_id"] == eve.id
    requests = [("GET", chat, None), ("POST", f"{chat}/members", {"user_id": ann.id})]
    requests += [("DELETE", f"{chat}/members/{bob.id}", None), ("PUT", f"{chat}/owner", {"user_id": bob.id})]
    for method, url, body in requests:
        problem(await ann.http.request(method, url, json=body, headers=SHOP), 403, "forbidden")


async def test_service_is_logged_by_its_name(world: World, ann: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gateway"):
        made = await world.http.post("/api/v1/chats", json=members(ann), headers=BANK)
    (record,) = caplog.records
    assert vars(record)["fields"] == {"chat_id": made.json()["id"], "service": "bank"}


async def test_direct_chat_of_service_has_two_users(world: World, ann: User, bob: User) -> None:
    body = members(ann, bob, kind="direct")
    first, second = [await world.http.post("/api/v1/chats", json=body, headers=BANK) for _ in range(2)]
    assert (first.status_code, second.status_code, second.json()["id"]) == (201, 200, first.json()["id"])


async def test_blocked_user_cannot_add_who_blocks_them(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await talk(world, ann, eve)
    unknown = {"kind": "group", "members": [{"login": "nobody"}]}
    nobody = problem(await eve.http.post("/api/v1/chats", json=unknown), 422, "invalid_field")
    assert (await ann.http.put(f"/api/v1/me/blocks/{eve.id}")).status_code == 204
    for body in (members(ann), members(ann, kind="direct"), {"kind": "group", "members": [{"login": "ANN"}]}):
        hidden = problem(await eve.http.post("/api/v1/chats", json=body), 422, "invalid_field")
        assert hidden["detail"].startswith("There is no user with the ")
    assert hidden == nobody | {"detail": nobody["detail"].replace("nobody", "ANN")}
    other = await world.chat(eve)
    answer = await eve.http.post(f"/api/v1/chats/{other}/members", json={"user_id": ann.id})
    problem(answer, 422, "invalid_field")
    assert (await ann.http.post(f"/api/v1/chats/{chat_id}/messages", json={"text": "still here"})).status_code == 201
    assert (await bob.http.post("/api/v1/chats", json=members(ann))).status_code == 201
    assert (await ann.http.post("/api/v1/chats", json=members(eve))).status_code == 201, "blocking works one way"
    assert (await ann.http.delete(f"/api/v1/me/blocks/{eve.id}")).status_code == 204
    assert (await eve.http.post("/api/v1/chats", json=members(ann))).status_code == 201


async def test_existing_direct_chat_is_found_by_blocked_user(world: World, ann: User, eve: User) -> None:
    first = await eve.http.post("/api/v1/chats", json=members(ann, kind="direct"))
    await ann.http.put(f"/api/v1/me/blocks/{eve.id}")
    again = await eve.http.post("/api/v1/chats", json=members(ann, kind="direct"))
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


async def test_block_list_tells_nothing_about_who_exists(world: World, ann: User, bob: User) -> None:
    ids = [bob.id, 10**15, ann.id]
    for user_id in [*ids, bob.id]:
        assert (await ann.http.put(f"/api/v1/me/blocks/{user_id}")).status_code == 204
    assert (await ann.http.get("/api/v1/me/blocks")).json() == {"user_ids": sorted(ids)}
    assert (await bob.http.get("/api/v1/me/blocks")).json() == {"user_ids": []}
    assert (await bob.http.delete(f"/api/v1/me/blocks/{ann.id}")).status_code == 204
    problem(await ann.http.put("/api/v1/me/blocks/x"), 404, "not_found")
    problem(await world.http.get("/api/v1/me/blocks"), 401, "unauthorized")
    assert (await ann.http.post("/api/v1/chats", json=members(ann))).status_code == 201, "nobody blocks themselves"


async def test_block_list_has_a_limit(small_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.repositories.contacts.MAX_BLOCKS", 2)
    ann = await small_world.user("ann")
    statuses = [(await ann.http.put(f"/api/v1/me/blocks/{user_id}")).status_code for user_id in (5, 6, 7, 6)]
    assert statuses == [204, 204, 409, 204]


async def test_strangers_are_limited_and_contacts_are_not(sqlite_url: str) -> None:
    async with open_world(sqlite_url, strangers=3) as world:
        eve, friend = await world.user("eve"), await world.user("friend")
        strangers = [await world.user(f"stranger{number}") for number in range(3)]
        await talk(world, eve, friend)
        assert (await eve.http.post("/api/v1/chats", json=members(*strangers[:2]))).status_code == 201
        limited = await eve.http.post("/api/v1/chats", json=members(*strangers[:2]))
        assert 1 <= problem(limited, 429, "rate_limited")["retry_after_s"] <= 60
        assert limited.headers["retry-after"]
        assert (await eve.http.post("/api/v1/chats", json=members(strangers[2]))).status_code == 201
        for body in (members(strangers[0], kind="direct"), {"kind": "group", "members": [{"login": "stranger1"}]}):
            problem(await eve.http.post("/api/v1/chats", json=body), 429, "rate_limited")
        for _ in range(5):
            assert (await eve.http.post("/api/v1/chats", json=members(friend, eve))).status_code == 201
        assert (await friend.http.post("/api/v1/chats", json=members(strangers[0]))).status_code == 201
        assert (await world.http.post("/api/v1/chats", json=members(*strangers), headers=BANK)).status_code == 201


async def test_names_of_nobody_and_of_blockers_count_as_strangers(sqlite_url: str) -> None:
    async with open_world(sqlite_url, strangers=3) as world:
        eve, ann = await world.user("eve"), await world.user("ann")
        await ann.http.put(f"/api/v1/me/blocks/{eve.id}")
        chat_id = await world.chat(eve)
        answers = [
            await eve.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": login})
            for login in ("nobody", "ann", "noone", "ann", "nobody")
        ]
        assert [answer.status_code for answer in answers] == [422, 422, 422, 429, 429]
        details = {answers[-1].json()["detail"], answers[-2].json()["detail"]}
        assert len(details) == 1


async def test_being_put_into_a_chat_makes_nobody_a_contact(sqlite_url: str) -> None:
    async with open_world(sqlite_url, strangers=2) as world:
        eve, victim = await world.user("eve"), await world.user("victim")
        statuses = [(await eve.http.post("/api/v1/chats", json=members(victim))).status_code for _ in range(4)]
        assert statuses == [201, 201, 429, 429]
        chat_id = (await world.chats.chat_page(victim.id, None, 1)).items[0].id
        await world.say(victim, chat_id, "who are you?")
        assert (await eve.http.post("/api/v1/chats", json=members(victim))).status_code == 201


async def test_contacts_only_are_added_where_the_operator_says_so(sqlite_url: str) -> None:
    async with open_world(sqlite_url, adding=Adding.CONTACTS) as world:
        ann, friend, stranger = await world.user("ann"), await world.user("friend"), await world.user("stranger")
        await talk(world, friend, ann)
        square = await world.chat(stranger, kind=ChatKind.PUBLIC)
        await ann.http.post(f"/api/v1/chats/{square}/members", json={"user_id": ann.id})
        assert (await ann.http.post("/api/v1/chats", json=members(friend))).status_code == 201
        for login in ("stranger", "nobody"):
            answer = await ann.http.post("/api/v1/chats", json={"kind": "group", "members": [{"login": login}]})
            assert problem(answer, 422, "invalid_field")["detail"] == f'There is no user with the login "{login}".'
        await world.http.put(f"/api/v1/users/{ann.id}/staff", headers=BANK)
        assert (await ann.http.post("/api/v1/chats", json=members(stranger))).status_code == 201


async def test_services_only_add_users_where_the_operator_says_so(sqlite_url: str) -> None:
    async with open_world(sqlite_url, adding=Adding.SERVICE) as world:
        ann, friend = await world.user("ann"), await world.user("friend")
        chat_id = await talk(world, friend, ann)
        await friend.http.delete(f"/api/v1/chats/{chat_id}/members/{ann.id}")
        problem(await friend.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": ann.id}), 403, "forbidden")
        for login in ("ann", "nobody"):
            answer = await friend.http.post("/api/v1/chats", json={"kind": "group", "members": [{"login": login}]})
            problem(answer, 403, "forbidden")
        assert (await friend.http.post("/api/v1/chats", json=members(friend))).status_code == 201
        square = await world.chat(friend, kind=ChatKind.PUBLIC)
        assert (await ann.http.post(f"/api/v1/chats/{square}/members", json={"login": "Ann"})).status_code == 201
        answer = await world.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": ann.id}, headers=BANK)
        assert answer.status_code == 201


@pytest.mark.parametrize("lifted_by", ["owner", "service", "adding"])
async def test_removal_from_public_chat_bars_until_lifted(world: World, ann: User, eve: User, lifted_by: str) -> None:
    chat = f"/api/v1/chats/{await world.chat(ann, kind=ChatKind.PUBLIC)}"
    join, bar = {"user_id": eve.id}, f"{chat}/bars/{eve.id}"
    assert (await eve.http.post(f"{chat}/members", json=join)).status_code == 201
    assert (await eve.http.delete(f"{chat}/members/{eve.id}")).status_code == 204
    assert (await eve.http.post(f"{chat}/members", json=join)).status_code == 201, "who leaves may come back"
    assert (await ann.http.delete(f"{chat}/members/{eve.id}")).status_code == 204
    problem(await eve.http.post(f"{chat}/members", json=join), 403, "forbidden")
    problem(await eve.http.delete(bar), 403, "forbidden")
    if lifted_by == "adding":
        assert (await ann.http.post(f"{chat}/members", json=join)).status_code == 201
        assert (await eve.http.delete(f"{chat}/members/{eve.id}")).status_code == 204
    elif lifted_by == "owner":
        assert (await ann.http.delete(bar)).status_code == 204
    else:
        assert (await world.http.delete(bar, headers=BANK)).status_code == 204
    assert (await eve.http.post(f"{chat}/members", json=join)).status_code == 201
    problem(await ann.http.delete(bar), 404, "not_found")


async def test_bar_is_lifted_by_remover_who_owns_the_chat_no_longer(
    world: World, ann: User, bob: User, eve: User
) -> None:
    chat = f"/api/v1/chats/{await world.chat(ann, bob, eve, kind=ChatKind.PUBLIC)}"
    assert (await ann.http.delete(f"{chat}/members/{eve.id}")).status_code == 204
    assert (await ann.http.put(f"{chat}/owner", json={"user_id": bob.id})).status_code == 204
    assert (await ann.http.delete(f"{chat}/bars/{eve.id}")).status_code == 204
    assert (await eve.http.post(f"{chat}/members", json={"user_id": eve.id})).status_code == 201


async def test_service_bars_from_public_chat(world: World, ann: User, eve: User) -> None:
    chat = f"/api/v1/chats/{await world.chat(ann, eve, kind=ChatKind.PUBLIC)}"
    assert (await world.http.delete(f"{chat}/members/{eve.id}", headers=BANK)).status_code == 204
    problem(await eve.http.post(f"{chat}/members", json={"user_id": eve.id}), 403, "forbidden")
    problem(await world.http.delete(f"{chat}/bars/{eve.id}", headers=SHOP), 403, "forbidden")


async def test_empty_public_chat_is_still_closed_to_who_was_removed(world: World, ann: User, eve: User) -> None:
    chat = f"/api/v1/chats/{await world.chat(ann, eve, kind=ChatKind.PUBLIC)}"
    for user in (eve, ann):
        assert (await ann.http.delete(f"{chat}/members/{user.id}")).status_code == 204
    problem(await eve.http.post(f"{chat}/members", json={"user_id": eve.id}), 403, "forbidden")


async def test_user_who_may_not_add_anyone_learns_no_names(world: World, ann: User, bob: User, eve: User) -> None:
    group, square = await world.chat(ann, bob), await world.chat(ann, kind=ChatKind.PUBLIC)
    for user, chat_id, status, code in (
        (bob, group, 403, "forbidden"),
        (eve, group, 404, "not_found"),
        (eve, square, 403, "forbidden"),
    ):
        url = f"/api/v1/chats/{chat_id}/members"
        answers = [await user.http.post(url, json={"login": login}) for login in ("ann", "bob", "nobody")]
        assert {problem(answer, status, code)["detail"] for answer in answers} == {answers[0].json()["detail"]}
        problem(await user.http.post(url, json={"user_id": 999}), status, code)
