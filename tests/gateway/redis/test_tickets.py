"""One-time tickets on a real Redis: valid once, for half a minute, on any node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.interfaces.tickets import LIFETIME_S, PREFIX, is_ticket
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.tickets import RedisTickets, _key
from gateway.tasks import Tasks
from storage.auth_records import Credential
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

UNTIL = 1_750_000_000


@asynccontextmanager
async def node(url: str) -> AsyncIterator[RedisTickets]:
    """What one gateway process has of tickets."""
    link, tasks = CommandClient(url), Tasks()
    tasks.spawn(link.run(), "redis link")
    try:
        await eventually(lambda: link.is_up)
        yield RedisTickets(link)
    finally:
        await tasks.close()


async def test_ticket_is_redeemed_once_on_any_node(redis_url: str) -> None:
    async with node(redis_url) as a, node(redis_url) as b:
        ticket = await a.issue(Credential(7, UNTIL))
        assert is_ticket(ticket)
        assert await b.redeem(ticket) == Credential(7, UNTIL)
        assert await b.redeem(ticket) is None
        assert await a.redeem(ticket) is None


async def test_ticket_of_an_earlier_version_is_redeemed(redis_url: str) -> None:
    async with node(redis_url) as tickets:
        ticket = await tickets.issue(Credential(7, UNTIL, 5, "a", "b"))
        assert await tickets.redeem(ticket) == Credential(7, UNTIL, 5, "a", "b")
        old = f"{PREFIX}old"
        await tickets._link.call("SET", _key(old), f"7:{UNTIL}", "EX", LIFETIME_S)
        assert await tickets.redeem(old) == Credential(7, UNTIL)


async def test_concurrent_redemptions_succeed_exactly_once(redis_url: str) -> None:
    async with node(redis_url) as a, node(redis_url) as b:
        for _ in range(50):
            ticket = await a.issue(Credential(7, UNTIL))
            answers = await asyncio.gather(*(where.redeem(ticket) for where in (a, b) * 4))
            assert [answer for answer in answers if answer is not None] == [Credential(7, UNTIL)]


async def test_ticket_is_random_and_not_stored_in_plain(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        issued = {await tickets.issue(Credential(7, UNTIL)) for _ in range(100)}
        assert len(issued) == 100
        assert all(len(ticket.removeprefix(PREFIX)) >= 32 for ticket in issued)
        with redis.Redis(port=redis_server.port) as client:
            stored = str([(key, client.get(key)) for key in client.scan_iter()])
    assert not [ticket for ticket in issued if ticket in stored or ticket.removeprefix(PREFIX) in stored]


async def test_ticket_expires_after_30_seconds(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        ticket = await tickets.issue(Credential(7, UNTIL))
        with redis.Redis(port=redis_server.port) as client:
            (key,) = client.scan_iter()
            assert LIFETIME_S == 30
            assert LIFETIME_S - 5 < client.ttl(key) <= LIFETIME_S
            client.pexpire(key, 1)
            await eventually(lambda: not client.exists(key))
        assert await tickets.redeem(ticket) is None


@pytest.mark.parametrize("junk", [PREFIX, PREFIX + "x", PREFIX + "*", PREFIX + "\x00\r\nGET x", PREFIX + "\ud800", "x"])
async def test_unissued_ticket_is_rejected(redis_url: str, junk: str) -> None:
    async with node(redis_url) as tickets:
        assert await tickets.redeem(junk) is None


async def test_redis_outage_is_reported_as_unavailable(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        ticket = await tickets.issue(Credential(7, UNTIL))
        redis_server.kill()
        async with asyncio.timeout(5):
            with pytest.raises(RedisUnavailable):
                while True:
                    await tickets.redeem(ticket + "x")
            with pytest.raises(RedisUnavailable):
                await tickets.issue(Credential(7, UNTIL))


def test_token_is_not_taken_for_a_ticket() -> None:
    assert not is_ticket("eyJhbGciOiJFUzI1NiJ9.e30.AA")
