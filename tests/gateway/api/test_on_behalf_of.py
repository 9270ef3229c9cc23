"""Services that read as themselves, and act for users."""

import httpx
import pytest

from gateway.protocol.codes import Close, Disconnect
from storage.records import ChatKind
from storage.repositories.identities import Identities
from tests.gateway.api.world import BANK, SHOP, User, World, problem

CHATS = "/api/v1/chats"


def acting_for(user: User | str, key: dict[str, str] = SHOP) -> dict[str, str]:
    return key | {"X-On-Behalf-Of": user if isinstance(user, str) else str(user.id)}


def messages(chat_id: int) -> str:
    return f"/api/v1/chats/{chat_id}/messages"


async def test_service_sends_edits_and_deletes_for_a_user(world: World, ann: User) -> None:
    chat_id, headers = await world.chat(ann), acting_for(ann)
    sent = await world.http.post(messages(chat_id), json={"text": "hi"}, headers=headers)
    assert (sent.status_code, sent.json()["sender"]["id"]) == (201, ann.id)
    one = f"{messages(chat_id)}/{sent.json()['id']}"
    assert (await world.http.patch(one, json={"text": "new"}, headers=headers)).json()["text"] == "new"
    assert (await world.http.delete(one, headers=headers)).json()["is_deleted"] is True


async def test_message_for_a_user_counts_only_on_request(world: World, ann: User) -> None:
    chat_id, headers = await world.chat(ann), acting_for(ann)
    for header, counts in (({}, False), ({"X-Count-Limit": "true"}, True), ({"X-Count-Limit": "false"}, False)):
        await world.http.post(messages(chat_id), json={"text": "hi"}, headers=headers | header)
        assert world.node.is_limited is counts
    await ann.http.post(messages(chat_id), json={"text": "hi"}, headers={"X-Count-Limit": "false"})
    assert world.node.is_limited is True


async def test_service_has_no_more_rights_than_its_user(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    for headers in (acting_for(eve), acting_for(eve) | {"Authorization": f"Bearer {ann.token}"}):
        problem(await world.http.get(messages(chat_id), headers=headers), 404, "not_found")
        problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=headers), 404, "not_found")
    answer = await world.http.get(CHATS, headers=acting_for(eve, BANK))
    assert answer.json() == {"chats": []}


async def test_service_reads_every_chat_as_itself(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    await world.say(ann, chat_id, "hi")
    page = (await world.http.get(messages(chat_id), headers=SHOP)).json()
    assert [message["text"] for message in page["messages"]] == ["hi"]
    assert page["last_seq"] == 1
    assert (await world.http.get(f"/api/v1/chats/{chat_id}/presence", headers=BANK)).json() == {"members": []}
    problem(await world.http.get(messages(chat_id + 1), headers=SHOP), 404, "not_found")


async def test_service_as_itself_has_nothing_read(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    answer = await world.http.post(f"/api/v1/chats/{chat_id}/read", json={}, headers=SHOP)
    assert "X-On-Behalf-Of" in problem(answer, 422, "invalid_field")["detail"]


async def test_key_without_scope_acts_for_nobody(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    headers = acting_for(ann, BANK)
    problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=headers), 403, "forbidden")


async def test_user_cannot_act_for_another(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    for key in ({}, {"X-Service-Key": "wrong"}):
        answer = await eve.http.get(messages(chat_id), headers={"X-On-Behalf-Of": str(ann.id)} | key)
        assert answer.status_code in (403, 422), answer.text


async def test_owner_represented_by_service_owns_new_chat(world: World, ann: User) -> None:
    answer = await world.http.post("/api/v1/chats", json={"kind": "group"}, headers=acting_for(ann, BANK))
    assert (answer.status_code, answer.json()["owner_id"]) == (201, ann.id)


@pytest.mark.parametrize("name", ["", "0", "-1", "ann", "sub:", "sub:" + "x" * 256, "1" * 30, "1.5", "sub"])
async def test_name_that_is_no_user_is_rejected(small_world: World, name: str) -> None:
    headers = acting_for(name)
    answer = await small_world.http.get(messages(1), headers=headers)
    problem(answer, 422, "invalid_field")


async def test_unknown_user_is_not_found(small_world: World) -> None:
    for name in ("999", "sub:nobody"):
        problem(await small_world.http.get(messages(1), headers=acting_for(name)), 404, "not_found")


async def test_user_is_named_by_external_subject(world: World, ann: User) -> None:
    identities = Identities(world.database)
    person = await identities.person("https://issuer.example", "кот|7", "cat")
    chat, _ = await world.chats.create_chat(person.id, ChatKind.GROUP, "", [])
    headers: httpx.Headers = httpx.Headers(SHOP | {"X-On-Behalf-Of": "sub:кот|7"}, encoding="utf-8")
    sent = await world.http.post(messages(chat.id), json={"text": "hi"}, headers=headers)
    assert sent.json()["sender"]["id"] == person.id
    await identities.person("https://other.example", "кот|7", "cat")
    problem(await world.http.get(messages(chat.id), headers=headers), 404, "not_found")  # which of the two?


async def test_banned_user_is_not_represented(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.revocations.refused = Disconnect(Close.BANNED, "you are banned")
    problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=acting_for(ann)), 403, "banned")


async def test_revoked_tokens_do_not_hinder_the_service(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.revocations.refused = Disconnect(Close.UNAUTHORIZED, "the token was revoked")
    answer = await world.http.post(messages(chat_id), json={"text": "x"}, headers=acting_for(ann))
    assert answer.status_code == 201
