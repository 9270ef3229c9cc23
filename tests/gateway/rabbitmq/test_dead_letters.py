"""Messages that cannot be stored become dead letters at once, with their reason, and do not block others."""

import asyncio
import struct
from datetime import UTC, datetime

import pytest

from gateway.rabbitmq.decoder import DeadLetterReason
from tests.gateway.rabbitmq.bench import Peer, running, texts_of, until_settled, until_stored
from tests.gateway.rabbitmq.raw_amqp import publish_raw, short, table
from tests.storage.nodes import Node
from tests.support.rabbitmq import RabbitServer


def nested(depth: int) -> bytes:
    """The table of one value: arrays within each other."""
    arrays = b""
    for _ in range(depth):
        arrays = b"A" + struct.pack(">I", len(arrays)) + arrays
    return table(b"\x01t" + arrays)


GOOD = b'{"room_id": "room1", "content": "good"}'


async def test_poison_becomes_dead_letter_and_the_rest_is_stored(node: Node, peer: Peer, amqp_url: str) -> None:
    poison = {
        DeadLetterReason.INVALID_JSON: b"{not json",
        DeadLetterReason.INVALID_ROOM: b'{"content": "x"}',
        DeadLetterReason.EMPTY_TEXT: b'{"room_id": "room1", "content": ""}',
        DeadLetterReason.TOO_LARGE: b" " * 200_000,
    }
    async with running(node, amqp_url) as here:
        for number, body in enumerate(poison.values()):
            await peer.publish(body)
            await peer.say("room1", str(number))
        await until_settled(here, stored=4, **{reason.value: 1 for reason in poison})
        letters = await peer.dead(4)
    assert {letter.headers["x-dead-reason"]: letter.body for letter in letters} == poison
    assert await texts_of(node, "room1") == ["0", "1", "2", "3"]
    assert await peer.count("messages") == 0


async def test_dead_letter_is_the_message_with_added_headers(node: Node, peer: Peer, amqp_url: str) -> None:
    sent_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    described = {"correlation_id": "c", "type": "t", "app_id": "a", "content_type": "text/plain", "timestamp": sent_at}
    async with running(node, amqp_url):
        # properties that make a broker act: expire at once, send copies in a loop, close a channel
        acting = {"expiration": 60, "headers": {"CC": ["messages"], "mine": 1}, "reply_to": "elsewhere"}
        await peer.publish(b"poison", message_id="m-1", **described, **acting)
        (dead,) = await peer.dead(1)
    assert (dead.body, dead.message_id, dead.delivery_mode) == (b"poison", "m-1", 2)
    assert {name: getattr(dead, name) for name in described} == described
    note = {"x-dead-reason": "invalid_json", "x-dead-queue": "messages", "x-dead-node": "node-1"}
    assert (dead.headers, dead.expiration, dead.reply_to) == (note, None, None)
    assert await peer.count("messages") == 0


async def test_reused_id_makes_second_message_a_dead_letter(node: Node, peer: Peer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        await peer.say("room1", "first", message_id="m-1")
        await peer.say("room1", "second", message_id="m-1")
        await peer.say("room2", "second", message_id="m-1")
        await until_settled(here, stored=2, id_reused=1)
        (letter,) = await peer.dead(1)
    assert b"second" in letter.body


@pytest.mark.parametrize(
    "properties",
    [
        {"timestamp": struct.pack(">Q", 1_700_000_000_000_000)},
        {"timestamp": b"\xff" * 8},
        {"message_id": short(b"\xe9t\xe9")},
        {"message_id": short(b"\xff" * 255), "content_type": short(b"\xff" * 255)},
        {"headers": table(b"\x01\xffS\x00\x00\x00\x01x")},
        {"headers": table(b"\x01tT" + b"\xff" * 8)},
        {"headers": nested(5_000)},
        {"message_id": short("\u20ac".encode() * 85), "content_type": short(b"\xe2\x82" * 127)},
    ],
)
async def test_unusual_properties_do_not_break_the_connection(
    node: Node, peer: Peer, rabbitmq_server: RabbitServer, amqp_url: str, properties: dict[str, bytes]
) -> None:
    async with running(node, amqp_url) as here:
        for body in (GOOD, b"poison"):
            await asyncio.to_thread(publish_raw, rabbitmq_server.port, "messages", body, **properties)
        await until_stored(node, "room1", ["good"])
        await until_settled(here, stored=1, invalid_json=1)
        assert here.lost == {}
        await peer.dead(1)


async def test_empty_body_becomes_dead_letter(
    node: Node, rabbitmq_server: RabbitServer, peer: Peer, amqp_url: str
) -> None:
    async with running(node, amqp_url) as here:
        await asyncio.to_thread(publish_raw, rabbitmq_server.port, "messages", b"")
        await until_settled(here, invalid_json=1)
        (letter,) = await peer.dead(1)
    assert letter.body == b""
