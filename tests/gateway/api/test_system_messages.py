"""Services that write, edit and delete as themselves."""

import pytest

from tests.gateway.api.world import BANK, SHOP, User, World, problem


def messages(chat_id: int) -> str:
    return f"/api/v1/chats/{chat_id}/messages"


async def test_service_alone_sends_a_system_message(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    sent = await world.http.post(messages(chat_id), json={"text": "Paid."}, headers=SHOP)
    assert (sent.status_code, sent.json()["sender"], sent.json()["kind"]) == (201, None, "system")
    assert world.node.is_limited is False
    (seen,) = (await ann.http.get(messages(chat_id))).json()["messages"]
    assert seen == sent.json()
    (chat,) = (await ann.http.get("/api/v1/chats")).json()["chats"]
    assert chat["unread"] == 1
    assert [member["user_id"] for member in chat["members"]] == [ann.id]


async def test_retried_system_message_is_stored_once(world: World, ann: User) -> None:
    chat_id, headers = await world.chat(ann), SHOP | {"Idempotency-Key": "order-7"}
    first = await world.http.post(messages(chat_id), json={"text": "Paid."}, headers=headers)
    again = await world.http.post(messages(chat_id), json={"text": "Paid."}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=headers), 409, "id_reused")


async def test_service_alone_changes_any_message(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    one = f"{messages(chat_id)}/{await world.say(ann, chat_id, 'rude')}"
    edited = await world.http.patch(one, json={"text": "polite"}, headers=SHOP)
    assert (edited.status_code, edited.json()["text"]) == (200, "polite")
    assert (edited.json()["sender"]["id"], edited.json()["by"]) == (ann.id, None)
    assert "kind" not in edited.json()
    deleted = await world.http.delete(one, headers=SHOP)
    assert (deleted.status_code, deleted.json()["is_deleted"], deleted.json()["by"]) == (200, True, None)
    problem(await world.http.delete(one, headers=SHOP), 404, "not_found")


async def test_service_finds_no_missing_chat(world: World, ann: User) -> None:
    chat_id = await world.chat(ann) + 1
    problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=SHOP), 404, "not_found")
    problem(await world.http.delete(f"{messages(chat_id)}/1", headers=SHOP), 404, "not_found")


async def test_key_without_scope_writes_no_system_message(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    problem(await world.http.post(messages(chat_id), json={"text": "x"}, headers=BANK), 403, "forbidden")


@pytest.mark.parametrize(("body", "code"), [({}, "empty_text"), ({"text": "x" * 1001}, "text_too_long")])
async def test_invalid_system_message_is_rejected(small_world: World, body: dict[str, str], code: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    problem(await small_world.http.post(messages(chat_id), json=body, headers=SHOP), 422, code)


async def test_token_beside_key_still_writes_as_its_user(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    headers = SHOP | {"Authorization": f"Bearer {ann.token}"}
    sent = await world.http.post(messages(chat_id), json={"text": "hi"}, headers=headers)
    assert sent.json()["sender"]["id"] == ann.id
