"""The system under test: three nodes behind nginx, over a Redis with a replica and three Sentinels, one PostgreSQL and
one RabbitMQ, with a link that can be made bad between each node and whatever it talks to.

Sentinels know each Redis by a `hub`, a link of its own, over which its replica reaches it too: that link stalled, it is
cut off from them and not from the nodes, who come over theirs.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from auth.tokens.access_tokens import GuestIssuer, Issuer, TokenNames
from auth.tokens.key_ring import KeyRing
from storage.database.database import open_database
from storage.records import ChatKind, NewMember
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.chats import Chats
from storage.repositories.rooms import RoomRepository
from tests.faults.links import Link
from tests.faults.mutations import Mutation
from tests.faults.servers import ReloadableNginx, RigNode
from tests.support.migrated import make_store
from tests.support.rabbitmq import RabbitServer
from tests.support.sentinels import RedisTrio
from tests.support.servers import PostgresServer, RedisServer, ServerFailed

NODES = 3
TOKEN_LIFETIME_S = 6 * 3600
TOKEN_AGE_S = 900
"""Tokens are from before: a node whose clock is slow rightly refuses those of the future."""
_T = TypeVar("_T")


@dataclass
class Place:
    """A node and its links. `lock` is held by whatever fault has hold of the process."""

    number: int
    node: RigNode
    front: Link
    redis: tuple[Link, Link]
    """To each of the two servers."""
    postgres: Link
    rabbitmq: Link
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Start the node, as a supervisor would: again and again, since it ends where the database is away."""
        while True:
            with suppress(ServerFailed):
                await in_thread(self.node.start)
                return
            await asyncio.sleep(0.5)


@dataclass(frozen=True)
class User:
    """Somebody with a token."""

    id: int
    token: str


@dataclass(frozen=True)
class Room:
    """Where guests listen to what comes out of the queue."""

    chat: int
    name: str
    tokens: tuple[str, str]
    """Of its two guests."""


@dataclass
class Rig:
    """Everything, running."""

    places: list[Place]
    nginx: ReloadableNginx
    redis: RedisTrio
    hubs: dict[int, Link]
    """By the port that Sentinels know."""
    postgres: PostgresServer
    database_url: str
    rabbitmq: RabbitServer
    redis_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    postgres_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    rabbitmq_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def populate(self, chats: int, members: int) -> dict[int, list[User]]:
        """New chats of so many new users each."""
        made: dict[int, list[User]] = {}
        async with open_database(self.database_url) as database:
            accounts, store = Accounts(database), Chats(database)
            key = await KeyRing(SigningKeys(database), TOKEN_LIFETIME_S).signing_key()
            issuer = Issuer(TokenNames(), TOKEN_LIFETIME_S, lambda: time.time() - TOKEN_AGE_S)
            for chat in range(chats):
                users = []
                for number in range(members):
                    person = await accounts.create(f"u{chat}-{number}", "no password", "", "")
                    users.append(User(person.id, issuer.issue(key, person.id, person.username)))
                others = [NewMember(user_id=user.id) for user in users[1:]]
                record, _ = await store.create_chat(users[0].id, ChatKind.GROUP, "rig", others)
                made[record.id] = users
        return made

    async def furnish(self, rooms: int) -> list[Room]:
        """New rooms with tokens for two guests each."""
        async with open_database(self.database_url) as database:
            key = await KeyRing(SigningKeys(database), TOKEN_LIFETIME_S).signing_key()
            issuer = GuestIssuer(TokenNames(), lambda: time.time() - TOKEN_AGE_S)
            made = []
            for number in range(rooms):
                name = f"room{number}"
                ann, bob = (issuer.issue(key, guest, f"{guest}@rig.example", name) for guest in ("ann", "bob"))
                made.append(Room((await RoomRepository(database).room(name)).chat_id, name, (ann, bob)))
            return made


@asynccontextmanager
async def run_rig(folder: Path, mutation: Mutation | None = None, **settings: object) -> AsyncIterator[Rig]:
    """Start it all in `folder`, which another user (PostgreSQL's) must be able to reach; stop it on leaving."""
    for name in ("redis-a", "redis-b", "sentinels", "postgres", "rabbitmq"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        postgres = await in_thread(lambda: PostgresServer(folder / "postgres"))
        rabbitmq = RabbitServer(folder / "rabbitmq")
        hubs, servers = [await stack.enter_async_context(Link(0)) for _ in range(2)], []
        for name, hub in zip(("redis-a", "redis-b"), hubs, strict=True):
            announced = ("--replica-announce-ip", "127.0.0.1", "--replica-announce-port", str(hub.port))
            servers.append(RedisServer(folder / name, "--repl-diskless-sync-delay", "0", *announced))
            hub.lead_to(servers[-1].port)
        redis = RedisTrio(folder / "sentinels", servers, [hub.port for hub in hubs])
        for server in (postgres, rabbitmq, redis):
            stack.push_async_callback(in_thread, server.stop)
            await in_thread(server.start)
        database = await in_thread(postgres.create_database)
        await make_store(database)
        places = []
        for number in range(NODES):
            first, second = [await stack.enter_async_context(Link(server.port)) for server in servers]
            to_postgres = await stack.enter_async_context(Link(postgres.port))
            to_rabbitmq = await stack.enter_async_context(Link(rabbitmq.port))
            node = RigNode(
                folder / f"node-{number}",
                **{
                    "REDIS_URL": redis.url,
                    "RIG_ROUTES": f"{hubs[0].port}={first.port},{hubs[1].port}={second.port}",
                    "AMQP_URL": rabbitmq.url.replace(f":{rabbitmq.port}/", f":{to_rabbitmq.port}/"),
                    "DATABASE_URL": database.replace(f":{postgres.port}/", f":{to_postgres.port}/"),
                    "MESSAGES_PER_MINUTE": 0,
                    "DRAIN_DELAY_S": 0.5,
                    "DRAIN_S": 3,
                    "RIG_MUTATION": mutation or "",
                }
                | settings,
            )
            front = await stack.enter_async_context(Link(node.port))
            places.append(Place(number, node, front, (first, second), to_postgres, to_rabbitmq))
            stack.push_async_callback(in_thread, node.stop)
        await asyncio.gather(*(place.start() for place in places))
        nginx = ReloadableNginx(folder / "nginx", [place.front.port for place in places])
        stack.push_async_callback(in_thread, nginx.stop)
        await in_thread(nginx.start)
        known = {hub.port: hub for hub in hubs}
        yield Rig(places, nginx, redis, known, postgres, database, rabbitmq)


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run a blocking call in the pool, whose threads persist: a child ends with the *thread* that started it."""
    return await asyncio.to_thread(work)


def make_folder(root: Path) -> Path:
    """An empty folder that anybody may look into."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    root.chmod(0o755)
    return root
