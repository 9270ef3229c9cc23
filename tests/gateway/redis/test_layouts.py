"""The Redis services of two nodes behave the same over one Redis, several of them and a cluster."""

import asyncio

import pytest

from auth.accounts.counters import Limit
from auth.accounts.redis_counters import RedisCounters
from gateway.config.redis_url import split, whereabouts
from gateway.interfaces.client_registry import ClientConnection
from gateway.interfaces.presence import Seat
from gateway.interfaces.rate_limits import Exhausted, RateLimited, Take
from gateway.redis.connection.redis_py import open_vendor_clients
from storage.auth_records import Credential
from tests.gateway.redis.layout_nodes import LIMIT, Half, node
from tests.gateway.redis.nodes import NAMES
from tests.support.waiting import eventually, eventually_async

CHATS = range(1, 41)
HANG_S = 30.0


@pytest.mark.parametrize("layout_url", ["one", "two", "three", "cluster", "cluster over TLS"], indirect=True)
async def test_every_redis_service_works_between_two_nodes(layout_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.accounts.redis_counters.TIMEOUT_S", HANG_S)
    async with node(layout_url, "a") as a, node(layout_url, "b") as b:
        await every_publication_is_heard(a, b)
        await who_speaks_to_a_node_or_to_all_is_heard(a, b)
        await presence_is_shared(a, b)
        await limits_and_tickets_hold_over_both(a, b)
        await clients_are_found(a, b)
        await buckets_of_callers_hold_over_both(a, b)
        await failed_logins_are_counted_over_all_processes(layout_url)
        assert a.happened == b.happened == []
        assert a.rooms.broker.unpublished == 0


async def every_publication_is_heard(a: Half, b: Half) -> None:
    await asyncio.gather(*(half.rooms.broker.subscribe(chat) for half in (a, b) for chat in CHATS))
    a.ear.interruptions = b.ear.interruptions = 0
    for number in range(10):
        for chat in CHATS:
            b.rooms.broker.publish(chat, b"%d" % number)
    await eventually(lambda: len(a.ear.heard) == len(b.ear.heard) == 10 * len(CHATS))
    for chat in CHATS:
        assert [payload for heard, payload in a.ear.heard if heard == chat] == [b"%d" % n for n in range(10)]
    for chat in CHATS:
        a.rooms.broker.unsubscribe(chat)
    # A link carries out what it is sent in order: what is confirmed on every server came after its unsubscriptions.
    await asyncio.gather(a.rooms.broker.subscribe(1), *(a.rooms.broker.subscribe(chat + 1000) for chat in CHATS))
    for chat in reversed(CHATS):
        b.rooms.broker.publish(chat, b"late")
    await eventually(lambda: (1, b"late") in a.ear.heard)
    assert not {(chat, b"late") for chat in CHATS[1:]} & set(a.ear.heard)
    assert (a.ear.interruptions, b.ear.interruptions) == (0, 0)


async def who_speaks_to_a_node_or_to_all_is_heard(a: Half, b: Half) -> None:
    for number in range(20):
        a.rooms.broker.announce(b"all %d" % number)
        b.rooms.broker.send("a", b"a %d" % number)
    await eventually(lambda: len(a.ear.announcements) == 40 and len(b.ear.announcements) == 20)
    assert b.ear.announcements == [b"all %d" % number for number in range(20)]
    assert [said for said in a.ear.announcements if said.startswith(b"a ")] == [b"a %d" % n for n in range(20)]


async def presence_is_shared(a: Half, b: Half) -> None:
    first = [Seat(chat, 7, "ann", f"first-{chat}", exclusive=True) for chat in CHATS]
    await asyncio.gather(*(a.rooms.presence.enter(seat) for seat in first))
    for chat in CHATS:
        assert [present.user_id for present in await b.rooms.presence.members(chat)] == [7]
        entered = await b.rooms.presence.enter(Seat(chat, 7, "ann", f"second-{chat}", exclusive=True))
        assert entered is not None and entered.displaced == (f"first-{chat}",)
    assert b.rooms.presence.seats == len(CHATS)


async def limits_and_tickets_hold_over_both(a: Half, b: Half) -> None:
    for user in range(1, 11):
        halves = [(a, b)[number % 2] for number in range(LIMIT + 3)]
        answers = [await half.rooms.limits.admit(user, f"m{number}") for number, half in enumerate(halves)]
        assert [isinstance(answer, RateLimited) for answer in answers] == [False] * LIMIT + [True] * 3
        ticket = await a.rooms.tickets.issue(Credential(user, 2_000_000_000))
        assert await b.rooms.tickets.redeem(ticket) == Credential(user, 2_000_000_000)
        assert await a.rooms.tickets.redeem(ticket) is None


async def clients_are_found(a: Half, b: Half) -> None:
    for user in range(1, 11):
        a.rooms.clients.arrive(ClientConnection(f"phone-{user}", user, f"c{user}", 5))

    async def are_found() -> bool:
        found = [await b.rooms.clients.where_client(f"phone-{user}", user) for user in range(1, 11)]
        return found == [{"a": 1}] * 10 == [await b.rooms.clients.where_user(user) for user in range(1, 11)]

    await eventually_async(are_found)
    a.rooms.clients.depart(ClientConnection("phone-3", 3, "c3", 5))

    async def is_gone() -> bool:
        return await b.rooms.clients.where_user(3) == {} == await b.rooms.clients.where_client("phone-3", 3)

    await eventually_async(is_gone)


async def buckets_of_callers_hold_over_both(a: Half, b: Half) -> None:
    takes = [Take("requests", 1, 100), Take("members", 4, 10)]
    for number in range(20):
        answers = [await half.rooms.caller_buckets.take(f"user:{number}", takes) for half in (a, b, a)]
        assert answers[:2] == [None, None]
        assert isinstance(answers[2], Exhausted)
        assert answers[2].bucket == "members"


async def failed_logins_are_counted_over_all_processes(url: str) -> None:
    async with open_vendor_clients(url, HANG_S) as mine, open_vendor_clients(url, HANG_S) as yours:
        here, there = (RedisCounters(*redis, prefix=NAMES.prefix) for redis in (mine, yours))
        for account in range(5):
            for _ in range(30):
                await here.count(Limit(f"ann-{account}", 10))
            assert await there.wait_s(Limit(f"ann-{account}", 10)) > 0
        assert await there.wait_s(Limit("bob", 10)) == 0


def test_url_list_is_split_only_between_urls() -> None:
    one, sentinels = "redis://u:a,b@h:1/0", "redis+sentinel://h:1,i:2/x"
    assert split(f" {one}, {sentinels}\n{one} ") == (one, sentinels, one)
    assert split(one) == (one,)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rediss://u:p@a:1/0?password=p", "rediss://a:1/0"),
        ("redis+cluster://:p@a:1,b:2/?password=p", "redis+cluster://a:1,b:2/"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_logged_redis_location_hides_password(url: str, told: str) -> None:
    assert whereabouts(url) == told
