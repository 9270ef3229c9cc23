"""Many messages in one request."""

from typing import Any

import pytest

from httpapi.operation import ON_BEHALF_OF
from storage.records import Refusal
from storage.repositories.identities import Identities
from tests.gateway.api.world import BANK, SHOP, User, World, problem

URL = "/api/v1/messages"


def item(chat_id: int, text: str = "hi", client_msg_id: str = "m", **fields: object) -> dict[str, Any]:
    return {"chat_id": chat_id, "text": text, "client_msg_id": client_msg_id} | fields


async def post(world: World, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await world.http.post(URL, json={"items": items}, headers=SHOP)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert len(results) == len(items)
    return results


def statuses(results: list[dict[str, Any]]) -> list[tuple[int, str | None]]:
    return [(result["status"], result.get("problem", {}).get("code")) for result in results]


async def test_items_are_stored_in_order(world: World, ann: User, bob: User) -> None:
    one, two = await world.chat(ann), await world.chat(ann, bob)
    items = [item(chat, f"{number}", f"m{number}") for number in range(50) for chat in (one, two)]
    results = await post(world, *items)
    assert statuses(results) == [(201, None)] * 100
    assert [result["message"]["seq"] for result in results[::2]] == list(range(1, 51))
    page = (await ann.http.get(f"/api/v1/chats/{two}/messages")).json()["messages"]
    assert [message["text"] for message in page] == [f"{number}" for number in range(50)]
    assert page == [result["message"] for result in results[1::2]]
    assert {message["kind"] for message in page} == {"system"}


async def test_repeated_batch_stores_nothing(world: World, ann: User) -> None:
    items = [item(await world.chat(ann), f"{number}", f"m{number}") for number in range(3)]
    first, again = await post(world, *items), await post(world, *items)
    assert statuses(again) == [(200, None)] * 3
    assert [result["message"] for result in again] == [result["message"] for result in first]


async def test_each_item_has_its_own_outcome(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    results = await post(
        world,
        item(chat_id, "as ann", "1", on_behalf_of=ann.id),
        item(chat_id, "as eve", "2", on_behalf_of=eve.id),
        item(chat_id, "", "3"),
        item(chat_id, "x" * 1001, "4"),
        item(chat_id, "one", "5"),
        item(chat_id, "other", "5"),
        item(chat_id, "x", "6", on_behalf_of=999_999),
        item(chat_id, "x", "7", on_behalf_of="nobody"),
        item(chat_id, "x", "8", data={"a": "x" * 5000}),
        item(chat_id + 1, "x", "9"),
        {"chat_id": chat_id, "client_msg_id": "10", "data": {"order": 7}},
    )
    assert statuses(results) == [
        (201, None),
        (403, "forbidden"),
        (422, "empty_text"),
        (422, "text_too_long"),
        (201, None),
        (409, "id_reused"),
        (404, "not_found"),
        (422, "invalid_field"),
        (422, "invalid_field"),
        (403, "forbidden"),
        (201, None),
    ]
    assert results[0]["message"]["sender"]["id"] == ann.id
    assert (results[-1]["message"]["text"], results[-1]["message"]["data"]) == ("", {"order": 7})


async def test_items_reply_and_mention(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    target = await world.say(ann, chat_id, "one")
    reply = item(chat_id, reply_to=target, mentions=[ann.id, ann.id])
    results = await post(world, reply, item(chat_id, client_msg_id="n", reply_to=target + 100))
    assert statuses(results) == [(201, None), (422, "invalid_field")]
    assert results[0]["message"]["reply_to"]["id"] == target
    assert results[0]["message"]["mentions"] == [ann.id]


async def test_users_are_named_by_subject(world: World, ann: User) -> None:
    person = await Identities(world.database).person("https://issuer.example", "кот|7", "cat")
    chat_id = await world.chat(ann)
    await world.http.post(f"/api/v1/chats/{chat_id}/members", json={"user_id": person.id}, headers=BANK)
    results = await post(world, item(chat_id, on_behalf_of="sub:кот|7"), item(chat_id, on_behalf_of="sub:nobody"))
    assert statuses(results) == [(201, None), (404, "not_found")]
    assert results[0]["message"]["sender"]["id"] == person.id


async def test_outage_is_the_outcome_of_each_item(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.node.answer = Refusal.UNAVAILABLE
    results = await post(world, item(chat_id), item(chat_id, client_msg_id="n"))
    assert statuses(results) == [(503, "unavailable")] * 2
    assert results[0]["problem"]["retry_after_s"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": []},
        {"items": [item(1)] * 501},
        {"items": [{"chat_id": 1, "text": "no id"}]},
        {"items": [item(0)]},
        {"items": [item(1, "x", "")]},
        {"items": [item(1, "x", "x" * 65)]},
        {"items": [item(1, data=[])]},
        {"items": [{"chat_id": 1, "text": 7, "client_msg_id": "m"}]},
        {"items": [item(1, colour="red")]},
        {"items": [item(1, on_behalf_of=0)]},
    ],
)
async def test_body_of_another_shape_is_rejected(small_world: World, body: dict[str, Any]) -> None:
    problem(await small_world.http.post(URL, json=body, headers=SHOP), 422, "invalid_field")


async def test_too_large_body_is_rejected(small_world: World) -> None:
    body = {"items": [item(1, "x" * 1000, f"{number}", data={"a": "x" * 2000}) for number in range(500)]}
    problem(await small_world.http.post(URL, json=body, headers=SHOP), 413, "too_large")


async def test_only_a_service_with_the_scope_sends_batches(world: World, ann: User) -> None:
    body = {"items": [item(await world.chat(ann))]}
    problem(await ann.http.post(URL, json=body), 403, "forbidden")
    problem(await world.http.post(URL, json=body, headers=BANK), 403, "forbidden")
    named = SHOP | {ON_BEHALF_OF.name: str(ann.id)}
    problem(await world.http.post(URL, json=body, headers=named), 422, "invalid_field")
