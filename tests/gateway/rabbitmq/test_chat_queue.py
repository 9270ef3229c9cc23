"""The queue of messages for chats: once, in order, as the system or a user, with dead letters of its own."""

import itertools
from typing import Any

import pytest

from gateway.rabbitmq import consumer as consumption
from gateway.rabbitmq.chat_message import ChatMessage, read_chat_message
from gateway.rabbitmq.decoder import DeadLetterReason
from httpapi.bounded_json import to_json
from storage.records import SYSTEM, NewMember, Refusal
from storage.repositories.identities import Identities
from tests.gateway.rabbitmq.bench import CHATS, Fussy, Peer, running, until, until_settled
from tests.storage.nodes import Node, message


async def texts(node: Node, chat_id: int) -> list[str]:
    return [event.text for event in await node.history(chat_id)]


async def until_texts(node: Node, chat_id: int, wanted: list[str]) -> None:
    async def stored() -> bool:
        return len(await texts(node, chat_id)) >= len(wanted)

    await until(stored, f"{len(wanted)} messages")
    assert await texts(node, chat_id) == wanted


async def test_message_is_of_the_system_or_of_a_user(node: Node, peer: Peer, amqp_url: str) -> None:
    ann = await node.person("ann")
    bob = await Identities(node.database).person("https://issuer.example", "42", "bob")
    chat = await node.group(ann, bob)
    async with running(node, amqp_url, chats=True) as here:
        await peer.publish({"chat_id": chat, "text": "Paid.", "data": {"order": 7}, "client_msg_id": "a"}, to=CHATS)
        await peer.publish({"chat_id": chat, "text": "by id", "on_behalf_of": ann.id}, to=CHATS)
        await peer.publish({"chat_id": chat, "text": "by sub", "on_behalf_of": "sub:42"}, to=CHATS, message_id="m-1")
        await until_settled(here, stored=3)
    events = await node.history(chat)
    assert [(event.sender, event.text) for event in events] == [(SYSTEM, "Paid."), (ann, "by id"), (bob, "by sub")]
    assert (events[0].data, events[0].client_msg_id, events[2].client_msg_id) == ('{"order":7}', "a", "m-1")
    assert await peer.count(CHATS) == 0


async def test_redelivered_message_for_a_chat_is_stored_once(node: Node, peer: Peer, amqp_url: str) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    async with running(node, amqp_url, chats=True) as here:
        for _ in range(3):
            await peer.publish({"chat_id": chat, "text": "once", "client_msg_id": "a"}, to=CHATS)
        await until_settled(here, stored=1, duplicate=2)
    assert await texts(node, chat) == ["once"]


async def test_outage_loses_nothing_and_keeps_order_in_a_chat(
    node: Node, peer: Peer, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "MAX_PAUSE_S", 0.1)
    ann = await node.person("ann")
    chat = await node.group(ann)
    calls = itertools.count()
    store = Fussy(node, lambda _: Refusal.UNAVAILABLE if 20 <= next(calls) < 60 else None)
    wanted = [str(number) for number in range(100)]
    async with running(node, amqp_url, store, chats=True):
        for text in wanted:
            await peer.publish({"chat_id": chat, "text": text, "on_behalf_of": ann.id}, to=CHATS)
        await until_texts(node, chat, wanted)
    assert await peer.count(f"{CHATS}.dead") == 0


async def test_order_in_a_chat_is_kept_with_two_nodes(node: Node, peer: Peer, amqp_url: str) -> None:
    chat = await node.group(await node.person("ann"))
    wanted = [str(number) for number in range(300)]
    async with running(node, amqp_url, chats=True), running(node, amqp_url, chats=True):
        await peer.until_consumed_by(2, CHATS)
        for text in wanted:
            await peer.publish({"chat_id": chat, "text": text}, to=CHATS)
        await until_texts(node, chat, wanted)


async def test_message_that_may_not_be_stored_is_a_dead_letter(node: Node, peer: Peer, amqp_url: str) -> None:
    ann, eve = await node.person("ann"), await node.person("eve")
    chat = await node.group(ann)
    bodies: dict[str, Any] = {
        "invalid_json": b"{not json",
        "invalid_chat": {"text": "x"},
        "not_a_member": {"chat_id": chat, "text": "x", "on_behalf_of": eve.id},
        "unknown_sender": {"chat_id": chat, "text": "x", "on_behalf_of": "sub:nobody"},
        "invalid_sender": {"chat_id": chat, "text": "x", "on_behalf_of": "nobody"},
        "id_reused": {"chat_id": chat, "text": "other", "client_msg_id": "good"},
    }
    async with running(node, amqp_url, chats=True) as here:
        await peer.publish({"chat_id": chat, "text": "good", "client_msg_id": "good"}, to=CHATS)
        for body in bodies.values():
            await peer.publish(body, to=CHATS)
        await peer.publish({"chat_id": chat + 1, "text": "no such chat"}, to=CHATS)
        await peer.publish({"chat_id": chat, "text": "last"}, to=CHATS)
        await until_settled(here, stored=2, **(dict.fromkeys(bodies, 1) | {"not_a_member": 2}))
        letters = await peer.dead(len(bodies) + 1, f"{CHATS}.dead")
        assert {letter.headers["x-dead-reason"] for letter in letters} == set(bodies)
        assert {letter.headers["x-dead-queue"] for letter in letters} == {CHATS}
    assert await texts(node, chat) == ["good", "last"]
    assert await peer.count("messages.dead") == 0


async def test_rooms_and_chats_have_queues_of_their_own(node: Node, peer: Peer, amqp_url: str) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    await node.chats.add_member(chat, ann.id, NewMember(user_id=(await node.person("bob")).id))
    async with running(node, amqp_url, chats=True) as here:
        await peer.say("room1", "for the room")
        await peer.publish({"chat_id": chat, "text": "for the chat"}, to=CHATS)
        await until_settled(here, stored=2)
        assert here.queue.is_up
        await here.queue.finish()
        await peer.publish({"chat_id": chat, "text": "later"}, to=CHATS)
        assert await peer.count(CHATS) == 1
    async with running(node, amqp_url):
        assert await peer.count(CHATS) == 1, "without the setting nobody consumes it"
    assert await texts(node, chat) == ["for the chat"]


def read(**fields: object) -> ChatMessage | DeadLetterReason:
    return read_chat_message(to_json({"chat_id": 1, "text": "hi", "client_msg_id": "a"} | fields), None, 10)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"chat_id": 0}, DeadLetterReason.INVALID_CHAT),
        ({"chat_id": "1"}, DeadLetterReason.INVALID_CHAT),
        ({"chat_id": True}, DeadLetterReason.INVALID_CHAT),
        ({"chat_id": 2**63}, DeadLetterReason.INVALID_CHAT),
        ({"text": ""}, DeadLetterReason.EMPTY_TEXT),
        ({"text": "x" * 11}, DeadLetterReason.TEXT_TOO_LONG),
        ({"text": "\x00"}, DeadLetterReason.INVALID_TEXT),
        ({"data": []}, DeadLetterReason.INVALID_DATA),
        ({"data": {"a": "x" * 5000}}, DeadLetterReason.INVALID_DATA),
        ({"on_behalf_of": 0}, DeadLetterReason.INVALID_SENDER),
        ({"on_behalf_of": []}, DeadLetterReason.INVALID_SENDER),
        ({"on_behalf_of": ""}, DeadLetterReason.INVALID_SENDER),
        ({"on_behalf_of": "sub:" + "x" * 256}, DeadLetterReason.INVALID_SENDER),
        ({"client_msg_id": 7}, DeadLetterReason.INVALID_ID),
        ({"reply_to": 0}, DeadLetterReason.INVALID_FIELD),
        ({"mentions": 7}, DeadLetterReason.INVALID_FIELD),
        ({"mentions": [1] * 51}, DeadLetterReason.INVALID_FIELD),
        ({"on_behalf": 7}, DeadLetterReason.INVALID_FIELD),
    ],
)
def test_invalid_message_for_a_chat_has_its_reason(fields: dict[str, object], reason: DeadLetterReason) -> None:
    assert read(**fields) is reason


async def test_message_replies_and_mentions(node: Node, peer: Peer, amqp_url: str) -> None:
    ann = await node.person("ann")
    chat = await node.group(ann)
    first = await node.say(message(chat, ann, "one"))
    reply = {"chat_id": chat, "text": "two", "reply_to": first.message_id, "mentions": [ann.id]}
    async with running(node, amqp_url, chats=True) as here:
        await peer.publish(reply, to=CHATS)
        await peer.publish(reply | {"reply_to": 999_999}, to=CHATS)
        await until_settled(here, stored=1, no_such_target=1)
    _, event = await node.history(chat)
    assert event.reply_to is not None
    assert (event.reply_to.id, event.mentions) == (first.message_id, (ann.id,))


def test_message_for_a_chat_may_be_data_alone() -> None:
    message = read(text=None, data={"a": 1}, on_behalf_of=7)
    assert message == ChatMessage(1, "", '{"a":1}', "7", "a")
