"""Messages over HTTP."""

from datetime import datetime
from typing import Any

import pytest

from gateway.interfaces.rate_limits import RateLimited
from storage.records import ChatKind, Refusal
from tests.gateway.api.world import User, World, problem


def url(chat_id: object) -> str:
    return f"/api/v1/chats/{chat_id}/messages"


async def read(user: User, chat_id: int, **query: int) -> dict[str, Any]:
    """A page."""
    answer = await user.http.get(url(chat_id), params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def texts(page: dict[str, Any]) -> list[str]:
    return [message["text"] for message in page["messages"]]


async def test_posted_message_has_format_of_seed_004(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    answer = await ann.http.post(url(chat_id), json={"text": "Привет 👋"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 201
    message = answer.json()
    assert message == {
        "id": message["id"],
        "text": "Привет 👋",
        "sender": {
            "id": ann.id,
            "username": "ann",
            "first_name": "Ann",
            "last_name": "Test",
            "display_name": "Ann Test",
        },
        "timestamp": message["timestamp"],
        "is_edited": False,
        "is_deleted": False,
        "seq": 1,
        "client_msg_id": "k1",
    }
    assert datetime.strptime(message["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    assert (await read(bob, chat_id)) == {"messages": [message], "last_seq": 1, "epoch": await world.log.epoch()}


async def test_retry_gets_first_response(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    headers = {"Idempotency-Key": "k1"}
    first = await ann.http.post(url(chat_id), json={"text": "once"}, headers=headers)
    second = await ann.http.post(url(chat_id), json={"text": "once"}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    problem(await ann.http.post(url(chat_id), json={"text": "other"}, headers=headers), 409, "id_reused")
    assert texts(await read(ann, chat_id)) == ["once"]


async def test_same_text_without_key_is_another_message(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    for _ in range(2):
        assert (await ann.http.post(url(chat_id), json={"text": "hi"})).status_code == 201
    assert texts(await read(ann, chat_id)) == ["hi", "hi"]


@pytest.mark.parametrize("key", ["", "x" * 65, "ключ".encode().decode("latin-1")])
async def test_invalid_idempotency_key_is_rejected(small_world: World, key: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    document = problem(await ann.http.post(url(chat_id), json={"text": "x"}, headers=headers), 422, "invalid_field")
    assert "Idempotency-Key" in document["detail"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "empty_text"),
        (b'{"text": null}', "empty_text"),
        (b'{"text": 7}', "empty_text"),
        (b'{"text": ["x"]}', "empty_text"),
        (b'{"text": ""}', "empty_text"),
        (b'{"text": "\\u200b\\ufeff"}', "empty_text"),
        (b'{"text": " \\n\\t\\u00a0\\u2003"}', "empty_text"),
        ('{"text": "%s"}' % ("я" * 1001), "text_too_long"),
        (b'{"text": "a\\u0000b"}', "invalid_text"),
        (b'{"text": "\\ud800"}', "invalid_text"),
        (b'{"text": "\\udc00\\ud83d"}', "invalid_text"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_invalid_text_is_rejected(small_world: World, body: bytes | str, code: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    answer = await ann.http.post(url(chat_id), content=body, headers={"Content-Type": "application/json"})
    problem(answer, 422, code)
    assert texts(await read(ann, chat_id)) == []


async def test_data_are_returned_as_sent(world: World, ann: User, bob: User) -> None:
    chat_id = await world.chat(ann, bob)
    data = {"b": [1.5, None, {"я": "\0"}], "a": {}}
    for body in (
        {"data": data},
        {"text": "", "data": data},
        {"text": None, "data": data},
        {"text": "Hi", "data": data},
        {"text": "Hi", "data": None},
    ):
        answer = await ann.http.post(url(chat_id), json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json().get("data") == body["data"]
        assert answer.json()["text"] == (body.get("text") or "")
    messages = (await read(bob, chat_id))["messages"]
    assert [message.get("data") for message in messages] == [data] * 4 + [None]
    assert [list(message["data"]) for message in messages[:4]] == [["b", "a"]] * 4


@pytest.mark.parametrize(
    "data", [1, "text", [], {"a": "x" * 4096}, {"a": [[[[[[[{}]]]]]]]}, {"a": 2**64}], ids=lambda data: str(data)[:20]
)
async def test_invalid_data_is_rejected(small_world: World, data: object) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    answer = problem(await ann.http.post(url(chat_id), json={"text": "Hi", "data": data}), 422, "invalid_field")
    assert answer["errors"][0]["field"] == "data"


async def test_length_counts_code_points(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    assert (await ann.http.post(url(chat_id), json={"text": "👋" * 1000})).status_code == 201


async def test_hostile_texts_are_stored_verbatim(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    hostile = ["'; DROP TABLE users; --", "<script>alert(1)</script>", "a\r\nb\u2028c", "\u202eabc", "%s {} $1 ?"]
    for text in hostile:
        await ann.http.post(url(chat_id), json={"text": text})
    assert texts(await read(ann, chat_id)) == hostile


async def test_post_to_chat_of_others_is_not_found(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann)
    hidden = await eve.http.post(url(chat_id), json={"text": "let me in"})
    absent = await eve.http.post(url(chat_id + 1000), json={"text": "let me in"})
    problem(hidden, 404, "not_found")
    assert (hidden.json(), dict(hidden.headers)) == (absent.json(), dict(absent.headers))
    assert texts(await read(ann, chat_id)) == []


async def test_public_chat_is_read_by_all_and_written_by_members(world: World, ann: User, eve: User) -> None:
    chat_id = await world.chat(ann, kind=ChatKind.PUBLIC)
    await world.say(ann, chat_id, "welcome")
    page = await read(eve, chat_id)
    assert texts(page) == ["welcome"]
    assert (page["last_seq"], page["epoch"]) == (1, await world.log.epoch())
    problem(await eve.http.post(url(chat_id), json={"text": "hi"}), 403, "forbidden")
    problem(await world.http.get(url(chat_id)), 401, "unauthorized")


async def test_rate_limited_post_gets_retry_after(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.node.answer = RateLimited(12.3)
    answer = await ann.http.post(url(chat_id), json={"text": "hi"})
    assert problem(answer, 429, "rate_limited")["retry_after_s"] == 13
    assert answer.headers["retry-after"] == "13"


async def test_post_during_store_outage_gets_retry_after(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    world.node.answer = Refusal.UNAVAILABLE
    answer = await ann.http.post(url(chat_id), json={"text": "hi"})
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_pages_go_forward_by_events_and_backward_by_messages(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    ids = [await world.say(ann, chat_id, f"m{number}") for number in range(1, 5)]
    await world.edit(ann, chat_id, ids[0], "m1!")
    await world.delete(ann, chat_id, ids[1])

    newest = await read(ann, chat_id, limit=2)
    assert [(message["seq"], message["text"]) for message in newest["messages"]] == [(3, "m3"), (4, "m4")]
    assert newest["last_seq"] == 6
    assert texts(await read(ann, chat_id, before_seq=3)) == ["m1!", ""]
    assert texts(await read(ann, chat_id, before_seq=1)) == texts(await read(ann, chat_id, before_seq=0)) == []

    events = (await read(ann, chat_id, after_seq=3))["messages"]
    assert [(event["seq"], event["id"], event["text"]) for event in events] == [
        (4, ids[3], "m4"),
        (5, ids[0], "m1!"),
        (6, ids[1], ""),
    ]
    assert (events[1]["is_edited"], events[2]["is_deleted"]) == (True, True)
    assert texts(await read(ann, chat_id, after_seq=0, limit=1)) == ["m1!"]  # the present state, at each of its events
    assert texts(await read(ann, chat_id, after_seq=2**63 - 1)) == []


async def test_page_has_50_messages_by_default_and_200_at_most(world: World, ann: User) -> None:
    chat_id = await world.chat(ann)
    for number in range(60):
        await world.say(ann, chat_id, str(number))
    assert texts(await read(ann, chat_id)) == [str(number) for number in range(10, 60)]
    assert texts(await read(ann, chat_id, after_seq=0)) == [str(number) for number in range(50)]
    assert len(texts(await read(ann, chat_id, limit=200))) == 60
    assert texts(await read(ann, chat_id, limit=1)) == ["59"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            f"limit={value}"
            for value in ("0", "201", "-1", "abc", "", "1.5", "1e2", "9" * 40, "%00", "%D9%A1", "1&limit=2")
        ),
        *(f"after_seq={value}" for value in ("-1", "x", "", str(2**63), "+1", "%201", "1_0", "0x1", "NaN")),
        *(f"before_seq={value}" for value in ("-1", "null", "9" * 5000, "²")),
        "after_seq=1&before_seq=2",
    ],
    ids=lambda query: query[:30],
)
async def test_invalid_query_value_is_rejected(small_world: World, query: str) -> None:
    ann = await small_world.user("ann")
    chat_id = await small_world.chat(ann)
    problem(await ann.http.get(f"{url(chat_id)}?{query}"), 422, "invalid_field")


@pytest.mark.parametrize("epoch", [None, "before the restore"])
async def test_page_of_an_open_chat_reaches_last_seq(world: World, ann: User, epoch: str | None) -> None:
    chat_id = await world.chat(ann)
    for text in ("a", "b", "c"):
        assert (await ann.http.post(url(chat_id), json={"text": text})).status_code == 201
    local, _ = world.hub.open(chat_id)
    world.hub.start(local, 1, epoch or await world.log.epoch())
    page = await read(ann, chat_id, after_seq=0)
    assert (texts(page), page["last_seq"], page["epoch"]) == (["a", "b", "c"], 3, await world.log.epoch())
