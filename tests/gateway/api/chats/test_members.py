"""Members of a chat over HTTP."""

import logging

import pytest

from storage.records import ChatKind
from tests.gateway.api.world import User, World, problem


async def test_added_member_has_access_and_node_is_notified(
    world: World, ann: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    chat_id = await world.chat(ann)
    with caplog.at_level(logging.INFO, "gateway"):
        answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": bob.id})
    assert answer.status_code == 201
    names = {"username": "bob", "first_name": "Bob", "last_name": "Test", "display_name": "Bob Test", "avatar_url": ""}
    assert answer.json() == {"user_id": bob.id, **names, "role": "member", "read_seq": 0}
    assert world.node.changes == [(chat_id, bob.id, False)]
    (record,) = caplog.records
    assert record.getMessage() == "member_added"
    assert vars(record)["fields"] == {"chat_id": chat_id, "user_id": bob.id, "actor_id": ann.id}
    assert (await bob.http.get(f"/api/v1/chats/{chat_id}")).status_code == 200


async def test_adding_member_again_changes_nothing(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": "Bob"})
    assert answer.status_code == 200
    assert answer.json()["user_id"] == bob.id
    assert world.node.changes == []


async def test_removed_member_loses_access_and_node_is_notified(
    world: World, ann: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    chat_id = await world.chat(ann, bob)
    with caplog.at_level(logging.INFO, "gateway"):
        answer = await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert world.node.changes == [(chat_id, bob.id, True)]
    (record,) = caplog.records
    assert record.getMessage() == "member_removed"
    assert vars(record)["fields"] == {"chat_id": chat_id, "user_id": bob.id, "actor_id": ann.id}
    for path in ("", "/messages", "/presence"):
        problem(await bob.http.get(f"/api/v1/chats/{chat_id}{path}"), 404, "not_found")
    problem(await bob.http.post(f"/api/v1/chats/{chat_id}/messages", json={"text": "still here"}), 404, "not_found")
    problem(await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}"), 404, "not_found")
    assert len(world.node.changes) == 1


async def test_any_member_may_leave(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    assert (await bob.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}")).status_code == 204


async def test_only_owner_adds_and_removes_others(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    problem(await bob.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 403, "forbidden")
    problem(await bob.http.delete(f"/api/v1/chats/{chat_id}/members/{ann.id}"), 403, "forbidden")
    assert world.node.changes == []


async def test_stranger_gets_not_found(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    problem(await eve.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 404, "not_found")
    problem(await eve.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}"), 404, "not_found")
    problem(await eve.http.delete(f"/api/v1/chats/{chat_id}/members/{eve.id}"), 404, "not_found")


async def test_any_user_may_join_public_chat(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    answer = await eve.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id})
    assert answer.status_code == 201


async def test_members_of_direct_chat_never_change(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob, kind=ChatKind.DIRECT)
    problem(await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 409, "conflict")
    document = problem(await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}"), 409, "conflict")
    assert document["detail"] == "The two members of a direct chat never change."


async def test_member_must_name_exactly_one_user(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    bodies = [{}, {"user_id": None}, {"user_id": 1, "login": "bob"}, {"user_id": 2**62}, {"login": "no"}, {"login": 7}]
    for body in bodies:
        problem(await ann.http.post(f"/api/v1/chats/{chat_id}/members", json=body), 422, "invalid_field")


async def test_unknown_login_is_named_in_plain_words(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": "o'no"})
    assert problem(answer, 422, "invalid_field")["detail"] == 'There is no user with the login "o\'no".'


async def test_role_must_fit_the_kind_of_chat(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann)
    answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": "bob", "role": "master"})
    problem(answer, 409, "conflict")


async def test_ownership_transfer_is_effective_and_logged(
    world: World, ann: User, bob: User, eve: User, caplog: pytest.LogCaptureFixture
) -> None:
    chat_id = await world.chat(ann, bob)
    url = f"/api/v1/chats/{chat_id}"
    assert (await bob.http.get(url)).json()["owner_id"] == ann.id
    with caplog.at_level(logging.INFO, "gateway"):
        answer = await ann.http.put(f"{url}/owner", json={"user_id": bob.id})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await bob.http.put(f"{url}/owner", json={"user_id": bob.id})).status_code == 204
    (record,) = caplog.records
    assert record.getMessage() == "owner_changed"
    assert vars(record)["fields"] == {"chat_id": chat_id, "user_id": bob.id, "actor_id": ann.id}
    assert (await ann.http.get("/api/v1/chats")).json()["chats"][0]["owner_id"] == bob.id
    problem(await ann.http.post(f"{url}/members", json={"user_id": eve.id}), 403, "forbidden")
    assert (await bob.http.post(f"{url}/members", json={"user_id": eve.id})).status_code == 201


async def test_owner_leaving_is_succeeded_and_logged(
    world: World, ann: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    chat_id = await world.chat(ann, bob)
    with caplog.at_level(logging.INFO, "gateway"):
        assert (await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{ann.id}")).status_code == 204
    assert [record.getMessage() for record in caplog.records] == ["member_removed", "owner_changed"]
    assert vars(caplog.records[1])["fields"] == {"chat_id": chat_id, "user_id": bob.id, "actor_id": ann.id}
    assert (await bob.http.get(f"/api/v1/chats/{chat_id}")).json()["owner_id"] == bob.id


async def test_invalid_ownership_transfer_is_rejected(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    url = f"/api/v1/chats/{chat_id}/owner"
    problem(await bob.http.put(url, json={"user_id": bob.id}), 403, "forbidden")
    problem(await eve.http.put(url, json={"user_id": eve.id}), 404, "not_found")
    for body in (
        {"user_id": eve.id},
        {"user_id": 2**62},
        {"user_id": 0},
        {"user_id": "1"},
        {},
        {"user_id": bob.id, "x": 1},
    ):
        problem(await ann.http.put(url, json=body), 422, "invalid_field")
    direct = await world.chat(ann, bob, kind=ChatKind.DIRECT)
    problem(await ann.http.put(f"/api/v1/chats/{direct}/owner", json={"user_id": bob.id}), 409, "conflict")
    assert (await ann.http.get(f"/api/v1/chats/{direct}")).json()["owner_id"] is None
