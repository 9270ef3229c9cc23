"""One-use tickets over real Redis: once, for half a minute, on any node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.errors import RedisUnavailable
from gateway.redis.link import Link
from gateway.redis.tickets import RedisTickets
from gateway.tasks import Tasks
from gateway.tickets import LIFETIME_S, PREFIX, Redeemed, is_ticket
from tests.gateway.redis.waiting import eventually
from tests.servers import RedisServer

UNTIL = 1_750_000_000


@asynccontextmanager
async def node(url: str) -> AsyncIterator[RedisTickets]:
    """What one gateway process has of tickets."""
    link, tasks = Link(url), Tasks()
    tasks.spawn(link.run(), "redis link")
    try:
        await eventually(lambda: link.is_up)
        yield RedisTickets(link)
    finally:
        await tasks.close()


async def test_a_ticket_lets_in_once_on_any_node(redis_url: str) -> None:
    async with node(redis_url) as a, node(redis_url) as b:
        ticket = await a.issue(7, UNTIL)
        assert is_ticket(ticket)
        assert await b.redeem(ticket) == Redeemed(7, UNTIL)
        assert await b.redeem(ticket) is None
        assert await a.redeem(ticket) is None


async def test_of_nodes_that_redeem_at_once_exactly_one_wins(redis_url: str) -> None:
    async with node(redis_url) as a, node(redis_url) as b:
        for _ in range(50):
            ticket = await a.issue(7, UNTIL)
            answers = await asyncio.gather(*(where.redeem(ticket) for where in (a, b) * 4))
            assert sorted(answers, key=str) == [None] * 7 + [Redeemed(7, UNTIL)]


async def test_nobody_can_guess_a_ticket_or_read_one_in_redis(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        issued = {await tickets.issue(7, UNTIL) for _ in range(100)}
        assert len(issued) == 100
        assert all(len(ticket.removeprefix(PREFIX)) >= 32 for ticket in issued)
        with redis.Redis(port=redis_server.port) as client:
            stored = str([(key, client.get(key)) for key in client.scan_iter()])
    assert not [ticket for ticket in issued if ticket in stored or ticket.removeprefix(PREFIX) in stored]


async def test_a_ticket_is_gone_after_half_a_minute(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        ticket = await tickets.issue(7, UNTIL)
        with redis.Redis(port=redis_server.port) as client:
            (key,) = client.scan_iter()
            assert LIFETIME_S == 30
            assert LIFETIME_S - 5 < client.ttl(key) <= LIFETIME_S
            client.pexpire(key, 1)
            await eventually(lambda: not client.exists(key))
        assert await tickets.redeem(ticket) is None


@pytest.mark.parametrize("junk", [PREFIX, PREFIX + "x", PREFIX + "*", PREFIX + "\x00\r\nGET x", PREFIX + "\ud800", "x"])
async def test_what_was_never_issued_lets_nobody_in(redis_url: str, junk: str) -> None:
    async with node(redis_url) as tickets:
        assert await tickets.redeem(junk) is None


async def test_without_redis_it_is_an_outage(redis_server: RedisServer) -> None:
    async with node(redis_server.url) as tickets:
        ticket = await tickets.issue(7, UNTIL)
        redis_server.kill()
        async with asyncio.timeout(5):
            with pytest.raises(RedisUnavailable):
                while True:
                    await tickets.redeem(ticket + "x")
            with pytest.raises(RedisUnavailable):
                await tickets.issue(7, UNTIL)


def test_no_token_looks_like_a_ticket() -> None:
    assert not is_ticket("eyJhbGciOiJFUzI1NiJ9.e30.AA")
