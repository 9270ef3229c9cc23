"""The Lua scripts on a real Redis, through the adapters that call them, with whatever clients may name."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import signature
from random import Random
from typing import Any, Final

from redis.asyncio import Redis

from auth.accounts.counters import Limit
from auth.accounts.redis_counters import TIMEOUT_S, RedisCounters
from gateway.interfaces.client_registry import ClientConnection
from gateway.interfaces.presence import Entered, Seat
from gateway.interfaces.rate_limits import Admitted
from gateway.redis.client_registry import RedisClients
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.connection.prefixed import Prefixed
from gateway.redis.namespace import Namespace
from gateway.redis.peers import KEY, SCRIPT
from gateway.redis.presence.table import SeatTable
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.tickets import RedisTickets
from storage.auth_records import Credential
from tests.fuzz.case import Case
from tests.support.servers import RedisServer, temporary_folder

LIMIT: Final = 3
ATTEMPTS: Final = 3
MAX_ID: Final = 2**63 - 1
NAMES: Final = Namespace("store")
FOREIGN: Final = b"of-another-system"
"""A key that no script may change."""
_NAMES: Final = (
    "ann",
    "",
    " ",
    "a:b",
    "*",
    "\x00",
    "\n\r\n",
    "κόσμε",
    "🌍",
    "\ufeff\u202e",
    '"}',
    '{"s":{}}',
    "\\u0000",
    "\x7f\x1b",
    "cg:store:peers",
    "1",
    "0",
    "-1",
    "1e999",
    "nan",
    "s",
    "n",
    "x" * 5000,
    "%s%n",
)
_IDS: Final = (1, 2, 3, -1, -(2**62), 2**53 + 1, MAX_ID)
_CLAIMS: Final = (None, None, -1, -(10**9), 1, 10**15, 1_900_000_000_000_000)
_NODES: Final = ("a", "b", "node-1")


class Lua:
    """A case is a sequence of calls, each a JSON array: the name of an operation and its arguments."""

    name = "lua"
    cpu_s = 2.0

    def __init__(self, link: CommandClient, redis: Redis) -> None:
        self._redis = redis
        own = Prefixed(link, NAMES.prefix)
        self._link = own
        self._seats = SeatTable(own)
        self._limits = RedisRateLimits(own, LIMIT)
        self._clients = RedisClients(own, "a")
        self._tickets = RedisTickets(own)
        self._counters = RedisCounters(redis, prefix=NAMES.prefix)
        self._admitted: dict[int, set[str]] = {}
        self._operations: dict[str, Callable[..., Awaitable[None]]] = {
            "enter": self._enter,
            "leave": self._leave,
            "clear": self._clear,
            "admit": self._admit,
            "count": self._count,
            "client": self._client,
            "peer": self._peer,
            "ticket": self._ticket,
        }

    def case(self, random: Random) -> Case:
        """Some calls that meet at few keys."""
        return tuple(json.dumps(_call(random)).encode() for _ in range(random.choice((1, 3, 8, 20))))

    async def check(self, case: Case) -> None:
        """No error reply; every key is in the namespace and expires; what was written can be read.

        Where Redis does not get the CPU to respond within TIMEOUT_S, processes count for themselves, and windows end
        meanwhile: a case that took so long is run again, and fails if it does so each time.
        """
        for attempts_left in reversed(range(ATTEMPTS)):
            started = time.monotonic()
            try:
                await self._check(case)
                return
            except (TimeoutError, AssertionError):
                if not attempts_left or time.monotonic() - started < TIMEOUT_S:
                    raise

    async def _check(self, case: Case) -> None:
        self._admitted.clear()
        await self._redis.flushdb()
        await self._redis.set(FOREIGN, b"1")
        for piece in case:
            try:
                operation, *words = json.loads(piece)
                run = self._operations[operation]
                signature(run).bind(*words)
            except (ValueError, TypeError, KeyError):
                continue  # not a call: the minimiser has cut it
            await run(*words)
        await self._check_keys()

    async def _check_keys(self) -> None:
        keys = await self._redis.keys("*")
        assert FOREIGN in keys
        for key in keys:
            if key != FOREIGN:
                assert key.startswith(NAMES.prefix.encode()), f"{key!r} is outside of the namespace"
                assert await self._redis.pttl(key) != -1, f"{key!r} never expires"

    async def _enter(
        self, chat: int, user: int, name: str, connection: str, node: str, exclusive: bool, claim: int | None, more: int
    ) -> None:
        capacity = 2 if chat == MAX_ID else 0
        seat = Seat(chat, user, name, connection, exclusive=exclusive, capacity=capacity)
        dead = _NODES[: more % 3] if more > 0 else ()
        entered = await self._seats.take(seat, node, claim=claim, reject=more % 2 == 1, dead=dead)
        users = await self._seats.users(chat)
        if not isinstance(entered, Entered):
            assert exclusive or capacity, "kept away from a seat that nobody contests"
            return
        (taken,) = [one for one in users if one.user_id == user]
        assert taken.username == name, f"the name is read as {taken.username!r}"
        assert node in [at for at, _ in taken.seats], "the seat is not there"
        assert entered.count == len(users), f"{entered.count} users are counted, and {len(users)} are there"
        if exclusive:
            raw = json.loads(await self._redis.hget(f"{NAMES.prefix}presence:{chat}", str(user)) or "")
            assert [seat[1] for seat in raw["s"].values()].count(1) == 1, "two exclusive seats of one user"

    async def _leave(self, chat: int, user: int, name: str, connection: str) -> None:
        left = await self._seats.free(Seat(chat, user, name, connection))
        assert left.count == len(await self._seats.users(chat))

    async def _clear(self, chat: int, node: str) -> None:
        cursor, count = "", 0
        while cursor != "0":
            cleared = await self._seats.clear_some(chat, node, cursor or "0", 10)
            cursor, count = cleared.cursor, cleared.count
        users = await self._seats.users(chat)
        assert count == len(users)
        assert not [one for one in users if node in [at for at, _ in one.seats]], "a seat of the dead node is left"

    async def _admit(self, user: int, entry: str) -> None:
        counted = self._admitted.setdefault(user, set())
        admitted = isinstance(await self._limits.admit(user, entry), Admitted)
        assert admitted == (entry in counted or len(counted) < LIMIT), "the limit is not exact"
        if admitted:
            counted.add(entry)

    async def _count(self, key: str, most: int, window_s: float) -> None:
        limit = Limit(key, most, window_s)
        for number in range(most + 1):
            wait_s = await self._counters.count(limit)
            assert 0 <= wait_s <= window_s, wait_s
            if number == most:
                assert wait_s > 0, "more are counted than the limit allows"
        assert not self._counters._is_away, "the script failed"

    async def _client(self, client_id: str, user: int | None, connection: str) -> None:
        bearer = ClientConnection(client_id, user, connection, 100)
        self._clients.arrive(bearer)
        await self._clients._write()
        assert await self._clients.where_client(client_id, user) == {"a": 1}
        if user is not None:
            assert await self._clients.owners_of(client_id) == {user}
            assert [one.client_id for one in await self._clients.of_user(user)] == [client_id]
        self._clients.depart(bearer)
        await self._clients._write()
        assert await self._clients.where_client(client_id, user) == {}

    async def _peer(self, name: str, standing: str) -> None:
        others = await self._link.run_script(SCRIPT, KEY, name, standing, 15_000)
        assert len(others) % 2 == 0 and name.encode() not in others[::2]

    async def _ticket(self, user: int, digest: str) -> None:
        ticket = await self._tickets.issue(Credential(user, 100, 50, digest, ""))
        redeemed = await self._tickets.redeem(ticket)
        assert redeemed is not None and redeemed.user_id == user
        assert await self._tickets.redeem(ticket) is None
        assert await self._tickets.redeem(digest) is None


def _call(random: Random) -> list[Any]:
    name, user = _name(random), random.choice(_IDS)
    chat = random.choice((1, MAX_ID))
    connection = _name(random)
    match random.randrange(9):
        case 0 | 1 | 2:
            seat = [chat, user, name, connection, random.choice(_NODES), random.random() < 0.5]
            return ["enter", *seat, random.choice(_CLAIMS), random.randrange(6)]
        case 3:
            return ["leave", chat, user, name, connection]
        case 4:
            return ["clear", chat, random.choice(_NODES)]
        case 5:
            return ["admit", user, name]
        case 6:
            return ["count", name, random.choice((1, 2, 5)), random.choice((1.0, 60.0, 86_400.0))]
        case 7:
            return ["client", name, random.choice((None, abs(user))), connection]
    return random.choice((["peer", name, connection], ["ticket", abs(user), "abc"]))


def _name(random: Random) -> str:
    if random.random() < 0.7:
        return random.choice(_NAMES)
    return "".join(chr(random.choice((random.randrange(0x20), random.randrange(0x250)))) for _ in range(8))


@asynccontextmanager
async def open_lua() -> AsyncIterator[Lua]:
    """The target, with a Redis of its own."""
    folder = temporary_folder()
    server = RedisServer(folder)
    try:
        await asyncio.to_thread(server.start)
        link = CommandClient(server.url)
        running = asyncio.create_task(link.run())
        redis = Redis.from_url(server.url)
        try:
            async with asyncio.timeout(30):
                await link.connected.wait()
            yield Lua(link, redis)
        finally:
            running.cancel()
            await asyncio.wait([running])
            await redis.aclose()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
