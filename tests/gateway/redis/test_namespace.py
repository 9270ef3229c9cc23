"""The prefix of all names of a system in Redis."""

import pytest
import redis
from redis.crc import key_slot

from gateway.interfaces.client_registry import ClientConnection
from gateway.interfaces.presence import Seat
from gateway.redis.backend import RedisEvents, open_redis
from gateway.redis.namespace import Namespace
from storage.auth_records import Credential
from tests.gateway.redis.nodes import Ear
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


def test_default_names_begin_with_store_id() -> None:
    names = Namespace("5f3a")
    assert names.prefix == "cg:5f3a:"
    assert names.chat_channel(7) == b"cg:5f3a:chat:7"
    assert names.node_channel("n") == b"cg:5f3a:node:n"
    assert names.all_nodes == b"cg:5f3a:nodes"
    assert names.mark == b"5f3a:"


def test_configured_prefix_changes_names_and_not_the_mark() -> None:
    names = Namespace("5f3a", "staging")
    assert (names.prefix, names.mark) == ("staging:", b"5f3a:")


def test_prefixed_keys_are_spread_over_slots() -> None:
    names = Namespace("5f3a")
    assert len({key_slot(names.chat_channel(chat)) for chat in range(1000)}) > 900


@pytest.mark.parametrize("prefix", ["", "staging"])
async def test_every_key_and_channel_has_the_prefix(redis_server: RedisServer, prefix: str) -> None:
    names, ear = Namespace("5f3a", prefix), Ear()
    with redis.Redis.from_url(redis_server.url) as client:
        async with open_redis(
            redis_server.url, names, "node", messages_per_minute=10, events=lambda _: RedisEvents()
        ) as rooms:
            rooms.start(ear, ear)
            await eventually(lambda: not rooms.broker.down and not rooms.broker.deaf)
            await rooms.broker.subscribe(1)
            await rooms.presence.enter(Seat(1, 7, "ann", "x", exclusive=True))
            await rooms.limits.admit(7, "m1")
            await rooms.tickets.issue(Credential(7, 1))
            rooms.clients.arrive(ClientConnection("phone", 7, "x", 1))
            wanted = {b"lease", b"nodes", b"seats", b"presence", b"limit", b"ticket", b"clients"}
            await eventually(lambda: wanted <= kinds(client, names))
            used = [*client.keys("*"), *client.pubsub_channels()]
            assert [name for name in used if not name.startswith(names.prefix.encode())] == []


def kinds(client: redis.Redis, names: Namespace) -> set[bytes]:
    """The first words of all keys behind the prefix."""
    own = [key.removeprefix(names.prefix.encode()) for key in client.keys("*")]
    return {key.partition(b":")[0] for key in own}
