"""Gateway nodes as separate processes with a real Redis and a real database, and users that chat over them."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from chat_gateway_client import Client

from auth.tokens.access_tokens import GuestIssuer, Issuer, TokenNames
from auth.tokens.key_ring import KeyRing
from storage.database.database import open_database
from storage.records import ChatKind, NewMember, Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chats import Chats
from tests.support.chat_client import ChatClient
from tests.support.forked import ProgramServer
from tests.support.keys import encrypted_keys
from tests.support.migrated import make_store
from tests.support.servers import answers, free_port

TOKEN_LIFETIME_S = 600


class GatewayNode(ProgramServer):
    """`chat-gateway gateway` on its own port."""

    arguments: ClassVar[tuple[str, ...]] = ("gateway",)

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {"APP_ENV": "development", "APP_HOST": "127.0.0.1", "APP_PORT": self.port, "DRAIN_DELAY_S": 0}
        super().__init__(self.arguments, folder, environ | settings)

    def is_up(self) -> bool:
        """Whether it is ready."""
        return answers(self.port, b"GET /readyz HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200")

    @property
    def log(self) -> str:
        """Its complete log."""
        return (self.folder / "server.log").read_text()

    def ws_url(self, path: str, **query: object) -> str:
        """A WebSocket URL."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"ws://127.0.0.1:{self.port}{path}" + (f"?{words}" if words else "")

    def chat_url(self, chat_id: int, **query: object) -> str:
        """The WebSocket URL of a chat."""
        return self.ws_url(f"/ws/chat/{chat_id}/", **query)


@dataclass
class User:
    """A user with a token."""

    person: Person
    token: str

    @property
    def id(self) -> int:
        """The user's id."""
        return self.person.id

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that authenticate this user."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class Cluster:
    """Nodes with one Redis and one database. Users and chats are created directly in the database."""

    nodes: Sequence[GatewayNode]
    accounts: Accounts
    chats: Chats
    keys: KeyRing
    issuer: Issuer
    sockets: AsyncExitStack
    _names: Any = field(default_factory=itertools.count)

    async def user(self, name: str = "user") -> User:
        """A new user."""
        person = await self.accounts.create(f"{name}{next(self._names)}", "no password", name.title(), "Test")
        key, now = await self.keys.signing_key(), int(time.time())
        return User(person, self.issuer.issue(key, person.id, person.username, authenticated_at=now))

    async def guest_token(self, username: str, room_id: str) -> str:
        """A guest token for a room."""
        issuer = GuestIssuer(TokenNames())
        return issuer.issue(await self.keys.signing_key(), username, f"{username}@example.com", room_id)

    async def chat(self, *users: User, kind: ChatKind = ChatKind.GROUP) -> int:
        """A new chat of these users, created by the first."""
        members = [NewMember(user_id=user.id) for user in users[1:]]
        chat, _ = await self.chats.create_chat(users[0].id, kind, "test", members)
        return chat.id

    async def client(self, node: int, user: User) -> Client:
        """The Python client of the user, connected to one of the nodes; closed at the end of the test."""
        return await self.sockets.enter_async_context(Client(self.nodes[node].url, user.token))

    async def connect(self, node: int, chat_id: int, user: User, **query: object) -> ChatClient:
        """The user's socket in the chat on one of the nodes; closed at the end of the test."""
        return await self.open(node, f"/ws/chat/{chat_id}/", user.token, **query)

    async def open(self, node: int, path: str, token: str | None, **query: object) -> ChatClient:
        """A socket of any URL family on one of the nodes; closed at the end of the test."""
        client = await ChatClient.connect(self.nodes[node].ws_url(path, **query), token)
        await self.sockets.enter_async_context(client)
        return client

    async def enter(self, node: int, chat_id: int, user: User, **query: object) -> ChatClient:
        """The user's socket in the chat after its greeting."""
        client = await self.connect(node, chat_id, user, **query)
        await client.next("connection_established")
        return client


@asynccontextmanager
async def run_cluster(
    folder: Path, redis_url: str, database_url: str, *, nodes: int = 2, **settings: object
) -> AsyncIterator[Cluster]:
    """A cluster with this number of nodes and these settings."""
    await make_store(database_url)
    running: list[GatewayNode] = []
    try:
        for number in range(nodes):
            options = {"REDIS_URL": redis_url, "DATABASE_URL": database_url} | settings
            running.append(GatewayNode(folder / f"node-{number}", **options))
            running[-1].start()
        async with open_database(database_url) as database, AsyncExitStack() as sockets:
            yield Cluster(
                running,
                Accounts(database),
                Chats(database),
                KeyRing(await encrypted_keys(database), TOKEN_LIFETIME_S),
                Issuer(TokenNames(), TOKEN_LIFETIME_S),
                sockets,
            )
    finally:
        for node in running:
            node.kill()
