"""Gateway nodes as separate processes with a real Redis and a real database, and users that chat over them."""

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat_gateway_client import Client

from auth.tokens.access_tokens import GuestIssuer, Issuer, TokenNames
from auth.tokens.key_ring import KeyRing
from storage.database.database import open_database
from storage.records import ChatKind, NewMember, Person
from storage.repositories.auth.accounts import Accounts
from storage.repositories.chats import Chats
from tests.support.chat_client import ChatClient
from tests.support.gateway_node import GatewayNode as GatewayNode
from tests.support.keys import encrypted_keys
from tests.support.migrated import make_store

TOKEN_LIFETIME_S = 600


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
