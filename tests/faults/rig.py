"""The system under test: three nodes behind nginx, over one Redis and one PostgreSQL, with a link that can be made bad
between each node and whatever it talks to."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from auth.keys import KeyRing
from auth.tokens import Issuer, TokenNames
from storage.accounts import Accounts
from storage.chats import Chats
from storage.database import open_database
from storage.keys import SigningKeys
from storage.migrate import migrate
from storage.records import ChatKind, NewMember
from tests.faults.links import Link
from tests.faults.mutations import Mutation
from tests.faults.servers import ReloadableNginx, RigNode
from tests.servers import PostgresServer, RedisServer, ServerFailed

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
    redis: Link
    postgres: Link
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


@dataclass
class Rig:
    """Everything, running."""

    places: list[Place]
    nginx: ReloadableNginx
    redis: RedisServer
    replica: RedisServer
    """Of `redis`, which it may succeed."""
    postgres: PostgresServer
    database_url: str
    redis_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    postgres_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

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


@asynccontextmanager
async def run_rig(folder: Path, mutation: Mutation | None = None, **settings: object) -> AsyncIterator[Rig]:
    """Start it all in `folder`, which another user (PostgreSQL's) must be able to reach; stop it on leaving."""
    for name in ("redis", "replica", "postgres"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        postgres = await in_thread(lambda: PostgresServer(folder / "postgres"))
        redis, replica = RedisServer(folder / "redis"), RedisServer(folder / "replica")
        for server in (postgres, redis, replica):
            stack.push_async_callback(in_thread, server.stop)
            await in_thread(server.start)
        database = await in_thread(postgres.create_database)
        await migrate(database)
        places = []
        for number in range(NODES):
            to_redis = await stack.enter_async_context(Link(redis.port))
            to_postgres = await stack.enter_async_context(Link(postgres.port))
            node = RigNode(
                folder / f"node-{number}",
                **{
                    "REDIS_URL": f"redis://127.0.0.1:{to_redis.port}/0",
                    "DATABASE_URL": database.replace(f":{postgres.port}/", f":{to_postgres.port}/"),
                    "MESSAGES_PER_MINUTE": 0,
                    "DRAIN_DELAY_S": 0.5,
                    "DRAIN_S": 3,
                    "RIG_MUTATION": mutation or "",
                }
                | settings,
            )
            front = await stack.enter_async_context(Link(node.port))
            places.append(Place(number, node, front, to_redis, to_postgres))
            stack.push_async_callback(in_thread, node.stop)
        await asyncio.gather(*(place.start() for place in places))
        nginx = ReloadableNginx(folder / "nginx", [place.front.port for place in places])
        stack.push_async_callback(in_thread, nginx.stop)
        await in_thread(nginx.start)
        yield Rig(places, nginx, redis, replica, postgres, database)


async def in_thread(work: Callable[[], _T]) -> _T:
    """Run what blocks. In the pool, whose threads stay: a child is told to die with the *thread* that started it."""
    return await asyncio.to_thread(work)


def make_folder(root: Path) -> Path:
    """An empty folder that anybody may look into."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    root.chmod(0o755)
    return root
