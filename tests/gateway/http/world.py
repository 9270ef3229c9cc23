"""The HTTP API over real storage and real tokens; only what would need Redis is a stand-in."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from auth.keys import KeyRing
from auth.tokens import Issuer, TokenNames, Verifier
from gateway.bearers import Bearers
from gateway.errors import RedisUnavailable
from gateway.http.chats import ChatRoutes
from gateway.http.edge import Edge
from gateway.http.members import MemberRoutes
from gateway.http.messages import MessageRoutes
from gateway.http.presence import PresenceRoutes
from gateway.identity import Identity
from gateway.messages import Present, RateLimited
from gateway.metrics import Metrics
from gateway.origins import Origins
from gateway.presence import Entered, Left, Seat
from gateway.problems import HANDLERS
from storage.accounts import Accounts
from storage.chat_log import StoredChatLog, open_chat_log
from storage.chats import Chats
from storage.database import Database, open_database
from storage.keys import SigningKeys
from storage.migrate import migrate
from storage.records import ChatKind, Committed, EventKind, NewEvent, NewMember, Outcome, Person, Refusal
from tests.gateway.memory_tickets import MemoryTickets

NODE_ID = "node-1"
LIFETIME_S = 600
MAX_TEXT = 1000


def client_of(app: ASGIApp, **options: Any) -> httpx.AsyncClient:
    """A client of the application that gets our failures as answers, as over a network."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.9", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://chat.example", **options)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, once it is seen to be a whole one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["title"] and document["detail"]
    assert "Traceback" not in answer.text
    return document


class FakeNode:
    """Stores what is posted, unless it is told to answer something else."""

    def __init__(self, log: StoredChatLog) -> None:
        self._log = log
        self.answer: Refusal | RateLimited | None = None
        self.changes: list[tuple[int, int, bool]] = []
        self.created: list[tuple[int, list[int]]] = []

    async def post(self, event: NewEvent) -> Outcome | RateLimited:
        if self.answer is not None:
            return self.answer
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._log.submit(event, outcome.set_result)
        return await outcome

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        self.changes.append((chat_id, user_id, removed))

    def chat_created(self, chat_id: int, user_ids: Collection[int]) -> None:
        self.created.append((chat_id, list(user_ids)))


class FakePresence:
    """Who is present is what the test says; None: Redis is away."""

    def __init__(self) -> None:
        self.present: dict[int, list[Present]] | None = {}

    async def members(self, chat_id: int) -> list[Present]:
        if self.present is None:
            raise RedisUnavailable
        return self.present.get(chat_id, [])

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        raise NotImplementedError

    async def leave(self, seat: Seat) -> Left:
        raise NotImplementedError


@dataclass
class User:
    """Somebody with a token, and a client that sends it."""

    person: Person
    token: str
    http: httpx.AsyncClient

    @property
    def id(self) -> int:
        return self.person.id


@dataclass
class World:
    """A node's HTTP side, and people who call it."""

    database: Database
    log: StoredChatLog
    chats: Chats
    accounts: Accounts
    keys: KeyRing
    issuer: Issuer
    node: FakeNode
    presence: FakePresence
    metrics: Metrics
    app: ASGIApp
    http: httpx.AsyncClient
    _clients: list[httpx.AsyncClient] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def user(self, login: str) -> User:
        """A new user."""
        person = await self.accounts.create(login, "no password", login.title(), "Test")
        token = self.issuer.issue(await self.keys.signing_key(), person.id, person.username)
        http = client_of(self.app, headers={"Authorization": f"Bearer {token}"})
        self._clients.append(http)
        return User(person, token, http)

    async def chat(self, *users: User, kind: ChatKind = ChatKind.GROUP, title: str = "") -> int:
        """A new chat of these users, made by the first."""
        members = [NewMember(user_id=user.id) for user in users[1:]]
        chat, _ = await self.chats.create_chat(users[0].id, kind, title, members)
        return chat.id

    async def say(self, user: User, chat_id: int, text: str) -> int:
        """A stored message's id."""
        return await self._store(NewEvent(chat_id, user.person, self._id(), EventKind.MESSAGE, text))

    async def edit(self, user: User, chat_id: int, message_id: int, text: str) -> int:
        """The id of an edited message."""
        return await self._store(NewEvent(chat_id, user.person, self._id(), EventKind.EDIT, text, message_id))

    async def delete(self, user: User, chat_id: int, message_id: int) -> int:
        """The id of a deleted message."""
        return await self._store(NewEvent(chat_id, user.person, self._id(), EventKind.DELETE, "", message_id))

    def _id(self) -> str:
        return f"c{next(self._numbers)}"

    async def _store(self, event: NewEvent) -> int:
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.log.submit(event, outcome.set_result)
        committed = await outcome
        assert isinstance(committed, Committed), committed
        return committed.event.message_id


@asynccontextmanager
async def open_world(
    database_url: str, *, allowed_origins: Sequence[str] = (), is_development: bool = False
) -> AsyncIterator[World]:
    """A node's HTTP side over this database."""
    await migrate(database_url)
    async with open_database(database_url) as database, open_chat_log(database) as log:
        chats, accounts = Chats(database), Accounts(database)
        keys = KeyRing(SigningKeys(database), LIFETIME_S)
        node, presence, metrics = FakeNode(log), FakePresence(), Metrics()
        origins = Origins(allowed_origins, public_url="", is_development=is_development)
        bearers = Bearers(Verifier(keys.jwks), accounts, MemoryTickets())
        identity = Identity(bearers, origins)
        routes = [
            *ChatRoutes(identity, chats, node).routes(),
            *MemberRoutes(identity, chats, node).routes(),
            *MessageRoutes(identity, chats, log, node, metrics.clients, MAX_TEXT).routes(),
            *PresenceRoutes(identity, chats, presence).routes(),
        ]
        app = Edge(Starlette(routes=routes, exception_handlers=HANDLERS), NODE_ID, origins)
        async with client_of(app) as http:
            issuer = Issuer(TokenNames(), LIFETIME_S)
            world = World(database, log, chats, accounts, keys, issuer, node, presence, metrics, app, http)
            try:
                yield world
            finally:
                for client in world._clients:
                    await client.aclose()
