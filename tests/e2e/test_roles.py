"""The table of roles against a running node, which allows each party exactly what the table says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from gateway.node.policy.roles import COMMANDS, HTTP, SOCKETS, Party, Rule
from httpapi.operation import Scope
from storage.database.database import Database, open_database
from storage.records import ChatKind, NewMember, Role
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import NativeClient

ROOM = "room1"
AUTH = {
    "POST /generate-token",
    "POST /register",
    "POST /login",
    "POST /api/v1/login/access-token",
    "POST /api/v1/login/refresh",
    "POST /api/v1/logout",
    "GET /api/v1/me/sessions",
    "DELETE /api/v1/me/sessions/{session_id}",
    "POST /api/v1/password",
    "POST /api/v1/totp",
    "POST /api/v1/totp/confirm",
    "DELETE /api/v1/totp",
    "POST /api/v1/password/reset",
    "POST /api/v1/password/reset/confirm",
    "POST /api/v1/invitations",
    "GET /.well-known/jwks.json",
}
"""Served by the auth service."""
KEYS = [
    frozenset(scope for place, scope in enumerate(Scope) if number >> place & 1) for number in range(1, 2 ** len(Scope))
]
"""Every set of scopes."""
REFUSALS = {401, 403, 404}
MAY_MISS = {
    "GET /api/v1/users/{user_id}/ban",
    "GET /api/v1/users/{user_id}/erasure",
    "POST /api/v1/webhooks/drop",
}
"""Of what there may not be."""
BODIES: dict[str, Any] = {
    "POST /api/v1/chats": {"kind": "group"},
    "POST /api/v1/chats (service or support)": {"kind": "support"},
    "PATCH /api/v1/chats/{chat_id}": {"title": "new"},
    "PATCH /api/v1/chats/{chat_id} (frozen, slow_mode_s)": {"slow_mode_s": 0},
    "PATCH /api/v1/chats/{chat_id}/members/{user_id}": {"role": "reader"},
    "PATCH /api/v1/chats/{chat_id}/members/{user_id} (muted_until)": {"muted_until": None},
    "POST /api/v1/chats/{chat_id}/messages": {"text": "hi"},
    "POST /api/v1/messages": {"items": [{"chat_id": 1, "text": "hi", "client_msg_id": "b"}]},
    "PATCH /api/v1/chats/{chat_id}/messages/{message_id}": {"text": "new"},
    "PATCH /api/v1/chats/{chat_id}/me": {"pinned": True},
    "POST /api/v1/chats/{chat_id}/read": {},
    "POST /api/v1/chats/{chat_id}/typing": {},
    "POST /api/v1/commands": {"type": "ping"},
    "POST /api/v1/users/{user_id}/send": {"data": 1},
    "POST /api/v1/users/{user_id}/disconnect": {},
    "POST /api/v1/users/{user_id}/revoke": {},
    "PUT /api/v1/users/{user_id}/ban": {},
    "POST /api/v1/clients/{client_id}/send": {"data": 1},
    "PUT /api/v1/users/sub:{sub}": {},
    "PATCH /api/v1/users/{user_id}": {},
    "POST /message": {"room_id": ROOM, "content": "hi"},
    "POST /api/v1/webhooks/dead-letters/replay": {},
    "POST /api/v1/webhooks/drop": {"webhook": "none"},
}
QUERIES = {"GET /api/v1/users": {"ids": "1"}, "GET /api/v1/users/presence": {"ids": "1"}}
KINDS = {Party.VISITOR: ChatKind.PUBLIC, Party.ANONYMOUS: ChatKind.PUBLIC, Party.GUEST: ChatKind.PUBLIC}
KINDS |= {Party.MASTER: ChatKind.SERVICE, Party.SUPPORT: ChatKind.SUPPORT, Party.CLIENT: ChatKind.SERVICE}
ROLES = {Party.MASTER: Role.MASTER, Party.SUPPORT: Role.SUPPORT, Party.CLIENT: Role.CLIENT}
ROLES |= {Party.MODERATOR: Role.MODERATOR, Party.READER: Role.READER}
MEMBERS = {Party.MEMBER, Party.MASTER, Party.SUPPORT, Party.CLIENT, Party.MODERATOR, Party.READER}


@dataclass(frozen=True)
class Case:
    """A caller, a chat to which it is such a party, a member of the chat, and a user who is none."""

    chat_id: int
    token: str | None
    caller: User
    member: User
    newcomer: User

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class Node:
    """A node in production, with a key for every set of scopes."""

    def __init__(self, cluster: Cluster, database: Database, http: httpx.AsyncClient) -> None:
        self.cluster = cluster
        self.database = database
        self.http = http

    async def case(self, party: Party, kind: ChatKind | None = None) -> Case:
        """A new chat, and a caller who is this party to it."""
        cluster = self.cluster
        caller, owner, member, newcomer = [await cluster.user() for _ in range(4)]
        kind = kind or KINDS.get(party, ChatKind.GROUP)
        has_staff = kind in (ChatKind.SERVICE, ChatKind.SUPPORT)
        listed = [NewMember(user_id=member.id, role=Role.CLIENT if has_staff else None)]
        if party in MEMBERS:
            listed.append(NewMember(user_id=caller.id, role=ROLES.get(party)))
        creator = caller if party is Party.OWNER else owner
        chat, _ = await cluster.chats.create_chat(creator.id, kind, "", listed)
        token: str | None = caller.token
        if party is Party.ANONYMOUS:
            token = None
        elif party is Party.GUEST:
            token = await cluster.guest_token("guest", ROOM)
        elif party is Party.STAFF:
            await self.database.write(
                "INSERT INTO staff (user_id, created_at) VALUES ($1, CURRENT_TIMESTAMP)", caller.id
            )
        return Case(chat.id, token, caller, member, newcomer)

    async def call(self, name: str, case: Case, headers: dict[str, str]) -> int:
        """The status of this operation."""
        method, path = name.partition(" (")[0].split(" ")
        bodies = BODIES | {
            "POST /api/v1/chats/{chat_id}/members": {"user_id": case.newcomer.id, "role": None},
            "PUT /api/v1/chats/{chat_id}/owner": {"user_id": case.member.id},
        }
        user = case.member
        if "(oneself)" in name:
            user = case.caller
        elif "/bars/" in path:
            user = case.newcomer
            await self.database.write(
                "INSERT INTO bars (chat_id, user_id, barred_by, created_at) VALUES ($1, $2, 0, CURRENT_TIMESTAMP)",
                case.chat_id,
                user.id,
            )
        author = case.member.headers if "(anyone's)" in name else headers
        message_id = await self.message_id(case, author) if "{message_id}" in path else 0
        url = path.format(
            chat_id=case.chat_id, user_id=user.id, client_id="c", message_id=message_id, sub="u7", key="x"
        )
        answer = await self.http.request(method, url, json=bodies.get(name), headers=headers, params=QUERIES.get(name))
        return answer.status_code

    async def message_id(self, case: Case, headers: dict[str, str]) -> int:
        """A message of the caller; 1 if the caller may not write here."""
        url = f"/api/v1/chats/{case.chat_id}/messages"
        answer = await self.http.post(url, json={"text": "mine"}, headers=headers)
        return int(answer.json()["id"]) if answer.status_code == 201 else 1

    async def connects(self, path: str, case: Case) -> bool:
        """Whether the caller may connect to this URL."""
        url = path.format(client_id="c", chat_id=case.chat_id, room_id=ROOM)
        if path.startswith("/sse/"):
            return await self.streams(url, case)
        try:
            client = await NativeClient.connect(self.cluster.nodes[0].ws_url(url), case.token)
        except InvalidStatus as rejected:
            assert rejected.response.status_code in REFUSALS, rejected
            return False
        await client.close()
        return True

    async def streams(self, url: str, case: Case) -> bool:
        """Whether the caller gets an event stream at this URL."""
        async with self.http.stream("GET", url, headers=case.headers) as answer:
            assert answer.status_code in {200, *REFUSALS}, answer
            return answer.status_code == 200

    async def obeys(self, command: str, case: Case) -> bool:
        """Whether the node executes this native command of the caller."""
        client = await NativeClient.connect(self.cluster.nodes[0].ws_url("/ws/c"), case.token)
        fields: dict[str, Any] = {"chat_id": case.chat_id}
        if command in ("edit_message", "delete_message", "react"):
            sent = await client.ask("message", text="mine", **fields)
            fields["message_id"] = sent["message_id"] if sent["type"] == "ack" else 1
        extra: dict[str, dict[str, Any]] = {
            "ping": {"chat_id": None},
            "hello": {"chat_id": None, "message": "hi"},
            "refresh": {"chat_id": None, "token": case.token or "none"},
            "subscribe_presence": {"chat_id": None, "user_ids": [case.member.id]},
            "message": {"text": "hi"},
            "edit_message": {"text": "new"},
            "react": {"key": "👍"},
            "typing": {"is_typing": True},
            "read_messages": {"seq": 1},
        }
        fields = {name: value for name, value in (fields | extra.get(command, {})).items() if value is not None}
        answer = await client.ask(command, **fields)
        await client.close()
        if answer["type"] == "error":
            assert answer["code"] in ("forbidden", "not_found", "unauthorized"), answer
        return answer["type"] != "error"


@pytest.fixture
async def node(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Node]:
    keys = ",".join(f"k{number}:{_key(number)}:{'+'.join(scopes)}" for number, scopes in enumerate(KEYS))
    settings = {"APP_ENV": "production", "PUBLIC_URL": "https://chat.example", "SERVICE_KEYS": keys}
    settings |= {
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "chat",
        "JWKS_URL": "https://issuer.example/jwks",
    }
    limits = ("STRANGERS_PER_MINUTE", "MESSAGES_PER_MINUTE", "MAX_CONNECTIONS_PER_ADDRESS")
    limits += ("HANDSHAKES_PER_MINUTE_PER_ADDRESS", "HTTP_REQUESTS_PER_MINUTE")
    async with (
        run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings, **dict.fromkeys(limits, 0)) as cluster,
        open_database(sqlite_url) as database,
        httpx.AsyncClient(base_url=cluster.nodes[0].url) as http,
    ):
        yield Node(cluster, database, http)


def _key(number: int) -> str:
    return f"u9Yq2mTz7cKp4vXw8bNr{number}"


HTTP_HERE = {name: rule for name, rule in HTTP.items() if name not in AUTH}
USES: list[tuple[str, str, Rule]] = [
    *(("http", name, rule) for name, rule in HTTP_HERE.items()),
    *(("socket", name, rule) for name, rule in SOCKETS.items()),
    *(("command", name, rule) for name, rule in COMMANDS.items()),
]


@pytest.mark.timeout(300)
async def test_node_allows_exactly_what_the_table_says(node: Node) -> None:
    for party in Party:
        for kind, name, rule in USES:
            chat_kind = None
            if party is Party.CLIENT and name.startswith("/ws/support"):
                chat_kind = ChatKind.SUPPORT
            case = await node.case(party, chat_kind)
            is_allowed = party in rule.parties
            if kind == "http":
                status = await node.call(name, case, case.headers)
                assert status < 300 if is_allowed else status in REFUSALS, (party, name, status)
            elif kind == "socket":
                assert await node.connects(name, case) is is_allowed, (party, name)
            else:
                assert await node.obeys(name, case) is is_allowed, (party, name)


@pytest.mark.timeout(300)
async def test_party_that_a_caller_was_before_does_not_count(node: Node) -> None:
    """Whoever joins, owns, leaves: only what the caller is to the chat now decides, for any sequence of changes."""
    loop = asyncio.get_running_loop()
    changes = st.lists(st.sampled_from(["add", "remove", "own", "disown"]), max_size=6)
    uses = st.sampled_from([use for use in USES if "chat_id" in use[1] or use[0] == "command"])

    async def check(steps: list[str], use: tuple[str, str, Rule]) -> None:
        kind, name, rule = use
        case = await node.case(Party.STRANGER)
        chats = node.cluster.chats
        for step in steps:
            members = await chats.chat(case.chat_id, None)
            assert members is not None
            is_member = any(member.person.id == case.caller.id for member in members.members)
            if step == "add":
                await chats.add_member(case.chat_id, None, NewMember(user_id=case.caller.id))
            elif is_member and step == "remove":
                await chats.remove_member(case.chat_id, None, case.caller.id)
            elif is_member:
                user_id = case.caller.id if step == "own" else case.member.id
                await chats.hand_over(case.chat_id, None, user_id)
        chat = await chats.chat(case.chat_id, None)
        assert chat is not None
        party = Party.MEMBER if any(one.person.id == case.caller.id for one in chat.members) else Party.STRANGER
        party = Party.OWNER if chat.owner_id == case.caller.id else party
        is_allowed = party in rule.parties
        if kind == "http":
            status = await node.call(name, case, case.headers)
            assert status < 300 if is_allowed else status in REFUSALS, (party, name, status)
        elif kind == "socket":
            assert await node.connects(name, case) is is_allowed, (party, name)
        else:
            assert await node.obeys(name, case) is is_allowed, (party, name)

    @settings(max_examples=100, derandomize=True, database=None)
    @given(changes, uses)
    def walk(steps: list[str], use: tuple[str, str, Rule]) -> None:
        asyncio.run_coroutine_threadsafe(check(steps, use), loop).result(60)

    await asyncio.to_thread(walk)


@pytest.mark.timeout(300)
async def test_service_key_opens_exactly_its_scopes(node: Node) -> None:
    loop = asyncio.get_running_loop()

    async def check(name: str, number: int) -> None:
        case = replace(await node.case(Party.STRANGER), token=None)
        rule = HTTP[name]
        headers = {"X-Service-Key": _key(number)}
        if rule.for_users:
            headers["X-On-Behalf-Of"] = str(case.member.id)
        status = await node.call(name, case, headers)
        if rule.parties >= {Party.ANONYMOUS}:
            return
        is_open = status < 300 or (name in MAY_MISS and status == 404)
        is_refused = status in REFUSALS and (name not in MAY_MISS or status == 403)
        assert is_open if rule.scope in KEYS[number] else is_refused, (name, KEYS[number], status)

    @settings(max_examples=200, derandomize=True, database=None)
    @given(st.sampled_from(sorted(HTTP_HERE)), st.integers(0, len(KEYS) - 1))
    def walk(name: str, number: int) -> None:
        asyncio.run_coroutine_threadsafe(check(name, number), loop).result(60)

    await asyncio.to_thread(walk)


async def test_table_has_every_operation(node: Node) -> None:
    document = (await node.http.get("/openapi.json")).json()
    documented = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert documented == {name.partition(" (")[0] for name in HTTP_HERE}
    for name, rule in HTTP_HERE.items():
        method, path = name.partition(" (")[0].split(" ")
        described = document["paths"][path][method.lower()]
        declared = described.get("description", "").partition("needs the scope `")[2].partition("`")[0]
        if "(oneself)" not in name:
            assert declared == (rule.scope or ""), name
