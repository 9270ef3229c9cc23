"""The gateway with everything enabled: real PostgreSQL and Redis, nodes, users with tokens and chats."""

import asyncio
import itertools
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from auth.tokens.access_tokens import Issuer, TokenNames
from auth.tokens.key_ring import KeyRing
from benchmarks.load import Load, Socket, handshake, masked_frame
from benchmarks.measured import Measured
from storage.database.database import open_database
from storage.database.migrate import migrate
from storage.outbox.queue import Outbox
from storage.records import ChatKind, NewMember, Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.chats import Chats
from tests.support.gateway_node import GatewayNode
from tests.support.servers import PostgresServer, RedisServer, temporary_folder

SETTINGS = """everything on: tokens, membership, presence, limits, PostgreSQL with fsync, Redis, metrics, JSON logs. \
The writers are on another node, so that each message comes committed and through Redis."""
PREFIX = '{"type":"message"'
TOKEN_LIFETIME_S = 3600
MAKERS = 8  # concurrent statements while users and chats are created


class Node(GatewayNode):
    """A gateway started as a shell starts it: a forked one would pay for copies of the pages that it shares."""

    is_forked = False


@dataclass(frozen=True, slots=True)
class Member:
    """A user in one chat."""

    chat_id: int
    person: Person
    token: str

    def socket(self, port: int, *, since: int | None = None, is_writer: bool = False, times: int = -1) -> Socket:
        """The client of this user at the port of a node."""
        query = "" if since is None else f"?since={since}"
        request = handshake(port, f"/ws/chat/{self.chat_id}/{query}", Authorization=f"Bearer {self.token}")
        return Socket(port, request, is_writer, times)


@dataclass(frozen=True, slots=True)
class Product:
    """Running nodes over one database and one Redis, or several."""

    database_url: str
    redis: Sequence[RedisServer]
    postgres: PostgresServer
    nodes: Sequence[Node]
    options: Mapping[str, object]
    """The settings of the nodes."""

    @contextmanager
    def apart(self, folder: Path, **settings: object) -> Iterator["Product"]:
        """The same servers with a database of its own and one node, with these settings beside those of the others."""
        url = self.postgres.create_database()
        asyncio.run(migrate(url))
        options = {**self.options, **settings, "DATABASE_URL": url}
        node = Node(folder, **options)
        try:
            node.start()
            yield replace(self, database_url=url, nodes=[node], options=options)
        finally:
            node.stop()

    def chats(self, sizes: Sequence[int]) -> list[list[Member]]:
        """Create chats of this number of new users each."""
        with self._without_fsync():
            return asyncio.run(_chats(self.database_url, sizes))

    def renewed(self, members: Sequence[Member]) -> list[Member]:
        """The same members with new tokens, which no node has seen."""
        return asyncio.run(_renewed(self.database_url, members))

    @property
    def behind(self) -> dict[str, Callable[[], float]]:
        """CPU times of the servers behind the nodes; see Meter."""
        return {"PostgreSQL": self.database_cpu_s, "Redis": self.redis_cpu_s}

    @contextmanager
    def _without_fsync(self) -> Iterator[None]:
        """Disable waiting for the disk while users are created. Otherwise fsync is on, as in production."""
        self._alter("SET synchronous_commit = off")
        try:
            yield
        finally:
            self._alter("RESET synchronous_commit")

    def _alter(self, words: str) -> None:
        self.postgres.query("postgres", f"ALTER SYSTEM {words}")
        self.postgres.query("postgres", "SELECT pg_reload_conf()")

    def tidy(self) -> None:
        """Let PostgreSQL finish the housekeeping of a heavy load, so that the next load does not pay for it."""
        name = self.database_url.rpartition("/")[2]
        for words in ("VACUUM ANALYZE", "CHECKPOINT"):
            self.postgres.query(name, words)

    def waiting_events(self, endpoint: str) -> int:
        """Events that wait for the endpoint of a webhook."""
        return asyncio.run(_waiting_events(self.database_url, endpoint))

    def log_lookups(self) -> int:
        """Index scans of the stored messages so far, counted by PostgreSQL with the delay of `statements`."""
        query = "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'chat_log'"
        return int(self.postgres.query(self.database_url.rpartition("/")[2], query))

    def redis_cpu_s(self) -> float:
        """CPU time of all Redis servers."""
        return sum(Measured(server.pid).cpu_s for server in self.redis)

    def database_cpu_s(self) -> float:
        """CPU time of all running PostgreSQL processes."""
        pid = self.postgres.pid
        backends = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        spent = 0.0
        for process in (pid, *map(int, backends)):
            with suppress(FileNotFoundError, ProcessLookupError):  # a backend that has ended meanwhile
                spent += Measured(process).cpu_s
        return spent

    def statements(self) -> int:
        """Transactions that PostgreSQL has committed for the nodes; an idle backend reports within ten seconds."""
        name = self.database_url.rpartition("/")[2]
        return int(self.postgres.query(name, f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'"))


@contextmanager
def running(folder: Path, *, nodes: int = 1, shards: int = 1, **settings: object) -> Iterator[Product]:
    """This number of ready nodes on this number of Redis servers."""
    with ExitStack() as stack:
        postgres_folder = temporary_folder()  # accessible to the user of PostgreSQL
        stack.callback(shutil.rmtree, postgres_folder, ignore_errors=True)
        postgres = PostgresServer(postgres_folder)
        redis = []
        for number in range(shards):
            (folder / f"redis-{number}").mkdir()
            redis.append(RedisServer(folder / f"redis-{number}"))
        for server in (postgres, *redis):
            stack.callback(server.stop)
            server.start()
        url = postgres.create_database()
        asyncio.run(migrate(url))
        options: dict[str, object] = {
            "DATABASE_URL": url,
            "REDIS_URL": ",".join(one.url for one in redis),
            "MESSAGES_PER_MINUTE": 0,
            "APP_ENV": "production",
            # All clients come from one address, which would be limited.
            "MAX_CONNECTIONS_PER_ADDRESS": 0,
            "MAX_CONNECTIONS_PER_USER": 0,
            "HANDSHAKES_PER_MINUTE_PER_ADDRESS": 0,
            "HANDSHAKES_PER_MINUTE_PER_USER": 0,
            "PUBLIC_URL": "http://127.0.0.1",
        }
        options |= {"LOG_FORMAT": "json"} | settings
        running = []
        for number in range(nodes):
            running.append(Node(folder / f"node-{number}", **options))
            stack.callback(running[-1].stop)
            running[-1].start()
        yield Product(url, redis, postgres, running, options)


async def _waiting_events(database_url: str, endpoint: str) -> int:
    async with open_database(database_url) as database:
        return (await Outbox(database).backlog(endpoint)).events


async def _renewed(database_url: str, members: Sequence[Member]) -> list[Member]:
    async with open_database(database_url) as database:
        key = await KeyRing(SigningKeys(database), TOKEN_LIFETIME_S).signing_key()
        issuer = Issuer(TokenNames(), TOKEN_LIFETIME_S)
        people = (member.person for member in members)
        tokens = [issuer.issue(key, person.id, person.username) for person in people]
        return [replace(member, token=token) for member, token in zip(members, tokens, strict=True)]


async def _chats(database_url: str, sizes: Sequence[int]) -> list[list[Member]]:
    async with open_database(database_url) as database:
        accounts, chats = Accounts(database), Chats(database)
        key = await KeyRing(SigningKeys(database), TOKEN_LIFETIME_S).signing_key()
        issuer = Issuer(TokenNames(), TOKEN_LIFETIME_S)
        turns = asyncio.Semaphore(MAKERS)
        prefix = secrets.token_hex(4)  # of new logins

        async def chat(number: int, size: int) -> list[Member]:
            async with turns:
                people = [await accounts.create(f"{prefix}.{number}.{i}", "no password", "", "") for i in range(size)]
                kind = ChatKind.DIRECT if size == 2 else ChatKind.GROUP
                others = [NewMember(user_id=person.id) for person in people[1:]]
                made, _ = await chats.create_chat(people[0].id, kind, "", others)
                return [Member(made.id, person, issuer.issue(key, person.id, person.username)) for person in people]

        return list(await asyncio.gather(*(chat(number, size) for number, size in enumerate(sizes))))


def message(text: str) -> bytes:
    """The frame that sends this text."""
    return masked_frame(b'{"type":"message","text":"%s"}' % text.encode())


class ProductRoom:
    """A room for the fan-out measurement: subscribers spread over the nodes, its writers alone on the last node.

    The writers take turns: a single one would be slowed down as a flood (`gateway/transport/incoming`).
    """

    extra = 16
    prefix = PREFIX
    message = message("x" * 90)
    hello = b""

    def __init__(self, product: Product, subscribers: int) -> None:
        *nodes, last = product.nodes
        (members,) = product.chats([subscribers + self.extra])
        writers, readers = members[: self.extra], members[self.extra :]
        self.pid = nodes[0].pid
        self._writer = itertools.cycle(range(self.extra))
        self.sockets = [writer.socket(last.port, is_writer=True) for writer in writers]
        spread = zip(readers, itertools.cycle(nodes), strict=False)
        self.sockets += [member.socket(node.port) for member, node in spread]

    def publish(self, count: int, load: Load) -> None:
        """Send messages, which are stored and reach the measured node through Redis."""
        load.send(next(self._writer), count)


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[ProductRoom]:
    """The gateway as a contender."""
    with running(folder, nodes=2) as product:
        yield ProductRoom(product, subscribers)
