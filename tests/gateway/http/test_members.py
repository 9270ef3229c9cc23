"""A chat's members over HTTP."""

import logging

import pytest

from storage.records import ChatKind
from tests.gateway.http.world import User, World, problem


async def test_a_new_member_gets_in_and_the_node_hears_of_it(
    world: World, ann: User, bob: User, caplog: pytest.LogCaptureFixture
) -> None:
    chat_id = await world.chat(ann)
    with caplog.at_level(logging.INFO, "gateway"):
        answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": bob.id})
    assert answer.status_code == 201
    names = {"username": "bob", "first_name": "Bob", "last_name": "Test"}
    assert answer.json() == {"user_id": bob.id, **names, "role": "member", "read_seq": 0}
    assert world.node.changes == [(chat_id, bob.id, False)]
    (record,) = caplog.records
    assert record.getMessage() == "member_added"
    assert vars(record)["fields"] == {"chat_id": chat_id, "user_id": bob.id, "actor_id": ann.id}
    assert (await bob.http.get(f"/api/v1/chats/{chat_id}")).status_code == 200


async def test_adding_a_member_again_changes_nothing(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": "Bob"})
    assert answer.status_code == 200
    assert answer.json()["user_id"] == bob.id
    assert world.node.changes == []


async def test_a_removed_member_is_out_and_the_node_hears_of_it(
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


async def test_anyone_may_leave(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    assert (await bob.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}")).status_code == 204


async def test_only_the_creator_adds_and_removes_others(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    problem(await bob.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 403, "forbidden")
    problem(await bob.http.delete(f"/api/v1/chats/{chat_id}/members/{ann.id}"), 403, "forbidden")
    assert world.node.changes == []


async def test_a_stranger_learns_nothing_of_the_chat(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob)
    problem(await eve.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 404, "not_found")
    problem(await eve.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}"), 404, "not_found")
    problem(await eve.http.delete(f"/api/v1/chats/{chat_id}/members/{eve.id}"), 404, "not_found")


async def test_anyone_may_join_a_public_chat(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    answer = await eve.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id})
    assert answer.status_code == 201


async def test_the_two_of_a_direct_chat_never_change(world: World, ann: User, bob: User, eve: User) -> None:
    chat_id = await world.chat(ann, bob, kind=ChatKind.DIRECT)
    problem(await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": eve.id}), 409, "conflict")
    document = problem(await ann.http.delete(f"/api/v1/chats/{chat_id}/members/{bob.id}"), 409, "conflict")
    assert document["detail"] == "The two members of a direct chat never change."


async def test_a_member_must_be_one_user(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    bodies = [{}, {"user_id": None}, {"user_id": 1, "login": "bob"}, {"user_id": 2**62}, {"login": "no"}, {"login": 7}]
    for body in bodies:
        problem(await ann.http.post(f"/api/v1/chats/{chat_id}/members", json=body), 422, "invalid_field")


async def test_a_role_must_be_one_of_the_chat_s(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann)
    answer = await ann.http.post(f"/api/v1/chats/{chat_id}/members", json={"login": "bob", "role": "master"})
    problem(answer, 409, "conflict")
