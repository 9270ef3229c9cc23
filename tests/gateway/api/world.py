"""The HTTP API with real storage and tokens; only the parts that need Redis are fakes."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from auth.tokens.access_tokens import Issuer, TokenNames, Verifier
from auth.tokens.key_ring import KeyRing
from gateway.api.chat_access import Actors
from gateway.api.chats.activity import ChatActivityRoutes
from gateway.api.chats.arrangement import ArrangementRoutes
from gateway.api.chats.chats import ChatRoutes
from gateway.api.chats.lists import ChatListRoutes
from gateway.api.chats.member_roles import MemberRoleRoutes
from gateway.api.chats.members import MemberRoutes, NamedMembers
from gateway.api.chats.one_chat import OneChatRoutes
from gateway.api.chats.presence import PresenceRoutes
from gateway.api.message_batch import MessageBatchRoutes
from gateway.api.messages import MessageRoutes
from gateway.api.reactions import ReactionRoutes
from gateway.api.users.erasure import ErasureRoutes
from gateway.api.users.export import ExportRoutes
from gateway.api.users.people import PeopleRoutes
from gateway.api.users.users import UserRoutes
from gateway.authentication.authenticator import Authenticator
from gateway.authentication.credential_resolver import CredentialResolver
from gateway.authentication.origins import Origins
from gateway.authentication.represented_users import RepresentedUsers
from gateway.config.choices import Adding, StaffChats
from gateway.delivery.history import History
from gateway.delivery.hub import Hub
from gateway.delivery.replay_cache import ReplayCache
from gateway.errors import RedisUnavailable
from gateway.http.problems import HANDLERS
from gateway.interfaces.presence import Entered, Left, Seat
from gateway.interfaces.rate_limits import Admitted, OnAdmission, RateLimited
from gateway.metrics import Metrics
from gateway.middleware import Edge
from gateway.node.policy.chat_policy import ChatPolicy
from gateway.node.present_people import PresentPeople
from gateway.protocol.replies import Present
from gateway.redis.rate_limits import LocalWindows
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.tasks import Tasks
from httpapi.caller_turns import CallerTurns
from httpapi.service_keys import ServiceKeys
from storage.database.database import Database, open_database
from storage.log.chat_log import StoredChatLog, open_chat_log
from storage.records import ChatKind, Committed, EventKind, NewEvent, NewMember, Outcome, Person, Refusal
from storage.repositories.auth.accounts import Accounts
from storage.repositories.auth.keys import SigningKeys
from storage.repositories.chat_lists import StoredChatLists
from storage.repositories.chat_setup.details import ChatDetailsRepository
from storage.repositories.chat_setup.removals import ChatRemovals
from storage.repositories.chat_setup.roles import StoredRoles
from storage.repositories.chats import Chats
from storage.repositories.contacts import ContactRepository
from storage.repositories.identities import Identities
from storage.repositories.profiles import Profiles
from storage.repositories.staff import StaffRepository
from storage.repositories.users.erasures import Erasures
from storage.repositories.users.exports import Exports
from tests.gateway.memory_tickets import MemoryTickets
from tests.gateway.no_revocations import NoRevocations
from tests.support.migrated import make_store

ISSUER = "https://issuer.example"
NODE_ID = "node-1"
LIFETIME_S = 600
SERVICE_KEYS = ("bank:key-of-bank:users+chats", "shop:key-of-shop:messages")
BANK = {"X-Service-Key": "key-of-bank"}
SHOP = {"X-Service-Key": "key-of-shop"}
"""The second one has the wrong scope for chats."""
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
    """Stores posted messages, unless a test sets another outcome."""

    def __init__(self, log: StoredChatLog, chats: Chats) -> None:
        self._log = log
        self._chats = chats
        self.answer: Refusal | RateLimited | None = None
        self.changes: list[tuple[int, int, bool]] = []
        self.created: list[tuple[int, list[int]]] = []
        self.typing: list[tuple[int, int, bool]] = []
        self.reads: list[tuple[int, int, int, bool]] = []
        self.is_limited = True
        self.changed: list[int] = []
        self.removed: list[int] = []
        self.roles: list[tuple[int, int, str, bool]] = []

    async def post(self, event: NewEvent, *, is_limited: bool = True) -> Outcome | RateLimited:
        self.is_limited = is_limited
        if self.answer is not None:
            return self.answer
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._log.submit(event, outcome.set_result)
        return await outcome

    async def post_all(self, events: Sequence[NewEvent]) -> list[Outcome]:
        return [self.answer or await self.post(event, is_limited=False) for event in events]  # type: ignore[misc]

    async def mark_read(self, chat_id: int, person: Person, seq: int, connection_id: str) -> None:
        assert connection_id == ""
        await self._chats.mark_read(chat_id, person.id, seq)

    def read_moved(
        self, chat_id: int, person: Person, seq: int, connection_id: str, *, is_backwards: bool = False
    ) -> None:
        assert connection_id == ""
        self.reads.append((chat_id, person.id, seq, is_backwards))

    def publish_typing(self, chat_id: int, person: Person, is_typing: bool) -> None:
        self.typing.append((chat_id, person.id, is_typing))

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        self.changes.append((chat_id, user_id, removed))

    def chat_changed(self, chat_id: int) -> None:
        self.changed.append(chat_id)

    def member_changed(self, chat_id: int, user_id: int, role: str, muted_until: int) -> None:
        self.roles.append((chat_id, user_id, role, bool(muted_until)))

    def chat_removed(self, chat_id: int) -> None:
        self.removed.append(chat_id)

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


class LocalLimits:
    """The limit of strangers of one process. Implements `RateLimits`."""

    def __init__(self, limit: int) -> None:
        self._windows = LocalWindows(limit)
        self.forget = self._windows.forget

    def decide(self, user_id: int, entry: str, on_admission: OnAdmission) -> None:
        on_admission(self._windows.admit(user_id, entry))

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        return self._windows.admit(user_id, entry)


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
    hub: Hub
    chats: Chats
    accounts: Accounts
    keys: KeyRing
    issuer: Issuer
    node: FakeNode
    presence: FakePresence
    metrics: Metrics
    revocations: NoRevocations
    app: ASGIApp
    http: httpx.AsyncClient
    _clients: list[httpx.AsyncClient] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def user(self, login: str) -> User:
        """A new user."""
        person = await self.accounts.create(login, "no password", login.title(), "Test")
        return await self.log_in(person, int(time.time()))

    async def log_in(self, person: Person, authenticated_at: int) -> User:
        """The user with a token of a login at this time, or 0."""
        key = await self.keys.signing_key()
        token = self.issuer.issue(key, person.id, person.username, authenticated_at=authenticated_at)
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
    database_url: str,
    *,
    allowed_origins: Sequence[str] = (),
    is_development: bool = False,
    staff_chats: StaffChats = StaffChats.ANYONE,
    adding: Adding = Adding.ANYONE,
    strangers: int = 0,
) -> AsyncIterator[World]:
    """A node's HTTP side over this database."""
    await make_store(database_url)
    async with open_database(database_url) as database, open_chat_log(database) as log:
        chats, accounts = Chats(database), Accounts(database)
        keys = KeyRing(SigningKeys(database), LIFETIME_S)
        node, presence, metrics = FakeNode(log, chats), FakePresence(), Metrics()
        origins = Origins(allowed_origins, public_url="", is_development=is_development)
        revocations = NoRevocations()
        bearers = CredentialResolver(Verifier(keys.jwks), accounts, MemoryTickets(), revocations)
        identity = Authenticator(bearers, origins)
        tasks, hub = Tasks(), Hub()
        history = History(hub, log, ReplayCache(log, tasks))
        service_keys = ServiceKeys(SERVICE_KEYS)
        identities = Identities(database)
        actors = Actors(identity, service_keys, RepresentedUsers(accounts, identities, revocations), chats)
        command_limits = CommandLimits(CommandRates(edits=2))
        contacts, staff, limits = ContactRepository(database), StaffRepository(database), LocalLimits(strangers)
        policy = ChatPolicy(staff, contacts, limits, most=strangers, staff_chats=staff_chats, adding=adding)
        reads = CallerTurns(at_once=2, per_caller=20, total=100)
        names = NamedMembers(identities, ISSUER)
        erasure = ErasureRoutes(identity, service_keys, Erasures(database))
        routes = [
            *ChatRoutes(
                actors,
                names,
                policy,
                chats,
                node,
                ChatListRoutes(actors, chats, StoredChatLists(database), reads),
            ).routes(),
            *OneChatRoutes(actors, chats, ChatDetailsRepository(database), node, ChatRemovals(database), node).routes(),
            *MemberRoutes(
                actors, names, policy, chats, node, MemberRoleRoutes(actors, chats, StoredRoles(database), node)
            ).routes(),
            *PeopleRoutes(actors, service_keys, contacts, staff).routes(),
            *MessageRoutes(actors, chats, history, node, metrics.clients, MAX_TEXT, reads).routes(),
            *ReactionRoutes(actors, chats, node, metrics.clients).routes(),
            *MessageBatchRoutes(actors, service_keys, node, metrics.clients, MAX_TEXT, reads).routes(),
            *ChatActivityRoutes(actors, chats, node, command_limits).routes(),
            *ArrangementRoutes(actors, chats, StoredChatLists(database), node, command_limits).routes(),
            *UserRoutes(
                identity, service_keys, Profiles(database), identities, ISSUER, erasure.erase, erasure.erase_caller
            ).routes(),
            *erasure.routes(),
            *ExportRoutes(identity, service_keys, Profiles(database), Exports(database)).routes(),
            *PresenceRoutes(actors, chats, PresentPeople(presence, Profiles(database))).routes(),
        ]
        app = Edge(Starlette(routes=routes, exception_handlers=HANDLERS), NODE_ID, origins)
        async with client_of(app) as http:
            issuer = Issuer(TokenNames(), LIFETIME_S)
            world = World(
                database, log, hub, chats, accounts, keys, issuer, node, presence, metrics, revocations, app, http
            )
            try:
                yield world
            finally:
                for client in world._clients:
                    await client.aclose()
                await tasks.close()
