"""From the queue into the store: once, in order, and acknowledged only then."""

import asyncio
import itertools

import pytest

from gateway.interfaces.rooms import RoomMessage
from gateway.rabbitmq import consumer as consumption
from storage.records import SYSTEM, NewEvent, Refusal
from tests.gateway.rabbitmq.bench import Fussy, Peer, log_of, running, texts_of, until, until_settled, until_stored
from tests.gateway.rabbitmq.raw_amqp import publish_raw
from tests.storage.nodes import Node
from tests.support.rabbitmq import RabbitServer


async def test_json_message_of_other_publisher_is_stored(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        await peer.publish({"room_id": "room1", "content": "Hello, Room!", "more": [1]}, message_id="m-1")
        await until_settled(here, stored=1)
    (event,) = await log_of(node, "room1")
    assert (event.seq, event.text, event.sender, event.client_msg_id) == (1, "Hello, Room!", SYSTEM, "m-1")
    assert await peer.count("messages") == 0


async def test_waiting_message_is_stored_when_a_node_starts(node: Node, peer: Peer, amqp_url: str) -> None:
    await peer.say("room1", "before any node")
    async with running(node, amqp_url):
        await until_stored(node, "room1", ["before any node"])


async def test_message_accepted_by_inbox_is_stored(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        await here.queue.inbox.accept(RoomMessage("комната", "текст 😀", "😀" * 64))
        await until_settled(here, stored=1)
    (event,) = await log_of(node, "комната")
    assert (event.text, event.client_msg_id) == ("текст 😀", "😀" * 64)


async def test_publisher_order_is_kept_with_several_nodes(node: Node, peer: Peer, amqp_url: str) -> None:
    texts = [str(number) for number in range(600)]
    async with running(node, amqp_url) as here, running(node, amqp_url) as there:
        await peer.until_consumed_by(2)
        for text in texts:
            await peer.say("room1", text)
        await until_stored(node, "room1", texts)
        assert here.settled["stored"] + there.settled["stored"] == len(texts)


async def test_redelivered_message_with_id_is_stored_once(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        for _ in range(3):
            await peer.say("room1", "once", message_id="m-1")
        for number in range(3):  # an application's retry is a new AMQP message; its own id says that it is the same
            retry = {"room_id": "room1", "content": "once again", "client_msg_id": "c-1"}
            await peer.publish(retry, message_id=f"m-{number + 2}")
        await until_settled(here, stored=2, duplicate=4)
    assert await texts_of(node, "room1") == ["once", "once again"]


async def test_id_longer_than_store_limit_still_deduplicates(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        for _ in range(2):
            await peer.say("room1", "a", message_id="x" * 255)
            await peer.publish({"room_id": "room1", "content": "b", "client_msg_id": "y" * 5000})
            await peer.publish({"room_id": "room1", "content": "c", "client_msg_id": "nul \0"})
        await until_settled(here, stored=3, duplicate=3)


async def test_messages_without_id_are_each_stored(
    node: Node, peer: Peer, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    async with running(node, amqp_url) as here:
        for _ in range(2):
            await asyncio.to_thread(
                publish_raw, rabbitmq_server.port, "messages", b'{"room_id": "room1", "content": "same"}'
            )
        await until_settled(here, stored=2)


async def test_store_outage_loses_nothing_and_keeps_order(
    node: Node, peer: Peer, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "MAX_PAUSE_S", 0.1)
    calls = itertools.count()
    store = Fussy(node, lambda _: Refusal.UNAVAILABLE if 20 <= next(calls) < 60 else None)
    texts = [str(number) for number in range(50)]
    async with running(node, amqp_url, store) as here:
        for text in texts:
            await peer.say("room1", text)
        await until_stored(node, "room1", texts)
        await until_settled(here, stored=50)
    assert max(store.refused.values()) > 5
    assert await peer.count("messages.dead") == 0


async def test_message_rejected_five_times_becomes_dead_letter(
    node: Node, peer: Peer, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "MAX_PAUSE_S", 0.1)
    store = Fussy(node, lambda event: Refusal.NOT_STORABLE if event.text == "bad" else None)
    numbers = itertools.count()
    async with running(node, amqp_url, store) as here:
        await peer.say("room1", "bad", message_id="bad-1")

        async def others_go_through() -> bool:
            await peer.say("room1", f"good {next(numbers)}")
            return here.settled["not_stored"] == 1

        await until(others_go_through, "the dead letter")
        assert store.refused["bad"] >= 5  # one before which no other was stored is no try
        (letter,) = await peer.dead(1)
        assert (letter.headers["x-dead-reason"], letter.message_id) == ("not_stored", "bad-1")


async def test_store_that_rejects_everything_causes_no_dead_letters(
    node: Node, peer: Peer, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "MAX_PAUSE_S", 0.1)
    is_broken = True

    def refuse(event: NewEvent) -> Refusal | None:
        return Refusal.NOT_STORABLE if is_broken else None

    store = Fussy(node, refuse)
    async with running(node, amqp_url, store) as here:
        for number in range(3):
            await peer.say("room1", str(number))

        async def tried() -> bool:
            return len(store.refused) == 3 and min(store.refused.values()) > 6

        await until(tried, "seven tries of each")
        assert await peer.count("messages.dead") == 0
        is_broken = False
        await until_settled(here, stored=3)


async def test_stopping_node_finishes_its_messages_and_takes_no_more(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        for number in range(100):
            await peer.say("room1", str(number))
        await here.queue.finish()
        assert here.queue.unacked == 0
        stored = len(await texts_of(node, "room1"))
        assert here.settled["stored"] == stored
        await peer.say("room1", "for another node")
        assert await peer.count("messages") == 101 - stored
        await here.queue.inbox.accept(RoomMessage("room2", "still accepted", "c-1"))
        async with running(node, amqp_url) as there:
            await until_settled(there, stored=102 - stored)
    assert len(await texts_of(node, "room1")) == 101


async def test_node_takes_messages_only_up_to_prefetch_limit(node: Node, peer: Peer, amqp_url: str) -> None:
    is_down = True
    store = Fussy(node, lambda _: Refusal.UNAVAILABLE if is_down else None)
    async with running(node, amqp_url, store) as here:
        await asyncio.gather(*(peer.say("room1", str(number)) for number in range(300)))

        async def is_full() -> bool:
            return here.queue.unacked == 200 and await peer.count("messages") == 100

        await until(is_full, "the prefetch limit")
        is_down = False
        await until_settled(here, stored=300)


@pytest.mark.parametrize("queue", ["messages", "messages.dead"])
async def test_deleted_queue_is_declared_again(
    node: Node, peer: Peer, rabbitmq_server: RabbitServer, amqp_url: str, queue: str
) -> None:
    async with running(node, amqp_url) as here:
        await peer.say("room1", "1")
        await until_settled(here, stored=1)
        await rabbitmq_server.delete(queue)
        if queue == "messages.dead":
            await asyncio.to_thread(publish_raw, rabbitmq_server.port, "messages", b"poison")
            await peer.dead(1)
        else:

            async def accepted() -> bool:
                await peer.say("room1", "2", message_id="second")
                return here.settled["stored"] == 2

            await until(accepted, "the second message")
